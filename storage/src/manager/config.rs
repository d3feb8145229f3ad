//! What the manager is told, and its limits by name.
//!
//! Owns the broker-level settings of storage with Kafka's defaults. Time and randomness are arguments: a clock and a source
//! of ids, so that a test decides both.

use std::path::PathBuf;
use std::sync::Arc;

use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use crate::identity::random_uuid;
use crate::producer_state::DEFAULT_PRODUCER_ID_EXPIRATION_MS;

/// What a directory may hold beyond its written recovery points: it bounds what a host's power cut can take from one
/// replica, and what a start after `kill -9` must read again.
pub const MAX_UNFLUSHED_BYTES: u64 = 256 << 20;

/// The free space at which a directory refuses produce, or [`DISK_RESERVE_PER_MILLE`] of its disk if that is less.
pub const DISK_RESERVE_BYTES: u64 = 1 << 30;

/// See [`DISK_RESERVE_BYTES`].
pub const DISK_RESERVE_PER_MILLE: u64 = 20;

/// A directory that refuses produce resumes once it has this much of its reserve in addition, so that it does not flap.
pub const DISK_RESUME_PER_MILLE: u64 = 100;

/// How often a full directory looks whether there is room again.
pub const DISK_FULL_CHECK_MS: i64 = 1_000;

/// How many flushes may wait on a directory; one more is done by its caller in place.
pub const MAX_WAITING_FLUSHES: usize = 65_536;

/// How often idle producers are looked for: Kafka's `producer.id.expiration.check.interval.ms`.
pub const PRODUCER_EXPIRATION_CHECK_MS: i64 = 600_000;

/// A clock: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Told the id of a directory that went offline, and why. Called once a directory, by the thread that met the failure,
/// perhaps under a log's lock: must be quick and call nothing of storage.
pub type OnOffline = Arc<dyn Fn(Uuid, &str) + Send + Sync>;

/// How storage is set up on this node.
#[derive(Clone)]
pub struct LogManagerConfig {
    /// `log.dirs`, at least one, no two the same.
    pub dirs: Vec<PathBuf>,
    /// `node.id`.
    pub node_id: BrokerId,
    /// The cluster, if it is known already.
    pub cluster_id: Option<String>,
    /// See [`crate::identity::current_boot_id`].
    pub boot_id: Option<String>,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_dir: usize,
    /// Open files kept for segments; `None` takes half of what the process may open.
    pub max_open_files: Option<usize>,
    /// `log.flush.offset.checkpoint.interval.ms`, also that of log start offsets.
    pub checkpoint_interval_ms: i64,
    /// `replica.high.watermark.checkpoint.interval.ms`.
    pub high_watermark_checkpoint_interval_ms: i64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.initial.task.delay.ms`: from load to the first check of retention.
    pub initial_task_delay_ms: i64,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `log.segment.delete.delay.ms`: from the deletion of a partition to that of its files.
    pub file_delete_delay_ms: u64,
    /// See [`MAX_UNFLUSHED_BYTES`].
    pub max_unflushed_bytes: u64,
    /// See [`DISK_RESERVE_BYTES`].
    pub disk_reserve_bytes: u64,
    /// See [`DISK_RESERVE_PER_MILLE`].
    pub disk_reserve_per_mille: u64,
    /// Whether the manager runs its threads; without them the owner calls [`super::LogManager::housekeep`] and
    /// [`super::LogManager::flush_waiting`].
    pub background: bool,
    /// Who is told of a directory that fails.
    pub on_offline: Option<OnOffline>,
    /// The time.
    pub clock: Clock,
    /// Random ids, for new directories and for renamed folders.
    pub new_id: fn() -> Uuid,
}

impl LogManagerConfig {
    /// Kafka's defaults for these directories.
    pub fn new(dirs: Vec<PathBuf>, node_id: BrokerId) -> Self {
        Self {
            dirs,
            node_id,
            cluster_id: None,
            boot_id: crate::identity::current_boot_id(),
            recovery_threads_per_dir: 2,
            max_open_files: None,
            checkpoint_interval_ms: 60_000,
            high_watermark_checkpoint_interval_ms: 5_000,
            retention_check_interval_ms: 300_000,
            initial_task_delay_ms: 30_000,
            producer_id_expiration_ms: DEFAULT_PRODUCER_ID_EXPIRATION_MS,
            file_delete_delay_ms: 60_000,
            max_unflushed_bytes: MAX_UNFLUSHED_BYTES,
            disk_reserve_bytes: DISK_RESERVE_BYTES,
            disk_reserve_per_mille: DISK_RESERVE_PER_MILLE,
            background: true,
            on_offline: None,
            clock: Arc::new(now_ms),
            new_id: random_uuid,
        }
    }
}

impl std::fmt::Debug for LogManagerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogManagerConfig")
            .field("dirs", &self.dirs)
            .field("node_id", &self.node_id)
            .finish_non_exhaustive()
    }
}

/// Milliseconds since 1970 by the system's clock.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
