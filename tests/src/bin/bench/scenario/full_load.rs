//! Three nodes written to as fast as they can for minutes: whether they go on taking each other for alive.

use std::io;
use std::time::{Duration, Instant};

use super::{Bench, cluster};
use crate::load::{self, Load, PARTITIONS, Work};
use crate::report::{Sheet, Who};
use weir_tests::cluster::Cluster;

const TOPIC: &str = "full-load";
const BATCH_BYTES: u32 = 16 << 10;
/// What is written between two looks at the time.
const ROUND_BYTES: u64 = 1_000_000_000;
/// What stays on the disk is a few segments of each replica, however long this takes.
const SMALL: [(&str, &str); 3] =
    [("segment.bytes", "67108864"), ("retention.bytes", "134217728"), ("file.delete.delay.ms", "0")];
const PATIENCE: Duration = Duration::from_secs(60);

/// What changes where somebody is taken for dead or slow.
struct Changes {
    /// Epochs of the partitions' leaders and of the active controller, all added up.
    elections: i64,
    /// Replicas that were taken out of an in-sync set.
    shrinks: f64,
}

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("full-load-").tempdir_in(bench.work_dir)?;
    let mut cluster = cluster::start_with(dir.path(), who, &["log.retention.check.interval.ms=1000"])?;
    cluster::create_with(&cluster, TOPIC, i32::try_from(PARTITIONS).map_err(io::Error::other)?, &SMALL)?;
    cluster.watch().return_leaders(TOPIC, PATIENCE)?;
    let before = changes(&mut cluster)?;
    let (since, wanted) = (Instant::now(), bench.options.full_load());
    let mut bytes = 0;
    while since.elapsed() < wanted {
        load::run(&Load {
            bootstrap: cluster.bootstrap(),
            broker_pids: cluster.pids(),
            work: Work::Produce {
                topic: TOPIC.to_owned(),
                partitions: PARTITIONS,
                batch_bytes: BATCH_BYTES,
                bytes: ROUND_BYTES,
            },
        })?;
        bytes += ROUND_BYTES;
    }
    let seconds = since.elapsed().as_secs_f64();
    let after = changes(&mut cluster)?;
    sheet.add("full.seconds", who, seconds);
    sheet.add("full.rate", who, bytes as f64 / 1e6 / seconds);
    sheet.add("full.elections", who, (after.elections - before.elections) as f64);
    sheet.add("full.shrinks", who, after.shrinks - before.shrinks);
    Ok(())
}

fn changes(cluster: &mut Cluster) -> io::Result<Changes> {
    let watch = cluster.watch();
    let leaders: i64 = watch.partitions(TOPIC)?.iter().map(|partition| i64::from(partition.leader_epoch)).sum();
    let mut shrinks = 0.0;
    for index in 0..cluster.len() {
        shrinks += cluster.node(index).metric("weir_isr_shrinks_total")?;
    }
    Ok(Changes { elections: leaders + i64::from(watch.controller_epoch()?), shrinks })
}
