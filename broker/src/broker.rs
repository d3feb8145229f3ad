//! What every API of a broker works with: metadata, partitions, coordinators, sessions.
//!
//! Owns nothing that decides: the controller decides, partitions append, coordinators coordinate. This joins them and
//! offers the few actions that several APIs share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::oneshot;
use tokio::time::Instant;
use weir_controller::decide::{ControllerRequest, ControllerResponse, CreateTopicsRequest, NewTopic};
use weir_controller::image::{
    ConfigResource, ELIGIBLE_LEADER_REPLICAS_FEATURE, METADATA_VERSION_FEATURE, MetadataImage, ResourceConfigs,
    WEIR_METADATA_VERSION_FEATURE,
};
use weir_controller::quorum::Controller;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};
use weir_storage::manager::LogManager;

use crate::administration::Administration;
use crate::config::effective::Layers;
use crate::config::{Settings, TopicConfig};
use crate::departures::Departures;
use crate::fetch_session::FetchSessionCache;
use crate::group::{GroupCoordinator, OFFSETS_TOPIC};
use crate::lifecycle::Lifecycle;
use crate::log_dir_moves::LogDirMoves;
use crate::partition::{Partition, PartitionError, PartitionKey, PartitionTable};
use crate::producer_ids::ProducerIds;
use crate::purgatory::{Purgatory, Wake};
use crate::replicas::Replicas;

/// A feature level that clients act on (KIP-584).
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Its name.
    pub name: &'static str,
    /// The lowest level this binary runs.
    pub min: i16,
    /// The highest.
    pub max: i16,
}

/// A running broker, as its APIs see it.
pub struct Broker {
    /// What it answers administrators with: its id, its settings and its controller among it.
    pub(crate) administration: Arc<Administration>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) logs: Arc<LogManager>,
    pub(crate) partitions: Arc<PartitionTable>,
    /// Fetches that wait for records, and produces that wait for replicas.
    pub(crate) arrivals: Arc<Purgatory<PartitionKey>>,
    pub(crate) sessions: FetchSessionCache,
    /// Those of followers, which consumers cannot crowd out.
    pub(crate) follower_sessions: FetchSessionCache,
    pub(crate) replicas: Arc<Replicas>,
    /// Replicas that move between log directories.
    pub(crate) moves: Arc<LogDirMoves>,
    pub(crate) departures: Arc<Departures>,
    pub(crate) groups: Arc<GroupCoordinator>,
    pub(crate) producer_ids: ProducerIds,
    pub(crate) auto_create_topics: bool,
    pub(crate) fetch_max_bytes: usize,
    pub(crate) random: Randomness,
    pub(crate) loaded: AtomicBool,
}

/// What this binary has built; what it has not is absent, so that clients do not ask for it.
pub static FEATURES: &[Feature] = &[
    Feature { name: METADATA_VERSION_FEATURE, min: 7, max: 27 },
    Feature { name: WEIR_METADATA_VERSION_FEATURE, min: 1, max: 1 },
    Feature { name: ELIGIBLE_LEADER_REPLICAS_FEATURE, min: 0, max: 1 },
];

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").field("id", &self.id()).finish_non_exhaustive()
    }
}

impl Broker {
    /// `node.id`.
    pub fn id(&self) -> BrokerId {
        self.administration.id
    }

    /// What its file says.
    pub(crate) fn settings(&self) -> &Settings {
        &self.administration.settings
    }

    pub(crate) fn controller(&self) -> &Controller {
        &self.administration.controller
    }

    /// The metadata as it is now.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.administration.image()
    }

    /// Resolves once the metadata are newer than `image`, or never will be.
    pub(crate) async fn other_metadata_than(&self, image: &MetadataImage) {
        let applied = image.applied().map_or(-1, |applied| applied.offset.get());
        if self.controller().until_applied(Offset(applied + 1)).await.is_err() {
            std::future::pending().await
        }
    }

    /// Why the broker does not serve everything yet, if it does not.
    pub fn unreadiness(&self) -> Option<String> {
        if let Some(failure) = self.controller().failure() {
            return Some(format!("the controller has stopped: {failure}"));
        }
        if let Some(full) = self.controller().disk_full() {
            return Some(full);
        }
        if let Some(reason) = self.lifecycle.unreadiness(self.controller(), &self.image()) {
            return Some(reason);
        }
        (!self.loaded.load(Ordering::Acquire)).then(|| "logs are being recovered".to_owned())
    }

    pub(crate) fn set_loaded(&self) {
        self.loaded.store(true, Ordering::Release);
    }

    /// A random id for a session.
    pub fn random_id(&self) -> i32 {
        self.random.next() as i32
    }

    /// Asks the controller for a change.
    pub async fn submit(&self, request: impl Into<ControllerRequest>) -> Result<ControllerResponse, ErrorCode> {
        self.administration.submit(request).await
    }

    /// What holds for a topic.
    pub fn topic_config(&self, image: &MetadataImage, topic: &str) -> TopicConfig {
        topic_config(self.id(), self.settings(), image, topic)
    }

    /// Whether this broker leads that partition as far as it knows, but nobody has heard it for so long that another may.
    pub(crate) fn is_cut_off(&self, topic: TopicId, index: PartitionIndex) -> bool {
        self.partitions.get(topic, index).is_some_and(|partition| partition.is_cut_off())
    }

    /// Waits until everything below `required`, which was appended in `leader_epoch`, is `flushed`, if that was asked for, and acknowledged
    /// by the in-sync replicas. Ends at once when this broker leads no longer, or is cut off.
    pub async fn replicated(
        &self,
        partition: &Arc<Partition>,
        (required, leader_epoch): (Offset, LeaderEpoch),
        flushed: Option<oneshot::Receiver<io::Result<()>>>,
        deadline: Instant,
    ) -> Result<(), PartitionError> {
        if let Some(flushed) = flushed {
            until_flushed(flushed, deadline).await?;
        }
        if partition.is_committed(required, leader_epoch)? {
            return Ok(());
        }
        let mut watch = self.arrivals.watch([partition.key()], Some(deadline));
        loop {
            if partition.is_committed(required, leader_epoch)? {
                return Ok(());
            }
            partition.refuse_if_cut_off()?;
            match watch.wake().await {
                Wake::Notified => {}
                Wake::Deadline | Wake::Closed | Wake::Full => return Err(ErrorCode::RequestTimedOut.into()),
            }
        }
    }

    /// Waits until what was appended in `leader_epoch` is `flushed`, if that was asked for, and until it is certain that this broker led in that
    /// epoch then.
    pub async fn still_led(
        &self,
        partition: &Partition,
        leader_epoch: LeaderEpoch,
        flushed: Option<oneshot::Receiver<io::Result<()>>>,
        deadline: Instant,
    ) -> Result<(), PartitionError> {
        if let Some(flushed) = flushed {
            until_flushed(flushed, deadline).await?;
        }
        let certain = tokio::time::timeout_at(deadline, self.lifecycle.presence().until_certain());
        certain.await.map_err(|_| PartitionError::from(ErrorCode::RequestTimedOut))?;
        match partition.check_leadership(LeaderEpoch::NONE)? {
            epoch if epoch == leader_epoch => Ok(()),
            _ => Err(ErrorCode::NotLeaderOrFollower.into()),
        }
    }

    /// Creates topics that clients asked for by name, with the defaults. What goes wrong is told by the topics' absence.
    pub async fn create_automatically(&self, names: Vec<String>) {
        let internal = |name: &str| name == OFFSETS_TOPIC;
        let topics = names.into_iter().map(|name| match internal(&name) {
            true => self.offsets_topic(),
            false => NewTopic {
                name: name.into(),
                num_partitions: -1,
                replication_factor: -1,
                assignments: Vec::new(),
                configs: Vec::new(),
            },
        });
        let request = CreateTopicsRequest { topics: topics.collect(), validate_only: false };
        let Ok(ControllerResponse::CreateTopics(response)) = self.submit(request).await else { return };
        for topic in response.topics {
            match topic.outcome {
                Ok(_) => self.administration.warn_of_zones([&*topic.name]),
                Err(error) if error.code == ErrorCode::TopicAlreadyExists => {}
                Err(error) => {
                    tracing::warn!(topic = %topic.name, %error, "a topic could not be created automatically");
                }
            }
        }
    }

    /// Creates `__consumer_offsets`.
    pub async fn create_offsets_topic(&self) {
        self.create_automatically(vec![OFFSETS_TOPIC.to_owned()]).await;
    }

    /// The offsets topic: compacted, and with as many replicas as the configuration says or brokers exist.
    fn offsets_topic(&self) -> NewTopic {
        let brokers = self.image().broker_count().max(1) as i64;
        let replication_factor = self.settings().number("offsets.topic.replication.factor").min(brokers);
        let segment_bytes = self.settings().text("offsets.topic.segment.bytes");
        NewTopic {
            name: OFFSETS_TOPIC.into(),
            num_partitions: self.settings().number("offsets.topic.num.partitions") as i32,
            replication_factor: replication_factor as i16,
            assignments: Vec::new(),
            configs: vec![
                ("cleanup.policy".into(), Some("compact".into())),
                ("compression.type".into(), Some("producer".into())),
                ("segment.bytes".into(), Some(segment_bytes.into())),
            ],
        }
    }

    /// A producer id that nobody has had, from a block of the controller's.
    pub async fn fresh_producer_id(&self) -> Result<ProducerId, ErrorCode> {
        self.producer_ids.take_or_refill(self).await
    }
}

async fn until_flushed(flushed: oneshot::Receiver<io::Result<()>>, deadline: Instant) -> Result<(), PartitionError> {
    match tokio::time::timeout_at(deadline, flushed).await {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(PartitionError::new(ErrorCode::KafkaStorageError, error)),
        Ok(Err(_)) => Err(ErrorCode::KafkaStorageError.into()),
        Err(_) => Err(ErrorCode::RequestTimedOut.into()),
    }
}

/// What holds for a topic on this broker.
pub(crate) fn topic_config(id: BrokerId, settings: &Settings, image: &MetadataImage, topic: &str) -> TopicConfig {
    let set = image.topic_configs(topic).map_or(&NOTHING_SET, |set| set);
    let layers = layers(id, settings, image);
    let mut config = TopicConfig::new(layers, set);
    config.min_insync_replicas = adapted_min_insync_replicas(config.min_insync_replicas, (layers, set), image, topic);
    config
}

/// `min.insync.replicas` of a topic, as it holds for every broker (or for `id`, where it has its own).
pub(crate) fn min_insync_replicas(id: BrokerId, settings: &Settings, image: &MetadataImage, topic: &str) -> usize {
    let set = image.topic_configs(topic).map_or(&NOTHING_SET, |set| set);
    let layers = layers(id, settings, image);
    adapted_min_insync_replicas(TopicConfig::min_insync_replicas(layers, set), (layers, set), image, topic)
}

/// A topic of fewer replicas was asked for as it is: it must not refuse what it is for, unless somebody asked for that too.
fn adapted_min_insync_replicas(
    min_insync_replicas: usize,
    (layers, set): (Layers<'_>, &ResourceConfigs),
    image: &MetadataImage,
    topic: &str,
) -> usize {
    let is_asked_for = [set, layers.broker, layers.cluster].iter().any(|set| set.contains_key(MIN_INSYNC_REPLICAS));
    if !layers.settings.derives_min_insync_replicas() || is_asked_for {
        return min_insync_replicas;
    }
    let replicas = image.partition_by_name(topic, PartitionIndex(0)).map_or(0, |partition| partition.replicas.len());
    min_insync_replicas.min(replicas.saturating_sub(1)).max(1)
}

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

/// What is set on a resource on which nothing is.
pub(crate) static NOTHING_SET: ResourceConfigs = ResourceConfigs::new();

/// The layers of settings under a broker's topics and groups.
pub(crate) fn layers<'a>(id: BrokerId, settings: &'a Settings, image: &'a MetadataImage) -> Layers<'a> {
    let set = |resource| image.configs(&resource).map_or(&NOTHING_SET, |set| &**set);
    Layers { broker: set(ConfigResource::broker(id)), cluster: set(ConfigResource::default_broker()), settings }
}

/// Random numbers that need not be secret: a counter through SplitMix64, started at a random place.
#[derive(Debug)]
pub(crate) struct Randomness(AtomicU64);

impl Randomness {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(uuid::Uuid::new_v4().as_u64_pair().0))
    }

    pub(crate) fn next(&self) -> u64 {
        const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(GOLDEN_RATIO, Ordering::Relaxed).wrapping_add(GOLDEN_RATIO);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
