//! The scenarios: each starts what it needs, measures, adds to the sheet, and leaves nothing behind.

mod catch_up;
mod cluster;
mod connections;
mod controller;
mod failover;
mod fsync;
mod full_load;
mod idle;
mod paced;
mod partitions;
mod restart;
mod throughput;
mod tls;
mod topics;

use std::io;
use std::path::Path;

pub(crate) use controller::{ROLE as CONTROLLER, work as run_controller};

use crate::options::{Options, Scenario};
use crate::report::{Sheet, Who};

/// A scenario measures one kind of broker.
type Measure = fn(&Bench<'_>, Who, &mut Sheet) -> io::Result<()>;

/// What every scenario needs to know.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    pub(crate) options: &'a Options,
    pub(crate) work_dir: &'a Path,
}

/// In the order in which they run, with whether Apache Kafka is measured too.
const SCENARIOS: [(Scenario, &str, Measure, bool); 14] = [
    (Scenario::Idle, "start, stop and idle", idle::measure, true),
    (Scenario::Throughput, "produce and consume", throughput::measure, true),
    (Scenario::Paced, "1,000 records/s one at a time", paced::measure, true),
    (Scenario::Tls, "produce over TLS", tls::measure, false),
    (Scenario::Topics, "creating topics", topics::measure, true),
    (Scenario::Partitions, "memory of a partition", partitions::measure, false),
    (Scenario::Connections, "memory of an idle connection", connections::measure, false),
    (Scenario::Restart, "restart after kill -9", restart::measure, false),
    (Scenario::Fsync, "fsync before each acknowledgement", fsync::measure, true),
    (Scenario::Cluster, "three nodes", cluster::measure, true),
    (Scenario::Failover, "three nodes, one of them struck", failover::measure, true),
    (Scenario::CatchUp, "three nodes, one of them far behind", catch_up::measure, false),
    (Scenario::FullLoad, "three nodes under full load for long", full_load::measure, false),
    (Scenario::Controller, "a controller with many partitions", controller::measure, false),
];

/// Runs the scenarios that are asked for. One that cannot run says so on the sheet, and the others go on.
/// Returns how many ran, each broker's counted.
pub(crate) fn run_all(bench: &Bench<'_>, sheet: &mut Sheet) -> usize {
    let mut ran = 0;
    for (scenario, title, measure, kafka_too) in SCENARIOS {
        if !bench.options.asks_for(scenario) {
            continue;
        }
        println!("{title}");
        let kafka = (kafka_too && bench.options.with_kafka()).then_some(Who::ApacheKafka);
        for who in [Some(Who::Weir), kafka].into_iter().flatten() {
            match measure(bench, who, sheet) {
                Ok(()) => ran += 1,
                Err(why) => sheet.fail(title, who, &why),
            }
        }
    }
    ran
}
