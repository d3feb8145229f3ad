//! Whether a broker that came back keeps what it promised.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::load::{DURABLE, GROUPS, PARTITIONS, Quiet, committer, read_up_to, reader};
use crate::promises::Promises;
use crate::{AnyError, Place};

/// How long a partition may take to serve after a start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one question may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long the last read may take.
const READ_PATIENCE: Duration = Duration::from_secs(180);

/// Compares what every restart can be asked cheaply: which topics there are, where logs end, what was committed. What a topic without
/// flushes has lost is taken out of the account. Returns what is broken.
pub(crate) fn after_a_start(bootstrap: &str, promises: &Promises) -> Result<Vec<String>, AnyError> {
    let mut broken = Vec::new();
    let consumer = reader(bootstrap, &[])?;
    let metadata = until_answered(|| Ok(consumer.fetch_metadata(None, ANSWER_TIMEOUT)?))?;
    let found: HashMap<&str, usize> =
        metadata.topics().iter().map(|topic| (topic.name(), topic.partitions().len())).collect();
    let (topics, deleted): (Vec<_>, Vec<_>) = {
        let known = promises.known();
        let topics = known.topics.iter().map(|(name, topic)| (name.clone(), topic.partitions, topic.durable));
        (topics.collect(), known.deleted.clone())
    };
    broken.extend(
        deleted
            .iter()
            .filter(|name| found.contains_key(name.as_str()))
            .map(|name| format!("{name} was deleted and is back")),
    );
    for (name, partitions, durable) in topics {
        if found.get(name.as_str()) != Some(&usize::try_from(partitions)?) {
            broken.push(format!("{name} should have {partitions} partitions, found {:?}", found.get(name.as_str())));
            continue;
        }
        for partition in 0..partitions {
            let promised = promises.known().topics[&name].ledger.acknowledged_end(partition);
            if durable && promised == 0 {
                continue;
            }
            let end = end_of(&consumer, &name, partition)?;
            if durable && end < promised {
                broken.push(format!("{name}-{partition} ends at {end}, and {promised} was acknowledged"));
            }
            if !durable && let Some(topic) = promises.known().topics.get_mut(&name) {
                topic.ledger.forget_from(partition, end);
            }
        }
    }
    for group in 0..GROUPS {
        broken.extend(committed_by(bootstrap, promises, group)?);
    }
    Ok(broken)
}

fn committed_by(bootstrap: &str, promises: &Promises, group: usize) -> Result<Vec<String>, AnyError> {
    let promised: HashMap<i32, i64> = {
        let known = promises.known();
        known
            .committed
            .iter()
            .filter(|((of, _), _)| *of == group)
            .map(|((_, partition), offset)| (*partition, *offset))
            .collect()
    };
    if promised.is_empty() {
        return Ok(Vec::new());
    }
    let consumer = committer(bootstrap, group)?;
    let mut asked = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        asked.add_partition(DURABLE, partition);
    }
    let found = until_answered(|| Ok(consumer.committed_offsets(asked.clone(), ANSWER_TIMEOUT)?))?;
    let offset_of = |partition| found.find_partition(DURABLE, partition).and_then(|found| found.offset().to_raw());
    let lost =
        promised.into_iter().filter(|(partition, offset)| offset_of(*partition).is_none_or(|found| found < *offset));
    Ok(lost
        .map(|(partition, offset)| {
            format!("group-{group} committed {offset} for {partition}, found {:?}", offset_of(partition))
        })
        .collect())
}

/// Reads everything, and gives every rule that is broken, by topic.
pub(crate) fn everything(bootstrap: &str, promises: &Promises) -> Result<Vec<String>, AnyError> {
    let topics = std::mem::take(&mut promises.known().topics);
    let names: Vec<(&str, i32)> = topics.iter().map(|(name, topic)| (name.as_str(), topic.partitions)).collect();
    let consumer = reader(bootstrap, &[])?;
    let mut left = HashSet::new();
    for (name, partitions) in &names {
        for partition in 0..*partitions {
            let end = end_of(&consumer, name, partition)?;
            if end > 0 {
                left.insert(((*name).to_owned(), partition, end));
            }
        }
    }
    let ends: HashMap<(String, i32), i64> =
        left.iter().map(|(name, partition, end)| ((name.clone(), *partition), *end)).collect();
    let mut read: HashMap<String, Vec<(Place, u64)>> = HashMap::new();
    read_up_to(bootstrap, &names, left, READ_PATIENCE, |topic, place, sequence| {
        read.entry(topic.to_owned()).or_default().push((place, sequence));
    })?;
    let mut broken = Vec::new();
    for (name, topic) in topics {
        let records = read.remove(&name).unwrap_or_default();
        broken.extend(holes(&name, &records, &ends));
        broken.extend(topic.ledger.settle(records).into_iter().map(|violation| format!("{name}: {violation:?}")));
    }
    Ok(broken)
}

/// What is missing between a log's start and its end.
fn holes(name: &str, records: &[(Place, u64)], ends: &HashMap<(String, i32), i64>) -> Vec<String> {
    let offsets: BTreeSet<Place> = records.iter().map(|(place, _)| *place).collect();
    let mut count: HashMap<i32, i64> = HashMap::new();
    for (partition, _) in offsets {
        *count.entry(partition).or_default() += 1;
    }
    let short = count.into_iter().filter(|(partition, count)| ends.get(&(name.to_owned(), *partition)) != Some(count));
    short.map(|(partition, count)| format!("{name}-{partition} has {count} records and ends elsewhere")).collect()
}

/// Where a partition ends; all of them start at nought.
fn end_of(consumer: &BaseConsumer<Quiet>, topic: &str, partition: i32) -> Result<i64, AnyError> {
    until_answered(|| match consumer.fetch_watermarks(topic, partition, ANSWER_TIMEOUT)? {
        (0, end) => Ok(end),
        // Also what librdkafka makes of a partition that was still loading when it asked for the one and not for the other.
        (start, end) => Err(format!("{topic}-{partition} goes from {start} to {end}").into()),
    })
}

/// Asks until there is an answer: right after a start a log may still be on its way.
fn until_answered<T>(ask: impl Fn() -> Result<T, AnyError>) -> Result<T, AnyError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Err(_) if Instant::now() < deadline => {}
            other => return other,
        }
    }
}
