//! A consumer that commits offsets while the broker is killed: what was acknowledged is what is found, or what was tried after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use weir_tests::load::{self, AnyError, Quiet};

use super::{PARTITIONS, SETTLE, TOPIC};

const GROUP: &str = "chaos-commits";
/// Between one commit and the next.
const PACE: Duration = Duration::from_millis(3);
/// After so many commits, what is committed is asked for.
const LOOK_EVERY: i64 = 20;
/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was committed in one partition.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    /// The last commit that was acknowledged.
    acknowledged: i64,
    /// The last that was sent. Commits of one consumer take effect in their order, so nothing else can be found.
    tried: i64,
}

/// What became of the commits.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    promises: [Promise; PARTITIONS as usize],
    /// Commits that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Times that what was found was neither.
    pub(crate) broken: Vec<String>,
}

/// Commits until told to stop, then looks a last time.
pub(crate) fn spawn(
    bootstrap: &str,
    running: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<Result<Commits, AnyError>>, AnyError> {
    let mut config = load::client(bootstrap);
    config.set("group.id", GROUP).set("enable.auto.commit", "false");
    let consumer: BaseConsumer<Quiet> = config.create_with_context(Quiet)?;
    Ok(thread::spawn(move || {
        let mut commits = Commits::default();
        let mut offset = 0;
        while running.load(Ordering::Relaxed) {
            offset += 1;
            commits.commit(&consumer, offset)?;
            if offset % LOOK_EVERY == 0 {
                // A broker that is not there says nothing.
                let _ = commits.look(&consumer);
            }
            thread::sleep(PACE);
        }
        let deadline = Instant::now() + SETTLE;
        while let Err(error) = commits.look(&consumer) {
            if Instant::now() > deadline {
                return Err(error);
            }
        }
        Ok(commits)
    }))
}

impl Commits {
    /// Commits `offset` in one partition after the other.
    fn commit(&mut self, consumer: &BaseConsumer<Quiet>, offset: i64) -> Result<(), AnyError> {
        let partition = i32::try_from(offset % i64::from(PARTITIONS))?;
        let promise = &mut self.promises[usize::try_from(partition)?];
        promise.tried = offset;
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(TOPIC, partition, Offset::Offset(offset))?;
        if consumer.commit(&offsets, CommitMode::Sync).is_ok() {
            promise.acknowledged = offset;
            self.acknowledged += 1;
        }
        Ok(())
    }

    fn look(&mut self, consumer: &BaseConsumer<Quiet>) -> Result<(), AnyError> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            asked.add_partition(TOPIC, partition);
        }
        let found = consumer.committed_offsets(asked, PATIENCE)?;
        for element in found.elements() {
            element.error()?;
            let committed = element.offset().to_raw().unwrap_or(0).max(0);
            let promise = self.promises[usize::try_from(element.partition())?];
            if !(promise.acknowledged..=promise.tried).contains(&committed) {
                self.broken
                    .push(format!("partition {} has {committed}, promised was {promise:?}", element.partition()));
            }
        }
        Ok(())
    }
}
