//! What the JVM's verifiable clients say they did, line by line, and what is wrong with it.
//!
//! Knows their lines (`org.apache.kafka.tools.VerifiableProducer` and `VerifiableConsumer`) and the rules: what was acknowledged is read, where
//! and as it was acknowledged; nothing is there twice; nobody reads back, except that a member that is assigned a partition begins where
//! the group has committed. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Where a record is: partition and offset.
type Place = (i32, i64);

/// A line of either client.
#[derive(Debug, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
enum Event {
    ProducerSendSuccess {
        partition: i32,
        offset: i64,
        value: String,
    },
    ProducerSendError {
        value: String,
        exception: String,
        message: Option<String>,
    },
    PartitionsAssigned {
        partitions: Vec<Assigned>,
    },
    RecordData {
        partition: i32,
        offset: i64,
        value: String,
    },
    OffsetsCommitted {
        offsets: Vec<Committed>,
        success: bool,
    },
    ShutdownComplete,
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Assigned {
    partition: i32,
}

#[derive(Debug, Deserialize)]
struct Committed {
    partition: i32,
    offset: i64,
}

/// What both said so far.
#[derive(Debug, Default)]
pub(super) struct History {
    acknowledged: BTreeMap<Place, String>,
    read: BTreeMap<Place, String>,
    /// The lowest offset of a partition that may be read next.
    next: BTreeMap<i32, i64>,
    /// What the group has committed for certain.
    committed: BTreeMap<i32, i64>,
    /// How often a client said that it had stopped in order.
    ended: usize,
    broken: Vec<String>,
}

impl History {
    /// One of them said something. A line that is no event is broken, for they say nothing else.
    pub(super) fn take(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(event) => self.happened(event),
            Err(error) => self.broken.push(format!("{line:?} is no event: {error}")),
        }
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::ProducerSendSuccess { partition, offset, value } => {
                if let Some(other) = self.acknowledged.insert((partition, offset), value.clone()) {
                    let both = format!("{other} and {value} were both acknowledged at {partition}/{offset}");
                    self.broken.push(both);
                }
            }
            Event::ProducerSendError { value, exception, message } => {
                let why = message.unwrap_or_default();
                self.broken.push(format!("{value} was not sent: {exception} {why}"));
            }
            Event::PartitionsAssigned { partitions } => {
                for Assigned { partition } in partitions {
                    let from = self.committed.get(&partition).copied().unwrap_or(0);
                    self.next.insert(partition, from);
                }
            }
            Event::RecordData { partition, offset, value } => self.was_read((partition, offset), value),
            Event::OffsetsCommitted { offsets, success: true } => {
                self.committed.extend(offsets.into_iter().map(|committed| (committed.partition, committed.offset)));
            }
            Event::ShutdownComplete => self.ended += 1,
            Event::OffsetsCommitted { success: false, .. } | Event::Other => {}
        }
    }

    fn was_read(&mut self, (partition, offset): Place, value: String) {
        let next = self.next.insert(partition, offset + 1).unwrap_or(0);
        if offset < next {
            self.broken.push(format!("{partition}/{offset} was read where {next} was the next to read"));
        }
        if let Some(before) = self.read.insert((partition, offset), value.clone()).filter(|before| *before != value) {
            self.broken.push(format!("{partition}/{offset} was read as {before}, then as {value}"));
        }
    }

    /// How many were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// How many were read.
    pub(super) fn read(&self) -> usize {
        self.read.len()
    }

    /// How many clients said that they had stopped in order.
    pub(super) fn ended(&self) -> usize {
        self.ended
    }

    /// What was acknowledged and is not read yet, as it was.
    fn unread(&self) -> impl Iterator<Item = (&Place, &String)> {
        self.acknowledged.iter().filter(|(place, value)| self.read.get(place) != Some(value))
    }

    /// Whether all that was acknowledged is read.
    pub(super) fn is_complete(&self) -> bool {
        self.unread().next().is_none()
    }

    /// What is wrong, now that both have ended.
    pub(super) fn violations(&self) -> Vec<String> {
        let mut found = self.broken.clone();
        found.extend(self.unread().map(|((partition, offset), value)| {
            let there = self.read.get(&(*partition, *offset));
            format!("{value} was acknowledged at {partition}/{offset}, where {there:?} is read")
        }));
        let mut places: BTreeMap<&String, Place> = BTreeMap::new();
        for (place, value) in &self.read {
            if let Some(other) = places.insert(value, *place) {
                found.push(format!("{value} is at {other:?} and at {place:?}"));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(value: u64, offset: i64) -> String {
        format!(
            r#"{{"timestamp":1,"name":"producer_send_success","key":null,"value":"{value}","topic":"t","partition":0,"offset":{offset}}}"#
        )
    }

    fn read(value: u64, offset: i64) -> String {
        format!(
            r#"{{"timestamp":1,"name":"record_data","key":null,"value":"{value}","topic":"t","partition":0,"offset":{offset}}}"#
        )
    }

    fn committed(offset: i64, success: bool) -> String {
        format!(
            r#"{{"timestamp":1,"name":"offsets_committed","offsets":[{{"topic":"t","partition":0,"offset":{offset}}}],"success":{success}}}"#
        )
    }

    fn assigned() -> String {
        r#"{"timestamp":1,"name":"partitions_assigned","partitions":[{"topic":"t","partition":0}]}"#.to_owned()
    }

    fn violations(lines: &[String]) -> usize {
        let mut history = History::default();
        lines.iter().for_each(|line| history.take(line));
        history.violations().len()
    }

    #[test]
    fn what_is_acknowledged_and_read_once_in_order_is_as_it_should_be() {
        let consumed = r#"{"name":"records_consumed","count":2,"partitions":[]}"#.to_owned();
        assert_eq!(violations(&[assigned(), sent(1, 0), sent(2, 1), read(1, 0), read(2, 1), consumed]), 0);
        assert_eq!(violations(&[]), 0);
    }

    #[test]
    fn an_acknowledged_value_that_is_not_read_or_is_another_is_lost() {
        assert_eq!(violations(&[sent(1, 0)]), 1);
        assert_eq!(violations(&[sent(1, 0), read(2, 0)]), 1);
    }

    #[test]
    fn a_value_at_two_places_is_written_twice() {
        assert_eq!(violations(&[sent(1, 1), read(1, 0), read(1, 1)]), 1);
    }

    #[test]
    fn who_is_assigned_a_partition_goes_back_to_what_was_committed_and_no_further() {
        let first = [assigned(), read(1, 0), committed(1, true), read(2, 1), committed(2, false)];
        let then = |lines: &[String]| violations(&[&first, lines].concat());
        assert_eq!(then(&[read(2, 1)]), 1, "it goes back without a reason");
        assert_eq!(then(&[assigned(), read(2, 1)]), 0);
        assert_eq!(then(&[assigned(), read(1, 0)]), 1);
    }

    #[test]
    fn a_refused_record_and_a_line_that_is_no_event_are_told() {
        let refused =
            r#"{"name":"producer_send_error","key":null,"value":"1","topic":"t","exception":"class E","message":"m"}"#;
        assert_eq!(violations(&[refused.to_owned(), "Exception in thread".to_owned()]), 2);
    }
}
