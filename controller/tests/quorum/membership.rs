//! Who belongs to the quorum changes while some of them are dead, cut off, or half way.

use std::collections::BTreeSet;
use std::time::Duration;

use uuid::Uuid;
use weir_controller::quorum::{QuorumTiming, RaftNodeId, ReplicaState, VoterChangeError};

use crate::cluster::create;
use crate::peers::{Faults, Node, PATIENCE, Quorum};

/// Long enough for a dead member to count as dead.
const DEAD_AFTER: Duration = Duration::from_millis(1_500);

fn members(quorum: &Quorum) -> Vec<ReplicaState> {
    quorum.node(quorum.leader()).controller().describe_quorum().replicas
}

fn voters(quorum: &Quorum) -> BTreeSet<RaftNodeId> {
    members(quorum).into_iter().filter(|member| member.voter).map(|member| member.id).collect()
}

fn add(quorum: &Quorum, voter: RaftNodeId) -> Result<(), VoterChangeError> {
    let change = quorum.node(quorum.leader()).controller().add_voter(voter, Vec::new());
    quorum.runtime.block_on(async { tokio::time::timeout(PATIENCE, change).await.expect("no answer") })
}

fn remove(quorum: &Quorum, voter: RaftNodeId) -> Result<(), VoterChangeError> {
    let change = quorum.node(quorum.leader()).controller().remove_voter(voter);
    quorum.runtime.block_on(async { tokio::time::timeout(PATIENCE, change).await.expect("no answer") })
}

fn followers(quorum: &Quorum) -> Vec<i32> {
    let leader = quorum.leader();
    quorum.running_nodes().map(|node| node.number).filter(|number| *number != leader).collect()
}

fn until_dead(quorum: &Quorum, member: RaftNodeId) {
    quorum.wait("a silent member", || {
        let members = members(quorum);
        let silent = members.iter().find(|known| known.id == member)?;
        silent.acknowledged_ago.is_none_or(|ago| ago > DEAD_AFTER).then_some(())
    });
}

#[test]
fn a_voter_that_was_removed_goes_on_showing_what_changes_without_a_vote() {
    let quorum = Quorum::running(3);
    quorum.register_broker();
    let removed = quorum.node(followers(&quorum)[0]).id();
    assert_eq!(remove(&quorum, removed), Ok(()));
    quorum.create("after");
    // Of all three.
    assert_eq!(quorum.agreed_topics(), ["after"]);
    assert_eq!(voters(&quorum).len(), 2);
    assert!(members(&quorum).iter().any(|member| member.id == removed && !member.voter));
}

#[test]
fn a_leader_that_was_removed_lets_another_lead_and_goes_on_showing_what_changes() {
    let mut quorum = Quorum::of(3);
    quorum.timing.lost_sight = Duration::from_millis(500);
    quorum.start_all();
    quorum.register_broker();
    let removed = quorum.node(quorum.leader()).id();
    assert_eq!(remove(&quorum, removed), Ok(()));
    quorum.wait("another leader", || (quorum.node(quorum.leader()).id() != removed).then_some(()));
    quorum.create("after");
    assert_eq!(quorum.agreed_topics(), ["after"]);
    // Its configuration names it, and it was removed all the same.
    assert!(!voters(&quorum).contains(&removed));
}

#[test]
fn a_learner_that_has_died_is_given_no_vote_and_costs_the_quorum_nothing() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.nodes.push(Node::new(4));
    quorum.start(4);
    let learner = quorum.node(4).id();
    quorum.kill(4);
    until_dead(&quorum, learner);
    let refused = add(&quorum, learner);
    assert!(matches!(refused, Err(VoterChangeError::TimedOut(_))), "{refused:?}");
    assert!(!voters(&quorum).contains(&learner));
    // With a dead fourth voter two of three would be no majority.
    quorum.kill(quorum.leader());
    quorum.create("after");
}

#[test]
fn a_node_that_was_never_there_is_no_member_after_it_could_not_be_added() {
    let quorum = Quorum::running(1);
    let nobody = Node::new(7).id();
    let refused = add(&quorum, nobody);
    assert!(matches!(refused, Err(VoterChangeError::TimedOut(_))), "{refused:?}");
    assert!(!members(&quorum).iter().any(|member| member.id == nobody));
}

#[test]
fn a_voter_is_not_removed_where_those_who_are_left_could_commit_nothing() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    let [dead, alive] = followers(&quorum)[..] else { panic!("two followers") };
    quorum.kill(dead);
    until_dead(&quorum, quorum.node(dead).id());
    let refused = remove(&quorum, quorum.node(alive).id());
    assert_eq!(refused, Err(VoterChangeError::NoMajority { voters: 2, live: 1 }));
    quorum.create("after");
    // The dead one may leave.
    assert_eq!(remove(&quorum, quorum.node(dead).id()), Ok(()));
    quorum.create("later");
}

#[test]
fn a_learner_that_is_long_silent_is_forgotten_and_joins_again_when_it_can() {
    let mut quorum = Quorum::of(3);
    quorum.timing = QuorumTiming {
        lost_sight: Duration::from_millis(500),
        learner_patience: Duration::from_secs(2),
        ..quorum.timing
    };
    quorum.nodes.push(Node { may_vote: false, ..Node::new(4) });
    quorum.start_all();
    quorum.register_broker();
    let learner = quorum.node(4);
    let is_member = || members(&quorum).iter().any(|member| member.id == learner.id());
    quorum.wires.cut_off(learner.port(), &quorum.ports());
    quorum.wait("it to be forgotten", || (!is_member()).then_some(()));
    let created = quorum.submit(quorum.node(quorum.leader()), create("meanwhile", 1).into());
    assert!(created.is_ok(), "{created:?}");
    quorum.wires.mend();
    assert_eq!(quorum.agreed_topics(), ["meanwhile"]);
    assert!(is_member());
}

#[test]
fn a_change_of_voters_whose_leader_died_half_way_is_finished_by_the_next() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    let replaced = followers(&quorum)[0];
    let lost = quorum.node(replaced).id();
    quorum.kill(replaced);
    until_dead(&quorum, lost);
    let empty = Node::new(replaced);
    assert_ne!(empty.directory_id, Uuid::nil());
    let fresh = empty.id();
    *quorum.node_mut(replaced) = empty;
    let leader = quorum.leader();
    let watching = *followers(&quorum).first().expect("another voter");
    // Every call takes long, so that there is a time between the two steps.
    let late_by = Duration::from_millis(200);
    quorum.wires.trouble(Faults { late: 1_000, late_by, ..Faults::default() });
    quorum.start(replaced);
    quorum.wait("the first step at the other voter", || {
        let described = quorum.node(watching).controller().describe_quorum();
        described.replicas.iter().any(|member| member.id == fresh && member.voter).then_some(())
    });
    quorum.kill(leader);
    quorum.start(leader);
    quorum.wait("the second step", || (!voters(&quorum).contains(&lost)).then_some(()));
    // With the directory that is lost still counted, two of three would be too few.
    quorum.kill(quorum.leader());
    quorum.create("after");
}
