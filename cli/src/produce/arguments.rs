//! The options of `weir produce`, and what each means to the producer.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::str::FromStr;

use bytes::Bytes;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use weir_protocol::client::{Acks, ProducerConfig};
use weir_protocol::compression::Codec;
use weir_protocol::ids::PartitionIndex;

use super::line::LineFormat;
use super::lines::LineError;
use crate::cluster_options::ClusterOptions;
use crate::command_error::CommandError;

/// Write records to a topic: one a line of standard input, unless an option says otherwise.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The topic.
    pub(super) topic: String,
    /// Write this one value instead of lines.
    #[arg(long, short, value_name = "TEXT", conflicts_with_all = ["file", "value_file", "tombstone", "key_separator"])]
    value: Option<String>,
    /// Write the whole of this file as one value.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "tombstone", "key_separator"])]
    value_file: Option<PathBuf>,
    /// Write one record without a value: in a compacted topic it deletes its key.
    #[arg(long, requires = "key", conflicts_with_all = ["file", "key_separator"])]
    tombstone: bool,
    /// Read lines from this file instead of standard input.
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The key of every record.
    #[arg(long, short, value_name = "TEXT", conflicts_with = "key_separator")]
    key: Option<String>,
    /// Each line holds a key, this text, and the value.
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    key_separator: Option<String>,
    /// A header of every record; may be given many times.
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE")]
    headers: Vec<HeaderText>,
    /// The partition of every record, instead of by key.
    #[arg(long, short, value_parser = clap::value_parser!(i32).range(0..))]
    pub(super) partition: Option<i32>,
    /// The timestamp of every record, in milliseconds since 1970; now without.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(i64).range(0..))]
    timestamp: Option<i64>,
    /// How batches are compressed.
    #[arg(long, short = 'z', default_value = "none",
          value_parser = PossibleValuesParser::new(Codec::ALL.map(Codec::name)))]
    compression: String,
    /// Whom to wait for: nobody, the leader, or every replica in sync.
    #[arg(long, value_enum, default_value = "all")]
    acks: AcksText,
    /// Do not number the records: a retry may then write one twice.
    #[arg(long)]
    no_idempotence: bool,
    /// Let the broker create the topic if it is not there (its auto.create.topics.enable decides).
    #[arg(long)]
    pub(super) create: bool,
    /// Print where each record went; `-o json` does so too.
    #[arg(long)]
    pub(super) report: bool,
    #[command(flatten)]
    pub(crate) cluster: ClusterOptions,
}

/// `acks` as Kafka writes it.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum AcksText {
    /// Nobody: sent and forgotten.
    #[value(name = "0")]
    None,
    /// The leader.
    #[value(name = "1")]
    Leader,
    /// Every replica in sync.
    #[value(name = "all", alias = "-1")]
    All,
}

/// A header as `NAME=VALUE`, or `NAME` alone for a null value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct HeaderText(Bytes, Option<Bytes>);

impl FromStr for HeaderText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let own = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        match text.split_once('=') {
            Some(("", _)) => Err("write NAME=VALUE, or NAME alone for a null value".to_owned()),
            Some((name, value)) => Ok(Self(own(name), Some(own(value)))),
            None => Ok(Self(own(text), None)),
        }
    }
}

impl Arguments {
    pub(super) fn producer_config(&self) -> ProducerConfig {
        let acks = match self.acks {
            AcksText::None => Acks::None,
            AcksText::Leader => Acks::Leader,
            AcksText::All => Acks::All,
        };
        let codec = Codec::ALL.into_iter().find(|codec| codec.name() == self.compression).unwrap_or(Codec::None);
        let idempotent = !self.no_idempotence;
        ProducerConfig { acks, codec, idempotent, create_topics: self.create, ..ProducerConfig::default() }
    }

    pub(super) fn line_format(&self) -> LineFormat {
        LineFormat {
            key: self.key.as_ref().map(|key| Bytes::copy_from_slice(key.as_bytes())),
            key_separator: self.key_separator.clone(),
            headers: self.headers.iter().map(|header| (header.0.clone(), header.1.clone())).collect(),
            partition: self.partition.map(PartitionIndex),
            timestamp: self.timestamp,
        }
    }

    /// The value of the one record to write, if it is one; an inner none is a tombstone.
    pub(super) fn single_value(&self) -> Result<Option<Option<Bytes>>, CommandError> {
        if self.tombstone {
            return Ok(Some(None));
        }
        let value = match (&self.value, &self.value_file) {
            (Some(value), _) => Bytes::copy_from_slice(value.as_bytes()),
            (None, Some(path)) => match std::fs::read(path) {
                Ok(bytes) => bytes.into(),
                Err(source) => return Err(CommandError::File { path: path.clone(), source }),
            },
            (None, None) => return Ok(None),
        };
        Ok(Some(Some(value)))
    }

    /// Where lines come from.
    pub(super) fn source(&self) -> Result<Box<dyn Read + Send>, CommandError> {
        match &self.file {
            None => {
                if io::stdin().is_terminal() {
                    eprintln!("each line is a record; Ctrl-D ends");
                }
                Ok(Box::new(io::stdin()))
            }
            Some(path) => match File::open(path) {
                Ok(file) => Ok(Box::new(file)),
                Err(source) => Err(CommandError::File { path: path.clone(), source }),
            },
        }
    }

    pub(super) fn unreadable(&self, error: LineError) -> CommandError {
        match error {
            LineError::TooLong(error) => error.into(),
            LineError::Read(source) => {
                let path = self.file.clone().unwrap_or_else(|| "standard input".into());
                CommandError::File { path, source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Line::try_parse_from(format!("produce {line}").split(' ')).map(|line| line.arguments)
    }

    #[test]
    fn defaults_are_the_safe_ones() {
        let config = parse("t").unwrap().producer_config();
        assert_eq!(
            (config.acks, config.codec, config.idempotent, config.create_topics),
            (Acks::All, Codec::None, true, false)
        );
    }

    #[test]
    fn every_codec_and_acks_has_its_kafka_name() {
        for codec in Codec::ALL {
            assert_eq!(parse(&format!("t -z {}", codec.name())).unwrap().producer_config().codec, codec);
        }
        for (text, acks) in [("0", Acks::None), ("1", Acks::Leader), ("all", Acks::All)] {
            assert_eq!(parse(&format!("t --acks {text}")).unwrap().producer_config().acks, acks);
        }
        assert_eq!(parse("t --acks=-1").unwrap().producer_config().acks, Acks::All);
        assert!(parse("t --acks 2").is_err() && parse("t -z brotli").is_err());
    }

    #[test]
    fn one_record_comes_from_one_place() {
        let value = |line| parse(line).unwrap().single_value().unwrap();
        assert_eq!(value("t"), None);
        assert_eq!(value("t --value v"), Some(Some(Bytes::from_static(b"v"))));
        assert_eq!(value("t --tombstone --key k"), Some(None));
        for wrong in ["t --tombstone", "t --value v --file f", "t --key k --key-separator :", "t --partition -1"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_keep_order_duplicates_and_nulls() {
        let headers = parse("t -H a=1 -H a=x=y -H b").unwrap().line_format().headers;
        let bytes = Bytes::from_static;
        assert_eq!(
            headers,
            [(bytes(b"a"), Some(bytes(b"1"))), (bytes(b"a"), Some(bytes(b"x=y"))), (bytes(b"b"), None)]
        );
        assert!(parse("t -H =1").is_err());
    }
}
