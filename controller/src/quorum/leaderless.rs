//! Partitions that could have a leader and have none: what is left of a change in parts that was interrupted.
//!
//! Owns when the active controller looks: after such an interruption, and once in each term, for its predecessor may have died over
//! one. Who leads is decided by `decide::ElectLeaderlessRequest`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::active::{ActiveController, RECORDS_OF_A_PART, Submission};
use crate::decide::{ControllerResponse, ElectLeaderlessRequest};

/// How long after its term began, or something was interrupted, the active controller looks: what cannot wait comes first.
const SETTLE: Duration = Duration::from_secs(1);

/// When the active controller looks next.
#[derive(Debug, Default)]
pub(crate) struct LeaderlessElections {
    due: Option<Instant>,
}

impl LeaderlessElections {
    /// A term begins, or a change in parts was interrupted.
    pub(super) fn look_soon(&mut self, now: Instant) {
        self.due = Some(now + SETTLE);
    }

    pub(super) fn on_inactive(&mut self) {
        self.due = None;
    }

    /// A round changed so many partitions, if it could be made.
    fn on_round(&mut self, now: Instant, changed: Option<usize>) {
        self.due = match changed {
            Some(changed) => (changed == RECORDS_OF_A_PART).then_some(now),
            None => Some(now + SETTLE),
        };
    }

    /// When to look; never once nothing is left.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }
}

/// Elects some leaders.
pub(super) async fn elect_leaderless(active: &mut ActiveController) {
    let (answer, answered) = oneshot::channel();
    let request = ElectLeaderlessRequest { limit: RECORDS_OF_A_PART };
    active.serve(VecDeque::from([Submission { request: request.into(), answer }])).await;
    let changed = match answered.await {
        Ok(Ok(ControllerResponse::ElectLeaderless(changed))) => Some(changed),
        Ok(Ok(other)) => {
            tracing::error!(?other, "a strange answer to who was to elect leaders");
            None
        }
        // It is tried again for as long as this node leads.
        Ok(Err(error)) => {
            tracing::debug!(%error, "partitions without a leader could not be given one");
            None
        }
        Err(_) => {
            tracing::error!("nobody answered who was to elect leaders");
            None
        }
    };
    if let Some(partitions @ 1..) = changed {
        tracing::info!(partitions, "elected leaders where there were none");
    }
    active.leaderless.on_round(Instant::now(), changed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_each_other_at_once_until_nothing_is_left_and_later_where_one_failed() {
        let now = Instant::now();
        let mut elections = LeaderlessElections::default();
        assert_eq!(elections.due(), None);
        elections.look_soon(now);
        assert_eq!(elections.due(), Some(now + SETTLE));
        elections.on_round(now, Some(RECORDS_OF_A_PART));
        assert_eq!(elections.due(), Some(now));
        elections.on_round(now, None);
        assert_eq!(elections.due(), Some(now + SETTLE));
        elections.on_round(now, Some(RECORDS_OF_A_PART - 1));
        assert_eq!(elections.due(), None);
    }
}
