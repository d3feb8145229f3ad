//! What all partitions of a broker share: whose they are, where their logs lie, and who waits for them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use uuid::Uuid;
use weir_controller::decide::{IsrMember, ReplicaDirectory};
use weir_controller::image::{MetadataImage, PartitionRegistration};
use weir_protocol::ids::{BrokerEpoch, BrokerId, TopicPartition};
use weir_storage::manager::LogManager;

use super::{Partition, PartitionKey, Throttles};
use crate::lifecycle::Presence;
use crate::purgatory::Purgatory;
use crate::replication::Candidate;

/// The most replicas that are wanted in a directory before they are here; more go where there is room.
const MAX_PREFERRED: usize = 10_000;

/// A broker, as its partitions know it.
#[derive(Debug)]
pub struct LocalBroker {
    id: BrokerId,
    /// The epoch in which it is registered, -1 until it knows.
    epoch: AtomicI64,
    pub(super) logs: Arc<LogManager>,
    /// `replica.lag.time.max.ms`.
    pub(super) max_lag_ms: i64,
    throttles: Throttles,
    /// Where the monotonic clock of replication starts.
    started: Instant,
    committed: Arc<Purgatory<PartitionKey>>,
    appended: Arc<Purgatory<PartitionKey>>,
    wants_isr: mpsc::UnboundedSender<Arc<Partition>>,
    isr_wanted: Mutex<Option<mpsc::UnboundedReceiver<Arc<Partition>>>>,
    lies: mpsc::UnboundedSender<ReplicaDirectory>,
    placed: Mutex<Option<mpsc::UnboundedReceiver<ReplicaDirectory>>>,
    /// Where replicas are wanted that are not here yet.
    preferred: Mutex<HashMap<TopicPartition, Uuid>>,
    /// Whether the controller hears this broker, once it is registered.
    presence: OnceLock<Arc<Presence>>,
}

impl LocalBroker {
    /// The broker `id`, which is registered in no epoch yet.
    pub fn new(id: BrokerId, logs: Arc<LogManager>, max_lag_ms: i64, throttles: Throttles) -> Self {
        // One entry a partition that wants another ISR: a leader asks once and waits for its answer.
        let (wants_isr, isr_wanted) = mpsc::unbounded_channel();
        // One entry a replica that is made or moved where the metadata do not know it.
        let (lies, placed) = mpsc::unbounded_channel();
        Self {
            id,
            epoch: AtomicI64::new(BrokerEpoch::NONE.get()),
            logs,
            max_lag_ms,
            throttles,
            started: Instant::now(),
            committed: Arc::default(),
            appended: Arc::default(),
            wants_isr,
            isr_wanted: Mutex::new(Some(isr_wanted)),
            lies,
            placed: Mutex::new(Some(placed)),
            preferred: Mutex::default(),
            presence: OnceLock::new(),
        }
    }

    /// `node.id`.
    pub fn id(&self) -> BrokerId {
        self.id
    }

    /// The epoch in which it is registered, or none.
    pub fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.epoch.load(Ordering::Acquire))
    }

    pub(super) fn set_epoch(&self, epoch: BrokerEpoch) {
        self.epoch.store(epoch.get(), Ordering::Release);
    }

    /// Whether the metadata tells of this life of the broker: what it says of an earlier one is nothing to act on.
    pub(super) fn acts(&self, image: &MetadataImage) -> bool {
        let epoch = self.epoch();
        epoch != BrokerEpoch::NONE && image.broker(self.id).is_some_and(|broker| broker.epoch == epoch)
    }

    /// This broker, in this life.
    pub(super) fn member(&self) -> IsrMember {
        IsrMember { broker: self.id, broker_epoch: self.epoch() }
    }

    /// Those who wait for records to be committed: consumers, and producers with acks=all.
    pub fn committed(&self) -> &Arc<Purgatory<PartitionKey>> {
        &self.committed
    }

    /// Those who wait for records to be appended: followers.
    pub fn appended(&self) -> &Arc<Purgatory<PartitionKey>> {
        &self.appended
    }

    /// What holds back the catching up of throttled replicas.
    pub fn throttles(&self) -> &Throttles {
        &self.throttles
    }

    /// Ends every wait.
    pub fn close(&self) {
        self.committed.close();
        self.appended.close();
    }

    /// Whether the disk of one of its directories does not answer.
    pub(crate) fn has_stalled_disk(&self) -> bool {
        self.logs.has_stalled()
    }

    /// The time that replication goes by, of this machine alone.
    pub fn now_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }

    pub(crate) fn set_presence(&self, presence: Arc<Presence>) {
        // Once.
        let _ = self.presence.set(presence);
    }

    /// Where the controller may not hear this broker any more: since when a follower must have fetched from a leader here that goes on.
    pub(super) fn unheard_since_ms(&self) -> Option<i64> {
        let presence = self.presence.get().filter(|presence| !presence.is_heard())?;
        Some(self.now_ms().saturating_sub(presence.followers_patience_ms()))
    }

    /// A leader wants another ISR.
    pub(super) fn want_isr(&self, partition: Arc<Partition>) {
        // Whoever sends it to the controller ends only when the broker does.
        let _ = self.wants_isr.send(partition);
    }

    /// The partitions that want another ISR, for the one who asks the controller; nothing the second time.
    pub(crate) fn take_isr_wanted(&self) -> Option<mpsc::UnboundedReceiver<Arc<Partition>>> {
        self.isr_wanted.lock().take()
    }

    /// A replica that may come here is wanted in this directory.
    pub(crate) fn prefer(&self, partition: TopicPartition, directory: Uuid) {
        let mut preferred = self.preferred.lock();
        if preferred.len() < MAX_PREFERRED || preferred.contains_key(&partition) {
            preferred.insert(partition, directory);
        }
    }

    /// Where a replica that is made now is wanted, if somebody said so; nothing the second time.
    pub(super) fn take_preferred(&self, partition: &TopicPartition) -> Option<Uuid> {
        self.preferred.lock().remove(partition)
    }

    /// A replica lies in another directory than the metadata says.
    pub(super) fn tell_directory(&self, replica: ReplicaDirectory) {
        // As above.
        let _ = self.lies.send(replica);
    }

    /// The replicas that lie elsewhere, for the one who tells the controller; nothing the second time.
    pub(crate) fn take_placed(&self) -> Option<mpsc::UnboundedReceiver<ReplicaDirectory>> {
        self.placed.lock().take()
    }
}

/// What the metadata says of a broker that might be in sync with the leader of a partition. One whose replica lies in a directory that is
/// offline is as good as one that does not serve.
pub(crate) fn candidate(
    image: &MetadataImage,
    registration: &PartitionRegistration,
    broker: BrokerId,
) -> Option<Candidate> {
    let broker = image.broker(broker)?;
    let is_active = broker.is_active() && broker.has_online(registration.directory_of(broker.id));
    Some(Candidate { is_active, broker_epoch: broker.epoch })
}
