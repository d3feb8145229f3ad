//! The sessions of brokers with the active controller.
//!
//! Owns, of each registered broker, when it was heard and until when it is waited for; and, whether this node is active or
//! not, which connections of which processes are open. It follows the image: it starts to wait for a broker when the image
//! says that it serves, and stops when the image says that it does not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::probe::{DialOutcome, Probe};
use crate::image::{BrokerRegistration, MetadataImage};

/// A controller looks at its own clock this often in a session, so that it finds out when it was held up.
const CLOCK_CHECKS_A_SESSION: u32 = 4;

/// The former active controller has at least this part of a session to be heard as a broker.
const FORMER_CONTROLLERS_PART: u32 = 3;

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actions {
    /// Listeners to dial; each outcome goes to [`Liveness::on_dialled`].
    pub dials: Vec<Dial>,
    /// Brokers to fence, all of them in one change.
    pub fence: Vec<Fencing>,
    /// This controller was held up for this long, and everybody has a full session again.
    pub held_up: Option<Duration>,
}

/// A dial to a broker's listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dial {
    /// The broker.
    pub broker: BrokerId,
    /// What tells this dial from earlier ones.
    pub number: u64,
}

/// A broker to fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fencing {
    /// The broker.
    pub broker: BrokerId,
    /// The epoch of the registration that ended.
    pub epoch: BrokerEpoch,
    /// Why.
    pub reason: FencingReason,
}

/// Why a broker is fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FencingReason {
    /// Its connection closed and nobody listens where it did.
    Dead,
    /// It was not heard for this long; never, if it is not known when it was.
    Silent(Option<Duration>),
}

#[derive(Debug)]
struct Session {
    epoch: BrokerEpoch,
    incarnation: Uuid,
    /// Whether the image says that it serves; only then is it waited for.
    serves: bool,
    /// By this controller, in this term.
    heard: Option<Instant>,
    deadline: Instant,
    probe: Probe,
}

/// Which brokers live.
#[derive(Debug)]
pub struct Liveness {
    session_timeout: Duration,
    /// Open connections over which processes are heard; kept while another node is active too.
    connections: BTreeMap<(BrokerId, Uuid), usize>,
    /// Empty while this node is not active.
    sessions: BTreeMap<BrokerId, Session>,
    is_active: bool,
    /// Who was the active controller before this node, and when it was heard as that.
    former: Option<(BrokerId, Instant)>,
    last_poll: Instant,
    dials: u64,
}

impl Liveness {
    /// `session_timeout` is `broker.session.timeout.ms`.
    pub fn new(now: Instant, session_timeout: Duration) -> Self {
        Self {
            session_timeout,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            is_active: false,
            former: None,
            last_poll: now,
            dials: 0,
        }
    }

    /// This node is the active controller from here on, in a new term.
    pub fn on_active(&mut self, now: Instant, image: &MetadataImage) {
        self.is_active = true;
        self.last_poll = now;
        self.sessions.clear();
        self.follow(now, image);
        if let Some((former, heard)) = self.former.take()
            && let Some(session) = self.sessions.get_mut(&former)
        {
            let at_least = now + self.session_timeout / FORMER_CONTROLLERS_PART;
            session.deadline = at_least.max(heard + self.session_timeout).min(session.deadline);
        }
        let connections = &self.connections;
        for (broker, session) in self.sessions.iter_mut().filter(|(_, session)| session.serves) {
            if !connections.contains_key(&(*broker, session.incarnation)) {
                session.probe = Probe::begin(now);
            }
        }
    }

    /// Another node, which may be a broker too, was heard as the active controller.
    pub fn on_controller_heard(&mut self, now: Instant, controller: BrokerId) {
        self.former = Some((controller, now));
    }

    /// Another node is the active controller, or none is.
    pub fn on_inactive(&mut self) {
        self.is_active = false;
        self.sessions.clear();
    }

    /// The metadata changed.
    pub fn follow(&mut self, now: Instant, image: &MetadataImage) {
        if !self.is_active {
            return;
        }
        if !self.sessions.values().any(|session| session.serves) {
            // Nobody was waited for, so nobody looked at the clock.
            self.last_poll = now;
        }
        self.sessions.retain(|broker, session| image.broker(*broker).is_some_and(|known| known.epoch == session.epoch));
        for broker in image.brokers() {
            let fresh = || Session::begin(now, broker, self.session_timeout);
            let session = self.sessions.entry(broker.id).or_insert_with(fresh);
            if broker.fenced {
                session.probe = Probe::Quiet;
            } else if !session.serves {
                session.deadline = now + self.session_timeout;
            }
            session.serves = !broker.fenced;
        }
    }

    /// A broker's heartbeat was answered, or its registration.
    pub fn on_heard(&mut self, now: Instant, broker: BrokerId, epoch: BrokerEpoch) {
        if let Some(session) = self.sessions.get_mut(&broker).filter(|session| session.epoch == epoch) {
            session.heard = Some(now);
            session.deadline = now + self.session_timeout;
            session.probe = Probe::Quiet;
        }
    }

    /// A process opened a connection over which it is heard.
    pub fn on_session_opened(&mut self, broker: BrokerId, incarnation: Uuid) {
        *self.connections.entry((broker, incarnation)).or_default() += 1;
        if let Some(session) = self.session_of(broker, incarnation) {
            session.probe = Probe::Quiet;
        }
    }

    /// Such a connection closed.
    pub fn on_session_closed(&mut self, now: Instant, broker: BrokerId, incarnation: Uuid) {
        let Some(open) = self.connections.get_mut(&(broker, incarnation)) else { return };
        *open -= 1;
        if *open > 0 {
            return;
        }
        self.connections.remove(&(broker, incarnation));
        if let Some(session) = self.session_of(broker, incarnation).filter(|session| session.serves) {
            session.probe = Probe::begin(now);
        }
    }

    fn session_of(&mut self, broker: BrokerId, incarnation: Uuid) -> Option<&mut Session> {
        self.sessions.get_mut(&broker).filter(|session| session.incarnation == incarnation)
    }

    /// What became of a dial.
    pub fn on_dialled(&mut self, now: Instant, dial: Dial, outcome: &DialOutcome) {
        if let Some(session) = self.sessions.get_mut(&dial.broker) {
            session.probe.on_dialled(now, dial.number, outcome);
        }
    }

    /// Whether a process other than `incarnation` has the id `broker` and is in the way: it is connected and heard. In the way of one that
    /// comes `on_other_disks`, and so is another node, is also whoever serves, or may do so soon and was heard by the former controller: it
    /// is out of service first, for what it alone has would be given up (Kafka: `hasValidSession`).
    pub fn is_another_in_the_way(
        &self,
        now: Instant,
        broker: BrokerId,
        incarnation: Uuid,
        on_other_disks: bool,
    ) -> bool {
        let Some(session) = self.sessions.get(&broker).filter(|session| session.incarnation != incarnation) else {
            return false;
        };
        let is_heard = session.heard.is_some_and(|heard| now.saturating_duration_since(heard) < self.session_timeout);
        let is_connected = self.connections.contains_key(&(broker, session.incarnation));
        let has_a_session = session.serves || session.heard.is_none();
        let may_live = has_a_session && session.probe != Probe::Dead && now < session.deadline;
        (is_connected && is_heard) || (on_other_disks && may_live)
    }

    /// Nobody can be heard or fenced: whatever time has passed does not count, and nothing is due before some more has.
    pub fn excuse_all(&mut self, now: Instant) {
        self.give_all_a_session(now);
        for session in self.sessions.values_mut() {
            session.probe.put_off(now);
        }
    }

    fn give_all_a_session(&mut self, now: Instant) {
        self.last_poll = now;
        for session in self.sessions.values_mut() {
            session.deadline = session.deadline.max(now + self.session_timeout);
        }
    }

    /// What is to be done now. Whoever is to be fenced is named again a while later, unless the image says by then that it is.
    pub fn poll(&mut self, now: Instant) -> Actions {
        let mut actions = Actions::default();
        let late = now.saturating_duration_since(self.last_poll + self.clock_check());
        self.last_poll = now;
        if self.waits() && late >= self.session_timeout / 2 {
            self.give_all_a_session(now);
            actions.held_up = Some(late);
        }
        let clock_check = self.clock_check();
        for (broker, session) in self.sessions.iter_mut().filter(|(_, session)| session.serves) {
            let reason = if session.probe == Probe::Dead {
                FencingReason::Dead
            } else if session.deadline <= now {
                FencingReason::Silent(session.heard.map(|heard| now.saturating_duration_since(heard)))
            } else {
                let number = self.dials + 1;
                if session.probe.take_due(now, number) {
                    self.dials = number;
                    actions.dials.push(Dial { broker: *broker, number });
                }
                continue;
            };
            actions.fence.push(Fencing { broker: *broker, epoch: session.epoch, reason });
            session.probe = Probe::Quiet;
            session.deadline = now + clock_check;
        }
        actions
    }

    /// When to poll next; never while nobody is waited for.
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let serving = self.sessions.values().filter(|session| session.serves);
        let due = serving.flat_map(|session| [Some(session.deadline), session.probe.deadline(now)]).flatten();
        due.min().map(|due| due.min(self.last_poll + self.clock_check()))
    }

    fn waits(&self) -> bool {
        self.sessions.values().any(|session| session.serves)
    }

    fn clock_check(&self) -> Duration {
        self.session_timeout / CLOCK_CHECKS_A_SESSION
    }
}

impl Session {
    fn begin(now: Instant, broker: &BrokerRegistration, session_timeout: Duration) -> Self {
        Self {
            epoch: broker.epoch,
            incarnation: broker.incarnation_id,
            serves: false,
            heard: None,
            deadline: now + session_timeout,
            probe: Probe::Quiet,
        }
    }
}
