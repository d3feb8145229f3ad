//! The driver of the clients suite that is no client: batches and frames that no client sends, `case = outcome` lines on standard output.

use std::env;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use weir_protocol::error_code::ErrorCode;
use weir_tests::bad_batches::{self, BadBatch, COMPACTED, PLAIN};
use weir_tests::wire::{self, NewTopic, PRODUCE, Wire};

/// How long a connection may go without an answer before it counts as left waiting.
const SILENCE: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn Error>> {
    let bootstrap = env::var("BOOTSTRAP")?;
    let mut wire = Wire::connect(&bootstrap)?;
    let topic = |name: &str, configs| NewTopic { name: name.to_owned(), partitions: 1, configs };
    wire.create_topics(&[topic(PLAIN, &[]), topic(COMPACTED, &[("cleanup.policy", "compact")])])?;
    for batch in bad_batches::all() {
        println!("batch.{} = {}", batch.name, fate(&bootstrap, &batch)?);
    }
    println!("batch.acks 2 = {}", refused(&mut wire, PLAIN, 0, 2)?);
    println!("batch.no such partition = {}", refused(&mut wire, PLAIN, 99, -1)?);
    for (name, frame) in frames()? {
        println!("frame.{name} = {}", answer_to(&bootstrap, &frame)?);
    }
    Ok(())
}

fn fate(bootstrap: &str, batch: &BadBatch) -> Result<String, Box<dyn Error>> {
    // A connection of its own, since it may be closed.
    let mut wire = Wire::connect(bootstrap)?;
    let request = wire::produce_request(batch.topic, 0, batch.records.clone());
    match wire.call(&request, batch.version) {
        Ok(response) => {
            let code = response.responses[0].partition_responses[0].error_code;
            Ok(format!("{:?}", ErrorCode::from_code(code)))
        }
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok("closed".to_owned()),
        Err(error) => Err(error.into()),
    }
}

fn refused(wire: &mut Wire, topic: &str, partition: i32, acks: i16) -> Result<String, Box<dyn Error>> {
    let good = bad_batches::all().swap_remove(0);
    let request = wire::produce_request(topic, partition, good.records).with_acks(acks);
    let response = wire.call(&request, PRODUCE)?;
    Ok(format!("{:?}", ErrorCode::from_code(response.responses[0].partition_responses[0].error_code)))
}

/// What is wrong with a frame, and the frame.
type NamedFrame = (&'static str, Vec<u8>);

/// Frames that are wrong, each followed by a good one: an answer to it shows that the connection goes on.
fn frames() -> Result<Vec<NamedFrame>, Box<dyn Error>> {
    let good = wire::encode(&ApiVersionsRequest::default(), 0, 2)?.to_vec();
    let header = |key: i16, version: i16, body: &[u8]| {
        let request = [&key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 1, 0xff, 0xff], body].concat();
        [&(request.len() as u32).to_be_bytes()[..], &request].concat()
    };
    let metadata = wire::encode(&MetadataRequest::default().with_topics(Some(Vec::new())), 9, 1)?.to_vec();
    let mut trailing = metadata.clone();
    trailing.extend([0; 3]);
    trailing[..4].copy_from_slice(&(metadata.len() as u32 - 1).to_be_bytes());
    let mut cut = metadata.clone();
    cut.truncate(metadata.len() - 3);
    cut[..4].copy_from_slice(&(metadata.len() as u32 - 7).to_be_bytes());
    let wrong = vec![
        ("none", Vec::new()),
        ("length 0", vec![0; 4]),
        ("length -1", vec![0xff; 4]),
        ("length beyond the limit", vec![0x7f, 0xff, 0xff, 0xff]),
        ("three bytes of header", vec![0, 0, 0, 3, 0, 3, 0]),
        ("unknown API", header(999, 0, &[])),
        ("negative API", header(-1, 0, &[])),
        ("removed API", header(4, 0, &[0; 20])),
        ("unknown version", header(3, 99, &[0; 20])),
        ("negative version", header(3, -1, &[0; 20])),
        ("unknown version of ApiVersions", header(18, 99, &[0, 1, 1, 0])),
        ("body with bytes after it", trailing),
        ("body cut short", cut),
        ("more topics than bytes", header(3, 1, &[0x7f, 0xff, 0xff, 0xff])),
        ("negative count that is not null", header(3, 1, &[0xff, 0xff, 0xff, 0xfe])),
        ("name that is not UTF-8", header(3, 1, &[0, 0, 0, 1, 0, 2, 0xff, 0xfe])),
    ];
    Ok(wrong.into_iter().map(|(name, frame)| (name, [frame, good.clone()].concat())).collect())
}

/// The correlation ids that are answered, and how it ends.
fn answer_to(bootstrap: &str, frames: &[u8]) -> Result<String, Box<dyn Error>> {
    let mut wire = Wire::connect(bootstrap)?;
    let stream = wire.stream();
    stream.set_read_timeout(Some(SILENCE))?;
    // The broker may close before everything is written.
    let _ = stream.write_all(frames);
    let mut said = Vec::new();
    let end = match stream.read_to_end(&mut said) {
        Ok(_) => "closed",
        Err(error) if error.kind() == ErrorKind::ConnectionReset => "closed",
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => "open",
        Err(error) => return Err(error.into()),
    };
    let mut said = &said[..];
    let mut answered = Vec::new();
    while let Ok(answer) = wire::read_frame(&mut said) {
        let mut correlation_id = [0; 4];
        (&answer[..]).read_exact(&mut correlation_id)?;
        answered.push(i32::from_be_bytes(correlation_id));
    }
    Ok(format!("answers {answered:?}, {end}"))
}
