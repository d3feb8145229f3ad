//! How a record is printed: its value as it is, or all of it as one line of JSON.
//!
//! In JSON a key or a value is a string if it is UTF-8, null if it is absent, and otherwise `{"base64": "..."}`: whatever
//! was written can be told from what is read. Header values likewise; a header's name is text by Kafka's rule.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};

use bytes::Bytes;
use clap::ValueEnum;
use serde::Serialize;
use weir_protocol::ids::TopicPartition;
use weir_protocol::records::Record;

use crate::base64;
use crate::output::Format;
use crate::timestamp;

/// Printed in batches of this many bytes, and at the end of what one poll gave.
const BUFFER_BYTES: usize = 64 << 10;

/// What may be printed before a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Field {
    /// The key.
    Key,
    /// The partition.
    Partition,
    /// The offset.
    Offset,
    /// The timestamp, in UTC.
    Timestamp,
    /// The headers, as NAME=VALUE with commas between.
    Headers,
}

/// Prints records.
#[derive(Debug)]
pub(super) struct Printer<W: Write> {
    out: BufWriter<W>,
    format: Format,
    show: Vec<Field>,
}

#[derive(Debug, Serialize)]
struct JsonRecord<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    /// Milliseconds since 1970, if the record has a timestamp.
    timestamp: Option<i64>,
    key: Option<JsonBytes<'a>>,
    value: Option<JsonBytes<'a>>,
    headers: Vec<JsonHeader<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonHeader<'a> {
    key: Cow<'a, str>,
    value: Option<JsonBytes<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum JsonBytes<'a> {
    Text(&'a str),
    Binary { base64: String },
}

impl<'a> From<&'a Bytes> for JsonBytes<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(_) => Self::Binary { base64: base64::encode(bytes) },
        }
    }
}

impl<W: Write> Printer<W> {
    pub(super) fn new(out: W, format: Format, show: Vec<Field>) -> Self {
        Self { out: BufWriter::with_capacity(BUFFER_BYTES, out), format, show }
    }

    pub(super) fn print(&mut self, partition: &TopicPartition, record: &Record) -> io::Result<()> {
        match self.format {
            Format::Json => serde_json::to_writer(&mut self.out, &json(partition, record))?,
            Format::Table => {
                for field in &self.show {
                    write_field(&mut self.out, *field, partition, record)?;
                    self.out.write_all(b"\t")?;
                }
                self.out.write_all(text(record.value.as_ref()))?;
            }
        }
        self.out.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Bytes as they are; null has a word, as in Kafka's console consumer.
fn text(bytes: Option<&Bytes>) -> &[u8] {
    bytes.map_or(b"null", |bytes| bytes)
}

fn write_field(out: &mut impl Write, field: Field, partition: &TopicPartition, record: &Record) -> io::Result<()> {
    match field {
        Field::Key => out.write_all(text(record.key.as_ref())),
        Field::Partition => write!(out, "{}", partition.partition),
        Field::Offset => write!(out, "{}", record.offset),
        Field::Timestamp if record.timestamp < 0 => out.write_all(b"-"),
        Field::Timestamp => out.write_all(timestamp::format(record.timestamp).as_bytes()),
        Field::Headers => {
            for (index, (name, value)) in record.headers.iter().enumerate() {
                out.write_all(if index == 0 { b"" } else { b"," })?;
                out.write_all(name)?;
                out.write_all(b"=")?;
                out.write_all(text(value.as_ref()))?;
            }
            Ok(())
        }
    }
}

fn json<'a>(partition: &'a TopicPartition, record: &'a Record) -> JsonRecord<'a> {
    let header = |(name, value): &'a (Bytes, Option<Bytes>)| JsonHeader {
        key: String::from_utf8_lossy(name),
        value: value.as_ref().map(JsonBytes::from),
    };
    JsonRecord {
        topic: &partition.topic,
        partition: partition.partition.get(),
        offset: record.offset,
        timestamp: Some(record.timestamp).filter(|&timestamp| timestamp >= 0),
        key: record.key.as_ref().map(JsonBytes::from),
        value: record.value.as_ref().map(JsonBytes::from),
        headers: record.headers.iter().map(header).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, show: &[Field], record: &Record) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, format, show.to_vec());
        printer.print(&TopicPartition::new("t", 2), record).unwrap();
        printer.flush().unwrap();
        drop(printer);
        String::from_utf8(out).unwrap()
    }

    fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>) -> Record {
        let bytes = Bytes::from_static;
        let headers = vec![(bytes(b"h"), Some(bytes(b"1"))), (bytes(b"h"), None)];
        Record { offset: 7, timestamp: 1000, key: key.map(bytes), value: value.map(bytes), headers }
    }

    #[test]
    fn json_tells_text_bytes_and_null_apart() {
        let line = printed(Format::Json, &[], &record(None, Some(b"\xff\x00")));
        let expected = r#"{"topic":"t","partition":2,"offset":7,"timestamp":1000,"key":null,"value":{"base64":"/wA="},"headers":[{"key":"h","value":"1"},{"key":"h","value":null}]}"#;
        assert_eq!(line, format!("{expected}\n"));
        assert!(printed(Format::Json, &[], &record(Some(b"k"), None)).contains(r#""key":"k","value":null"#));
    }

    #[test]
    fn a_value_is_printed_as_it_is_after_what_is_to_be_shown() {
        assert_eq!(printed(Format::Table, &[], &record(None, Some(b"hello"))), "hello\n");
        let all = [Field::Partition, Field::Offset, Field::Timestamp, Field::Key, Field::Headers];
        let line = printed(Format::Table, &all, &record(None, None));
        assert_eq!(line, "2\t7\t1970-01-01T00:00:01.000Z\tnull\th=1,h=null\tnull\n");
    }

    #[test]
    fn a_record_without_a_timestamp_has_none() {
        let record = Record { timestamp: -1, ..record(None, None) };
        assert!(printed(Format::Json, &[], &record).contains(r#""timestamp":null"#));
        assert!(printed(Format::Table, &[Field::Timestamp], &record).starts_with("-\t"));
    }
}
