//! Being followed: what a leader makes of its followers' fetches.

use std::sync::Arc;

use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, LeaderEpoch, Offset};

use super::follow::epoch_end;
use super::local::candidate;
use super::{Partition, PartitionError, ReadFailure};
use crate::replication::{EpochEnd, FollowerFetch};

impl Partition {
    /// A follower fetches: everything below its offset is on its disk. Returns where its log parts from this one, if it does; it is
    /// told that, and gets no records. To be called once a fetch, when it arrives: later it says nothing new.
    pub fn on_follower_fetch(
        self: &Arc<Self>,
        fetch: &FollowerFetch,
        image: &MetadataImage,
    ) -> Result<Option<EpochEnd>, ReadFailure> {
        self.log().map_err(ReadFailure::from)?;
        let tenure = self.tenure.read();
        // While the tenure is held it is not replaced: what it was before may be a log that nobody has any more.
        let log = &self.log().map_err(ReadFailure::from)?;
        tenure.check_leadership(fetch.current_leader_epoch)?;
        let not_followed = || PartitionError::from(ErrorCode::NotLeaderOrFollower);
        let leadership = tenure.leadership().ok_or_else(not_followed)?;
        let common = epoch_end(log, fetch.last_fetched_epoch);
        let state = leadership.state(log, &tenure, self.terms(), &self.local);
        let (outcome, high_watermark, has_deleted) = {
            let mut state = state.lock();
            let follower = state.followers().iter().find(|follower| follower.broker() == fetch.broker);
            let has_deleted = follower.is_some_and(|follower| follower.log_start_offset() < fetch.log_start_offset);
            let now_ms = self.local.now_ms();
            let candidate = candidate(image, &tenure.registration, fetch.broker);
            // What is appended can be fetched before whoever appended it has said so here.
            self.tell_log(&mut state, log, Offset::NONE, now_ms);
            let outcome = state.on_fetch(now_ms, fetch, log.log_start_offset(), common, candidate);
            (outcome, state.high_watermark(), has_deleted)
        };
        self.advance(log, Some(high_watermark));
        let effects = outcome.map_err(|refusal| ReadFailure {
            error: PartitionError::new(refusal.error_code(), refusal),
            high_watermark: log.high_watermark(),
            log_start_offset: log.log_start_offset(),
        })?;
        drop(tenure);
        if has_deleted {
            // Somebody may wait until records are deleted for good.
            self.local.committed().notify(&self.key());
        }
        if effects.proposal.is_some() {
            self.local.want_isr(self.clone());
        }
        Ok(effects.diverging)
    }

    /// Deletes the records below `before`, as far as they are committed, and has the followers do the same.
    pub fn delete_records(&self, before: Offset) -> Result<(), PartitionError> {
        self.refuse_if_cut_off()?;
        self.log()?;
        let tenure = self.tenure.read();
        let log = &self.log()?;
        tenure.check_leadership(LeaderEpoch::NONE)?;
        log.advance_log_start_offset(before)?;
        if tenure.leadership().is_some() {
            self.local.appended().notify(&self.key());
        }
        Ok(())
    }

    /// Where the logs of all replicas that `is_alive` start: what lies below is deleted for good.
    pub fn low_watermark(&self, is_alive: impl Fn(BrokerId) -> bool) -> Result<Offset, PartitionError> {
        self.log()?;
        let tenure = self.tenure.read();
        let log = &self.log()?;
        tenure.check_leadership(LeaderEpoch::NONE)?;
        let start = log.log_start_offset();
        Ok(match tenure.leadership() {
            None => start,
            Some(leadership) => {
                let state = leadership.state(log, &tenure, self.terms(), &self.local);
                state.lock().low_watermark(start, is_alive)
            }
        })
    }
}
