//! Three nodes under the load of an idempotent producer, one of them struck again and again: how long a partition's writes were not
//! acknowledged, at worst, and whether anything was lost, written twice or out of order.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rdkafka::producer::Producer;

use super::Bench;
use super::cluster::start;
use crate::report::{Sheet, Who};
use weir_tests::cluster::Cluster;
use weir_tests::gaps::Gaps;
use weir_tests::ledger::Ledger;
use weir_tests::load::Load;

const NODES: usize = 3;
const TOPIC: &str = "failover";
const PARTITIONS: i32 = 6;
/// One record in so long, round the partitions.
const PACE: Duration = Duration::from_micros(500);
/// How long the load goes on undisturbed.
const CALM: Duration = Duration::from_millis(500);
/// How long a node may take to come back, and the cluster to be whole.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a broker is struck, and for how long: longer than it takes to be done without.
struct Strikes {
    kills: usize,
    away: Duration,
    freezes: usize,
    frozen: Duration,
    restarts: usize,
}

impl Strikes {
    fn of(bench: &Bench<'_>, who: Who) -> Strikes {
        let seconds = Duration::from_secs;
        match who {
            // Its default session lasts nine seconds, and what is known of it needs no fifty kills.
            Who::ApacheKafka => Strikes {
                kills: bench.options.kills().min(6),
                away: seconds(20),
                freezes: 2,
                frozen: seconds(20),
                restarts: 3,
            },
            Who::Weir | Who::Loop => {
                Strikes { kills: bench.options.kills(), away: seconds(3), freezes: 3, frozen: seconds(6), restarts: 6 }
            }
        }
    }
}

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("failover-").tempdir_in(bench.work_dir)?;
    let mut cluster = start(dir.path(), who)?;
    let load = Load {
        bootstrap: cluster.bootstrap(),
        topic: TOPIC.to_owned(),
        partitions: PARTITIONS,
        // A client that a dead node does not keep waiting, and whose other partitions do not wait for its queue.
        producer: vec![
            ("queue.buffering.max.messages", "1000000".into()),
            ("request.timeout.ms", "1000".into()),
            ("socket.timeout.ms", "1000".into()),
        ],
        pace: Some(PACE),
        settle: PATIENCE,
    };
    load.create_topic(NODES as i32, &[]).map_err(io::Error::other)?;
    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let gaps = Arc::new(Gaps::new(PARTITIONS));
    let goes_on = Arc::new(AtomicBool::new(true));
    let producer = load.producer(Arc::clone(&ledger), Arc::clone(&gaps)).map_err(io::Error::other)?;
    let sender = load.spawn_sender(Arc::clone(&producer), Arc::clone(&goes_on));

    strike(&Strikes::of(bench, who), &mut cluster, &gaps, who, sheet)?;

    goes_on.store(false, Ordering::Relaxed);
    let sent = sender.join().map_err(|_| io::Error::other("the sender died"))?.map_err(io::Error::other)?;
    producer.flush(PATIENCE).map_err(io::Error::other)?;
    let unplaced = producer.context().unplaced.load(Ordering::Relaxed);
    drop(producer);
    let ledger = Arc::into_inner(ledger).ok_or_else(|| io::Error::other("the ledger is still held"))?;
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    let unacknowledged = sent.saturating_sub(ledger.acknowledged() as u64 + unplaced);
    let everything = load.read_everything().map_err(io::Error::other)?;
    sheet.add("failover.violations", who, (ledger.settle(everything).len() as u64 + unacknowledged) as f64);
    Ok(())
}

fn strike(strikes: &Strikes, cluster: &mut Cluster, gaps: &Gaps, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let (mut kills, mut of_controller) = (Vec::new(), Vec::new());
    for round in 0..strikes.kills {
        let controller = calm(cluster, gaps)?;
        // Every third victim is the active controller as well as a broker.
        let is_controller = round % NODES == 0;
        let victim = if is_controller { controller } else { (controller + round % NODES) % NODES };
        gaps.begin();
        cluster.node(victim).kill()?;
        thread::sleep(strikes.away);
        let gap = worst(gaps);
        println!(
            "  kill {round} of node {victim}{}: {gap:.3} s",
            if is_controller { ", the active controller" } else { "" }
        );
        if is_controller {
            of_controller.push(gap)
        } else {
            kills.push(gap)
        }
        cluster.node(victim).start(PATIENCE)?;
    }
    kills.sort_by(f64::total_cmp);
    of_controller.sort_by(f64::total_cmp);
    if let (Some(worst), Some(worst_of_controller)) = (kills.last(), of_controller.last()) {
        sheet.add("failover.kill", who, *worst);
        sheet.add("failover.kill.median", who, kills[kills.len() / 2]);
        sheet.add("failover.controller", who, *worst_of_controller);
    }
    let frozen = each(strikes.freezes, cluster, gaps, |cluster, victim| {
        cluster.node(victim).freeze()?;
        thread::sleep(strikes.frozen);
        let struck = worst(gaps);
        cluster.node(victim).thaw()?;
        Ok(struck)
    })?;
    sheet.add("failover.freeze", who, frozen);
    let restarted = each(strikes.restarts, cluster, gaps, |cluster, victim| {
        cluster.node(victim).stop()?;
        cluster.node(victim).start(PATIENCE)?;
        Ok(worst(gaps))
    })?;
    sheet.add("failover.restart", who, restarted);
    Ok(())
}

/// The worst of so many strikes, at one node after the other.
fn each(
    times: usize,
    cluster: &mut Cluster,
    gaps: &Gaps,
    mut strike: impl FnMut(&mut Cluster, usize) -> io::Result<f64>,
) -> io::Result<f64> {
    let mut all = 0.0_f64;
    for round in 0..times {
        calm(cluster, gaps)?;
        gaps.begin();
        all = all.max(strike(cluster, round % NODES)?);
    }
    Ok(all)
}

/// Waits until the cluster is whole, every node leads its share and every partition's writes are acknowledged as they come; gives
/// the place of its active controller.
fn calm(cluster: &Cluster, gaps: &Gaps) -> io::Result<usize> {
    let watch = cluster.watch();
    watch.wait_until_whole(TOPIC, PATIENCE)?;
    watch.return_leaders(TOPIC, PATIENCE)?;
    watch.wait_for(PATIENCE, || {
        gaps.begin();
        thread::sleep(CALM);
        let gap = worst(gaps);
        if gap < CALM.as_secs_f64() {
            Ok(())
        } else {
            Err(io::Error::other(format!("nothing acknowledged for {gap} s")))
        }
    })?;
    let id = watch.wait_for(PATIENCE, || watch.active_controller())?;
    cluster.place_of(id).ok_or_else(|| io::Error::other("an active controller that is no node"))
}

fn worst(gaps: &Gaps) -> f64 {
    gaps.longest().into_iter().max().unwrap_or_default().as_secs_f64()
}
