//! Whether openraft's clock ticks: only while a tick could lead to anything, for each wakes the thread twice.
//!
//! Owns the switch. openraft's ticks send the heartbeats of whoever leads and find out that a leader is silent; an idle quorum would
//! spend most of its time on ticks that find nothing to do.
//!
//! ```text
//!   alone       no ticks: it leads and has nobody to hear it, or it is no member of anything yet
//!   leading     no ticks; one timer of its own for the heartbeats
//!   following   no ticks while the leader was heard within election_timeout_max; then ticks, until it is heard again
//!   otherwise   ticks
//! ```
//!
//! A process that its peers refuse for the sake of another, or that has not asked them yet, has no ticks: it stands for no election.
//!
//! Invariant: ticks are on before the earliest moment at which openraft would act on one. A follower never stands for election within
//! `election_timeout_max` and `election_timeout_min` after its leader was heard, which leaves all of the latter for the first tick to come.

use std::sync::Arc;
use std::time::Instant;

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;

use super::active::RaftNode;
use super::peer_client::PeerIdentity;
use super::timing::QuorumTiming;
use super::types::{RaftNodeId, StoredMembership};

/// The clocks of a node that may have peers.
pub(super) struct Clocks {
    pub(super) identity: Arc<PeerIdentity>,
    pub(super) timing: QuorumTiming,
}

/// What a node has clocks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Alone,
    Leading,
    Following,
    Seeking,
}

/// What the clocks do until something changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setting {
    ticks: bool,
    /// When to look again.
    until: Option<Instant>,
}

impl Setting {
    /// The same, without the ticks that would have a process stand for election that may not yet.
    fn unless_held_back(self, now: Instant, stands_from: Option<Instant>) -> Self {
        match stands_from {
            Some(from) if from <= now => self,
            _ if self.ticks => Self { ticks: false, until: stands_from },
            _ => self,
        }
    }
}

impl Clocks {
    /// Keeps the clocks until openraft ends.
    pub(super) async fn run(self, raft: &RaftNode) {
        let mut server = raft.server_metrics();
        let mut stands_from = self.identity.stands_from();
        let mut heartbeat_due = Instant::now();
        loop {
            let role = {
                let now = server.borrow_watched();
                role(now.state, now.current_leader, &now.membership_config)
            };
            let now = Instant::now();
            if role == Role::Leading && heartbeat_due <= now {
                heartbeat_due = now + self.timing.heartbeat_interval;
                if raft.trigger().heartbeat().await.is_err() {
                    return;
                }
            }
            let setting = setting(&self.timing, role, now, self.identity.leader_heard_at(), heartbeat_due);
            let setting = setting.unless_held_back(now, *stands_from.borrow_and_update());
            let clocks = raft.runtime_config();
            clocks.heartbeat(role != Role::Alone);
            clocks.elect(role != Role::Alone);
            clocks.tick(setting.ticks);
            tokio::select! {
                changed = server.changed() => if changed.is_err() {
                    return;
                },
                // Its sender lives as long as this does.
                _ = stands_from.changed() => {}
                () = until(setting.until) => {}
            }
        }
    }
}

fn role(state: ServerState, leader: Option<RaftNodeId>, membership: &StoredMembership) -> Role {
    match (state, membership.membership().nodes().count()) {
        // The only member that is left may have to be elected yet: whoever removed itself may die before it hands over.
        (_, 0) | (ServerState::Leader, 1) => Role::Alone,
        (ServerState::Leader, _) => Role::Leading,
        _ if leader.is_some() => Role::Following,
        _ => Role::Seeking,
    }
}

fn setting(
    timing: &QuorumTiming,
    role: Role,
    now: Instant,
    leader_heard: Option<Instant>,
    heartbeat_due: Instant,
) -> Setting {
    match role {
        Role::Alone => Setting { ticks: false, until: None },
        Role::Leading => Setting { ticks: false, until: Some(heartbeat_due) },
        Role::Seeking => Setting { ticks: true, until: None },
        Role::Following => match leader_heard.map(|heard| heard + timing.election_timeout_max) {
            Some(trusted_until) if trusted_until > now => Setting { ticks: false, until: Some(trusted_until) },
            _ => Setting { ticks: true, until: Some(now + timing.heartbeat_interval) },
        },
    }
}

/// Sleeps until then; for ever if there is no such time.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending::<()>().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn a_follower_has_no_ticks_while_it_trusts_its_leader_and_looks_when_it_no_longer_does() {
        let (timing, start) = (QuorumTiming::default(), Instant::now());
        let trusted_until = start + timing.election_timeout_max;
        let at = |ms| setting(&timing, Role::Following, after(start, ms), Some(start), start);
        assert_eq!(at(0), Setting { ticks: false, until: Some(trusted_until) });
        assert_eq!(at(599), Setting { ticks: false, until: Some(trusted_until) });
        assert!(at(600).ticks && at(10_000).ticks);
    }

    #[test]
    fn who_may_not_stand_for_election_has_no_ticks_until_it_may() {
        let (timing, start) = (QuorumTiming::default(), Instant::now());
        let seeking = setting(&timing, Role::Seeking, start, None, start);
        let allowed = after(start, 100);
        assert_eq!(seeking.unless_held_back(start, None), Setting { ticks: false, until: None });
        assert_eq!(seeking.unless_held_back(start, Some(allowed)), Setting { ticks: false, until: Some(allowed) });
        assert_eq!(seeking.unless_held_back(allowed, Some(allowed)), seeking);
        let leading = setting(&timing, Role::Leading, start, None, start);
        assert_eq!(leading.unless_held_back(start, None), leading);
    }

    #[test]
    fn ticks_are_on_before_a_follower_could_stand_for_election() {
        let (timing, start) = (QuorumTiming::default(), Instant::now());
        let earliest = start + timing.election_timeout_max + timing.election_timeout_min;
        let trusting = setting(&timing, Role::Following, start, Some(start), start);
        let looks = trusting.until.unwrap();
        // A tick comes within a quarter of a heartbeat interval of being asked for.
        assert!(looks + timing.heartbeat_interval / 4 < earliest);
        assert!(setting(&timing, Role::Following, looks, Some(start), start).ticks);
    }

    #[test]
    fn a_follower_that_has_not_heard_its_leader_has_ticks_and_looks_once_a_heartbeat_whether_it_has() {
        let (timing, start) = (QuorumTiming::default(), Instant::now());
        let unheard = setting(&timing, Role::Following, start, None, start);
        assert_eq!(unheard, Setting { ticks: true, until: Some(start + timing.heartbeat_interval) });
    }

    #[test]
    fn a_leader_waits_for_its_next_heartbeat_and_whoever_seeks_one_has_ticks() {
        let (timing, start) = (QuorumTiming::default(), Instant::now());
        let of = |role| setting(&timing, role, start, Some(start), after(start, 285));
        assert_eq!(of(Role::Leading), Setting { ticks: false, until: Some(after(start, 285)) });
        assert_eq!(of(Role::Seeking), Setting { ticks: true, until: None });
        assert_eq!(of(Role::Alone), Setting { ticks: false, until: None });
    }
}
