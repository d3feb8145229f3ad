//! Three nodes with three replicas of everything: what the same work costs all of them together. Apache Kafka's are told the same.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::Bench;
use crate::load::{self, Load, LoadRun, PARTITIONS, VALUE_BYTES, Work};
use crate::loops::{self, Loop};
use crate::memory;
use crate::report::{Sheet, Who};
use crate::subject::KAFKA_JVM_FLAGS;
use weir_tests::cluster::{Cluster, NodeOptions};
use weir_tests::usage;

const NODES: usize = 3;
const REPLICAS: i32 = 3;
/// How many times each record is received and written, and how many times it is sent on to a follower.
const RECEIVED: f64 = 3.0;
const SENT: f64 = 2.0;
/// Batch sizes with the keys of their figures.
const BATCHES: [(u32, &str, &str); 2] =
    [(64 << 10, "cluster.64k.cpu", "cluster.64k.rate"), (16 << 10, "cluster.16k.cpu", "cluster.16k.rate")];
/// What a follower takes of a partition at most in one fetch (`replica.fetch.max.bytes`).
const FETCH_BYTES: usize = 1 << 20;
const RECORDS_PER_SECOND: u64 = 1000;
const MANY_PARTITIONS: i32 = 10_000;
/// How long the cluster is left alone before its idleness is measured, and how long that is.
const SETTLE: Duration = Duration::from_secs(3);
const WATCH: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("cluster-").tempdir_in(bench.work_dir)?;
    let mut cluster = start(dir.path(), who)?;
    idle(&cluster, who, sheet)?;
    if who == Who::ApacheKafka {
        warm_up(bench, &cluster)?;
    }
    for (batch_bytes, cpu, rate) in BATCHES {
        for round in 0..bench.options.repeat() {
            add_floor(bench, batch_bytes as usize, cpu, sheet)?;
            let topic = format!("produce-{batch_bytes}-{round}");
            let bytes = bench.options.throughput_bytes();
            memory::make_ready(bytes * NODES as u64);
            let run = run(&cluster, topic.clone(), |topic| Work::Produce {
                topic,
                partitions: PARTITIONS,
                batch_bytes,
                bytes,
            })?;
            sheet.add(cpu, who, run.cpu_seconds_per_gb());
            sheet.add(rate, who, run.megabytes_per_second());
        }
        add_floor(bench, batch_bytes as usize, cpu, sheet)?;
    }
    for round in 0..bench.options.repeat() {
        paced(bench, &cluster, round, who, sheet)?;
    }
    let resident = cluster.pids().into_iter().map(usage::resident_bytes).sum::<io::Result<f64>>()?;
    sheet.add("cluster.memory", who, resident / 1e6);
    if who == Who::ApacheKafka {
        // Thirty thousand replicas are more than its heap of the start script holds three times on one machine.
        return Ok(());
    }
    let started = Instant::now();
    create(&cluster, "many", MANY_PARTITIONS)?;
    sheet.add("cluster.topics", who, started.elapsed().as_secs_f64());
    sheet.add("cluster.failover", who, lose_a_leader(&mut cluster, "many")?);
    Ok(())
}

/// Kills a node that leads its share of a topic, and gives how long it took until every partition is led by another one.
fn lose_a_leader(cluster: &mut Cluster, topic: &str) -> io::Result<f64> {
    let watch = cluster.watch();
    watch.return_leaders(topic, PATIENCE)?;
    let victim = cluster.node(0).options().id;
    let killed = Instant::now();
    cluster.node(0).kill()?;
    watch.wait_for(PATIENCE, || {
        let partitions = watch.partitions(topic)?;
        let without = partitions.iter().filter(|partition| partition.leader < 0 || partition.leader == victim).count();
        match (partitions.is_empty(), without) {
            (false, 0) => Ok(()),
            _ => Err(io::Error::other(format!("{without} partitions are without a leader"))),
        }
    })?;
    Ok(killed.elapsed().as_secs_f64())
}

/// Starts three zones in which two replicas must have a record.
pub(super) fn start(dir: &Path, who: Who) -> io::Result<Cluster> {
    start_with(dir, who, &[])
}

/// [`start`], with more settings.
pub(super) fn start_with(dir: &Path, who: Who, more: &[&str]) -> io::Result<Cluster> {
    let settings = ["default.replication.factor=3", "min.insync.replicas=2"];
    let settings: Vec<String> = settings.iter().chain(more).map(|line| (*line).to_owned()).collect();
    let nodes = NodeOptions::combined(dir, NODES, &settings)?;
    Cluster::of(match who {
        Who::Weir => nodes,
        Who::ApacheKafka => NodeOptions::of_apache_kafka(nodes, &KAFKA_JVM_FLAGS),
        Who::Loop => return Err(io::Error::other("a loop is no broker")),
    })
}

/// Lets the JVMs compile what they will run.
fn warm_up(bench: &Bench<'_>, cluster: &Cluster) -> io::Result<()> {
    let bytes = bench.options.kafka_warm_up_megabytes * 1_000_000 / BATCHES.len() as u64;
    for (batch_bytes, _, _) in BATCHES {
        let produce = |topic| Work::Produce { topic, partitions: PARTITIONS, batch_bytes, bytes };
        run(cluster, format!("warm-up-{batch_bytes}"), produce)?;
    }
    Ok(())
}

fn idle(cluster: &Cluster, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let used = || cluster.pids().into_iter().map(usage::cpu_seconds).sum::<io::Result<f64>>();
    thread::sleep(SETTLE);
    let (before, since) = (used()?, Instant::now());
    thread::sleep(WATCH);
    sheet.add("cluster.idle.cpu", who, (used()? - before) * 100.0 / since.elapsed().as_secs_f64());
    Ok(())
}

fn paced(bench: &Bench<'_>, cluster: &Cluster, round: usize, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let seconds = bench.options.seconds();
    memory::make_ready(seconds * RECORDS_PER_SECOND * VALUE_BYTES as u64 * NODES as u64);
    let run = run(cluster, format!("paced-{round}"), |topic| Work::Paced {
        topic,
        partitions: PARTITIONS,
        records_per_second: RECORDS_PER_SECOND,
        seconds,
        consumed: false,
    })?;
    sheet.add("cluster.paced.cpu", who, run.broker_cpu_seconds * 100.0 / run.seconds);
    if let Some(latency) = run.acknowledgement {
        sheet.add("cluster.paced.ack.p50", who, latency.p50);
        sheet.add("cluster.paced.ack.p99", who, latency.p99);
    }
    Ok(())
}

/// Work on a new topic; every node's CPU time counts.
fn run(cluster: &Cluster, topic: String, work: impl FnOnce(String) -> Work) -> io::Result<LoadRun> {
    create(cluster, &topic, i32::try_from(PARTITIONS).map_err(io::Error::other)?)?;
    load::run(&Load { bootstrap: cluster.bootstrap(), broker_pids: cluster.pids(), work: work(topic) })
}

/// Creates a topic and waits until it has all its leaders and replicas.
pub(super) fn create(cluster: &Cluster, topic: &str, partitions: i32) -> io::Result<()> {
    create_with(cluster, topic, partitions, &[])
}

/// [`create`], with what is set on the topic.
pub(super) fn create_with(cluster: &Cluster, topic: &str, partitions: i32, configs: &[(&str, &str)]) -> io::Result<()> {
    let load = weir_tests::load::Load {
        bootstrap: cluster.bootstrap(),
        topic: topic.to_owned(),
        partitions,
        producer: Vec::new(),
        pace: None,
        settle: PATIENCE,
    };
    load.create_topic(REPLICAS, configs).map_err(io::Error::other)?;
    cluster.watch().wait_until_whole(topic, PATIENCE)
}

/// What three nodes cannot do without: each receives, checks and writes every record, and the leader sends it to two.
fn add_floor(bench: &Bench<'_>, frame_bytes: usize, cpu: &str, sheet: &mut Sheet) -> io::Result<()> {
    let total_bytes = bench.options.throughput_bytes();
    let cost = |this| {
        memory::make_ready(total_bytes);
        loops::run(this, bench.work_dir).map(|run| run.cpu_seconds * 1e9 / run.bytes as f64)
    };
    let receive = cost(Loop::Receive { frame_bytes, total_bytes })?;
    let send = cost(Loop::SendFile { piece_bytes: FETCH_BYTES, total_bytes })?;
    sheet.add(cpu, Who::Loop, RECEIVED * receive + SENT * send);
    Ok(())
}
