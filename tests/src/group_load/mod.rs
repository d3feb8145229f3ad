//! A consumer of a group under way while something is done to the brokers: it reads along and commits where it is, somebody else looks what
//! is committed, and what both are told is judged (`promises`).

mod promises;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::gaps::Gaps;
use crate::load::{self, AnyError, Quiet};
use crate::verdict::Verdict;

use promises::Promises;

/// How long the member reads between one commit and the next.
const COMMIT_EVERY: Duration = Duration::from_millis(20);
/// How often it is looked what is committed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a client of the group waits for an answer, and how long one look may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The group, and the topic that it reads.
#[derive(Clone, Debug)]
pub struct Group {
    /// `bootstrap.servers`.
    pub bootstrap: String,
    /// `group.id`.
    pub id: String,
    /// The topic.
    pub topic: String,
    /// Its partitions.
    pub partitions: i32,
    /// How long the group may take to come into being, and to commit a last time.
    pub settle: Duration,
}

/// A group that is under way.
pub struct GroupLoad {
    promises: Arc<Mutex<Promises>>,
    gaps: Arc<Gaps>,
    goes_on: Arc<AtomicBool>,
    member: thread::JoinHandle<Result<(), AnyError>>,
    observer: thread::JoinHandle<Result<(), AnyError>>,
}

impl GroupLoad {
    /// Has a member join the group; returns once a commit of it is acknowledged.
    pub fn begin(group: &Group) -> Result<GroupLoad, AnyError> {
        let promises = Arc::new(Mutex::new(Promises::new(group.partitions)));
        let (gaps, goes_on) = (Arc::new(Gaps::new(1)), Arc::new(AtomicBool::new(true)));
        let member = group.spawn_member(&promises, &gaps, &goes_on)?;
        let observer = group.spawn_observer(&promises, &goes_on)?;
        let begun = Instant::now();
        while !gaps.are_all_written() {
            if begun.elapsed() > group.settle {
                return Err(format!("the group {} has committed nothing after {:?}", group.id, group.settle).into());
            }
            thread::sleep(COMMIT_EVERY);
        }
        Ok(GroupLoad { promises, gaps, goes_on, member, observer })
    }

    /// Forgets the longest gap between two acknowledged commits so far.
    pub fn begin_gap(&self) {
        self.gaps.begin();
    }

    /// The longest gap between two acknowledged commits since [`Self::begin_gap`], one that has not ended included.
    pub fn longest_gap(&self) -> Duration {
        self.gaps.longest().into_iter().max().unwrap_or_default()
    }

    /// Ends it with a last commit, and judges.
    pub fn end(self, verdict: &mut Verdict) -> Result<(), AnyError> {
        self.goes_on.store(false, Ordering::Relaxed);
        let ended = self.member.join().map_err(|_| "the member died")?;
        self.observer.join().map_err(|_| "the observer died")??;
        let promises = held(&self.promises);
        println!(
            "{}: group: {} records given, {} commits acknowledged",
            verdict.suite(),
            promises.records,
            promises.commits
        );
        let rule = "what a group is found to have committed is the last acknowledged, or one sent after it";
        verdict.check(rule, &promises.inconsistent);
        let rule = "a member begins where its group has committed, and is given one record after the other";
        verdict.check(rule, &promises.astray);
        verdict.holds("a group goes on until it is stopped", ended.is_ok(), || format!("{ended:?}"));
        Ok(())
    }
}

fn held(promises: &Mutex<Promises>) -> MutexGuard<'_, Promises> {
    promises.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hears what the member is assigned.
struct Assignments(Arc<Mutex<Promises>>);

impl ClientContext for Assignments {
    // A broken connection is what this is about.
    fn error(&self, _error: KafkaError, _reason: &str) {}
}

impl ConsumerContext for Assignments {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let (partitions, is_its) = match rebalance {
            Rebalance::Assign(partitions) => (partitions, true),
            Rebalance::Revoke(partitions) => (partitions, false),
            Rebalance::Error(_) => return,
        };
        let mut promises = held(&self.0);
        partitions.elements().iter().for_each(|element| promises.assigned(element.partition(), is_its));
    }
}

impl Group {
    fn client(&self) -> rdkafka::ClientConfig {
        let mut config = load::client(&self.bootstrap);
        config.set("group.id", &self.id).set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
        config.set("socket.timeout.ms", PATIENCE.as_millis().to_string());
        config.set("fetch.wait.max.ms", "50").set("fetch.error.backoff.ms", "10");
        config.set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "500");
        config
    }

    /// Reads and commits until told to stop, then commits a last time.
    fn spawn_member(
        &self,
        promises: &Arc<Mutex<Promises>>,
        gaps: &Arc<Gaps>,
        goes_on: &Arc<AtomicBool>,
    ) -> Result<thread::JoinHandle<Result<(), AnyError>>, AnyError> {
        let consumer: BaseConsumer<Assignments> =
            self.client().create_with_context(Assignments(Arc::clone(promises)))?;
        consumer.subscribe(&[&self.topic])?;
        let (group, promises, gaps, goes_on) =
            (self.clone(), Arc::clone(promises), Arc::clone(gaps), Arc::clone(goes_on));
        Ok(thread::spawn(move || {
            let mut committed = Instant::now();
            let mut stopped = None;
            loop {
                let is_last = !goes_on.load(Ordering::Relaxed);
                if let Some(Ok(record)) = consumer.poll(COMMIT_EVERY) {
                    held(&promises).polled(record.partition(), record.offset());
                }
                if committed.elapsed() >= COMMIT_EVERY {
                    let outcome = group.commit(&consumer, &promises);
                    committed = Instant::now();
                    if matches!(outcome, Ok(true)) {
                        gaps.acknowledged(0);
                        if is_last {
                            return Ok(());
                        }
                    }
                }
                if is_last && stopped.get_or_insert_with(Instant::now).elapsed() > group.settle {
                    return Err("the last commit is not acknowledged".into());
                }
            }
        }))
    }

    /// Commits where the member is; whether there was anything to commit and it was acknowledged.
    fn commit(&self, consumer: &BaseConsumer<Assignments>, promises: &Mutex<Promises>) -> Result<bool, AnyError> {
        let positions = held(promises).send();
        let mut offsets = TopicPartitionList::new();
        for (partition, offset) in &positions {
            offsets.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))?;
        }
        if positions.is_empty() || consumer.commit(&offsets, CommitMode::Sync).is_err() {
            return Ok(false);
        }
        held(promises).acknowledged(&positions);
        Ok(true)
    }

    /// Looks what is committed, as whoever administers the group does, until told to stop.
    fn spawn_observer(
        &self,
        promises: &Arc<Mutex<Promises>>,
        goes_on: &Arc<AtomicBool>,
    ) -> Result<thread::JoinHandle<Result<(), AnyError>>, AnyError> {
        let consumer: BaseConsumer<Quiet> = self.client().create_with_context(Quiet)?;
        let (group, promises, goes_on) = (self.clone(), Arc::clone(promises), Arc::clone(goes_on));
        Ok(thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                let mut asked = TopicPartitionList::new();
                for partition in 0..group.partitions {
                    asked.add_partition(&group.topic, partition);
                }
                let floor = held(&promises).floor();
                // A coordinator that is not there says nothing.
                if let Ok(found) = consumer.committed_offsets(asked, PATIENCE) {
                    let found = found.elements();
                    let found = found.iter().filter(|element| element.error().is_ok());
                    let found =
                        found.map(|element| (element.partition(), element.offset().to_raw().unwrap_or(0).max(0)));
                    held(&promises).found(&floor, &found.collect::<Vec<_>>());
                }
                thread::sleep(LOOK_EVERY);
            }
            Ok(())
        }))
    }
}
