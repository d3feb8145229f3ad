//! Leaders that this broker has just lost sight of: the connection over which it fetched from them broke.
//!
//! A client whose leader dies asks some other broker at once who leads now, a few milliseconds before the controller has decided
//! that. Told of the dead one once more, some clients ask again a second later only. So whoever asks is answered once the metadata
//! have changed, or the leader is found again, or [`PATIENCE`] has passed since it was lost: the time in which a dead broker is
//! fenced, even by a controller that is elected first. A leader that stays away for longer is told as the metadata have it.

use std::time::Duration;

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::time::Instant;
use weir_controller::image::MetadataImage;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

/// How long an answer waits for the metadata after a leader was lost.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

/// What is remembered of each: one entry a broker of the cluster at most.
#[derive(Debug, Default)]
pub(crate) struct LostLeaders {
    lost: Mutex<AHashMap<BrokerId, Lost>>,
}

#[derive(Clone, Copy, Debug)]
struct Lost {
    /// Of the registration that was lost sight of; a later one is another process.
    epoch: Option<BrokerEpoch>,
    since: Instant,
}

impl LostLeaders {
    /// The connection to a leader broke, or it refuses one. Only the first of several failures counts.
    pub(super) fn lose(&self, leader: BrokerId, image: &MetadataImage, now: Instant) {
        let epoch = image.broker(leader).map(|broker| broker.epoch);
        let mut lost = self.lost.lock();
        let entry = lost.entry(leader).or_insert(Lost { epoch, since: now });
        if entry.epoch != epoch {
            *entry = Lost { epoch, since: now };
        }
    }

    /// A leader answered.
    pub(super) fn find(&self, leader: BrokerId) {
        self.lost.lock().remove(&leader);
    }

    /// Until when to wait for other metadata than `image`, where any of `leaders` was lost a moment ago.
    pub(crate) fn wait_until(
        &self,
        image: &MetadataImage,
        mut leaders: impl Iterator<Item = BrokerId>,
        now: Instant,
    ) -> Option<Instant> {
        let lost = self.lost.lock();
        let fresh = lost.iter().filter(|(leader, lost)| {
            let known = image.broker(**leader).filter(|broker| !broker.fenced).map(|broker| broker.epoch);
            known.is_some() && known == lost.epoch && lost.since + PATIENCE > now
        });
        let fresh = fresh.map(|(leader, lost)| (*leader, lost.since + PATIENCE)).collect::<Vec<_>>();
        if fresh.is_empty() {
            return None;
        }
        leaders.find_map(|leader| fresh.iter().find(|(lost, _)| *lost == leader)).map(|(_, until)| *until)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use weir_controller::record::{BrokerRegistrationChangeRecord, RegisterBrokerRecord};

    use super::*;

    const LEADER: BrokerId = BrokerId(1);
    const OTHER: BrokerId = BrokerId(2);

    fn register(image: &mut MetadataImage, epoch: i64) {
        let record = RegisterBrokerRecord {
            broker: LEADER,
            is_migrating_zk_broker: false,
            incarnation_id: Uuid::nil(),
            broker_epoch: BrokerEpoch(epoch),
            endpoints: vec![],
            features: vec![],
            rack: None,
            fenced: false,
            in_controlled_shutdown: false,
            log_dirs: vec![],
            cordoned_log_dirs: None,
        };
        image.apply(&record.into()).unwrap();
    }

    fn image() -> MetadataImage {
        let mut image = MetadataImage::default();
        register(&mut image, 10);
        image
    }

    #[test]
    fn an_answer_that_names_a_lost_leader_waits_and_no_longer_than_since_it_was_lost() {
        let (lost, image, now) = (LostLeaders::default(), image(), Instant::now());
        let wait = |leader, now| lost.wait_until(&image, [leader].into_iter(), now);
        assert_eq!(wait(LEADER, now), None);
        lost.lose(LEADER, &image, now);
        let later = now + PATIENCE / 2;
        lost.lose(LEADER, &image, later);
        assert_eq!((wait(LEADER, later), wait(OTHER, later)), (Some(now + PATIENCE), None));
        assert_eq!(wait(LEADER, now + PATIENCE), None);
    }

    #[test]
    fn a_leader_that_answers_is_not_waited_for() {
        let (lost, image, now) = (LostLeaders::default(), image(), Instant::now());
        lost.lose(LEADER, &image, now);
        lost.find(LEADER);
        assert_eq!(lost.wait_until(&image, [LEADER].into_iter(), now), None);
    }

    #[test]
    fn metadata_that_know_of_the_loss_are_not_waited_for() {
        let (lost, mut image, now) = (LostLeaders::default(), image(), Instant::now());
        lost.lose(LEADER, &image, now);
        let change = BrokerRegistrationChangeRecord::new(LEADER, BrokerEpoch(10));
        image.apply(&BrokerRegistrationChangeRecord { fenced: Some(true), ..change }.into()).unwrap();
        assert_eq!(lost.wait_until(&image, [LEADER].into_iter(), now), None);
    }

    #[test]
    fn another_process_of_the_broker_is_lost_anew() {
        let (lost, mut image, now) = (LostLeaders::default(), image(), Instant::now());
        lost.lose(LEADER, &image, now);
        register(&mut image, 20);
        assert_eq!(lost.wait_until(&image, [LEADER].into_iter(), now), None);
        let later = now + PATIENCE;
        lost.lose(LEADER, &image, later);
        assert_eq!(lost.wait_until(&image, [LEADER].into_iter(), later), Some(later + PATIENCE));
    }
}
