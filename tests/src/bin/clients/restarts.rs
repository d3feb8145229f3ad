//! A cluster whose nodes are restarted one after the other, as an operator who upgrades it does.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use weir_tests::cluster::Cluster;

use super::AnyError;

/// From one restart's end to the next one's beginning: longer than the sessions of the drivers' groups. A member that leaves at a
/// coordinator that has just moved is not heard, and each coordinator that takes over gives it a session anew, as Kafka's does.
const PACE: Duration = Duration::from_secs(10);
/// How long a node may take to serve again, and every partition to be whole, on a machine at work.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cluster, and the thread that restarts its nodes, where they are restarted.
pub(crate) struct Restarts {
    cluster: Arc<Mutex<Cluster>>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<Result<u32, String>>,
}

impl Restarts {
    /// A cluster that is left alone so far.
    pub(crate) fn none_yet(cluster: Cluster) -> Restarts {
        Restarts { cluster: Arc::new(Mutex::new(cluster)), under_way: None }
    }

    /// Restarts one node after the other from now on.
    pub(crate) fn begin(&mut self) {
        let (stop, stopped) = mpsc::channel();
        let struck = Arc::clone(&self.cluster);
        let thread = thread::spawn(move || {
            let mut restarts = 0;
            while stopped.recv_timeout(PACE) == Err(RecvTimeoutError::Timeout) {
                let mut cluster = struck.lock().unwrap_or_else(PoisonError::into_inner);
                let index = restarts as usize % cluster.len();
                restart(&mut cluster, index)
                    .map_err(|error| format!("restart {restarts} of node {}: {error}", index + 1))?;
                restarts += 1;
            }
            Ok(restarts)
        });
        self.under_way = Some(UnderWay { stop, thread });
    }

    pub(crate) fn log_tails(&self, lines: usize) -> String {
        let mut cluster = self.cluster.lock().unwrap_or_else(PoisonError::into_inner);
        let tails: Vec<String> = (0..cluster.len()).map(|index| cluster.node(index).log_tail(lines)).collect();
        tails.join("\n--\n")
    }

    /// Restarts no more, and ends the cluster; an error if a node did not come back.
    pub(crate) fn end(self) -> Result<(), AnyError> {
        let Some(UnderWay { stop, thread }) = self.under_way else { return Ok(()) };
        // A thread that has ended has something to say below.
        let _ = stop.send(());
        let restarts = thread.join().map_err(|_| "the thread that restarts died")??;
        println!("{restarts} restarts of nodes while the drivers ran");
        match restarts {
            0 => Err("the drivers ended before a node was restarted".into()),
            _ => Ok(()),
        }
    }
}

fn restart(cluster: &mut Cluster, index: usize) -> Result<(), AnyError> {
    let began = Instant::now();
    cluster.node(index).stop()?;
    cluster.node(index).start(PATIENCE)?;
    // The next one waits until no partition would be without its two replicas.
    cluster.watch().wait_until_all_whole(PATIENCE)?;
    println!("restarted node {} in {:.2} s", index + 1, began.elapsed().as_secs_f64());
    Ok(())
}
