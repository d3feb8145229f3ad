//! The load: one client process beside the broker, librdkafka unless said, and the same for every broker.
//!
//! The client reads the broker's CPU time itself, at the edges of what it measures, so that its own start is not counted.

mod consume;
mod encrypted;
mod first_records;
mod paced;
mod produce;

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rand::RngCore;
use rdkafka::ClientConfig;
use serde::{Deserialize, Serialize};

use crate::child::{self, ChildProcess};
use crate::latencies::Percentiles;
use weir_tests::usage;

/// The child's role that makes load.
pub(crate) const ROLE: &str = "load";
/// Bytes of one value: random, so that nothing on the way can shorten it.
pub(crate) const VALUE_BYTES: usize = 1024;
/// Partitions of the topics that are produced to and consumed from.
pub(crate) const PARTITIONS: u32 = 4;
/// How long a client waits for one thing before the run is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// Different values that a client sends in turn.
const VALUES: usize = 256;

/// What to do to which broker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) bootstrap: String,
    /// Every process whose CPU time counts as the broker's.
    pub(crate) broker_pids: Vec<u32>,
    pub(crate) work: Work,
}

/// What to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Work {
    /// As fast as it goes, acks=all, batches of about this size.
    Produce { topic: String, partitions: u32, batch_bytes: u32, bytes: u64 },
    /// As fast as it goes, from the beginning.
    Consume { topic: String, partitions: u32, bytes: u64, passes: u32 },
    /// One record at a time at a fixed rate, and consumed where asked.
    Paced { topic: String, partitions: u32, records_per_second: u64, seconds: u64, consumed: bool },
    /// Create topics and wait until every partition has acknowledged one record.
    FirstRecords { prefix: String, topics: u32, partitions: u32 },
    /// As fast as it goes with made-up batches, over TLS where an authority is given (our own client: librdkafka is built without TLS).
    Encrypted { topic: String, partitions: u32, batch_bytes: u32, bytes: u64, authority: Option<PathBuf> },
}

/// What the client measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadRun {
    /// CPU-seconds that the broker used meanwhile.
    pub(crate) broker_cpu_seconds: f64,
    /// CPU-seconds that this client used meanwhile.
    pub(crate) client_cpu_seconds: f64,
    /// Wall-clock seconds.
    pub(crate) seconds: f64,
    /// Bytes of values.
    pub(crate) bytes: u64,
    /// From sending to the acknowledgement.
    pub(crate) acknowledgement: Option<Percentiles>,
    /// From sending to the consumer.
    pub(crate) end_to_end: Option<Percentiles>,
}

impl LoadRun {
    /// Broker CPU-seconds per gigabyte of values.
    pub(crate) fn cpu_seconds_per_gb(&self) -> f64 {
        self.broker_cpu_seconds * 1e9 / self.bytes as f64
    }

    /// Megabytes of values a second.
    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds
    }
}

/// Runs a load as a process of its own.
pub(crate) fn run(load: &Load) -> io::Result<LoadRun> {
    ChildProcess::start(ROLE, load)?.next()
}

/// The child's part.
pub(crate) fn work(task: &str) -> Result<(), Box<dyn Error>> {
    let load: Load = serde_json::from_str(task)?;
    let run = match &load.work {
        Work::Produce { topic, partitions, batch_bytes, bytes } => {
            produce::run(&load, topic, *partitions, *batch_bytes, *bytes)?
        }
        Work::Consume { topic, partitions, bytes, passes } => {
            consume::run(&load, topic, (*partitions, *passes), *bytes)?
        }
        Work::Paced { topic, partitions, records_per_second, seconds, consumed } => {
            paced::run(&load, topic, *partitions, *records_per_second, *seconds, *consumed)?
        }
        Work::FirstRecords { prefix, topics, partitions } => first_records::run(&load, prefix, *topics, *partitions)?,
        Work::Encrypted { topic, partitions, batch_bytes, bytes, authority } => {
            encrypted::run(&load, topic, *partitions, *batch_bytes, *bytes, authority.as_deref())?
        }
    };
    child::say(&run)?;
    Ok(())
}

/// CPU time of both sides at one moment.
#[derive(Debug)]
struct Both {
    broker: f64,
    client: f64,
}

impl Both {
    fn now(broker_pids: &[u32]) -> io::Result<Both> {
        let broker = broker_pids.iter().copied().map(usage::cpu_seconds).sum::<io::Result<f64>>()?;
        Ok(Both { broker, client: usage::cpu_seconds(std::process::id())? })
    }

    /// What was used since, in `seconds` and for `bytes`.
    fn until_now(&self, broker_pids: &[u32], seconds: f64, bytes: u64) -> io::Result<LoadRun> {
        let now = Both::now(broker_pids)?;
        Ok(LoadRun {
            broker_cpu_seconds: now.broker - self.broker,
            client_cpu_seconds: now.client - self.client,
            seconds,
            bytes,
            acknowledgement: None,
            end_to_end: None,
        })
    }
}

/// What every librdkafka client here is told.
fn client_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("socket.nagle.disable", "true");
    config
}

/// Random values, sent in turn.
fn values() -> Vec<Vec<u8>> {
    let mut random = rand::rng();
    let mut value = || {
        let mut value = vec![0; VALUE_BYTES];
        random.fill_bytes(&mut value);
        value
    };
    (0..VALUES).map(|_| value()).collect()
}
