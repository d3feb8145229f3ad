//! Roles that could not be taken in time: an append under way holds the role that it was begun in, and on a disk that does not answer
//! it lasts as long as that does. They wait here, so that nobody else's role does; each is taken once its append has ended. Where appends
//! follow each other without a gap, new ones are held back for a moment: a try that does not wait at all might never find one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::{AHashMap, AHashSet};
use uuid::Uuid;
use weir_controller::image::{MetadataImage, PartitionRegistration};

use crate::partition::{Partition, PartitionKey, RoleChange};

/// How long the first role of a directory waits for appends: beyond what one takes on a disk that is merely busy.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often those that wait are tried again.
const RETRY: Duration = Duration::from_millis(50);

/// How long the first of a directory then waits for appends, each time.
const RETRY_PATIENCE: Duration = Duration::from_millis(10);

/// Roles that wait for appends to end.
#[derive(Default)]
pub(super) struct WaitingRoles {
    taking: AHashMap<PartitionKey, Arc<Partition>>,
    leaving: Vec<Arc<Partition>>,
    /// Directories in which one was waited for in vain: nobody is waited for again before that has ended.
    held_up: AHashSet<Option<Uuid>>,
    /// When those that wait are to be tried again, if any do.
    due: Option<Instant>,
}

impl WaitingRoles {
    /// When to [`Self::retry`], if anything waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    fn is_empty(&self) -> bool {
        self.taking.is_empty() && self.leaving.is_empty()
    }

    /// Takes the role that `registration` gives, or notes that it is to be taken.
    pub(super) fn take(
        &mut self,
        partition: &Arc<Partition>,
        registration: &Arc<PartitionRegistration>,
        image: &MetadataImage,
    ) -> Option<RoleChange> {
        let change = partition.take_role(Arc::clone(registration), image, self.patience(partition));
        match change {
            Some(_) => drop(self.taking.remove(&partition.key())),
            None => {
                self.hold_up(partition);
                self.taking.insert(partition.key(), Arc::clone(partition));
            }
        }
        change
    }

    /// The replica is no longer here.
    pub(super) fn leave(&mut self, partition: &Arc<Partition>) {
        self.taking.remove(&partition.key());
        if !partition.leave(self.patience(partition)) {
            self.hold_up(partition);
            self.leaving.push(Arc::clone(partition));
        }
    }

    /// Takes what can be taken by now, as `image` has it.
    pub(super) fn retry(&mut self, image: &MetadataImage) -> Vec<(Arc<Partition>, RoleChange)> {
        let mut waits = Waits::default();
        self.leaving
            .retain(|partition| waits.wait(partition, |patience| partition.leave(patience).then_some(())).is_none());
        let mut taken = Vec::new();
        self.taking.retain(|key, partition| {
            let Some(registration) = image.partition(key.0, key.1).filter(|_| !partition.is_gone()) else {
                return false;
            };
            let take = |patience| partition.take_role(Arc::clone(registration), image, patience);
            match waits.wait(partition, take) {
                Some(change) => {
                    taken.push((Arc::clone(partition), change));
                    false
                }
                None => true,
            }
        });
        if self.is_empty() {
            self.held_up.clear();
        }
        self.due = (!self.is_empty()).then(|| Instant::now() + RETRY);
        taken
    }

    fn patience(&self, partition: &Partition) -> Duration {
        if self.held_up.contains(&partition.lies_in()) { Duration::ZERO } else { PATIENCE }
    }

    fn hold_up(&mut self, partition: &Partition) {
        self.due.get_or_insert_with(|| Instant::now() + RETRY);
        if self.held_up.insert(partition.lies_in()) {
            tracing::warn!(
                partition = %partition.topic_partition(),
                "an append does not end: the role of this replica, and of others that wait for the same disk, is taken when it has"
            );
        }
    }
}

/// What is waited for while those that wait are tried again: one in vain a directory, and nothing on a disk that does not answer.
#[derive(Default)]
struct Waits {
    in_vain: AHashSet<Option<Uuid>>,
}

impl Waits {
    fn wait<T>(&mut self, partition: &Partition, attempt: impl FnOnce(Duration) -> Option<T>) -> Option<T> {
        let directory = partition.lies_in();
        let waits = !partition.is_unavailable() && !self.in_vain.contains(&directory);
        let outcome = attempt(if waits { RETRY_PATIENCE } else { Duration::ZERO });
        if outcome.is_none() && waits {
            self.in_vain.insert(directory);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tempfile::TempDir;
    use weir_controller::image::MetadataDelta;
    use weir_controller::record::{
        LeaderRecoveryState, MetadataRecord, PartitionChangeRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord,
    };
    use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};
    use weir_storage::config::LogConfig;
    use weir_storage::manager::{Assignment, LogManager, LogManagerConfig};

    use super::*;
    use crate::config::TopicConfig;
    use crate::kernel_thread::KernelThread;
    use crate::partition::{LocalBroker, PartitionTable, Throttles};

    const TOPIC: Uuid = Uuid::from_u128(7_000);
    const INDEX: PartitionIndex = PartitionIndex(0);
    const LOCAL: BrokerId = BrokerId(1);
    const OTHER: BrokerId = BrokerId(2);

    /// A partition that leads here, and metadata in which it follows.
    struct Elected {
        _dir: TempDir,
        partition: Arc<Partition>,
        image: MetadataImage,
    }

    impl Elected {
        fn new() -> Self {
            let dir = TempDir::new().unwrap();
            let mut config = LogManagerConfig::new(vec![dir.path().join("data")], LOCAL);
            config.background = false;
            let logs = Arc::new(LogManager::open(config).unwrap());
            logs.load(&|_, _| Assignment::Stray, &|_| {});
            let table = PartitionTable::new(LocalBroker::new(LOCAL, logs, 3_000, Throttles::new(1_000)));
            table.set_broker_epoch(BrokerEpoch(11));
            let (mut image, mut delta) = (MetadataImage::default(), MetadataDelta::default());
            for record in records() {
                delta.apply(&mut image, &record).unwrap();
            }
            table.apply(&delta, &image, |_| TopicConfig::of_log(LogConfig::default(), 1));
            let partition = table.get(TOPIC, INDEX).unwrap();
            partition.log().unwrap();
            let elected = PartitionChangeRecord { leader: Some(OTHER), ..PartitionChangeRecord::new(TOPIC, INDEX) };
            image.apply(&elected.into()).unwrap();
            Self { _dir: dir, partition, image }
        }

        fn take(&self, waiting: &mut WaitingRoles) -> Option<RoleChange> {
            waiting.take(&self.partition, self.image.partition(TOPIC, INDEX).unwrap(), &self.image)
        }

        fn retry(&self, waiting: &mut WaitingRoles) -> Vec<RoleChange> {
            waiting.retry(&self.image).into_iter().map(|(_, change)| change).collect()
        }

        /// Does `act` while the role is held, as by an append.
        fn hold(&self, act: impl FnOnce()) {
            let held = self.partition.replace_log(PATIENCE, |_| {
                act();
                Ok::<_, ()>(None)
            });
            assert_eq!(held, Some(Ok(false)));
        }
    }

    fn records() -> [MetadataRecord; 3] {
        let broker = RegisterBrokerRecord {
            broker: LOCAL,
            is_migrating_zk_broker: false,
            incarnation_id: Uuid::from_u128(11),
            broker_epoch: BrokerEpoch(11),
            endpoints: Vec::new(),
            features: Vec::new(),
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        };
        let partition = PartitionRecord {
            partition: INDEX,
            topic_id: TOPIC,
            replicas: vec![LOCAL, OTHER],
            isr: vec![LOCAL, OTHER],
            removing_replicas: Vec::new(),
            adding_replicas: Vec::new(),
            leader: LOCAL,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            directories: Vec::new(),
            leader_recovery_state: LeaderRecoveryState::Recovered,
            eligible_leader_replicas: None,
            last_known_elr: None,
        };
        [broker.into(), TopicRecord { name: "topic".into(), topic_id: TOPIC }.into(), partition.into()]
    }

    #[test]
    fn a_role_that_waits_is_tried_again_at_its_time_whatever_comes_meanwhile() {
        let (elected, mut waiting) = (Elected::new(), WaitingRoles::default());
        assert_eq!(waiting.due(), None);
        elected.hold(|| {
            assert_eq!(elected.take(&mut waiting), None);
            let due = waiting.due();
            assert!(due.is_some());
            assert_eq!(elected.take(&mut waiting), None);
            assert_eq!(waiting.due(), due);
            assert!(elected.retry(&mut waiting).is_empty());
            assert!(waiting.due() > due);
        });
        assert_eq!(elected.retry(&mut waiting), [RoleChange::Follows]);
        assert_eq!(waiting.due(), None);
    }

    #[test]
    fn a_role_that_is_tried_again_waits_for_an_append_to_end() {
        const TRIES: usize = 1_000;
        let (elected, mut waiting) = (&Elected::new(), WaitingRoles::default());
        let taken = std::thread::scope(|scope| {
            let (found, whereabouts) = mpsc::channel();
            let mut trying = None;
            elected.hold(|| {
                assert_eq!(elected.take(&mut waiting), None);
                let tries = scope.spawn(move || {
                    found.send(KernelThread::current()).unwrap();
                    (0..TRIES).find_map(|_| elected.retry(&mut waiting).pop())
                });
                let thread = whereabouts.recv().unwrap();
                while !thread.is_asleep() && !tries.is_finished() {
                    std::thread::yield_now();
                }
                trying = Some(tries);
            });
            trying.unwrap().join().unwrap()
        });
        assert_eq!(taken, Some(RoleChange::Follows));
    }
}
