//! Several voters: they form one cluster, commit on a majority, and survive the loss of any minority.

use std::time::Duration;

use weir_controller::quorum::{QuorumRequest, QuorumResponse, SubmitError};

use crate::cluster::create;
use crate::peers::Quorum;

#[test]
fn three_blank_voters_form_one_cluster_and_show_the_same_metadata() {
    let quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("a");
    assert_eq!(quorum.agreed_topics(), ["a"]);
    let ids = quorum.nodes.iter().map(|node| node.controller().cluster_id().clone()).collect::<Vec<_>>();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[test]
fn five_voters_form_one_cluster_in_whatever_order_they_start() {
    for order in [[5, 4, 3, 2, 1], [3, 1, 5, 2, 4]] {
        let mut quorum = Quorum::of(5);
        quorum.start_in_order(&order);
        quorum.register_broker();
        quorum.create("a");
        assert_eq!(quorum.agreed_topics(), ["a"], "{order:?}");
    }
}

#[test]
fn a_killed_leader_is_replaced_within_a_second_and_nothing_acknowledged_is_lost() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    let mut expected = Vec::new();
    for round in 0..3 {
        let name = format!("topic-{round}");
        quorum.create(&name);
        expected.push(name);
        let killed = quorum.leader();
        quorum.kill(killed);
        let name = format!("topic-{round}-after");
        let resumed = quorum.create(&name);
        println!("metadata writes resumed after {resumed:?}");
        assert!(resumed < Duration::from_millis(1_500), "{resumed:?}");
        expected.push(name);
        quorum.start(killed);
    }
    expected.sort();
    assert_eq!(quorum.agreed_topics(), expected);
}

#[test]
fn a_leader_that_stops_hands_over_and_writes_resume_at_once() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("before");
    let leader = quorum.leader();
    quorum.stop(leader);
    let resumed = quorum.create("after");
    println!("metadata writes resumed {resumed:?} after a planned stop");
    assert!(resumed < Duration::from_millis(250), "{resumed:?}");
    quorum.start(leader);
    assert_eq!(quorum.agreed_topics(), ["after", "before"]);
}

#[test]
fn a_node_that_does_not_lead_says_who_does() {
    let quorum = Quorum::running(3);
    let leader = quorum.leader();
    let other = quorum.nodes.iter().find(|node| node.number != leader).unwrap();
    quorum.wait("the follower to know", || {
        let answer = quorum.submit(other, create("a", 1).into());
        (answer == Err(SubmitError::NotController { leader: Some(quorum.node(leader).id()) })).then_some(())
    });
}

#[test]
fn a_cluster_that_was_stopped_as_a_whole_comes_back_with_everything() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("a");
    let id = quorum.node(1).controller().cluster_id().clone();
    for number in [1, 2, 3] {
        quorum.stop(number);
    }
    quorum.start_in_order(&[3, 2, 1]);
    assert_eq!(quorum.agreed_topics(), ["a"]);
    assert_eq!(*quorum.node(2).controller().cluster_id(), id);
}

#[test]
fn the_other_of_two_voters_leads_when_the_leader_dies_as_soon_as_it_is_removed() {
    let mut quorum = Quorum::running(2);
    quorum.register_broker();
    quorum.create("before");
    let leader = quorum.leader();
    let removal = QuorumRequest::RemoveVoter { voter: quorum.node(leader).id() };
    let removed = quorum.runtime.block_on(quorum.node(leader).controller().ask(removal));
    assert_eq!(removed, Ok(QuorumResponse::VotersChanged(Ok(()))));
    // Before it hands over to the one that is left, whose only member that one now is.
    quorum.kill(leader);
    let resumed = quorum.create("after");
    println!("metadata writes resumed after {resumed:?}");
    assert_eq!(quorum.agreed_topics(), ["after", "before"]);
}
