//! Somebody who produces and consumes while the broker is attacked, on a topic whose name no attack can hit.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use weir_protocol::compression::Codec;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::records::{BatchBuilder, RecordIter, batch};
use weir_tests::wire::{NewTopic, Wire};

/// Far from every word that the attacks use.
const TOPIC: &str = "witness-7f3a9c51d2e84b06";
/// Says everything itself, so that no change of the broker's defaults can take a record away.
const CONFIGS: [(&str, &str); 4] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1"), ("max.message.bytes", "1048588")];
const MAX_BYTES: i32 = 1 << 20;
/// How long a restarted broker may take to open the partition.
const RECOVERY: Duration = Duration::from_secs(10);
/// Between one record and the next.
const PACE: Duration = Duration::from_millis(2);

/// The witness at work.
pub(crate) struct Witness {
    wire: Wire,
}

/// What it saw.
#[derive(Debug, Default)]
pub(crate) struct Testimony {
    records: i64,
    slowest: Duration,
}

impl Witness {
    pub(crate) fn arrive(bootstrap: &str) -> io::Result<Witness> {
        let mut wire = Wire::connect(bootstrap)?;
        wire.create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &CONFIGS }])?;
        Ok(Witness { wire })
    }

    /// Produces a record and reads it back, again and again.
    pub(crate) fn watch(mut self, running: &AtomicBool) -> io::Result<Testimony> {
        let mut testimony = Testimony::default();
        while running.load(Ordering::Relaxed) {
            let began = Instant::now();
            let sequence = testimony.records;
            let offset = produce(&mut self.wire, sequence)?;
            if offset != sequence {
                return Err(io::Error::other(format!("record {sequence} was acknowledged at {offset}")));
            }
            let read = fetch(&mut self.wire, offset)?;
            if read != [(offset, sequence)] {
                return Err(io::Error::other(format!("at {offset} there is {read:?}")));
            }
            testimony.slowest = testimony.slowest.max(began.elapsed());
            testimony.records += 1;
            thread::sleep(PACE);
        }
        Ok(testimony)
    }
}

impl Testimony {
    /// The longest that a record took to be acknowledged and read back.
    pub(crate) fn slowest(&self) -> Duration {
        self.slowest
    }

    /// Whether every record is where it was acknowledged, and nothing else.
    pub(crate) fn verify(&self, bootstrap: &str) -> io::Result<()> {
        let mut wire = Wire::connect(bootstrap)?;
        let mut next = 0;
        while next < self.records {
            for (offset, sequence) in fetch(&mut wire, next)? {
                if (offset, sequence) != (next, next) {
                    return Err(io::Error::other(format!("record {sequence} at {offset} instead of {next}")));
                }
                next += 1;
            }
        }
        match fetch(&mut wire, next)? {
            rest if rest.is_empty() => Ok(()),
            rest => Err(io::Error::other(format!("{} records that nobody produced", rest.len()))),
        }
    }
}

impl fmt::Display for Testimony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records, the slowest in {:?}", self.records, self.slowest)
    }
}

fn produce(wire: &mut Wire, sequence: i64) -> io::Result<i64> {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(1_700_000_000_000, None, Some(&sequence.to_be_bytes()), &[]).map_err(io::Error::other)?;
    let records = batch.build().map_err(io::Error::other)?.freeze();
    let answer = wire.produce(TOPIC, 0, records)?;
    match answer.error_code {
        0 => Ok(answer.base_offset),
        code => Err(io::Error::other(format!("record {sequence} was refused: error {code}"))),
    }
}

/// Offsets and sequences from `offset` on, without waiting.
fn fetch(wire: &mut Wire, offset: i64) -> io::Result<Vec<(i64, i64)>> {
    let deadline = Instant::now() + RECOVERY;
    let answer = loop {
        let answer = wire.fetch(TOPIC, 0, offset, MAX_BYTES)?;
        // After a restart, until the partition's log is open.
        if answer.error_code != ErrorCode::NotLeaderOrFollower.code() || Instant::now() > deadline {
            break answer;
        }
        thread::sleep(PACE);
    };
    if answer.error_code != 0 {
        return Err(io::Error::other(format!("the fetch at {offset} was refused: error {}", answer.error_code)));
    }
    let bytes = answer.records.unwrap_or_default();
    let mut records = Vec::new();
    let mut rest = &bytes[..];
    while let Ok((_, whole, after)) = batch::split_first(rest) {
        for record in RecordIter::new(Bytes::copy_from_slice(whole), whole.len()).map_err(io::Error::other)? {
            let record = record.map_err(io::Error::other)?;
            let value = record.value.as_deref().and_then(|value| value.first_chunk::<8>());
            let sequence = value.ok_or_else(|| io::Error::other("a record that nobody produced"))?;
            if record.offset >= offset {
                records.push((record.offset, i64::from_be_bytes(*sequence)));
            }
        }
        rest = after;
    }
    Ok(records)
}
