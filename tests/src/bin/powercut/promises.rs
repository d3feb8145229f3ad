//! What the broker has promised so far, over all topics, and the records that tell who sent them.
//!
//! A promise counts only if it came before the power was cut; [`Promises::stop_listening`] draws that line.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::message::Message;
use weir_tests::ledger::{Ledger, Place};

use crate::AnyError;

/// What a record holds at most.
const VALUE_MAX_BYTES: u64 = 2000;
/// And at least.
const VALUE_MIN_BYTES: u64 = 100;

/// A topic that the broker said it has.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) partitions: i32,
    /// Its records are flushed before they are acknowledged.
    pub(crate) durable: bool,
    pub(crate) ledger: Ledger,
}

/// Everything that was promised.
#[derive(Debug, Default)]
pub(crate) struct Known {
    listening: bool,
    pub(crate) topics: HashMap<String, Topic>,
    /// Topics that the broker said are gone.
    pub(crate) deleted: Vec<String>,
    /// Offsets committed, by group and partition of the durable topic.
    pub(crate) committed: HashMap<(usize, i32), i64>,
    pub(crate) promises: u64,
}

/// The same, shared by those who send and the one who cuts the power.
#[derive(Debug, Default)]
pub(crate) struct Promises(Mutex<Known>);

impl Promises {
    pub(crate) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes from now on is promised.
    pub(crate) fn listen(&self) {
        self.known().listening = true;
    }

    /// What comes from now on may be there or not.
    pub(crate) fn stop_listening(&self) {
        self.known().listening = false;
    }

    /// Notes a promise, if it counts.
    pub(crate) fn note(&self, promise: impl FnOnce(&mut Known)) {
        let mut known = self.known();
        if known.listening {
            known.promises += 1;
            promise(&mut known);
        }
    }

    /// A record was acknowledged.
    pub(crate) fn acknowledged(&self, topic: &str, place: Place, sequence: u64) {
        self.note(|known| {
            if let Some(topic) = known.topics.get_mut(topic) {
                topic.ledger.acknowledge(place, sequence);
            }
        });
    }

    /// A reader was given a record.
    pub(crate) fn seen(&self, topic: &str, place: Place, sequence: u64) {
        self.note(|known| {
            if let Some(topic) = known.topics.get_mut(topic) {
                topic.ledger.see(place, sequence);
            }
        });
    }
}

/// The content of a record: its sequence, and bytes that follow from it.
pub(crate) fn value_of(sequence: u64) -> Vec<u8> {
    let mixed = sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let size_bytes = VALUE_MIN_BYTES + mixed % (VALUE_MAX_BYTES - VALUE_MIN_BYTES);
    let mut value = sequence.to_be_bytes().to_vec();
    value.extend(mixed.to_be_bytes().iter().cycle().take(size_bytes as usize));
    value
}

/// Where a record lies, and whose it is; an error if it is not what its sender sent.
pub(crate) fn record_of(message: &impl Message) -> Result<(Place, u64), AnyError> {
    let place = (message.partition(), message.offset());
    let value = message.payload().unwrap_or_default();
    let sequence = value.first_chunk::<8>().map(|head| u64::from_be_bytes(*head));
    match sequence.filter(|sequence| value == value_of(*sequence)) {
        Some(sequence) => Ok((place, sequence)),
        None => Err(format!("{}-{place:?} holds {} bytes that nobody sent", message.topic(), value.len()).into()),
    }
}
