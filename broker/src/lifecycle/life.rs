//! What a broker does next to be part of its cluster: register, be heard, stop. A pure core; time is an argument.
//!
//! ```text
//!                    registered                            wants to stop, and may
//!   Registering ------------------> Registered(epoch) ---------------------------> Stopped
//!        ^                               |                                            ^
//!        +-------------------------------+                                            |
//!          its epoch is stale, the metadata tell of another registration,             |
//!          or a directory is back                                                     |
//!        +----------------------------------------------------------------------------+
//!          wants to stop
//! ```
//!
//! A broker registers fenced, and is heard at once; it serves once a heartbeat says that it has applied its own registration,
//! so a heartbeat follows as soon as it has. One that was fenced says so the moment it learns of it. Kafka:
//! `BrokerLifecycleManager`, which never registers again (a registration of an earlier life that was late on its way, or an
//! operator who unregisters a broker that lives, would silence it for good).

use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_controller::decide::BrokerState;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, Offset};

/// How long after a registration that failed the next follows.
const REGISTRATION_RETRY: Duration = Duration::from_millis(100);

/// How long after a heartbeat without an answer the next follows, unless they follow faster anyway.
const HEARTBEAT_RETRY: Duration = Duration::from_millis(100);

/// How long a stopping broker waits before it asks again whether its leaderships have moved.
const STOP_INTERVAL: Duration = Duration::from_millis(10);

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Register, and tell [`Life::on_registered`] or [`Life::on_registration_failed`].
    Register,
    /// Send a heartbeat of this epoch, and tell [`Life::on_heartbeat`] or [`Life::on_heartbeat_lost`].
    Heartbeat(BrokerEpoch),
    /// Nothing until then, or until something happens.
    Wait(Instant),
    /// Nothing more ever.
    Stop,
}

/// What the metadata tell of this broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) epoch: BrokerEpoch,
    pub(super) incarnation: Uuid,
    pub(super) fenced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Registering,
    Registered(BrokerEpoch),
    Stopped,
}

/// One broker's life.
#[derive(Debug)]
pub(super) struct Life {
    incarnation: Uuid,
    heartbeat_interval: Duration,
    state: State,
    /// Whether it can take requests; until then a heartbeat asks to stay fenced.
    is_ready: bool,
    wants_to_stop: bool,
    /// When the next registration or heartbeat is due.
    due: Instant,
    known: Option<Known>,
}

impl Life {
    pub(super) fn new(now: Instant, incarnation: Uuid, heartbeat_interval: Duration) -> Self {
        Self {
            incarnation,
            heartbeat_interval,
            state: State::Registering,
            is_ready: false,
            wants_to_stop: false,
            due: now,
            known: None,
        }
    }

    pub(super) fn next(&self, now: Instant) -> Step {
        match self.state {
            State::Stopped => Step::Stop,
            _ if self.due > now => Step::Wait(self.due),
            State::Registering => Step::Register,
            State::Registered(epoch) => Step::Heartbeat(epoch),
        }
    }

    /// Whether the next heartbeat says that this broker cannot serve.
    pub(super) fn wants_to_be_fenced(&self) -> bool {
        !self.is_ready
    }

    /// Whether the next heartbeat says that this broker wants to stop.
    pub(super) fn wants_to_stop(&self) -> bool {
        self.wants_to_stop
    }

    pub(super) fn on_registered(&mut self, now: Instant, epoch: BrokerEpoch) {
        if self.state != State::Stopped {
            self.state = State::Registered(epoch);
            self.due = now;
        }
    }

    pub(super) fn on_registration_failed(&mut self, now: Instant) {
        self.due = now + REGISTRATION_RETRY;
    }

    pub(super) fn on_heartbeat(&mut self, now: Instant, answer: Result<BrokerState, ErrorCode>) {
        match answer {
            Ok(state) if state.should_shut_down && self.wants_to_stop => self.state = State::Stopped,
            Ok(_) if self.wants_to_stop => self.due = now + STOP_INTERVAL,
            Ok(_) => self.due = now + self.heartbeat_interval,
            Err(ErrorCode::StaleBrokerEpoch) => self.register_again(now),
            Err(_) => self.on_heartbeat_lost(now),
        }
    }

    pub(super) fn on_heartbeat_lost(&mut self, now: Instant) {
        self.due = now + HEARTBEAT_RETRY.min(self.heartbeat_interval);
    }

    /// The metadata are applied up to `applied`, and tell this of the broker.
    pub(super) fn on_metadata(&mut self, now: Instant, applied: Offset, known: Option<Known>) {
        let before = std::mem::replace(&mut self.known, known);
        let State::Registered(epoch) = self.state else { return };
        if applied.get() < epoch.get() || before == known {
            return;
        }
        match known {
            Some(known) if known.epoch == epoch => {
                // It may serve now, or it has just learnt that it does not.
                if known.fenced {
                    self.due = now;
                }
            }
            Some(known) if known.incarnation == self.incarnation => self.on_registered(now, known.epoch),
            _ => self.register_again(now),
        }
    }

    /// The broker takes requests from here on.
    pub(super) fn on_ready(&mut self, now: Instant) {
        self.is_ready = true;
        self.on_news(now);
    }

    /// Something about this broker is news to the controller.
    pub(super) fn on_news(&mut self, now: Instant) {
        if matches!(self.state, State::Registered(_)) {
            self.due = now;
        }
    }

    /// A directory answers again that the controller was told does not: this process registers with it again, and keeps its epoch.
    pub(super) fn on_directory_back(&mut self, now: Instant) {
        if matches!(self.state, State::Registered(_)) && !self.wants_to_stop {
            self.register_again(now);
        }
    }

    /// The broker is to stop: as soon as its leaderships have moved.
    pub(super) fn on_stop_wanted(&mut self, now: Instant) {
        self.wants_to_stop = true;
        match self.state {
            State::Registering => self.state = State::Stopped,
            State::Registered(_) => self.due = now,
            State::Stopped => {}
        }
    }

    fn register_again(&mut self, now: Instant) {
        self.state = if self.wants_to_stop { State::Stopped } else { State::Registering };
        self.due = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(375);
    const INCARNATION: Uuid = Uuid::from_u128(1);
    const EPOCH: BrokerEpoch = BrokerEpoch(10);
    const SERVES: BrokerState = BrokerState { is_caught_up: true, is_fenced: false, should_shut_down: false };
    const MAY_STOP: BrokerState = BrokerState { is_caught_up: true, is_fenced: true, should_shut_down: true };

    fn life() -> (Life, Instant) {
        let now = Instant::now();
        (Life::new(now, INCARNATION, INTERVAL), now)
    }

    /// Registered, and heard and known as serving.
    fn in_service() -> (Life, Instant) {
        let (mut life, now) = life();
        life.on_ready(now);
        life.on_registered(now, EPOCH);
        life.on_metadata(now, Offset(10), known(EPOCH, INCARNATION, true));
        life.on_heartbeat(now, Ok(SERVES));
        life.on_metadata(now, Offset(11), known(EPOCH, INCARNATION, false));
        (life, now)
    }

    fn known(epoch: BrokerEpoch, incarnation: Uuid, fenced: bool) -> Option<Known> {
        Some(Known { epoch, incarnation, fenced })
    }

    #[test]
    fn it_registers_first_and_is_heard_at_once() {
        let (mut life, now) = life();
        assert_eq!(life.next(now), Step::Register);
        life.on_registration_failed(now);
        assert_eq!(life.next(now), Step::Wait(now + REGISTRATION_RETRY));
        life.on_registered(now + REGISTRATION_RETRY, EPOCH);
        assert_eq!(life.next(now + REGISTRATION_RETRY), Step::Heartbeat(EPOCH));
    }

    #[test]
    fn it_is_heard_again_as_soon_as_it_has_applied_its_registration() {
        let (mut life, now) = life();
        life.on_registered(now, EPOCH);
        life.on_heartbeat(now, Ok(BrokerState { is_caught_up: false, is_fenced: true, should_shut_down: false }));
        life.on_metadata(now, Offset(9), None);
        assert_eq!(life.next(now), Step::Wait(now + INTERVAL));
        life.on_metadata(now, Offset(10), known(EPOCH, INCARNATION, true));
        assert_eq!(life.next(now), Step::Heartbeat(EPOCH));
    }

    #[test]
    fn it_asks_to_stay_fenced_until_it_is_ready() {
        let (mut life, now) = life();
        life.on_registered(now, EPOCH);
        assert!(life.wants_to_be_fenced());
        life.on_heartbeat(now, Ok(BrokerState { is_caught_up: true, is_fenced: true, should_shut_down: false }));
        life.on_ready(now);
        assert_eq!((life.next(now), life.wants_to_be_fenced()), (Step::Heartbeat(EPOCH), false));
    }

    #[test]
    fn it_is_heard_once_an_interval_whatever_else_the_metadata_tell() {
        let (mut life, now) = in_service();
        life.on_metadata(now, Offset(500), known(EPOCH, INCARNATION, false));
        assert_eq!(life.next(now), Step::Wait(now + INTERVAL));
    }

    #[test]
    fn it_is_heard_at_once_when_it_was_fenced_or_has_news() {
        let (mut life, now) = in_service();
        life.on_metadata(now, Offset(12), known(EPOCH, INCARNATION, true));
        assert_eq!(life.next(now), Step::Heartbeat(EPOCH));
        life.on_heartbeat(now, Ok(SERVES));
        life.on_news(now);
        assert_eq!(life.next(now), Step::Heartbeat(EPOCH));
    }

    #[test]
    fn a_lost_heartbeat_is_sent_again_sooner_than_the_next_would_be() {
        let (mut life, now) = in_service();
        life.on_heartbeat_lost(now);
        assert_eq!(life.next(now), Step::Wait(now + HEARTBEAT_RETRY));
        life.on_heartbeat(now, Err(ErrorCode::NotController));
        assert_eq!(life.next(now), Step::Wait(now + HEARTBEAT_RETRY));
    }

    #[test]
    fn a_stale_epoch_makes_it_register_again() {
        let (mut life, now) = in_service();
        life.on_heartbeat(now, Err(ErrorCode::StaleBrokerEpoch));
        assert_eq!(life.next(now), Step::Register);
    }

    #[test]
    fn a_registration_of_an_earlier_life_that_came_late_makes_it_register_again() {
        let (mut life, now) = in_service();
        life.on_metadata(now, Offset(20), known(BrokerEpoch(20), Uuid::from_u128(9), true));
        assert_eq!(life.next(now), Step::Register);
    }

    #[test]
    fn being_unregistered_while_it_lives_makes_it_register_again() {
        let (mut life, now) = in_service();
        life.on_metadata(now, Offset(20), None);
        assert_eq!(life.next(now), Step::Register);
    }

    #[test]
    fn metadata_older_than_its_registration_say_nothing() {
        let (mut life, now) = life();
        life.on_registered(now, EPOCH);
        life.on_heartbeat(now, Ok(SERVES));
        life.on_metadata(now, Offset(9), known(BrokerEpoch(3), Uuid::from_u128(9), true));
        assert_eq!(life.next(now), Step::Wait(now + INTERVAL));
    }

    #[test]
    fn it_stops_once_the_controller_lets_it_go_and_asks_often_until_then() {
        let (mut life, now) = in_service();
        life.on_stop_wanted(now);
        assert_eq!(life.next(now), Step::Heartbeat(EPOCH));
        life.on_heartbeat(now, Ok(SERVES));
        assert_eq!(life.next(now), Step::Wait(now + STOP_INTERVAL));
        life.on_heartbeat(now, Ok(MAY_STOP));
        assert_eq!(life.next(now), Step::Stop);
    }

    #[test]
    fn a_stopping_broker_does_not_register() {
        let (mut life, now) = life();
        life.on_stop_wanted(now);
        assert_eq!(life.next(now), Step::Stop);
        let (mut life, now) = in_service();
        life.on_stop_wanted(now);
        life.on_heartbeat(now, Err(ErrorCode::StaleBrokerEpoch));
        assert_eq!(life.next(now), Step::Stop);
    }
}
