//! Who has just gone out of service, and whether this broker has been in service at all.
//!
//! Metadata answers go on listing such a broker for [`LISTED_FOR`], though it leads nothing any more. librdkafka (2.10 and later)
//! ends its handle of a broker that an answer leaves out, and where the same answer moves that broker's partitions elsewhere, the
//! two race: a partition can be left with nobody until its next look at all topics, up to a second later; and where an answer
//! lists nobody it can wait for ever for an answer of a handle that it has ended. A client that dials the broker meanwhile is no
//! worse off than a moment before.
//!
//! So it is after the whole cluster was lost: a broker that has just started answers once it is in service itself, as Kafka's
//! does, and counts who holds replicas but is not back yet as gone since then.

use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::Mutex;
use weir_controller::image::{MetadataDelta, MetadataImage};
use weir_protocol::ids::{BrokerEpoch, BrokerId};

/// How long a broker is listed after it went out of service.
const LISTED_FOR: Duration = Duration::from_secs(2);
/// How long whoever asks a broker that has just started is kept waiting for it to be in service.
const START_PATIENCE: Duration = Duration::from_secs(4);

/// Who serves, and who did a moment ago.
#[derive(Debug)]
pub(crate) struct Departures {
    me: BrokerId,
    /// Under which this process registered; a registration before it is that of an earlier process.
    epoch: BrokerEpoch,
    started: Instant,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// An entry a registered broker at most.
    brokers: AHashMap<BrokerId, State>,
    /// Whether this process has been in service.
    has_served: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Serving,
    /// Out of service when this process first heard of it, which was not in service yet.
    Missing,
    Departed(Instant),
}

impl Departures {
    /// Of a broker that starts now, registered under that epoch.
    pub(crate) fn new(me: BrokerId, epoch: BrokerEpoch, now: Instant) -> Self {
        Self { me, epoch, started: now, known: Mutex::default() }
    }

    /// The metadata have changed. A process that registers anew does not change how long its predecessor has been away.
    pub(crate) fn on_delta(&self, delta: &MetadataDelta, image: &MetadataImage, now: Instant) {
        let mut known = self.known.lock();
        for id in &delta.brokers {
            let state = image.broker(*id).and_then(|broker| match known.brokers.get(id) {
                _ if !broker.fenced => Some(State::Serving),
                Some(State::Serving) => Some(State::Departed(now)),
                None if !known.has_served && holds_replicas(image, *id) => Some(State::Missing),
                other => other.copied(),
            });
            match state {
                Some(state) => drop(known.brokers.insert(*id, state)),
                None => drop(known.brokers.remove(id)),
            }
        }
        let serves = image.broker(self.me).is_some_and(|broker| !broker.fenced && broker.epoch >= self.epoch);
        if serves && !known.has_served {
            known.has_served = true;
            for state in known.brokers.values_mut().filter(|state| matches!(state, State::Missing)) {
                *state = State::Departed(now);
            }
        }
    }

    /// Whether a broker that is out of service is still listed.
    pub(crate) fn is_listed(&self, id: BrokerId, now: Instant) -> bool {
        match self.known.lock().brokers.get(&id) {
            Some(State::Departed(since)) => now < *since + LISTED_FOR,
            Some(State::Missing) => now < self.started + START_PATIENCE + LISTED_FOR,
            Some(State::Serving) | None => false,
        }
    }

    /// Until when to wait for this broker to be in service, where it has just started.
    pub(crate) fn wait_until(&self, now: Instant) -> Option<Instant> {
        let until = self.started + START_PATIENCE;
        (now < until && !self.known.lock().has_served).then_some(until)
    }
}

fn holds_replicas(image: &MetadataImage, id: BrokerId) -> bool {
    image.topics().any(|topic| topic.partitions().any(|(_, partition)| partition.replicas.contains(&id)))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_controller::record::{
        BrokerRegistrationChangeRecord, LeaderRecoveryState, PartitionRecord, RegisterBrokerRecord, TopicRecord,
    };
    use weir_protocol::ids::{LeaderEpoch, PartitionEpoch, PartitionIndex};

    use super::*;

    const ME: BrokerId = BrokerId(0);
    const BROKER: BrokerId = BrokerId(1);
    /// Under which the process looks on that all is seen through.
    const EPOCH: i64 = 100;

    /// Registrations, followed by one broker.
    struct World {
        image: MetadataImage,
        departures: Departures,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            let now = Instant::now();
            Self { image: MetadataImage::default(), departures: Departures::new(ME, BrokerEpoch(EPOCH), now), now }
        }

        fn change(&mut self, change: impl FnOnce(&mut MetadataImage)) {
            let before = self.image.clone();
            change(&mut self.image);
            self.departures.on_delta(&MetadataDelta::between(&before, &self.image), &self.image, self.now);
        }

        fn register(&mut self, broker: BrokerId, epoch: i64) {
            self.change(|image| image.apply(&registration(broker, epoch).into()).unwrap());
        }

        fn fence(&mut self, broker: BrokerId, epoch: i64, fenced: bool) {
            let change = BrokerRegistrationChangeRecord::new(broker, BrokerEpoch(epoch));
            let change = BrokerRegistrationChangeRecord { fenced: Some(fenced), ..change };
            self.change(|image| image.apply(&change.into()).unwrap());
        }

        /// The process that looks on comes into service.
        fn serve(&mut self) {
            self.register(ME, EPOCH);
            self.fence(ME, EPOCH, false);
        }

        fn is_listed(&self) -> bool {
            self.departures.is_listed(BROKER, self.now)
        }
    }

    fn registration(broker: BrokerId, epoch: i64) -> RegisterBrokerRecord {
        RegisterBrokerRecord {
            broker,
            is_migrating_zk_broker: false,
            incarnation_id: Uuid::from_u64_pair(0, epoch.unsigned_abs()),
            broker_epoch: BrokerEpoch(epoch),
            endpoints: vec![],
            features: vec![],
            rack: None,
            fenced: true,
            in_controlled_shutdown: false,
            log_dirs: vec![],
            cordoned_log_dirs: None,
        }
    }

    fn partition_on(broker: BrokerId, topic_id: Uuid) -> PartitionRecord {
        PartitionRecord {
            partition: PartitionIndex(0),
            topic_id,
            replicas: vec![broker],
            isr: vec![broker],
            removing_replicas: vec![],
            adding_replicas: vec![],
            leader: BrokerId(-1),
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
            directories: vec![],
            leader_recovery_state: LeaderRecoveryState::Recovered,
            eligible_leader_replicas: None,
            last_known_elr: None,
        }
    }

    #[test]
    fn a_broker_that_has_just_gone_out_of_service_is_listed_for_a_while() {
        let mut world = World::new();
        world.serve();
        world.register(BROKER, 10);
        world.fence(BROKER, 10, false);
        world.fence(BROKER, 10, true);
        assert!(world.is_listed());
        world.now += LISTED_FOR;
        assert!(!world.is_listed());
    }

    #[test]
    fn a_broker_that_never_served_is_not_listed() {
        let mut world = World::new();
        world.register(BROKER, 10);
        assert!(!world.is_listed());
        world.serve();
        world.register(BROKER, 20);
        assert!(!world.is_listed());
    }

    #[test]
    fn a_broker_that_registers_anew_is_listed_as_long_as_if_it_had_not() {
        let mut world = World::new();
        world.serve();
        world.register(BROKER, 10);
        world.fence(BROKER, 10, false);
        world.register(BROKER, 20);
        assert!(world.is_listed());
        world.now += LISTED_FOR / 2;
        world.register(BROKER, 30);
        assert!(world.is_listed());
        world.now += LISTED_FOR / 2;
        assert!(!world.is_listed());
    }

    #[test]
    fn who_holds_replicas_and_is_not_back_yet_is_listed_until_a_while_after_this_broker_serves() {
        let mut world = World::new();
        world.change(|image| {
            image.apply(&registration(BROKER, 10).into()).unwrap();
            let topic = TopicRecord { name: "held".into(), topic_id: Uuid::from_u128(1) };
            image.apply(&topic.into()).unwrap();
            image.apply(&partition_on(BROKER, Uuid::from_u128(1)).into()).unwrap();
        });
        world.now += START_PATIENCE;
        assert!(world.is_listed());
        assert!(!world.departures.is_listed(BROKER, world.now + LISTED_FOR), "this broker may never serve");
        world.serve();
        assert!(world.is_listed());
        world.now += LISTED_FOR;
        assert!(!world.is_listed());
    }

    #[test]
    fn whoever_asks_waits_for_the_first_service_of_this_process_and_not_for_ever() {
        let mut world = World::new();
        let until = Some(world.now + START_PATIENCE);
        // What an earlier process left.
        world.register(ME, EPOCH - 1);
        world.fence(ME, EPOCH - 1, false);
        assert_eq!(world.departures.wait_until(world.now), until);
        assert_eq!(world.departures.wait_until(world.now + START_PATIENCE), None);
        world.serve();
        assert_eq!(world.departures.wait_until(world.now), None);
        world.fence(ME, EPOCH, true);
        assert_eq!(world.departures.wait_until(world.now), None);
    }
}
