//! What a run of the benchmark is asked to do.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Weir, Apache Kafka and bare loops under the same load, in one table.
#[derive(Debug, Clone, Parser)]
#[command(name = "bench")]
pub(crate) struct Options {
    /// The scenarios to run; all of them when none is named.
    #[arg(value_enum)]
    pub(crate) scenarios: Vec<Scenario>,
    /// Small sizes, one repetition and no Apache Kafka: whether everything runs, not what it costs.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Leave Apache Kafka out; figures that are told against it then have no verdict.
    #[arg(long)]
    pub(crate) skip_kafka: bool,
    /// How often each figure is taken; the best is shown, and all of them are in the JSON.
    #[arg(long)]
    pub(crate) repeat: Option<usize>,
    /// Megabytes of values in one throughput measurement.
    #[arg(long)]
    pub(crate) megabytes: Option<u64>,
    /// Seconds of one latency measurement, after one second that is not counted.
    #[arg(long)]
    pub(crate) seconds: Option<u64>,
    /// Partitions created to weigh one of them.
    #[arg(long)]
    pub(crate) partitions: Option<u32>,
    /// Idle connections opened to weigh one of them.
    #[arg(long)]
    pub(crate) connections: Option<u32>,
    /// Partitions, each with one half-full active segment, of the restart after kill -9.
    #[arg(long)]
    pub(crate) restart_partitions: Option<u32>,
    /// `segment.bytes` of those partitions; each is filled to half of it (10,000 of 1 MiB take 5 GB of disk).
    #[arg(long, default_value_t = 1 << 20)]
    pub(crate) restart_segment_bytes: u32,
    /// Megabytes that Apache Kafka handles before it is measured: its first minute is not its steady state.
    #[arg(long, default_value_t = 2000)]
    pub(crate) kafka_warm_up_megabytes: u64,
    /// How often a node is killed under load.
    #[arg(long)]
    pub(crate) kills: Option<usize>,
    /// Megabytes of values that a node misses before it comes back (each is written three times).
    #[arg(long)]
    pub(crate) catch_up_megabytes: Option<u64>,
    /// Seconds of full load in which nobody is to be taken for dead.
    #[arg(long)]
    pub(crate) full_load_seconds: Option<u64>,
    /// Partitions of the controller that has many.
    #[arg(long)]
    pub(crate) controller_partitions: Option<u32>,
    /// Where the brokers keep their data during the run (default: a temporary directory of its own, removed at the end).
    #[arg(long)]
    pub(crate) work_dir: Option<PathBuf>,
    /// Where `bench.json`, `bench.txt` and `bench.svg` go.
    #[arg(long, default_value = "target/bench")]
    pub(crate) output: PathBuf,
}

/// One part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Start with a new and with an existing data directory, stop, memory and CPU while idle.
    Idle,
    /// Produce with 64 KiB and 16 KiB batches, consume, and the memory that is held afterwards.
    Throughput,
    /// 1,000 records/s one at a time, produced and consumed.
    Paced,
    /// Produce over TLS against produce over plaintext.
    Tls,
    /// One topic of 1,000 partitions and 1,000 topics: until all have leaders, until all have acknowledged.
    Topics,
    /// Memory of a partition.
    Partitions,
    /// Memory of an idle connection.
    Connections,
    /// Restart after kill -9 with many active segments.
    Restart,
    /// Every acknowledgement waits for an fsync (`flush.messages=1`).
    Fsync,
    /// Three nodes, replication 3: produce, 1,000 records/s one at a time, memory, idle CPU, 10,000 partitions.
    Cluster,
    /// Three nodes under load, one of them killed, frozen or restarted: the longest gap in acknowledged writes.
    Failover,
    /// Three nodes, one of them away while much is written: what its return costs those who write.
    CatchUp,
    /// Three nodes written to as fast as they can for ten minutes: elections and replicas that left an in-sync set.
    FullLoad,
    /// The controller alone with a million partitions: memory, start from its snapshot, leaders for what a dead broker led.
    Controller,
}

impl Options {
    /// Whether a scenario is to be run.
    pub(crate) fn asks_for(&self, scenario: Scenario) -> bool {
        self.scenarios.is_empty() || self.scenarios.contains(&scenario)
    }

    /// Whether Apache Kafka takes part.
    pub(crate) fn with_kafka(&self) -> bool {
        !self.skip_kafka && !self.quick
    }

    /// How often each figure is taken.
    pub(crate) fn repeat(&self) -> usize {
        self.repeat.unwrap_or(if self.quick { 1 } else { 3 }).max(1)
    }

    /// Bytes of values in one throughput measurement.
    pub(crate) fn throughput_bytes(&self) -> u64 {
        self.megabytes.unwrap_or(if self.quick { 200 } else { 1000 }) * 1_000_000
    }

    /// Seconds of one latency measurement.
    pub(crate) fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 3 } else { 15 })
    }

    /// Partitions created to weigh one of them.
    pub(crate) fn partitions(&self) -> u32 {
        self.partitions.unwrap_or(if self.quick { 1000 } else { 10_000 })
    }

    /// Idle connections opened to weigh one of them.
    pub(crate) fn connections(&self) -> u32 {
        self.connections.unwrap_or(if self.quick { 1000 } else { 10_000 })
    }

    /// Partitions of the restart.
    pub(crate) fn restart_partitions(&self) -> u32 {
        self.restart_partitions.unwrap_or(if self.quick { 500 } else { 10_000 })
    }

    /// How often a node is killed under load.
    pub(crate) fn kills(&self) -> usize {
        self.kills.unwrap_or(if self.quick { 3 } else { 50 })
    }

    /// Bytes of values that a node misses.
    pub(crate) fn catch_up_bytes(&self) -> u64 {
        self.catch_up_megabytes.unwrap_or(if self.quick { 200 } else { 10_000 }) * 1_000_000
    }

    /// How long the full load lasts.
    pub(crate) fn full_load(&self) -> Duration {
        Duration::from_secs(self.full_load_seconds.unwrap_or(if self.quick { 5 } else { 600 }))
    }

    /// Partitions of the controller that has many.
    pub(crate) fn controller_partitions(&self) -> u32 {
        self.controller_partitions.unwrap_or(if self.quick { 20_000 } else { 1_000_000 })
    }
}
