//! What is done to the network between the nodes, and undone.

use std::fmt;
use std::io;
use std::thread;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use weir_tests::network::Network;

/// How long a fault lasts: from shorter than a broker's session to several of them.
const LASTS_MS: std::ops::Range<u64> = 800..5_000;
/// What a narrow link lets through: a fraction of the load that its node is to send to its followers.
const NARROW_BITS_PER_SECOND: u64 = 1_000_000;
/// How often a flapping link goes down and comes up, and how long each state lasts at most.
const FLAPS: u32 = 8;
const FLAP_MAX_MS: u64 = 600;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The cable is out: the link is down, and the node sees it.
    CableOut,
    /// Everything from and to the node is lost without a word.
    Swallowed,
    /// Nothing goes between the node and the others; clients reach them all.
    CutOff,
    /// The node hears the others, and they do not hear it.
    Mute,
    /// The others hear the node, and it does not hear them.
    Deaf,
    /// Two nodes do not hear each other; the third hears both.
    Quarrel,
    /// The node may send a fraction of what it should.
    Narrow,
    /// The link goes down and comes up again and again.
    Flap,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::CableOut,
        Kind::CutOff,
        Kind::Mute,
        Kind::Swallowed,
        Kind::Deaf,
        Kind::Quarrel,
        Kind::Narrow,
        Kind::Flap,
    ];
    /// How many kinds there are.
    pub(crate) const COUNT: usize = Self::ALL.len();
}

/// Something that happens to one node's place in the network.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    kind: Kind,
    /// Whether it strikes the active controller; else the drawn node.
    strikes_controller: bool,
    drawn: usize,
    lasts: Duration,
    /// How long each state of a flapping link lasts.
    flaps: Vec<Duration>,
}

impl Fault {
    /// The fault of that number: each kind has its turn, the rest is drawn.
    pub(crate) fn draw(number: usize, random: &mut StdRng, nodes: usize) -> Fault {
        Fault {
            kind: Kind::ALL[number % Kind::COUNT],
            strikes_controller: random.random(),
            drawn: random.random_range(0..nodes),
            lasts: Duration::from_millis(random.random_range(LASTS_MS)),
            flaps: (0..2 * FLAPS).map(|_| Duration::from_millis(random.random_range(0..FLAP_MAX_MS))).collect(),
        }
    }

    /// One that strikes that node for so long.
    pub(crate) fn of(kind: Kind, drawn: usize, lasts: Duration) -> Fault {
        Fault { kind, strikes_controller: false, drawn, lasts, flaps: Vec::new() }
    }

    /// Who is struck while `controller` is the active one.
    pub(crate) fn victim(&self, controller: usize) -> usize {
        if self.strikes_controller { controller } else { self.drawn }
    }

    /// Lets it happen and end.
    pub(crate) fn strike(&self, network: &Network, victim: usize) -> io::Result<()> {
        if self.kind == Kind::Flap {
            for (index, lasts) in self.flaps.iter().enumerate() {
                network.set_cable(victim, index % 2 == 1)?;
                thread::sleep(*lasts);
            }
            return Ok(());
        }
        self.set(network, victim, true)?;
        thread::sleep(self.lasts);
        self.set(network, victim, false)
    }

    fn set(&self, network: &Network, victim: usize, begins: bool) -> io::Result<()> {
        let others = || (0..network.hosts().len()).filter(|other| *other != victim);
        let mut lost = Vec::new();
        match self.kind {
            Kind::CableOut | Kind::Flap => return network.set_cable(victim, !begins),
            Kind::Swallowed => return network.set_port(victim, !begins),
            Kind::Narrow => return network.set_rate(victim, begins.then_some(NARROW_BITS_PER_SECOND)),
            Kind::CutOff => lost.extend(others().flat_map(|other| [(victim, other), (other, victim)])),
            Kind::Mute => lost.extend(others().map(|other| (victim, other))),
            Kind::Deaf => lost.extend(others().map(|other| (other, victim))),
            Kind::Quarrel => lost.extend(others().take(1).flat_map(|other| [(victim, other), (other, victim)])),
        }
        lost.into_iter().try_for_each(|(from, to)| network.set_route(from, to, !begins))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Flap => write!(f, "{:?} for {:?}", self.kind, self.flaps.iter().sum::<Duration>()),
            kind => write!(f, "{kind:?} for {:?}", self.lasts),
        }
    }
}
