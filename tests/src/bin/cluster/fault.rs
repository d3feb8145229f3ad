//! What is done to a cluster, and undone.

use std::fmt;
use std::thread;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use weir_tests::cluster::Cluster;
use weir_tests::load::AnyError;

/// How long a node that comes back may take to serve.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long a node is away, at most.
const AWAY_MAX_MS: u64 = 2_500;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// kill -9, and started again.
    Kill,
    /// The same, of the active controller.
    KillController,
    /// SIGSTOP, and SIGCONT.
    Freeze,
    /// Stopped as an operator does, and started again.
    Restart,
    /// Killed, and started again on an empty disk.
    LoseDisk,
    /// Every node killed at once, and started again.
    KillAll,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Kill, Kind::KillController, Kind::Freeze, Kind::Restart, Kind::LoseDisk, Kind::KillAll];
}

/// Something that happens to one node, or to all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    kind: Kind,
    /// The place of the node, where the kind does not tell it.
    victim: usize,
    away: Duration,
}

impl Fault {
    /// The fault of that number: each kind has its turn, the rest is drawn.
    pub(crate) fn draw(number: usize, random: &mut StdRng, nodes: usize) -> Fault {
        Fault {
            kind: Kind::ALL[number % Kind::ALL.len()],
            victim: random.random_range(0..nodes),
            away: Duration::from_millis(random.random_range(0..AWAY_MAX_MS)),
        }
    }

    /// Lets it happen and end; gives the id of whom it struck.
    pub(crate) fn strike(&self, cluster: &mut Cluster) -> Result<String, AnyError> {
        let victim = match self.kind {
            Kind::KillController => {
                let watch = cluster.watch();
                let id = watch.wait_for(START_PATIENCE, || watch.active_controller())?;
                cluster.place_of(id).ok_or("an active controller that is no node")?
            }
            _ => self.victim,
        };
        if self.kind == Kind::KillAll {
            for index in 0..cluster.len() {
                cluster.node(index).kill()?;
            }
            thread::sleep(self.away);
            cluster.start_all()?;
            return Ok("every node".to_owned());
        }
        let node = cluster.node(victim);
        match self.kind {
            Kind::Freeze => {
                node.freeze()?;
                thread::sleep(self.away);
                node.thaw()?;
            }
            Kind::Restart => {
                node.stop()?;
                thread::sleep(self.away);
            }
            Kind::Kill | Kind::KillController | Kind::LoseDisk | Kind::KillAll => {
                node.kill()?;
                thread::sleep(self.away);
            }
        }
        if self.kind == Kind::LoseDisk {
            node.wipe()?;
        }
        node.start(START_PATIENCE)?;
        Ok(format!("node {}", node.options().id))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} for {:?}", self.kind, self.away)
    }
}
