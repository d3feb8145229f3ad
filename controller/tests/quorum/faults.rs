//! What goes wrong around a quorum: cuts, lost and late messages, lost disks, copied disks, strangers.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use weir_controller::quorum::{
    CLUSTER_METADATA_FOLDER, Controller, ControllerConfig, MemberRecord, PeerRpcKind, RaftNodeId, StartError,
    SubmitError,
};

use crate::cluster::{copy_as_a_kill_leaves_it, create};
use crate::peers::{Faults, Node, PATIENCE, Quorum};

/// Who votes, as the leader says.
fn voters(quorum: &Quorum) -> BTreeSet<RaftNodeId> {
    let leader = quorum.leader();
    let description = quorum.node(leader).controller().describe_quorum();
    description.replicas.iter().filter(|replica| replica.voter).map(|replica| replica.id).collect()
}

#[test]
fn a_leader_cut_off_commits_nothing_and_follows_when_it_is_back() {
    let quorum = Quorum::running(3);
    quorum.register_broker();
    let cut_off = quorum.leader();
    quorum.wires.cut_off(quorum.node(cut_off).port(), &quorum.ports());
    let answer = quorum.submit(quorum.node(cut_off), create("minority", 1).into());
    assert!(matches!(answer, Err(SubmitError::NotController { .. })), "{answer:?}");
    quorum.create("majority");
    assert_ne!(quorum.leader(), cut_off);
    quorum.wires.mend();
    assert_eq!(quorum.agreed_topics(), ["majority"]);
}

#[test]
fn a_leader_whose_listener_refuses_is_replaced_long_before_an_election_timeout() {
    let mut quorum = Quorum::of(3);
    // Nobody would stand within what the test waits.
    quorum.timing.election_timeout_min = PATIENCE;
    quorum.timing.election_timeout_max = PATIENCE * 2;
    quorum.start_all();
    quorum.register_broker();
    let dead = quorum.leader();
    quorum.kill(dead);
    assert_ne!(quorum.leader(), dead);
    quorum.create("afterwards");
    assert_eq!(quorum.agreed_topics(), ["afterwards"]);
}

#[test]
fn a_follower_cut_off_and_back_deposes_nobody() {
    let quorum = Quorum::running(3);
    quorum.register_broker();
    let leader = quorum.leader();
    let before = quorum.node(leader).controller().describe_quorum().leader_epoch;
    let follower = quorum.nodes.iter().find(|node| node.number != leader).unwrap();
    quorum.wires.cut_off(follower.port(), &quorum.ports());
    let asked = quorum.wires.calls(follower.port(), PeerRpcKind::PreVote);
    quorum.wait("the follower to ask for votes in vain, twice", || {
        (quorum.wires.calls(follower.port(), PeerRpcKind::PreVote) >= asked + 4).then_some(())
    });
    quorum.create("meanwhile");
    quorum.wires.mend();
    assert_eq!(quorum.agreed_topics(), ["meanwhile"]);
    assert_eq!(quorum.leader(), leader);
    assert_eq!(quorum.node(leader).controller().describe_quorum().leader_epoch, before);
}

#[test]
fn lost_repeated_and_late_messages_lose_nothing_that_was_acknowledged() {
    for seed in [11, 12] {
        let mut quorum = Quorum::of(3);
        quorum.wires = crate::peers::Wires::seeded(seed);
        quorum.start_all();
        quorum.register_broker();
        let late_by = Duration::from_millis(40);
        quorum.wires.trouble(Faults { lost: 30, repeated: 100, late: 150, late_by });
        let mut expected = Vec::new();
        for number in 10..22 {
            let name = format!("topic-{number}");
            quorum.create(&name);
            expected.push(name);
        }
        quorum.wires.mend();
        assert_eq!(quorum.agreed_topics(), expected, "seed {seed}");
    }
}

#[test]
fn a_voter_with_an_emptied_directory_comes_back_under_a_new_id_and_the_old_one_leaves() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("before");
    let leader = quorum.leader();
    let replaced = quorum.nodes.iter().map(|node| node.number).find(|number| *number != leader).unwrap();
    quorum.kill(replaced);
    *quorum.node_mut(replaced) = Node::new(replaced);
    quorum.start(replaced);
    let expected = quorum.nodes.iter().map(Node::id).collect::<BTreeSet<_>>();
    quorum.wait("the new voter, and not the old", || (voters(&quorum) == expected).then_some(()));
    quorum.create("after");
    assert_eq!(quorum.agreed_topics(), ["after", "before"]);
}

#[test]
fn a_voter_whose_metadata_folder_is_gone_never_votes_as_itself_again_and_another_takes_its_place() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("before");
    let leader = quorum.leader();
    let robbed = quorum.nodes.iter().map(|node| node.number).find(|number| *number != leader).unwrap();
    let former = quorum.node(robbed).id();
    assert_eq!(quorum.node(robbed).record.member(), Some(former.directory_id));
    quorum.kill(robbed);
    fs::remove_dir_all(quorum.node(robbed).directory.path().join(CLUSTER_METADATA_FOLDER)).unwrap();
    quorum.start(robbed);
    let new = quorum.node(robbed).controller().node_id();
    assert_ne!(new, former);
    let others = quorum.nodes.iter().filter(|node| node.number != robbed).map(Node::id);
    let expected = others.chain([new]).collect::<BTreeSet<_>>();
    quorum.wait("the new voter, and not the old", || (voters(&quorum) == expected).then_some(()));
    // It stays that one.
    quorum.kill(robbed);
    quorum.start(robbed);
    assert_eq!(quorum.node(robbed).controller().node_id(), new);
    quorum.create("after");
    assert_eq!(quorum.agreed_topics(), ["after", "before"]);
}

#[test]
fn a_node_that_was_a_member_once_forms_no_cluster() {
    let quorum = Quorum::of(3);
    // The lowest of the configured voters, which would form one of three blank nodes at once.
    let robbed = quorum.node(1);
    robbed.record.set_member(robbed.directory_id).unwrap();
    let starting = [1, 2, 3].map(|number| quorum.launch(number).unwrap());
    quorum.wait("several rounds of asking", || {
        (quorum.wires.calls(robbed.port(), PeerRpcKind::Probe) >= 12).then_some(())
    });
    for node in &quorum.nodes {
        let vote = node.directory.path().join(CLUSTER_METADATA_FOLDER).join("quorum-state");
        assert!(!vote.exists(), "node {} has voted", node.number);
    }
    for starting in starting {
        starting.abort_handle().abort();
        assert!(matches!(starting.ready(), Err(StartError::Stopped)));
    }
}

#[test]
fn a_copied_directory_started_beside_the_original_is_refused() {
    let quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("a");
    let leader = quorum.leader();
    let original = quorum.nodes.iter().find(|node| node.number != leader).unwrap();
    let copy = copy_as_a_kill_leaves_it(original.directory.path());
    let error = Controller::start(quorum.config_at(original, copy.path(), 20_001)).err().unwrap();
    assert!(matches!(error, StartError::SecondProcess { .. }), "{error}");
    quorum.create("b");
    assert_eq!(quorum.agreed_topics(), ["a", "b"]);
}

#[test]
fn a_copied_directory_that_is_tried_for_long_takes_no_part_when_the_leader_dies() {
    const ELSEWHERE: u16 = 20_003;
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.create("a");
    let leader = quorum.leader();
    // As if somebody started it again and again.
    quorum.timing.refusal_patience = PATIENCE;
    let original = quorum.nodes.iter().find(|node| node.number != leader).unwrap();
    let directory = copy_as_a_kill_leaves_it(original.directory.path());
    let copy = Controller::launch(quorum.config_at(original, directory.path(), ELSEWHERE)).unwrap();
    quorum.wait("the copy to have asked for a second", || {
        (quorum.wires.calls(ELSEWHERE, PeerRpcKind::Probe) >= 25).then_some(())
    });
    quorum.kill(leader);
    quorum.create("b");
    assert_eq!(quorum.agreed_topics(), ["a", "b"]);
    for kind in [PeerRpcKind::PreVote, PeerRpcKind::Vote, PeerRpcKind::AppendEntries] {
        assert_eq!(quorum.wires.calls(ELSEWHERE, kind), 0, "{kind:?}");
    }
    copy.abort_handle().abort();
    let error = copy.ready().err().unwrap();
    assert!(matches!(error, StartError::Stopped), "{error}");
}

#[test]
fn a_second_node_with_the_id_of_a_live_voter_is_refused() {
    let quorum = Quorum::running(3);
    let leader = quorum.leader();
    let namesake = Node::new(quorum.nodes.iter().map(|node| node.number).find(|number| *number != leader).unwrap());
    let error = Controller::start(quorum.config_at(&namesake, namesake.directory.path(), 20_002)).err().unwrap();
    assert!(matches!(error, StartError::Denied { .. }), "{error}");
    assert!(!voters(&quorum).contains(&namesake.id()));
}

#[test]
fn a_node_of_another_cluster_is_refused_in_one_sentence() {
    let quorum = Quorum::running(3);
    let stranger = Node { may_vote: false, ..Node::new(4) };
    let config = ControllerConfig { cluster_id: Some("AAAAAAAAAAAAAAAAAAAAAQ".into()), ..quorum.config_of(&stranger) };
    let error = Controller::start(config).err().unwrap();
    assert!(matches!(error, StartError::ForeignPeers { .. }), "{error}");
    assert!(error.to_string().contains("AAAAAAAAAAAAAAAAAAAAAQ"), "{error}");
}

#[test]
fn a_learner_far_behind_gets_a_snapshot_in_parts() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    let leader = quorum.leader();
    let node = quorum.node(leader);
    let large = quorum.submit(node, create("large", 10_000).into());
    assert!(large.is_ok(), "{large:?}");
    // More entries than stay readable behind a snapshot.
    for round in 0..1_050 {
        let created = quorum.submit(node, create(&format!("topic-{round}"), 1).into());
        assert!(created.is_ok(), "{created:?}");
    }
    quorum.runtime.block_on(node.controller().snapshot()).unwrap();
    let port = node.port();
    quorum.nodes.push(Node { may_vote: false, ..Node::new(4) });
    quorum.start(4);
    assert_eq!(quorum.agreed_topics().len(), 1_051);
    let parts = quorum.wires.calls(port, PeerRpcKind::SnapshotChunk);
    assert!(parts > 1, "{parts}");
    assert!(!voters(&quorum).contains(&quorum.node(4).id()));
}

#[test]
fn voters_are_added_and_removed_while_the_cluster_serves() {
    let mut quorum = Quorum::running(3);
    quorum.register_broker();
    quorum.nodes.push(Node::new(4));
    quorum.start(4);
    let leader = quorum.leader();
    let added = quorum.node(4).id();
    let add = quorum.node(leader).controller().add_voter(added, Vec::new());
    assert_eq!(
        quorum.runtime.block_on(async { tokio::time::timeout(crate::peers::PATIENCE, add).await.unwrap() }),
        Ok(())
    );
    assert!(voters(&quorum).contains(&added));
    let removed = quorum.nodes.iter().map(Node::id).find(|id| *id != added && *id != quorum.node(leader).id()).unwrap();
    let remove = quorum.node(leader).controller().remove_voter(removed);
    assert_eq!(
        quorum.runtime.block_on(async { tokio::time::timeout(crate::peers::PATIENCE, remove).await.unwrap() }),
        Ok(())
    );
    assert_eq!(voters(&quorum).len(), 3);
    assert!(!voters(&quorum).contains(&removed));
    quorum.create("after");
}

#[test]
fn a_voter_alone_calls_nobody() {
    let mut quorum = Quorum::of(1);
    quorum.start_all();
    quorum.register_broker();
    quorum.create("a");
    for kind in PeerRpcKind::ALL {
        assert_eq!(quorum.wires.calls(quorum.node(1).port(), kind), 0, "{kind:?}");
    }
}
