//! `weir produce`: writes records, one a line of standard input or of a file, or one given by options.
//!
//! Order is kept: what was read together is sent together, and the next lines go once it is acknowledged, so nothing waits
//! for a batch to fill and a slow broker slows the reading. A wrong line or a refused record ends the command; all before it
//! was written.

mod arguments;
mod line;
mod lines;

pub(crate) use arguments::Arguments;
pub(crate) use line::InputError;

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;
use weir_protocol::client::{Admin, Client, ClientError, Delivery, NewRecord, Producer};
use weir_protocol::ids::PartitionIndex;

use crate::command_error::CommandError;
use crate::output::Format;
use crate::topic;

/// Where a record went; what `-o json` prints, a line each.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Report<'a> {
    topic: &'a str,
    partition: i32,
    /// Null with --acks 0, which does not wait to be told.
    offset: Option<i64>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CommandError> {
    let client = arguments.cluster.connect().await?;
    check_topic(&client, &arguments).await?;
    let mut sender =
        Sender { producer: Producer::new(client, arguments.producer_config()), arguments: &arguments, written: 0 };
    let line = arguments.line_format();
    if let Some(value) = arguments.single_value()? {
        return sender.send(&[line.record_of(value)]).await;
    }
    let mut chunks = lines::read(arguments.source()?);
    let mut number = 0;
    while let Some(chunk) = chunks.recv().await {
        let mut records = Vec::new();
        let mut wrong = None;
        for text in chunk.map_err(|error| arguments.unreadable(error))? {
            number += 1;
            match line.record(text, number) {
                Ok(record) => records.push(record),
                Err(error) => {
                    wrong = Some(error);
                    break;
                }
            }
        }
        sender.send(&records).await?;
        if let Some(error) = wrong {
            return Err(error.into());
        }
    }
    Ok(())
}

/// Tells of a mistyped name before anything is read; with --create the broker decides.
async fn check_topic(client: &Client, arguments: &Arguments) -> Result<(), CommandError> {
    if arguments.create {
        return Ok(());
    }
    let found = topic::find(&Admin::new(client.clone()), &arguments.topic).await?;
    match arguments.partition {
        Some(partition) if !found.partitions.contains_key(&PartitionIndex(partition)) => {
            let (topic, partitions) = (arguments.topic.clone(), found.partitions.len());
            Err(CommandError::UnknownPartition { topic, partition, partitions })
        }
        _ => Ok(()),
    }
}

struct Sender<'a> {
    producer: Producer,
    arguments: &'a Arguments,
    written: u64,
}

impl Sender<'_> {
    async fn send(&mut self, records: &[NewRecord]) -> Result<(), CommandError> {
        if records.is_empty() {
            return Ok(());
        }
        let outcomes = self.producer.send(&self.arguments.topic, records).await;
        let mut failure: Option<Arc<ClientError>> = None;
        let mut out = io::BufWriter::new(io::stdout().lock());
        for outcome in outcomes {
            match outcome {
                Ok(delivery) => {
                    self.written += 1;
                    self.report(&mut out, delivery).map_err(CommandError::Output)?;
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        out.flush().map_err(CommandError::Output)?;
        match failure {
            None => Ok(()),
            Some(error) => {
                let written = match self.written {
                    0 => String::new(),
                    count => format!(" ({count} records were written)"),
                };
                let doing = format!("write to topic {}{written}", self.arguments.topic);
                Err(CommandError::client(doing, ClientError::clone(&error)))
            }
        }
    }

    fn report(&self, out: &mut impl Write, delivery: Delivery) -> io::Result<()> {
        let report =
            Report { topic: &self.arguments.topic, partition: delivery.partition.get(), offset: delivery.offset };
        match self.arguments.cluster.output {
            Format::Json => {
                serde_json::to_writer(&mut *out, &report)?;
                out.write_all(b"\n")
            }
            Format::Table if self.arguments.report => writeln!(out, "{}", report.sentence()),
            Format::Table => Ok(()),
        }
    }
}

impl Report<'_> {
    fn sentence(&self) -> String {
        let offset = self.offset.map_or_else(|| "unknown".to_owned(), |offset| offset.to_string());
        format!("topic {} partition {} offset {offset}", self.topic, self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_topic_partition_and_offset() {
        let report = Report { topic: "t", partition: 1, offset: Some(42) };
        assert_eq!(report.sentence(), "topic t partition 1 offset 42");
        assert_eq!(serde_json::to_string(&report).unwrap(), r#"{"topic":"t","partition":1,"offset":42}"#);
        let unknown = Report { topic: "t", partition: 1, offset: None };
        assert_eq!(serde_json::to_string(&unknown).unwrap(), r#"{"topic":"t","partition":1,"offset":null}"#);
    }
}
