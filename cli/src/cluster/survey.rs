//! What each broker of a cluster carries, asked over the Kafka protocol: any cluster can answer it.

use std::collections::BTreeMap;
use std::time::Duration;

use weir_controller::balance::{BrokerCapacity, ClusterLoad, PartitionLoad};
use weir_protocol::client::{Admin, BrokerMetadata, ConfigResource, LogDir, Move};
use weir_protocol::ids::{BrokerId, TopicPartition};

use crate::command_error::CommandError;

/// Directories that take no new replicas (KIP-1066).
pub(super) const CORDONED: &str = "cordoned.log.dirs";
/// All of a broker's.
pub(super) const ALL_DIRECTORIES: &str = "*";

/// The size of each partition: that of its largest replica, for others may be copies under way.
pub(crate) type Sizes = BTreeMap<TopicPartition, u64>;

/// Asks every broker what it has. What is written in a second is what the partitions grow by in `sample`; nought without one.
pub(super) async fn survey(admin: &Admin, sample: Duration) -> Result<ClusterLoad, CommandError> {
    let topics = admin.list_topics().await.map_err(|error| CommandError::client("list the topics", error))?;
    let moves = admin.list_moves().await.map_err(|error| CommandError::client("list the moves", error))?;
    let moves: BTreeMap<_, _> = moves.into_iter().map(|it| (it.partition.clone(), it)).collect();
    let metadata = admin.client().metadata();
    let ids: Vec<BrokerId> = metadata.brokers.keys().copied().collect();
    let dirs = log_dirs(admin, &ids).await?;
    let sizes = sizes(&dirs);
    let grown = match sample.is_zero() {
        true => Sizes::new(),
        false => {
            tokio::time::sleep(sample).await;
            self::sizes(&log_dirs(admin, &ids).await?)
        }
    };
    let rate = |partition: &TopicPartition| {
        let (before, after) = (sizes.get(partition), grown.get(partition));
        // Retention may have taken more than was written.
        let bytes = after.zip(before).map_or(0, |(after, before)| after.saturating_sub(*before));
        (bytes as f64 / sample.as_secs_f64().max(1e-3)) as u64
    };
    let mut load = ClusterLoad::default();
    for (id, broker) in &metadata.brokers {
        load.brokers.insert(*id, capacity(admin, broker, dirs.get(id).map_or(&[], Vec::as_slice)).await?);
    }
    for (name, topic) in &topics {
        for (index, it) in &topic.partitions {
            let partition = TopicPartition::new(name.clone(), *index);
            let size_bytes = sizes.get(&partition).copied().unwrap_or(0);
            load.partitions.push(PartitionLoad {
                replicas: replicas(&it.replicas, moves.get(&partition)),
                size_bytes,
                write_bytes_per_s: rate(&partition),
                is_moving: moves.contains_key(&partition),
                partition,
            });
        }
    }
    Ok(load)
}

/// Who has a replica once the move under way has ended.
fn replicas(now: &[BrokerId], under_way: Option<&Move>) -> Vec<BrokerId> {
    let goes = |id: &BrokerId| under_way.is_some_and(|it| it.removing.contains(id));
    now.iter().copied().filter(|id| !goes(id)).collect()
}

/// The directories of each broker, those that failed too.
pub(crate) async fn log_dirs(
    admin: &Admin,
    brokers: &[BrokerId],
) -> Result<BTreeMap<BrokerId, Vec<LogDir>>, CommandError> {
    let mut found = BTreeMap::new();
    for broker in brokers {
        let dirs = admin.describe_log_dirs(*broker).await;
        let failed = |error| CommandError::client(format!("ask broker {broker} for its logs"), error);
        found.insert(*broker, dirs.map_err(failed)?);
    }
    Ok(found)
}

/// The bytes of one replica of each partition.
pub(crate) async fn replica_sizes(admin: &Admin) -> Result<Sizes, CommandError> {
    let brokers: Vec<BrokerId> = admin.client().metadata().brokers.keys().copied().collect();
    Ok(sizes(&log_dirs(admin, &brokers).await?))
}

fn sizes(dirs: &BTreeMap<BrokerId, Vec<LogDir>>) -> Sizes {
    let mut sizes = Sizes::new();
    for replica in dirs.values().flatten().flat_map(|dir| &dir.replicas).filter(|replica| !replica.is_future) {
        let size = sizes.entry(replica.partition.clone()).or_default();
        *size = replica.size_bytes.max(*size);
    }
    sizes
}

async fn capacity(admin: &Admin, broker: &BrokerMetadata, dirs: &[LogDir]) -> Result<BrokerCapacity, CommandError> {
    let resource = ConfigResource::Broker(broker.id);
    let failed = |error| CommandError::client(format!("describe broker {}", broker.id), error);
    let described = admin.describe_configs(&[resource]).await.map_err(failed)?;
    let configs =
        described.into_iter().next().map_or_else(|| Ok(Vec::new()), |(_, configs)| configs).map_err(failed)?;
    let cordoned = configs.into_iter().find(|config| *config.name == *CORDONED).and_then(|config| config.value);
    let is_cordoned = |dir: &LogDir| {
        let mut named = cordoned.as_deref().unwrap_or_default().split(',').map(str::trim);
        named.any(|path| path == ALL_DIRECTORIES || path == dir.path)
    };
    let usable = dirs.iter().filter(|dir| dir.is_online && !is_cordoned(dir));
    let free = usable.clone().map(|dir| dir.space.map(|(_, free)| free)).collect::<Option<Vec<_>>>();
    Ok(BrokerCapacity {
        rack: broker.rack.as_deref().map(Into::into),
        takes_replicas: usable.count() > 0,
        free_bytes: free.map(|free| free.iter().sum()),
    })
}
