//! A voter alone wakes for nothing, whether or not its configuration could have peers.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use weir_controller::image::{MetadataDelta, MetadataImage};
use weir_controller::quorum::{Controller, MetadataPublisher};

use crate::cluster::Cluster;
use crate::peers::Quorum;

/// How long a silent controller is watched. One tick of a quorum with peers is an eighth of it.
const WATCHED: Duration = Duration::from_millis(400);

/// Tells which thread of the kernel publishes.
struct Whereabouts(mpsc::Sender<PathBuf>);

impl MetadataPublisher for Whereabouts {
    fn on_delta(&self, _: &MetadataDelta, _: &Arc<MetadataImage>) {
        let thread = fs::read_link("/proc/thread-self").unwrap();
        // Only the first word is waited for.
        drop(self.0.send(PathBuf::from("/proc").join(thread)));
    }
}

/// How often a controller is watched until it is silent: what it did last may be followed by openraft's own bookkeeping.
const WATCHES: usize = 5;

/// How often the controller's thread woke while it was watched, at least; `act` makes it publish something before.
fn wakes_while_idle(controller: &Controller, act: impl FnOnce()) -> u64 {
    let (found, whereabouts) = mpsc::channel();
    controller.subscribe(Box::new(Whereabouts(found)));
    let own = whereabouts.recv().unwrap();
    act();
    let thread = whereabouts.recv().unwrap();
    assert_ne!(thread, own);
    let switches = || {
        let status = fs::read_to_string(thread.join("status")).unwrap();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        count.trim().parse::<u64>().unwrap()
    };
    let mut watches = (0..WATCHES).map(|_| {
        let before = switches();
        std::thread::sleep(WATCHED);
        switches() - before
    });
    // Whatever recurs within the time of a watch would be seen in each.
    let first = watches.next().unwrap_or_default();
    watches.fold(first, |least, wakes| least.min(wakes))
}

#[test]
fn a_quorum_of_one_wakes_for_nothing() {
    let cluster = Cluster::new();
    let wakes = wakes_while_idle(&cluster.controller, || cluster.create("a"));
    assert_eq!(wakes, 0);
}

#[test]
fn a_voter_that_could_have_peers_and_has_none_wakes_for_nothing() {
    let mut quorum = Quorum::of(1);
    quorum.start_all();
    quorum.register_broker();
    let wakes = wakes_while_idle(quorum.node(1).controller(), || {
        quorum.create("a");
    });
    assert_eq!(wakes, 0);
}
