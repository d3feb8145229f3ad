//! Every figure that the benchmark takes, with its unit and its bar: the table's rows, in their order.

use super::Bar;

/// Which of two samples of a figure is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) key: &'static str,
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) bar: Option<Bar>,
}

const fn held(key: &'static str, title: &'static str, unit: &'static str, bar: Bar) -> Figure {
    Figure { key, title, unit, better: Better::Less, bar: Some(bar) }
}

const fn told(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure { key, title, unit, better: Better::Less, bar: None }
}

const fn more(key: &'static str, title: &'static str, unit: &'static str) -> Figure {
    Figure { key, title, unit, better: Better::More, bar: None }
}

const CPU_PER_GB: &str = "CPU-s/GB";
const MB_PER_SECOND: &str = "MB/s";
const OF_A_CORE: &str = "% of a core";

/// The rows.
pub(crate) static FIGURES: &[Figure] = &[
    held("start.new", "start to first metadata answer, new data directory", "ms", Bar::AtMost(50.0)),
    held("start.existing", "the same, existing data directory", "ms", Bar::AtMost(50.0)),
    held("stop", "stop (SIGTERM)", "ms", Bar::AtMost(300.0)),
    held("idle.memory", "idle memory", "MB", Bar::AtMost(15.0)),
    // CPU time is counted in ticks of 10 ms: what rounds to 0.0 % in ten seconds is none.
    held("idle.cpu", "idle CPU", OF_A_CORE, Bar::AtMost(0.1)),
    held("produce.64k.cpu", "produce acks=all, 64 KiB batches", CPU_PER_GB, Bar::TimesLoop(1.6)),
    more("produce.64k.rate", "  the same", MB_PER_SECOND),
    held("produce.16k.cpu", "produce acks=all, 16 KiB batches", CPU_PER_GB, Bar::TimesLoop(2.0)),
    more("produce.16k.rate", "  the same", MB_PER_SECOND),
    held("consume.cpu", "consume", CPU_PER_GB, Bar::TimesLoop(1.2)),
    more("consume.rate", "  the same", MB_PER_SECOND),
    held("memory.after", "memory after the produce and consume runs", "MB", Bar::AtMost(40.0)),
    told("tls.plain.cpu", "produce 64 KiB batches made up by our client, plaintext", CPU_PER_GB),
    held("tls.cpu", "the same over TLS 1.3", CPU_PER_GB, Bar::TimesFigure("tls.plain.cpu", 1.5)),
    held("paced.cpu", "1,000 records/s one at a time, produced and consumed: CPU", OF_A_CORE, Bar::AtMost(8.0)),
    held("paced.ack.p50", "  acknowledgement p50", "ms", Bar::TimesKafka(0.8)),
    held("paced.ack.p99", "  acknowledgement p99", "ms", Bar::TimesKafka(0.5)),
    told("paced.ack.p999", "  acknowledgement p99.9", "ms"),
    told("paced.e2e.p50", "  end to end p50", "ms"),
    held("paced.e2e.p99", "  end to end p99", "ms", Bar::TimesKafka(0.5)),
    told("paced.e2e.p999", "  end to end p99.9", "ms"),
    held("topics.wide.leaders", "one topic of 1,000 partitions until all have leaders", "ms", Bar::AtMost(60.0)),
    held("topics.many.leaders", "1,000 topics until all have leaders", "ms", Bar::AtMost(200.0)),
    held(
        "topics.wide.acked",
        "one topic of 1,000 partitions until all acknowledged a record",
        "ms",
        Bar::AtMost(800.0),
    ),
    held("topics.many.acked", "1,000 topics until all acknowledged a record", "ms", Bar::AtMost(1100.0)),
    held("partition.memory", "memory of a partition", "KiB", Bar::AtMost(6.0)),
    held("connection.memory", "memory of an idle connection", "KiB", Bar::AtMost(10.0)),
    held(
        "restart.metadata",
        "restart after kill -9, active half-full segments: first metadata",
        "ms",
        Bar::AtMost(200.0),
    ),
    held("restart.serving", "  all partitions serving", "ms", Bar::AtMost(3000.0)),
    more("fsync.4.rate", "flush.messages=1, 16 KiB batches, 4 partitions", MB_PER_SECOND),
    more("fsync.100.rate", "the same, 100 partitions", MB_PER_SECOND),
    told("fsync.ack.p50", "flush.messages=1, 200 records/s: acknowledgement p50", "ms"),
    told("fsync.ack.p99", "  acknowledgement p99", "ms"),
    // The loop's figure is what three nodes cannot do without: 3 x (receive, checksum, write) and 2 x sendfile.
    held("cluster.64k.cpu", "three nodes: produce acks=all, 64 KiB batches", CPU_PER_GB, Bar::TimesLoop(1.8)),
    more("cluster.64k.rate", "  the same", MB_PER_SECOND),
    held("cluster.16k.cpu", "three nodes: produce acks=all, 16 KiB batches", CPU_PER_GB, Bar::TimesLoop(2.5)),
    more("cluster.16k.rate", "  the same", MB_PER_SECOND),
    held("cluster.paced.cpu", "three nodes: 1,000 records/s one at a time: CPU of all", OF_A_CORE, Bar::AtMost(35.0)),
    held("cluster.paced.ack.p50", "  acknowledgement p50", "ms", Bar::AtMost(0.6)),
    held("cluster.paced.ack.p99", "  acknowledgement p99", "ms", Bar::AtMost(3.0)),
    held("cluster.memory", "three nodes: memory after those runs, all", "MB", Bar::AtMost(80.0)),
    held("cluster.idle.cpu", "three nodes: idle CPU, all", OF_A_CORE, Bar::AtMost(1.0)),
    held("cluster.topics", "three nodes: 10,000 partitions until all have leaders", "s", Bar::AtMost(3.0)),
    held(
        "cluster.failover",
        "  a broker that leads a third of them killed: until all have leaders",
        "s",
        Bar::AtMost(3.0),
    ),
    held("failover.kill", "kill -9 of a node: longest gap in acknowledged writes", "s", Bar::AtMost(0.8)),
    told("failover.kill.median", "  the median of all kills", "s"),
    held("failover.controller", "  where it is the active controller too", "s", Bar::AtMost(1.5)),
    held("failover.freeze", "SIGSTOP of a node, request timeout 1 s: the same", "s", Bar::AtMost(3.0)),
    held("failover.restart", "planned restart of a node: the same", "s", Bar::AtMost(0.15)),
    held("failover.violations", "  records lost, duplicated or out of order", "", Bar::AtMost(0.0)),
    more("catchup.before", "three nodes, one of them away: records acknowledged", "1,000/s"),
    more("catchup.during", "  the same while it catches up", "1,000/s"),
    held("catchup.loss", "  share of it that is lost", "", Bar::AtMost(0.1)),
    told("catchup.seconds", "  until every replica is in sync", "s"),
    told("full.seconds", "three nodes written to as fast as they can: for", "s"),
    more("full.rate", "  the same", MB_PER_SECOND),
    held("full.elections", "  elections, of leaders and of the active controller", "", Bar::AtMost(0.0)),
    told("full.shrinks", "  replicas taken out of an in-sync set", ""),
    held("controller.memory", "controller with 1,000,000 partitions: memory", "MB", Bar::AtMost(2000.0)),
    held("controller.start", "  start from its snapshot", "s", Bar::AtMost(10.0)),
    held("controller.fence", "  a dead broker's partitions have other leaders", "s", Bar::AtMost(2.0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_differ_and_bars_name_figures_that_exist() {
        for (index, figure) in FIGURES.iter().enumerate() {
            assert!(FIGURES[..index].iter().all(|earlier| earlier.key != figure.key), "{} twice", figure.key);
            if let Some(Bar::TimesFigure(other, _)) = figure.bar {
                assert!(FIGURES.iter().any(|figure| figure.key == other), "no figure {other}");
            }
        }
    }
}
