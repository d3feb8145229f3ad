//! Where new replicas go: spread over zones first, then brokers, then their log directories.
//!
//! Owns [`ReplicaPlacer`], which answers to Kafka's `StripedReplicaPlacer`: the leaders of successive partitions rotate over
//! zones and, within a zone, over brokers; no broker holds two replicas of a partition; no zone holds two before every zone
//! holds one; a fenced broker never leads and is used only where its zone has no other. Where it starts is an argument.
//!
//! Kafka leaves the directory to a broker that has several; here it is chosen in the same stroke, so that the image is
//! right from the first record: each broker's directories take turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use super::ApiError;
use crate::image::{DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, MetadataImage};

/// Where one partition's replicas go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) replicas: Vec<BrokerId>,
    pub(super) directories: Vec<Uuid>,
}

/// The directory of a replica that a request put on a broker: the only one, or the broker's choice.
pub(super) fn default_directory(image: &MetadataImage, broker: BrokerId) -> Uuid {
    match image.broker(broker).map(|broker| broker.log_dirs.as_slice()) {
        None | Some([]) => DIRECTORY_MIGRATING,
        Some([only]) => *only,
        Some(_) => DIRECTORY_UNASSIGNED,
    }
}

/// Places partitions, one after the other.
pub(super) struct ReplicaPlacer {
    random: SplitMix64,
    zones: Vec<Zone>,
    /// Where the next partition's replicas start among the zones.
    zone_offset: usize,
    /// How many partitions were placed since the last shuffle.
    epoch: usize,
    brokers: usize,
    unfenced_brokers: usize,
    directories: BTreeMap<BrokerId, DirectoryTurns>,
}

impl ReplicaPlacer {
    /// A placer over the brokers of an image. Brokers whose directories are all cordoned take no replicas.
    pub(super) fn new(image: &MetadataImage, seed: u64) -> Self {
        let mut random = SplitMix64(seed);
        let mut zones: BTreeMap<Option<Arc<str>>, Zone> = BTreeMap::new();
        let mut directories = BTreeMap::new();
        let (mut brokers, mut unfenced_brokers) = (0, 0);
        for broker in image.brokers() {
            let usable: Vec<Uuid> = broker.uncordoned_log_dirs().copied().collect();
            if usable.is_empty() && !broker.log_dirs.is_empty() {
                continue;
            }
            let zone = zones.entry(broker.rack.clone()).or_default();
            brokers += 1;
            if broker.fenced {
                zone.fenced.brokers.push(broker.id);
            } else {
                unfenced_brokers += 1;
                zone.unfenced.brokers.push(broker.id);
            }
            let next = random.below(usable.len());
            directories.insert(broker.id, DirectoryTurns { directories: usable, next });
        }
        let mut zones: Vec<Zone> = zones.into_values().collect();
        for zone in &mut zones {
            zone.fenced.offset = random.below(zone.fenced.brokers.len());
            zone.unfenced.offset = random.below(zone.unfenced.brokers.len());
        }
        let zone_offset = random.below(zones.len());
        Self { random, zones, zone_offset, epoch: 0, brokers, unfenced_brokers, directories }
    }

    /// Whether partitions of this many replicas can be placed at all.
    pub(super) fn check(&self, replication_factor: i16) -> Result<(), ApiError> {
        let refuse = |message: String| Err(ApiError::new(ErrorCode::InvalidReplicationFactor, message));
        if replication_factor <= 0 {
            return refuse(format!(
                "Invalid replication factor {replication_factor}: the replication factor must be positive."
            ));
        }
        if self.unfenced_brokers == 0 {
            return refuse("All brokers are currently fenced, or have all their log directories cordoned.".to_owned());
        }
        if replication_factor as usize > self.brokers {
            return refuse(format!(
                "The target replication factor of {replication_factor} cannot be reached because only {} broker(s) are \
                 registered or some brokers have all their log directories cordoned.",
                self.brokers
            ));
        }
        Ok(())
    }

    /// Places the next partition; [`ReplicaPlacer::check`] has allowed this many replicas.
    pub(super) fn place(&mut self, replication_factor: i16) -> Result<Placement, ApiError> {
        self.check(replication_factor)?;
        // Every unfenced broker has led once: shuffle, so that the same sets of brokers do not come again.
        if self.epoch == self.unfenced_brokers && self.unfenced_brokers > 1 {
            self.shuffle();
            self.epoch = 0;
        }
        let turn = self.epoch;
        let zone_count = self.zones.len();
        let replication_factor = replication_factor as usize;
        let mut replicas = Vec::with_capacity(replication_factor);
        let mut leader_zone = self.zone_offset % zone_count;
        // Some zone has an unfenced broker, for `check` counted one.
        for _ in 0..zone_count {
            if let Some(leader) = self.zones[leader_zone].unfenced.next(turn) {
                replicas.push(leader);
                break;
            }
            leader_zone = (leader_zone + 1) % zone_count;
        }
        let mut zone = self.zone_offset % zone_count;
        let mut leader_zone_due = true;
        let mut barren_zones = 0;
        // In each round every zone gives one broker, the leader's zone having given its own already. There are enough
        // brokers, so that a round in which no zone gives one cannot happen; it would end the loop.
        while replicas.len() < replication_factor && barren_zones <= zone_count {
            if leader_zone_due && zone == leader_zone {
                leader_zone_due = false;
            } else if let Some(replica) = self.zones[zone].next(turn) {
                replicas.push(replica);
                barren_zones = 0;
            } else {
                barren_zones += 1;
            }
            zone = (zone + 1) % zone_count;
        }
        self.epoch += 1;
        self.zone_offset = (self.zone_offset + 1) % zone_count;
        let directories = replicas.iter().map(|replica| self.next_directory(*replica)).collect();
        Ok(Placement { replicas, directories })
    }

    fn next_directory(&mut self, broker: BrokerId) -> Uuid {
        self.directories.get_mut(&broker).map_or(DIRECTORY_MIGRATING, DirectoryTurns::next)
    }

    fn shuffle(&mut self) {
        self.random.shuffle(&mut self.zones);
        for zone in &mut self.zones {
            self.random.shuffle(&mut zone.fenced.brokers);
            self.random.shuffle(&mut zone.unfenced.brokers);
        }
    }
}

/// The brokers of one zone.
#[derive(Default)]
struct Zone {
    fenced: BrokerTurns,
    unfenced: BrokerTurns,
}

impl Zone {
    fn next(&mut self, turn: usize) -> Option<BrokerId> {
        self.unfenced.next(turn).or_else(|| self.fenced.next(turn))
    }
}

/// Brokers that take turns: each partition starts one broker further on, and takes each at most once.
#[derive(Default)]
struct BrokerTurns {
    brokers: Vec<BrokerId>,
    offset: usize,
    taken: usize,
    turn: usize,
}

impl BrokerTurns {
    fn next(&mut self, turn: usize) -> Option<BrokerId> {
        if self.brokers.is_empty() {
            return None;
        }
        if self.turn != turn {
            self.turn = turn;
            self.taken = 0;
            self.offset = (self.offset + 1) % self.brokers.len();
        }
        if self.taken == self.brokers.len() {
            return None;
        }
        let broker = self.brokers[(self.taken + self.offset) % self.brokers.len()];
        self.taken += 1;
        Some(broker)
    }
}

/// The log directories of one broker, which take turns.
struct DirectoryTurns {
    directories: Vec<Uuid>,
    next: usize,
}

impl DirectoryTurns {
    fn next(&mut self) -> Uuid {
        let Some(directory) = self.directories.get(self.next) else { return DIRECTORY_MIGRATING };
        self.next = (self.next + 1) % self.directories.len();
        *directory
    }
}

/// Steele, Lea and Flood's generator: small, and good enough to spread replicas.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; nought if there is none.
    fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
