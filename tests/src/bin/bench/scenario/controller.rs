//! A controller with many partitions on brokers that are only registered: what it holds in memory, how soon it is back from its
//! snapshot, and how soon everything that a dead broker led has other leaders.
//!
//! The controller runs as the real one does, its log and snapshots on disk, in a process of its own, so that its memory can be told.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;
use weir_controller::decide::{
    AnyConfig, ControllerRequest, ControllerResponse, CreateTopicsRequest, Defaults, FenceBrokerRequest, LogState,
    NewTopic, RegisterBrokerRequest,
};
use weir_controller::quorum::{Controller, ControllerConfig};
use weir_controller::record::BrokerFeature;
use weir_protocol::ids::BrokerId;
use weir_tests::usage;

use super::Bench;
use crate::child::{self, ChildProcess};
use crate::report::{Sheet, Who};

/// The word that makes the program this child.
pub(crate) const ROLE: &str = "controller";

/// As many partitions as a topic has here.
const PARTITIONS_PER_TOPIC: u32 = 1_000;
/// Brokers and their zones. Each leads, and holds a replica of, its share.
const BROKERS: i32 = 30;
const ZONES: i32 = 3;
const REPLICAS: i16 = 3;
const FEATURES: [(&str, i16, i16); 2] = [("metadata.version", 7, 25), ("weir.metadata.version", 1, 1)];

/// What the child is to do.
#[derive(Debug, Serialize, Deserialize)]
struct Task {
    dir: PathBuf,
    topics: u32,
    /// Whether the directory has everything already.
    again: bool,
}

/// What it found.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    resident_bytes: f64,
    start_seconds: f64,
    fence_seconds: f64,
}

pub(super) fn measure(bench: &Bench<'_>, who: Who, sheet: &mut Sheet) -> io::Result<()> {
    let dir = tempfile::Builder::new().prefix("controller-").tempdir_in(bench.work_dir)?;
    let topics = bench.options.controller_partitions() / PARTITIONS_PER_TOPIC;
    let run = |again| {
        let task = Task { dir: dir.path().to_owned(), topics, again };
        ChildProcess::start(ROLE, &task)?.next::<Found>()
    };
    run(false)?;
    let found = run(true)?;
    sheet.note(format!(
        "controller: {} partitions of {REPLICAS} replicas on {BROKERS} brokers",
        topics * PARTITIONS_PER_TOPIC
    ));
    sheet.add("controller.memory", who, found.resident_bytes / 1e6);
    sheet.add("controller.start", who, found.start_seconds);
    sheet.add("controller.fence", who, found.fence_seconds);
    Ok(())
}

/// The child's work.
pub(crate) fn work(task: &str) -> Result<(), Box<dyn Error>> {
    let task: Task = serde_json::from_str(task)?;
    let runtime = Builder::new_current_thread().build()?;
    let started = Instant::now();
    let controller = Controller::start(config(&task.dir))?;
    let start_seconds = started.elapsed().as_secs_f64();
    if !task.again {
        fill(&runtime, &controller, task.topics)?;
        runtime.block_on(controller.snapshot())?;
    }
    let resident_bytes = usage::resident_bytes(std::process::id())?;
    let fence_seconds = fence(&runtime, &controller)?;
    controller.shutdown();
    child::say(&Found { resident_bytes, start_seconds, fence_seconds })?;
    Ok(())
}

fn submit(
    runtime: &Runtime,
    controller: &Controller,
    request: impl Into<ControllerRequest>,
) -> Result<ControllerResponse, Box<dyn Error>> {
    Ok(runtime.block_on(controller.submit(request.into()))?)
}

fn fill(runtime: &Runtime, controller: &Controller, topics: u32) -> Result<(), Box<dyn Error>> {
    for broker in 1..=BROKERS {
        submit(runtime, controller, registration(controller, broker))?;
    }
    for topic in 0..topics {
        let topic = NewTopic {
            name: format!("topic-{topic}").into(),
            num_partitions: i32::try_from(PARTITIONS_PER_TOPIC)?,
            replication_factor: REPLICAS,
            assignments: Vec::new(),
            configs: Vec::new(),
        };
        let request = CreateTopicsRequest { topics: vec![topic], validate_only: false };
        match submit(runtime, controller, request)? {
            ControllerResponse::CreateTopics(response) if response.topics.iter().all(|topic| topic.outcome.is_ok()) => {
            }
            other => return Err(format!("a topic was not created: {other:?}").into()),
        }
    }
    Ok(())
}

/// Takes a broker out of service, and gives how long that took; checks that nobody waits for it any more.
fn fence(runtime: &Runtime, controller: &Controller) -> Result<f64, Box<dyn Error>> {
    let image = controller.image();
    let dead = image.brokers().find(|broker| !broker.fenced).ok_or("every broker is out of service")?;
    let (id, broker_epoch) = (dead.id, dead.epoch);
    drop(image);
    let started = Instant::now();
    let answer = submit(runtime, controller, FenceBrokerRequest { broker: id, broker_epoch })?;
    let seconds = started.elapsed().as_secs_f64();
    let ControllerResponse::FenceBroker(Ok(())) = answer else { return Err(format!("not fenced: {answer:?}").into()) };
    let image = controller.image();
    let mut partitions = image.topics().flat_map(|topic| topic.partitions());
    match partitions.any(|(_, partition)| partition.leader == id || partition.isr.contains(&id)) {
        true => Err("a partition still waits for the broker that is out of service".into()),
        false => Ok(seconds),
    }
}

fn registration(controller: &Controller, broker: i32) -> RegisterBrokerRequest {
    let feature = |(name, lowest, highest): (&str, i16, i16)| BrokerFeature {
        name: name.into(),
        min_supported_level: lowest,
        max_supported_level: highest,
    };
    RegisterBrokerRequest {
        broker: BrokerId(broker),
        cluster_id: Arc::clone(controller.cluster_id()),
        incarnation_id: Uuid::new_v4(),
        endpoints: Vec::new(),
        features: FEATURES.map(feature).to_vec(),
        rack: Some(format!("zone-{}", broker % ZONES).into()),
        log_dirs: vec![Uuid::from_u64_pair(1, u64::from(broker.unsigned_abs()))],
        fenced: false,
        log_state: LogState::Intact,
        previous_broker_epoch: None,
        earlier_session_open: false,
    }
}

fn config(dir: &Path) -> ControllerConfig {
    let supported_features = FEATURES.map(|(name, lowest, highest)| (name.into(), (lowest, highest)));
    ControllerConfig {
        node_id: BrokerId(1),
        directory_id: Uuid::from_u64_pair(1, 1),
        member_record: None,
        directory: dir.to_owned(),
        cluster_id: None,
        endpoints: Vec::new(),
        peers: None,
        catalog: Arc::new(AnyConfig),
        defaults: Defaults { supported_features: BTreeMap::from(supported_features), ..Defaults::default() },
    }
}
