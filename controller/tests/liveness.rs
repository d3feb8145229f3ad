//! Liveness: literal times, one event, then what is to be done.

use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_controller::image::MetadataImage;
use weir_controller::liveness::{Actions, DEATH_WINDOW, Dial, DialOutcome, Fencing, FencingReason, Liveness};
use weir_controller::record::{BrokerRegistrationChangeRecord, MetadataRecord, RegisterBrokerRecord};
use weir_protocol::ids::{BrokerEpoch, BrokerId};

const TIMEOUT_MS: u64 = 1_500;

/// An active controller, its image, and the time.
struct World {
    start: Instant,
    image: MetadataImage,
    liveness: Liveness,
}

fn incarnation(broker: i32) -> Uuid {
    Uuid::from_u64_pair(0x1c, broker as u64)
}

fn epoch(broker: i32) -> BrokerEpoch {
    BrokerEpoch(10 * i64::from(broker))
}

fn registration(broker: i32, fenced: bool) -> RegisterBrokerRecord {
    RegisterBrokerRecord {
        broker: BrokerId(broker),
        is_migrating_zk_broker: false,
        incarnation_id: incarnation(broker),
        broker_epoch: epoch(broker),
        endpoints: vec![],
        features: vec![],
        rack: None,
        fenced,
        in_controlled_shutdown: false,
        log_dirs: vec![Uuid::from_u64_pair(0xd1, broker as u64)],
        cordoned_log_dirs: None,
    }
}

impl World {
    /// Active from the first moment, with brokers that serve, are connected and were heard at once.
    fn of(brokers: &[i32]) -> Self {
        let mut world = Self::silent(brokers);
        for broker in brokers {
            world.liveness.on_session_opened(BrokerId(*broker), incarnation(*broker));
            world.heard(0, *broker);
        }
        world
    }

    /// Active from the first moment; nobody was heard yet.
    fn silent(brokers: &[i32]) -> Self {
        let start = Instant::now();
        let mut image = MetadataImage::default();
        for broker in brokers {
            image.apply(&registration(*broker, false).into()).unwrap();
        }
        let mut liveness = Liveness::new(start, Duration::from_millis(TIMEOUT_MS));
        liveness.on_active(start, &image);
        Self { start, image, liveness }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn heard(&mut self, ms: u64, broker: i32) {
        self.liveness.on_heard(self.at(ms), BrokerId(broker), epoch(broker));
    }

    fn closes(&mut self, ms: u64, broker: i32) {
        self.liveness.on_session_closed(self.at(ms), BrokerId(broker), incarnation(broker));
    }

    fn apply(&mut self, ms: u64, record: impl Into<MetadataRecord>) {
        self.image.apply(&record.into()).unwrap();
        self.liveness.follow(self.at(ms), &self.image);
    }

    fn fence(&mut self, ms: u64, broker: i32, fenced: bool) {
        let change = BrokerRegistrationChangeRecord::new(BrokerId(broker), epoch(broker));
        self.apply(ms, BrokerRegistrationChangeRecord { fenced: Some(fenced), ..change });
    }

    fn poll(&mut self, ms: u64) -> Actions {
        self.liveness.poll(self.at(ms))
    }

    /// Polls as often as is asked for, up to a time, and tells who is to be fenced and when.
    fn run_until(&mut self, end_ms: u64) -> Vec<(u64, Fencing)> {
        let (mut fenced, mut now) = (Vec::new(), self.start);
        while let Some(due) = self.liveness.next_deadline(now) {
            now = due.max(now);
            let ms = u64::try_from(now.duration_since(self.start).as_millis()).unwrap();
            if ms > end_ms {
                break;
            }
            fenced.extend(self.liveness.poll(now).fence.into_iter().map(|fencing| (ms, fencing)));
        }
        fenced
    }

    /// The one dial that is due.
    fn dial(&mut self, ms: u64) -> Dial {
        let dials = self.poll(ms).dials;
        assert_eq!(dials.len(), 1, "{dials:?} at {ms}");
        dials[0]
    }

    fn dialled(&mut self, ms: u64, dial: Dial, outcome: DialOutcome) {
        self.liveness.on_dialled(self.at(ms), dial, &outcome);
    }

    fn next_ms(&self, ms: u64) -> Option<u64> {
        let next = self.liveness.next_deadline(self.at(ms))?;
        Some(u64::try_from(next.duration_since(self.start).as_millis()).unwrap())
    }
}

fn dead(broker: i32) -> Fencing {
    Fencing { broker: BrokerId(broker), epoch: epoch(broker), reason: FencingReason::Dead }
}

fn silent(broker: i32, ms: u64) -> Fencing {
    let reason = FencingReason::Silent(Some(Duration::from_millis(ms)));
    Fencing { broker: BrokerId(broker), epoch: epoch(broker), reason }
}

fn unknown() -> DialOutcome {
    DialOutcome::Unknown("no answer in time".into())
}

#[test]
fn a_silent_broker_is_fenced_when_its_session_times_out_and_not_before() {
    let mut world = World::of(&[1, 2]);
    world.heard(700, 2);
    assert_eq!(world.run_until(TIMEOUT_MS), [(TIMEOUT_MS, silent(1, TIMEOUT_MS))]);
}

#[test]
fn brokers_that_time_out_together_are_fenced_together() {
    let mut world = World::of(&[1, 2, 3]);
    world.heard(1_000, 3);
    assert_eq!(world.run_until(1_499), []);
    assert_eq!(world.poll(1_500).fence, [silent(1, 1_500), silent(2, 1_500)]);
}

#[test]
fn a_heartbeat_of_an_earlier_life_does_not_count() {
    let mut world = World::of(&[1]);
    world.liveness.on_heard(world.at(1_000), BrokerId(1), BrokerEpoch(9));
    assert_eq!(world.run_until(1_600), [(1_500, silent(1, 1_500))]);
}

#[test]
fn who_is_not_fenced_when_asked_is_named_again_and_who_is_fenced_is_not() {
    let mut world = World::of(&[1, 2]);
    assert_eq!(world.run_until(1_500).len(), 2);
    world.fence(1_500, 1, true);
    assert_eq!(world.run_until(1_875), [(1_875, silent(2, 1_875))]);
}

#[test]
fn a_fenced_broker_is_not_waited_for_until_it_serves() {
    let mut world = World::of(&[1]);
    world.fence(100, 1, true);
    assert_eq!(world.next_ms(100), None);
    world.fence(60_000, 1, false);
    world.start += Duration::from_millis(60_000);
    assert_eq!(world.run_until(2_000).first(), Some(&(1_500, silent(1, 61_500))));
}

#[test]
fn a_registration_begins_a_new_session() {
    let mut world = World::of(&[1]);
    let again = RegisterBrokerRecord {
        broker_epoch: BrokerEpoch(99),
        incarnation_id: Uuid::from_u128(99),
        ..registration(1, false)
    };
    assert_eq!(world.run_until(1_400), []);
    world.apply(1_400, again);
    let never_heard = FencingReason::Silent(None);
    let fencing = Fencing { broker: BrokerId(1), epoch: BrokerEpoch(99), reason: never_heard };
    assert_eq!(world.run_until(2_900), [(2_900, fencing)]);
}

#[test]
fn an_unregistered_broker_is_forgotten() {
    use weir_controller::record::UnregisterBrokerRecord;
    let mut world = World::of(&[1]);
    world.apply(10, UnregisterBrokerRecord { broker: BrokerId(1), broker_epoch: epoch(1) });
    assert_eq!(world.next_ms(10), None);
}

#[test]
fn a_broker_is_dead_when_its_connection_closed_and_two_dials_were_refused_in_time() {
    let mut world = World::of(&[1, 2]);
    world.closes(100, 1);
    let first = world.dial(100);
    world.dialled(101, first, DialOutcome::Refused);
    let due = world.next_ms(101).unwrap();
    let second = world.dial(due);
    assert_eq!(world.poll(due).fence, []);
    world.dialled(due + 1, second, DialOutcome::Refused);
    assert_eq!(world.poll(due + 1).fence, [dead(1)]);
    assert!(due + 1 < 150);
}

#[test]
fn a_refused_dial_says_nothing_while_the_connection_is_open() {
    let mut world = World::of(&[1]);
    world.liveness.on_session_opened(BrokerId(1), incarnation(1));
    world.closes(100, 1);
    assert_eq!(world.poll(100).dials, []);
}

#[test]
fn two_refusals_too_far_apart_are_no_death_and_the_later_counts_as_the_first() {
    let mut world = World::of(&[1]);
    world.closes(100, 1);
    let first = world.dial(100);
    world.dialled(100, first, DialOutcome::Refused);
    let second = world.dial(110);
    let late = 101 + u64::try_from(DEATH_WINDOW.as_millis()).unwrap();
    world.dialled(late, second, DialOutcome::Refused);
    assert_eq!(world.poll(late).fence, []);
    let third = world.dial(late + 10);
    world.dialled(late + 10, third, DialOutcome::Refused);
    assert_eq!(world.poll(late + 10).fence, [dead(1)]);
}

#[test]
fn a_dial_without_an_answer_never_counts() {
    let mut world = World::of(&[1]);
    world.closes(0, 1);
    let mut now = 0;
    for outcome in [DialOutcome::Refused, unknown(), DialOutcome::Refused, unknown(), DialOutcome::Refused] {
        let dial = world.dial(now);
        world.dialled(now, dial, outcome);
        assert_eq!(world.poll(now).fence, []);
        now = world.next_ms(now).unwrap();
    }
}

#[test]
fn what_still_accepts_is_dialled_again_until_it_is_heard_or_gone() {
    let mut world = World::of(&[1]);
    world.closes(0, 1);
    let dial = world.dial(0);
    world.dialled(1, dial, DialOutcome::Answered);
    let due = world.next_ms(1).unwrap();
    let dial = world.dial(due);
    world.heard(due + 1, 1);
    world.dialled(due + 2, dial, DialOutcome::Refused);
    assert_eq!(world.poll(due + 100), Actions::default());
}

#[test]
fn an_answer_to_a_dial_of_an_earlier_question_is_not_counted() {
    let mut world = World::of(&[1]);
    world.closes(0, 1);
    let old = world.dial(0);
    world.liveness.on_session_opened(BrokerId(1), incarnation(1));
    world.closes(1, 1);
    let new = world.dial(1);
    assert_ne!(old, new);
    world.dialled(2, old, DialOutcome::Refused);
    world.dialled(3, new, DialOutcome::Refused);
    assert_eq!(world.poll(3).fence, []);
}

#[test]
fn whoever_comes_to_lead_dials_everybody_at_once_and_gives_a_full_session() {
    let mut world = World::silent(&[1, 2, 3]);
    world.fence(0, 3, true);
    let now = world.at(60_000);
    world.liveness.on_active(now, &world.image);
    world.start = now;
    let dials = world.poll(0).dials;
    assert_eq!(dials.iter().map(|dial| dial.broker.get()).collect::<Vec<_>>(), [1, 2]);
    for dial in dials {
        world.dialled(1, dial, unknown());
    }
    let fenced = world.run_until(1_500);
    assert_eq!(
        fenced.iter().map(|(ms, fencing)| (*ms, fencing.broker.get())).collect::<Vec<_>>(),
        [(1_500, 1), (1_500, 2)]
    );
}

#[test]
fn whoever_comes_to_lead_does_not_dial_a_broker_that_is_connected_to_it() {
    let mut world = World::of(&[1, 2]);
    world.closes(0, 2);
    world.liveness.on_inactive();
    assert_eq!(world.next_ms(0), None);
    world.liveness.on_active(world.at(10), &world.image);
    let dialled = world.poll(10).dials.iter().map(|dial| dial.broker.get()).collect::<Vec<_>>();
    assert_eq!(dialled, [2]);
}

#[test]
fn a_controller_that_was_held_up_for_half_a_session_gives_everybody_a_full_one() {
    let mut world = World::of(&[1, 2]);
    assert_eq!(world.run_until(700), []);
    // It should have looked at its clock at 750.
    let actions = world.poll(1_500);
    assert_eq!((actions.fence, actions.held_up), (vec![], Some(Duration::from_millis(750))));
    assert_eq!(world.poll(1_500 + 374).fence, []);
    world.heard(1_900, 1);
    for ms in [2_240, 2_610, 2_980, 2_999] {
        assert_eq!(world.poll(ms).fence, [], "{ms}");
    }
    assert_eq!(world.poll(3_000).fence, [silent(2, 3_000)]);
}

#[test]
fn a_controller_that_was_held_up_for_less_fences_on_time() {
    let mut world = World::of(&[1]);
    assert_eq!(world.run_until(1_000), []);
    let actions = world.poll(1_750);
    assert_eq!((actions.fence, actions.held_up), (vec![silent(1, 1_750)], None));
}

#[test]
fn a_controller_that_was_held_up_still_knows_the_dead() {
    let mut world = World::of(&[1]);
    world.closes(0, 1);
    let dial = world.dial(0);
    world.dialled(0, dial, DialOutcome::Refused);
    let dial = world.dial(10);
    world.dialled(11, dial, DialOutcome::Refused);
    assert_eq!(world.poll(5_000).fence, [dead(1)]);
}

#[test]
fn time_in_which_nobody_could_be_heard_does_not_count() {
    let mut world = World::of(&[1]);
    for ms in [300, 600, 900, 1_200] {
        world.liveness.excuse_all(world.at(ms));
    }
    assert_eq!(world.run_until(2_699), []);
    assert_eq!(world.poll(2_700).fence, [silent(1, 2_700)]);
}

#[test]
fn nothing_is_due_while_nobody_can_be_fenced_and_every_dial_is_made_once_somebody_can() {
    let mut world = World::of(&[1, 2, 3]);
    for broker in [1, 2] {
        world.closes(0, broker);
    }
    let dead = world.poll(0).dials;
    for dial in &dead {
        world.dialled(0, *dial, DialOutcome::Refused);
    }
    let second = world.poll(10).dials[0];
    // One is dead, one is being dialled, and of one it is about to be asked.
    world.dialled(10, second, DialOutcome::Refused);
    world.closes(10, 3);
    for ms in 10..60 {
        world.liveness.excuse_all(world.at(ms));
        assert!(world.next_ms(ms).unwrap() > ms, "{ms}");
    }
    let due = world.next_ms(60).unwrap();
    let actions = world.poll(due);
    assert_eq!(actions.fence, []);
    let dialled = actions.dials.iter().map(|dial| dial.broker.get()).collect::<Vec<_>>();
    assert_eq!(dialled, [1, 3]);
}

/// Whether broker 1 is in the way of a process with its disks, and of one without.
fn in_the_way(world: &World, ms: u64) -> (bool, bool) {
    let of = |on_other_disks| {
        world.liveness.is_another_in_the_way(world.at(ms), BrokerId(1), Uuid::from_u128(7), on_other_disks)
    };
    (of(false), of(true))
}

#[test]
fn another_process_is_in_the_way_while_it_is_connected_and_heard() {
    let mut world = World::of(&[1]);
    assert_eq!(in_the_way(&world, 100), (true, true));
    let itself = (BrokerId(1), incarnation(1));
    assert!(!world.liveness.is_another_in_the_way(world.at(100), itself.0, itself.1, true));
    assert!(!world.liveness.is_another_in_the_way(world.at(100), BrokerId(2), itself.1, true));
    assert_eq!(in_the_way(&world, 1_500), (false, false));
    world.heard(1_500, 1);
    assert_eq!(in_the_way(&world, 1_501), (true, true));
    // Also one that does not serve yet: it is about to.
    world.fence(1_501, 1, true);
    assert_eq!(in_the_way(&world, 1_501), (true, true));
    world.closes(1_501, 1);
    assert_eq!(in_the_way(&world, 1_501), (false, false));
}

#[test]
fn a_broker_that_lost_its_connection_is_in_the_way_of_another_node_until_it_is_out_of_service_or_dead() {
    let mut world = World::of(&[1]);
    world.closes(100, 1);
    assert_eq!(in_the_way(&world, 100), (false, true));
    let dial = world.dial(100);
    world.dialled(100, dial, DialOutcome::Refused);
    let dial = world.dial(110);
    world.dialled(110, dial, DialOutcome::Refused);
    assert_eq!(in_the_way(&world, 110), (false, false));
}

#[test]
fn a_broker_that_a_new_controller_has_not_heard_is_in_the_way_of_another_node_for_a_session() {
    let mut world = World::silent(&[1]);
    assert_eq!(in_the_way(&world, 0), (false, true));
    assert_eq!(in_the_way(&world, 1_499), (false, true));
    assert_eq!(in_the_way(&world, 1_500), (false, false));
    // Also one that is about to serve: it was heard by the former controller.
    world.fence(0, 1, true);
    assert_eq!((in_the_way(&world, 1_499), in_the_way(&world, 1_500)), ((false, true), (false, false)));
}

#[test]
fn nobody_is_watched_while_another_node_is_active() {
    let mut world = World::of(&[1]);
    world.liveness.on_inactive();
    world.fence(0, 1, false);
    world.closes(0, 1);
    assert_eq!((world.next_ms(0), world.poll(60_000)), (None, Actions::default()));
}

/// Broker 1, active until this node is after `ms`, was last heard as that at the start; both brokers are connected here.
fn after_a_change_of_controllers(ms: u64) -> World {
    let mut world = World::silent(&[1, 2]);
    world.liveness.on_inactive();
    world.liveness.on_controller_heard(world.at(0), BrokerId(1));
    for broker in [1, 2] {
        world.liveness.on_session_opened(BrokerId(broker), incarnation(broker));
    }
    world.liveness.on_active(world.at(ms), &world.image);
    world
}

#[test]
fn the_former_controllers_silence_counts_from_when_it_was_last_heard_as_that() {
    let mut world = after_a_change_of_controllers(800);
    let brokers = |fenced: Vec<(u64, Fencing)>| {
        fenced.into_iter().map(|(ms, fencing)| (ms, fencing.broker.get())).collect::<Vec<_>>()
    };
    assert_eq!(brokers(world.run_until(1_500)), [(1_500, 1)]);
    world.fence(1_500, 1, true);
    assert_eq!(brokers(world.run_until(2_300)), [(2_300, 2)]);
}

#[test]
fn a_former_controller_that_was_deposed_late_has_a_third_of_a_session_to_be_heard() {
    let fenced = after_a_change_of_controllers(1_400).run_until(1_900);
    assert_eq!(fenced.iter().map(|(ms, fencing)| (*ms, fencing.broker.get())).collect::<Vec<_>>(), [(1_900, 1)]);
    let mut world = after_a_change_of_controllers(1_400);
    world.heard(1_899, 1);
    assert_eq!(world.run_until(2_899), []);
}
