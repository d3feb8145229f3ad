//! What a producer is told whose earlier batch was just refused.
//!
//! An idempotent producer has several batches under way. Where the first is refused for a while (the leader has yet to take its role, too
//! few replicas are in sync, the log is being recovered) and the next is taken in turn, a sequence is missing between them: OUT_OF_ORDER_SEQUENCE_NUMBER,
//! says Kafka, and librdkafka then begins a new epoch for every partition, in which it sends again what may have been written.
//! Told to try again instead, it sends both again in their order.

use std::sync::atomic::{AtomicI64, Ordering};

use weir_protocol::error_code::ErrorCode;

use super::PartitionError;

/// How long after a refusal a missing sequence is put down to it.
const GRACE_MS: i64 = 5_000;

/// The last time that a partition asked a producer to try again.
#[derive(Debug)]
pub(super) struct Refusals(AtomicI64);

impl Default for Refusals {
    fn default() -> Self {
        Self(AtomicI64::new(i64::MIN))
    }
}

impl Refusals {
    /// Takes note of an error at `now_ms`, and gives what the producer is told.
    #[cold]
    pub(super) fn told(&self, error: PartitionError, now_ms: i64) -> PartitionError {
        match error.code {
            ErrorCode::NotLeaderOrFollower | ErrorCode::NotEnoughReplicas | ErrorCode::KafkaStorageError => {
                self.0.store(now_ms, Ordering::Relaxed);
                error
            }
            ErrorCode::OutOfOrderSequenceNumber if now_ms.saturating_sub(self.0.load(Ordering::Relaxed)) < GRACE_MS => {
                PartitionError::new(
                    ErrorCode::NotLeaderOrFollower,
                    "an earlier batch may have been refused: send both again",
                )
            }
            _ => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(refusals: &Refusals, code: ErrorCode, now_ms: i64) -> ErrorCode {
        refusals.told(code.into(), now_ms).code
    }

    #[test]
    fn a_missing_sequence_is_put_down_to_a_refusal_for_a_while_and_to_nothing_else() {
        let refusals = Refusals::default();
        let missing = ErrorCode::OutOfOrderSequenceNumber;
        assert_eq!(told(&refusals, missing, 10), missing);
        assert_eq!(told(&refusals, ErrorCode::InvalidRecord, 11), ErrorCode::InvalidRecord);
        assert_eq!(told(&refusals, missing, 12), missing);
        assert_eq!(told(&refusals, ErrorCode::NotEnoughReplicas, 13), ErrorCode::NotEnoughReplicas);
        assert_eq!(told(&refusals, missing, 13 + GRACE_MS - 1), ErrorCode::NotLeaderOrFollower);
        assert_eq!(told(&refusals, missing, 13 + GRACE_MS), missing);
    }
}
