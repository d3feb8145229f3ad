//! One disk struck under load, and what that cost.

use std::thread;
use std::time::{Duration, Instant};

use weir_tests::cluster::Cluster;
use weir_tests::disk::Disk;
use weir_tests::load::AnyError;
use weir_tests::verdict::Verdict;
use weir_tests::verified_load::VerifiedLoad;

use crate::{RECOVERY, TOPIC};

/// The longest gap of writes to a partition that the struck node led.
const LED_BAR: Duration = Duration::from_secs(5);
/// How long the load goes on undisturbed before.
const CALM: Duration = Duration::from_secs(1);
/// How long a disk is away: beyond every bar.
const AWAY: Duration = Duration::from_secs(8);

/// What happens to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// It stops answering, and answers again.
    Freeze,
    /// It fails; its node is started again once it has been mended.
    Fail,
}

/// Strikes the disk of the node at `victim`, mends it, and waits until the cluster is whole.
pub(crate) fn strike(
    cluster: &mut Cluster,
    disk: &Disk,
    victim: usize,
    running: &VerifiedLoad,
    kind: Strike,
    followed_bar: Duration,
    verdict: &mut Verdict,
) -> Result<(), AnyError> {
    let id = cluster.node(victim).options().id;
    let watch = cluster.watch();
    watch.wait_until_whole(TOPIC, RECOVERY)?;
    // What it led before comes back to it by itself, in its own time.
    let led: Vec<usize> = {
        let partitions = watch.partitions(TOPIC)?;
        let is_led = partitions.iter().filter(|partition| partition.leader == id);
        is_led.filter_map(|partition| usize::try_from(partition.partition).ok()).collect()
    };
    thread::sleep(CALM);
    running.gaps().begin();
    match kind {
        Strike::Freeze => disk.freeze()?,
        Strike::Fail => disk.cut()?,
    }
    thread::sleep(AWAY);
    let gaps = running.gaps().longest();
    let longest = |of_led: bool| {
        let gaps = gaps.iter().enumerate().filter(|(index, _)| led.contains(index) == of_led);
        gaps.map(|(_, gap)| *gap).max().unwrap_or_default()
    };
    let (gap_led, gap_followed) = (longest(true), longest(false));
    match kind {
        Strike::Freeze => disk.thaw()?,
        Strike::Fail => {
            cluster.node(victim).kill()?;
            disk.power_on()?;
            cluster.node(victim).start(RECOVERY)?;
        }
    }
    let mended = Instant::now();
    let whole = watch.wait_until_whole(TOPIC, RECOVERY);
    println!(
        "disks: {kind:?} of node {id}, which led {}: longest gap of writes {gap_led:?} where it led, {gap_followed:?} \
         where it followed; whole {:?} after it was mended",
        led.len(),
        mended.elapsed()
    );
    verdict.holds("writes go on elsewhere when the disk of a leader is gone", gap_led <= LED_BAR, || {
        format!("{kind:?} of node {id}: {gap_led:?}")
    });
    verdict.holds("writes go on when the disk of a follower is gone", gap_followed <= followed_bar, || {
        format!("{kind:?} of node {id}: {gap_followed:?}")
    });
    verdict.holds("the cluster is whole again by itself once the disk is mended", whole.is_ok(), || {
        format!("{kind:?} of node {id}: {whole:?}")
    });
    Ok(())
}
