//! `--from`: what may be said, and which offset of each partition it means.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use weir_protocol::client::{Client, Isolation, OffsetSpec};
use weir_protocol::ids::TopicPartition;

use crate::command_error::CommandError;
use crate::timestamp;

/// Where to begin in every partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// At the first record that is kept.
    Earliest,
    /// After the last record.
    Latest,
    /// At this offset.
    Offset(i64),
    /// This many records before the end.
    Last(i64),
    /// At the first record of this time, in milliseconds since 1970.
    At(i64),
    /// This many milliseconds ago.
    Ago(i64),
}

/// Why reading cannot begin there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StartError {
    /// Never written, or deleted.
    #[error("{partition} has no offset {offset}: it holds {log_start} up to {log_end}, where the next record goes")]
    OutOfRange {
        /// Where.
        partition: TopicPartition,
        /// What was asked for.
        offset: i64,
        /// The first offset that is kept.
        log_start: i64,
        /// The offset of the next record.
        log_end: i64,
    },
}

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse::<i64>().ok().filter(|&number| number >= 0);
        let found = match text {
            "earliest" | "beginning" => Some(Self::Earliest),
            "latest" | "end" => Some(Self::Latest),
            _ => match text.split_at_checked(1) {
                Some(("-", rest)) => number(rest).map(Self::Last),
                Some(("@", rest)) => number(rest).map(Self::At),
                _ => number(text).map(Self::Offset).or_else(|| ago_ms(text).map(Self::Ago)),
            },
        };
        found.or_else(|| timestamp::parse(text).map(Self::At)).ok_or_else(|| {
            "say earliest, latest, an offset, -N for the last N, a time such as 2026-01-02T03:04:05Z or @MILLISECONDS, \
             or how long ago, such as 15m"
                .to_owned()
        })
    }
}

/// `30s`, `15m`, `2h` or `7d` in milliseconds.
fn ago_ms(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let unit_ms = match unit {
        's' => 1000,
        'm' => 60_000,
        'h' => 3_600_000,
        'd' => 86_400_000,
        _ => return None,
    };
    let count: i64 = text[..text.len() - 1].parse().ok().filter(|&count| count >= 0)?;
    count.checked_mul(unit_ms)
}

/// The offset of each partition that `start` means.
pub(super) async fn resolve(
    client: &Client,
    partitions: &[TopicPartition],
    start: Start,
    isolation: Isolation,
    now_ms: i64,
) -> Result<BTreeMap<TopicPartition, i64>, CommandError> {
    let list = async |spec: OffsetSpec| -> Result<HashMap<TopicPartition, Option<i64>>, CommandError> {
        let wanted: Vec<_> = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
        let listed = client.list_offsets(&wanted, isolation).await;
        let listed = listed.map_err(|error| CommandError::client("find where to begin", error))?;
        Ok(listed.into_iter().map(|(partition, listed)| (partition, listed.offset)).collect())
    };
    let at = match start {
        Start::At(timestamp_ms) => Some(timestamp_ms),
        Start::Ago(ms) => Some(now_ms.saturating_sub(ms).max(0)),
        _ => None,
    };
    let starts =
        if start == Start::Latest || at.is_some() { HashMap::new() } else { list(OffsetSpec::Earliest).await? };
    let ends = if start == Start::Earliest { HashMap::new() } else { list(OffsetSpec::Latest).await? };
    let times = match at {
        Some(timestamp_ms) => list(OffsetSpec::Timestamp(timestamp_ms)).await?,
        None => HashMap::new(),
    };
    let of = |offsets: &HashMap<_, _>, partition| offsets.get(partition).copied().flatten();
    let mut positions = BTreeMap::new();
    for partition in partitions {
        let (log_start, log_end) = (of(&starts, partition).unwrap_or(0), of(&ends, partition).unwrap_or(0));
        let position =
            place(start, log_start, log_end, of(&times, partition)).ok_or_else(|| StartError::OutOfRange {
                partition: partition.clone(),
                offset: if let Start::Offset(offset) = start { offset } else { 0 },
                log_start,
                log_end,
            })?;
        positions.insert(partition.clone(), position);
    }
    Ok(positions)
}

/// The position in one log; none if it has no such offset. `at_time` is the first record of the time asked for.
fn place(start: Start, log_start: i64, log_end: i64, at_time: Option<i64>) -> Option<i64> {
    match start {
        Start::Earliest => Some(log_start),
        Start::Latest => Some(log_end),
        Start::Offset(offset) => Some(offset).filter(|offset| (log_start..=log_end).contains(offset)),
        Start::Last(count) => Some(log_end.saturating_sub(count).max(log_start)),
        Start::At(_) | Start::Ago(_) => Some(at_time.unwrap_or(log_end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_say_a_start_is_understood() {
        let cases = [
            ("earliest", Start::Earliest),
            ("latest", Start::Latest),
            ("42", Start::Offset(42)),
            ("-5", Start::Last(5)),
            ("@1700000000000", Start::At(1_700_000_000_000)),
            ("1970-01-01T00:00:01Z", Start::At(1000)),
            ("1970-01-02", Start::At(86_400_000)),
            ("15m", Start::Ago(900_000)),
        ];
        for (text, start) in cases {
            assert_eq!(text.parse(), Ok(start), "{text}");
        }
        for text in ["", "-", "@", "sometime", "--5", "5w", "m", "99999999999999999999", "é"] {
            assert!(text.parse::<Start>().unwrap_err().contains("earliest"), "{text}");
        }
    }

    #[test]
    fn a_start_is_placed_in_the_log() {
        let place = |start| place(start, 10, 20, Some(15));
        assert_eq!([Start::Earliest, Start::Latest, Start::At(0)].map(place), [Some(10), Some(20), Some(15)]);
        assert_eq!([3, 99].map(|count| place(Start::Last(count))), [Some(17), Some(10)]);
        let offsets = [9, 10, 20, 21].map(|offset| place(Start::Offset(offset)));
        assert_eq!(offsets, [None, Some(10), Some(20), None]);
    }

    #[test]
    fn a_time_after_the_last_record_is_the_end() {
        assert_eq!(place(Start::Ago(1), 10, 20, None), Some(20));
    }
}
