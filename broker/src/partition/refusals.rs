//! What a producer is told whose earlier batch was just refused.
//!
//! An idempotent producer has several batches under way. Where the first is refused for a while (the leader has yet to take its role, too
//! few replicas are in sync, the log is being recovered) and the next is taken in turn, a sequence is missing between them:
//! OUT_OF_ORDER_SEQUENCE_NUMBER, says Kafka, and librdkafka then begins a new epoch for every partition, in which it sends again what may
//! have been written. Told to try again instead, it sends both again in their order.
//!
//! The first batches of a producer are worse off: one of which nothing is known may begin with any sequence, as what it wrote may have been
//! deleted. The next batch would be taken, and the first could never be written any more. So for a while after a refusal a producer
//! begins at 0 or is told to try again, which Kafka does not do; one whose records were deleted loses that time.

use std::sync::atomic::{AtomicI64, Ordering};

use weir_protocol::error_code::ErrorCode;

use super::PartitionError;

/// How long after a refusal a missing sequence is put down to it.
const GRACE_MS: i64 = 5_000;
/// Stands for the time of a refusal where there was none, or none lately.
const NEVER: i64 = i64::MIN;

/// The last time that a partition asked a producer to try again.
#[derive(Debug)]
pub(super) struct Refusals(AtomicI64);

impl Default for Refusals {
    fn default() -> Self {
        Self(AtomicI64::new(NEVER))
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
            ErrorCode::OutOfOrderSequenceNumber if self.is_recent(|| now_ms) => Self::send_again(),
            _ => error,
        }
    }

    /// Whether what is missing may be what was refused. Where nothing was refused lately the clock is not asked.
    pub(super) fn is_recent(&self, now_ms: impl FnOnce() -> i64) -> bool {
        let refused_ms = self.0.load(Ordering::Relaxed);
        if refused_ms == NEVER {
            return false;
        }
        let is_recent = now_ms().saturating_sub(refused_ms) < GRACE_MS;
        if !is_recent {
            // Unless there is a later one by now.
            let _ = self.0.compare_exchange(refused_ms, NEVER, Ordering::Relaxed, Ordering::Relaxed);
        }
        is_recent
    }

    /// What the producer of a batch is told before which one may be missing. It is no refusal that explains another.
    pub(super) fn send_again() -> PartitionError {
        PartitionError::new(ErrorCode::NotLeaderOrFollower, "an earlier batch may have been refused: send both again")
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

    #[test]
    fn the_clock_is_asked_after_a_refusal_alone_until_that_is_over() {
        let refusals = Refusals::default();
        assert!(!refusals.is_recent(|| unreachable!("nothing was refused")));
        told(&refusals, ErrorCode::NotLeaderOrFollower, 1);
        assert!(refusals.is_recent(|| GRACE_MS));
        assert!(!refusals.is_recent(|| 1 + GRACE_MS));
        assert!(!refusals.is_recent(|| unreachable!("it is over")));
    }
}
