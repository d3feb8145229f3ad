//! Brokers that have just gone out of service.
//!
//! Metadata answers go on listing such a broker for [`LISTED_FOR`], though it leads nothing any more. librdkafka (2.10 and later)
//! ends its handle of a broker that an answer leaves out, and where the same answer moves that broker's partitions elsewhere, the
//! two race: a partition can be left with nobody until its next look at all topics, up to a second later. A client that dials the
//! broker meanwhile is no worse off than a moment before.

use std::time::{Duration, Instant};

use ahash::AHashMap;
use parking_lot::Mutex;
use weir_controller::image::{BrokerRegistration, MetadataDelta, MetadataImage};
use weir_protocol::ids::{BrokerEpoch, BrokerId};

/// How long a broker is listed after it went out of service.
const LISTED_FOR: Duration = Duration::from_secs(2);

/// Who serves, and who did a moment ago; an entry a registered broker at most.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    brokers: Mutex<AHashMap<BrokerId, State>>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Serving(BrokerEpoch),
    Departed(BrokerEpoch, Instant),
}

impl Departures {
    /// The metadata have changed.
    pub(crate) fn on_delta(&self, delta: &MetadataDelta, image: &MetadataImage, now: Instant) {
        let mut brokers = self.brokers.lock();
        for id in &delta.brokers {
            let state = image.broker(*id).and_then(|broker| match brokers.get(id) {
                _ if !broker.fenced => Some(State::Serving(broker.epoch)),
                Some(State::Serving(epoch)) if *epoch == broker.epoch => Some(State::Departed(broker.epoch, now)),
                Some(departed @ State::Departed(epoch, _)) if *epoch == broker.epoch => Some(*departed),
                _ => None,
            });
            match state {
                Some(state) => drop(brokers.insert(*id, state)),
                None => drop(brokers.remove(id)),
            }
        }
    }

    /// Whether a broker that is out of service is still listed.
    pub(crate) fn is_listed(&self, broker: &BrokerRegistration, now: Instant) -> bool {
        let state = self.brokers.lock().get(&broker.id).copied();
        matches!(state, Some(State::Departed(epoch, since)) if epoch == broker.epoch && now < since + LISTED_FOR)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_controller::record::{BrokerRegistrationChangeRecord, RegisterBrokerRecord};

    use super::*;

    const BROKER: BrokerId = BrokerId(1);

    /// A broker's registrations, followed.
    struct World {
        image: MetadataImage,
        departures: Departures,
        now: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { image: MetadataImage::default(), departures: Departures::default(), now: Instant::now() }
        }

        fn change(&mut self, change: impl FnOnce(&mut MetadataImage)) {
            let before = self.image.clone();
            change(&mut self.image);
            self.departures.on_delta(&MetadataDelta::between(&before, &self.image), &self.image, self.now);
        }

        fn register(&mut self, epoch: i64) {
            let record = RegisterBrokerRecord {
                broker: BROKER,
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
            };
            self.change(|image| image.apply(&record.into()).unwrap());
        }

        fn fence(&mut self, epoch: i64, fenced: bool) {
            let change = BrokerRegistrationChangeRecord::new(BROKER, BrokerEpoch(epoch));
            let change = BrokerRegistrationChangeRecord { fenced: Some(fenced), ..change };
            self.change(|image| image.apply(&change.into()).unwrap());
        }

        fn is_listed(&self) -> bool {
            self.departures.is_listed(self.image.broker(BROKER).unwrap(), self.now)
        }
    }

    #[test]
    fn a_broker_that_has_just_gone_out_of_service_is_listed_for_a_while() {
        let mut world = World::new();
        world.register(10);
        world.fence(10, false);
        world.fence(10, true);
        assert!(world.is_listed());
        world.now += LISTED_FOR;
        assert!(!world.is_listed());
    }

    #[test]
    fn a_broker_that_never_served_is_not_listed() {
        let mut world = World::new();
        world.register(10);
        assert!(!world.is_listed());
    }

    #[test]
    fn a_new_process_is_not_listed_for_what_the_old_one_was() {
        let mut world = World::new();
        world.register(10);
        world.fence(10, false);
        world.fence(10, true);
        world.register(20);
        assert!(!world.is_listed());
    }
}
