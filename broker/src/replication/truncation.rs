//! Where the logs of a leader and a follower part, and where the follower cuts its own (KIP-101, KIP-279, KIP-595).
//!
//! A leader that finds the follower's last epoch to end elsewhere in its own log answers a fetch with the largest epoch it has that is
//! not larger, and where that one ends. The follower cuts to the end of that epoch in the shorter of both logs, and if it does
//! not have that epoch, to the end of the last one before it: then it fetches again, until both agree.

use weir_protocol::ids::{LeaderEpoch, Offset};

/// The end of an epoch in somebody's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The epoch.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end_offset: Offset,
}

/// Where to cut, and whether both logs then agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The log shall end here.
    pub to: Offset,
    /// Whether the leader's epoch was found: if not, the next fetch finds out more.
    pub agrees: bool,
}

/// A follower's log and the leader's have nothing in common: the follower starts over (OFFSET_OUT_OF_RANGE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log has no epoch as old as {0}")]
pub struct NoCommonEpoch(pub LeaderEpoch);

/// What a leader tells a follower that fetches at `fetch_offset` and whose last record is of `last_fetched_epoch`: where they part, or nothing if its
/// log is a prefix of the leader's. `local` is the largest epoch in the leader's log that is not larger, with its end.
pub fn divergence(
    last_fetched_epoch: LeaderEpoch,
    fetch_offset: Offset,
    local: Option<EpochEnd>,
) -> Result<Option<EpochEnd>, NoCommonEpoch> {
    if last_fetched_epoch == LeaderEpoch::NONE {
        return Ok(None);
    }
    let local = local.ok_or(NoCommonEpoch(last_fetched_epoch))?;
    let parts = local.epoch < last_fetched_epoch || local.end_offset < fetch_offset;
    Ok(parts.then_some(local))
}

/// What a follower whose log ends at `log_end` makes of `diverging`. `local` is the largest epoch in its log that is not larger than the
/// leader's, with its end, if there is one.
///
/// Nothing below the high watermark is ever cut by a leader that has been elected cleanly; a caller that sees it happen says so.
pub fn truncation(diverging: EpochEnd, local: Option<EpochEnd>, log_end: Offset) -> Truncation {
    match local {
        Some(local) if local.epoch == diverging.epoch => {
            Truncation { to: local.end_offset.min(diverging.end_offset).min(log_end), agrees: true }
        }
        Some(local) => Truncation { to: local.end_offset.min(log_end), agrees: false },
        // It has nothing from that epoch or before: what the leader has of it may be fetched again.
        None => Truncation { to: diverging.end_offset.min(log_end), agrees: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(epoch: i32, end_offset: i64) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(end_offset) }
    }

    #[track_caller]
    fn check(diverging: EpochEnd, local: Option<EpochEnd>, log_end: i64, to: i64, agrees: bool) {
        assert_eq!(truncation(diverging, local, Offset(log_end)), Truncation { to: Offset(to), agrees });
    }

    #[test]
    fn a_prefix_of_the_leaders_log_does_not_part_from_it() {
        assert_eq!(divergence(LeaderEpoch(3), Offset(70), Some(end(3, 70))), Ok(None));
        assert_eq!(divergence(LeaderEpoch(3), Offset(70), Some(end(3, 90))), Ok(None));
        assert_eq!(divergence(LeaderEpoch::NONE, Offset(0), None), Ok(None));
    }

    #[test]
    fn a_leader_tells_the_end_of_the_epoch_where_a_follower_has_more_or_another() {
        assert_eq!(divergence(LeaderEpoch(3), Offset(71), Some(end(3, 70))), Ok(Some(end(3, 70))));
        assert_eq!(divergence(LeaderEpoch(3), Offset(60), Some(end(2, 70))), Ok(Some(end(2, 70))));
    }

    #[test]
    fn a_log_without_a_common_epoch_starts_over() {
        assert_eq!(divergence(LeaderEpoch(3), Offset(60), None), Err(NoCommonEpoch(LeaderEpoch(3))));
    }

    #[test]
    fn a_follower_with_more_of_the_epoch_cuts_to_the_leaders_end() {
        check(end(3, 70), Some(end(3, 100)), 120, 70, true);
    }

    #[test]
    fn a_follower_with_less_of_the_epoch_cuts_what_came_after_it() {
        check(end(3, 70), Some(end(3, 50)), 60, 50, true);
    }

    /// KIP-279: after two unclean elections both may have epochs that the other never saw.
    #[test]
    fn a_follower_without_the_epoch_cuts_to_the_last_one_before_it_and_asks_again() {
        check(end(3, 70), Some(end(2, 40)), 90, 40, false);
    }

    #[test]
    fn a_follower_with_only_later_epochs_cuts_to_the_leaders_end() {
        check(end(3, 70), None, 90, 70, true);
        check(end(3, 70), None, 20, 20, true);
    }
}
