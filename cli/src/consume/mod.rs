//! `weir consume`: reads partitions of a topic without a group, and prints what they hold.
//!
//! Follows by default; `--max` and `--exit-at-end` end it. The end is where each partition ended at the start, so a topic that
//! is written all the while still ends. Commits nothing: each run begins where `--from` says.

mod printer;
mod start;

pub(crate) use start::StartError;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use tokio::time::Instant;
use weir_protocol::client::{Admin, Client, Consumer, ConsumerConfig, Isolation, OffsetSpec, PolledRecords};
use weir_protocol::ids::{PartitionIndex, TopicPartition};

use crate::cluster_options::ClusterOptions;
use crate::command_error::CommandError;
use crate::topic;
use printer::{Field, Printer};
use start::Start;

/// How long one poll may wait.
const POLL_WAIT: Duration = Duration::from_secs(1);
/// How often to look for partitions that were added.
const NEW_PARTITIONS_EVERY: Duration = Duration::from_secs(30);
/// The most that one fetch holds.
const FETCH_BYTES: i32 = 16 << 20;

/// Read records of a topic, and go on as they come.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The topic.
    topic: String,
    /// Where to begin: earliest, latest, an offset, -N for the last N of each partition, a time such as 2026-01-02T03:04:05Z
    /// (UTC unless it says otherwise) or @MILLISECONDS, or how long ago, such as 15m.
    #[arg(long, default_value = "latest", value_name = "WHERE", allow_hyphen_values = true)]
    from: Start,
    /// Stop after this many records.
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// Stop at what is the end of each partition now.
    #[arg(long, short)]
    exit_at_end: bool,
    /// Read only this partition; may be given many times.
    #[arg(long = "partition", short, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    partitions: Vec<i32>,
    /// Show records of transactions only once they have committed.
    #[arg(long)]
    read_committed: bool,
    /// Print these before each value, with tabs between; JSON has them all.
    #[arg(long, value_enum, value_delimiter = ',')]
    show: Vec<Field>,
    #[command(flatten)]
    cluster: ClusterOptions,
}

/// An offset for each partition.
type Offsets = BTreeMap<TopicPartition, i64>;

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let client = arguments.cluster.connect().await?;
    let partitions = arguments.wanted_partitions(&client).await?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    let isolation = arguments.isolation();
    let positions = start::resolve(&client, &partitions, arguments.from, isolation, now_ms).await?;
    let ends = match arguments.exit_at_end {
        true => Some(ends(&client, &partitions, isolation).await?),
        false => None,
    };
    if arguments.from == Start::Latest && ends.is_none() && io::stderr().is_terminal() {
        eprintln!("waiting for new records; --from earliest shows what is there, Ctrl-C ends");
    }
    let config = ConsumerConfig { isolation, max_bytes: FETCH_BYTES, ..ConsumerConfig::default() };
    let mut consumer = Consumer::new(&client, config);
    consumer.assign_offsets(positions);
    let printer = Printer::new(io::stdout().lock(), arguments.cluster.output, arguments.show.clone());
    Reading { left: arguments.max, client, consumer, ends, printer, arguments }.run().await
}

impl Arguments {
    fn isolation(&self) -> Isolation {
        if self.read_committed { Isolation::ReadCommitted } else { Isolation::ReadUncommitted }
    }

    async fn wanted_partitions(&self, client: &Client) -> Result<Vec<TopicPartition>, CommandError> {
        let found = topic::find(&Admin::new(client.clone()), &self.topic).await?;
        let missing =
            self.partitions.iter().find(|&&partition| !found.partitions.contains_key(&PartitionIndex(partition)));
        if let Some(&partition) = missing {
            let (topic, partitions) = (self.topic.clone(), found.partitions.len());
            return Err(CommandError::UnknownPartition { topic, partition, partitions });
        }
        let wanted = |index: &PartitionIndex| self.partitions.is_empty() || self.partitions.contains(&index.get());
        let indexes = found.partitions.keys().copied().filter(wanted);
        Ok(indexes.map(|index| TopicPartition::new(self.topic.as_str(), index)).collect())
    }
}

async fn ends(client: &Client, partitions: &[TopicPartition], isolation: Isolation) -> Result<Offsets, CommandError> {
    let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), OffsetSpec::Latest)).collect();
    let listed = client.list_offsets(&wanted, isolation).await;
    let listed = listed.map_err(|error| CommandError::client("find the end of the topic", error))?;
    Ok(listed.into_iter().map(|(partition, listed)| (partition, listed.offset.unwrap_or(0))).collect())
}

/// A run under way.
struct Reading<W: io::Write> {
    arguments: Arguments,
    client: Client,
    consumer: Consumer,
    printer: Printer<W>,
    /// Where to stop, if anywhere.
    ends: Option<Offsets>,
    /// How many records may still be printed, if not any number.
    left: Option<u64>,
}

impl<W: io::Write> Reading<W> {
    async fn run(mut self) -> Result<(), CommandError> {
        let mut looked = Instant::now();
        while !self.is_at_end() {
            let polled = self.consumer.poll(POLL_WAIT).await;
            let polled =
                polled.map_err(|error| CommandError::client(format!("read topic {}", self.arguments.topic), error))?;
            let more = self.print(&polled).map_err(CommandError::Output)?;
            if !more {
                return Ok(());
            }
            if looked.elapsed() >= NEW_PARTITIONS_EVERY {
                looked = Instant::now();
                self.add_new_partitions().await?;
            }
        }
        Ok(())
    }

    /// Leaves the partitions that are at their ends, and says whether none is left.
    fn is_at_end(&mut self) -> bool {
        let Some(ends) = &self.ends else { return false };
        let positions = self.consumer.positions();
        let left: Offsets = unfinished(positions, ends);
        let none_left = left.is_empty();
        if left.len() < positions.len() {
            self.consumer.assign_offsets(left);
        }
        none_left
    }

    /// Prints what may be printed; false once no more may.
    fn print(&mut self, polled: &[PolledRecords]) -> io::Result<bool> {
        let mut more = true;
        'all: for PolledRecords { partition, records, .. } in polled {
            let end = self.ends.as_ref().and_then(|ends| ends.get(partition).copied()).unwrap_or(i64::MAX);
            for record in records.iter().take_while(|record| record.offset < end) {
                self.printer.print(partition, record)?;
                if let Some(left) = &mut self.left {
                    *left -= 1;
                    if *left == 0 {
                        more = false;
                        break 'all;
                    }
                }
            }
        }
        self.printer.flush()?;
        Ok(more)
    }

    /// Reads partitions that were added meanwhile from their beginning, unless some were chosen.
    async fn add_new_partitions(&mut self) -> Result<(), CommandError> {
        if !self.arguments.partitions.is_empty() || self.ends.is_some() {
            return Ok(());
        }
        let now = self.arguments.wanted_partitions(&self.client).await?;
        let known = self.consumer.positions();
        let added: Vec<_> = now.into_iter().filter(|partition| !known.contains_key(partition)).collect();
        if !added.is_empty() {
            let mut positions = known.clone();
            positions
                .extend(start::resolve(&self.client, &added, Start::Earliest, self.arguments.isolation(), 0).await?);
            self.consumer.assign_offsets(positions);
        }
        Ok(())
    }
}

/// The positions that are not at their ends yet.
fn unfinished(positions: &Offsets, ends: &Offsets) -> Offsets {
    let is_before_end =
        |(partition, position): &(&TopicPartition, &i64)| ends.get(partition).is_some_and(|end| *position < end);
    positions.iter().filter(is_before_end).map(|(partition, &position)| (partition.clone(), position)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_finished_at_or_after_its_end() {
        let offsets = |offsets: &[i64]| -> Offsets {
            offsets.iter().enumerate().map(|(index, &at)| (TopicPartition::new("t", index as i32), at)).collect()
        };
        let left = unfinished(&offsets(&[0, 4, 5, 9]), &offsets(&[0, 5, 5, 5]));
        assert_eq!(left, [(TopicPartition::new("t", 1), 4)].into());
    }
}
