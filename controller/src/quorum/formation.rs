//! How a node becomes part of a quorum: forms one, joins one, or waits.
//!
//! A pure core over the answers of the peers that the configuration names. Rules: a node that holds nothing never
//! initialises while any of them knows a cluster, or votes in one; the lowest configured voter alone initialises, once a
//! majority of them (all, if only their addresses are configured) has answered that it is blank, means the same voters and
//! may vote; it waits a little for the rest, so that they need not be added later. A node that knows its cluster keeps away
//! from every other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weir_protocol::ids::BrokerId;

use super::peer::PeerAddress;
use super::rpc::ProbeAnswer;
use super::types::{ControllerEndpoint, ControllerNode, RaftNodeId};

/// Whom the configuration names as voters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfiguredVoters {
    /// `controller.quorum.voters`: their ids, and where they are.
    Named(BTreeMap<BrokerId, Vec<ControllerEndpoint>>),
    /// `controller.quorum.bootstrap.servers`: where some of them are.
    Bootstrap(Vec<ControllerEndpoint>),
}

impl ConfiguredVoters {
    /// Where to ask. A bootstrap server may be this very node.
    pub(crate) fn addresses(&self, own: BrokerId) -> Vec<PeerAddress> {
        match self {
            Self::Named(voters) => {
                let others = voters.iter().filter(|(id, _)| **id != own);
                others.map(|(_, endpoints)| PeerAddress { id: None, endpoints: endpoints.clone() }).collect()
            }
            Self::Bootstrap(servers) => {
                let servers = servers.iter();
                servers.map(|server| PeerAddress { id: None, endpoints: vec![server.clone()] }).collect()
            }
        }
    }

    /// Where this node is itself, if it is named beside others: whoever was started from a copy of its directory finds it there.
    pub(crate) fn own_address(&self, own: BrokerId) -> Option<PeerAddress> {
        match self {
            Self::Named(voters) if voters.len() > 1 => {
                voters.get(&own).map(|endpoints| PeerAddress { id: None, endpoints: endpoints.clone() })
            }
            Self::Named(_) | Self::Bootstrap(_) => None,
        }
    }

    /// Whether the configuration names `id` as a voter.
    pub(crate) fn names(&self, id: BrokerId) -> bool {
        matches!(self, Self::Named(voters) if voters.contains_key(&id))
    }

    /// The same text on every node that means the same voters.
    pub(crate) fn text(&self) -> String {
        let mut words = match self {
            Self::Named(voters) => voters.keys().map(ToString::to_string).collect::<Vec<_>>(),
            Self::Bootstrap(servers) => servers.iter().map(ToString::to_string).collect(),
        };
        words.sort();
        words.dedup();
        words.join(",")
    }
}

/// What this node is before it asks.
#[derive(Clone, Debug)]
pub(crate) struct Myself {
    pub(crate) id: RaftNodeId,
    pub(crate) blank: bool,
    /// In a cluster that is formed now.
    pub(crate) may_vote: bool,
    pub(crate) cluster_id: Option<Arc<str>>,
    pub(crate) endpoints: Vec<ControllerEndpoint>,
}

/// Who answered at an address, and what.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) address: PeerAddress,
    pub(crate) responder: RaftNodeId,
    pub(crate) answer: ProbeAnswer,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Ask again later.
    Wait,
    /// Form a cluster of these voters.
    Initialise(BTreeMap<RaftNodeId, ControllerNode>),
    /// A cluster is known; its leader perhaps too.
    Join(Option<PeerAddress>),
    /// The peers belong to that cluster, and this node does not.
    Foreign(Arc<str>),
}

/// Decides on the answers of one round. `waited` counts from the first round in which a majority was ready.
pub(crate) fn next_step(me: &Myself, voters: &ConfiguredVoters, found: &[Found], waited_enough: bool) -> Step {
    let others = || found.iter().filter(|found| found.responder != me.id);
    let knows = |found: &&Found| found.answer.cluster_id.is_some();
    let ours = |found: &&Found| me.cluster_id.is_none() || found.answer.cluster_id == me.cluster_id;
    if let Some(known) = others().find(|found| knows(found) && ours(found)) {
        let clusters = others().filter_map(|found| found.answer.cluster_id.as_ref());
        // Between two clusters a node that knows none does not choose.
        if me.cluster_id.is_none() && clusters.clone().any(|cluster| Some(cluster) != known.answer.cluster_id.as_ref())
        {
            return Step::Wait;
        }
        let leader = others().filter(knows).filter(ours).find_map(|found| found.answer.leader.clone());
        return Step::Join(leader);
    }
    if let Some(foreign) = others().find_map(|found| found.answer.cluster_id.clone()) {
        return Step::Foreign(foreign);
    }
    if !me.blank {
        return Step::Wait;
    }
    if let Some(leader) = others().find_map(|found| found.answer.leader.clone()) {
        return Step::Join(Some(leader));
    }
    // Whoever holds a vote or a log is about to form a cluster, and will call.
    if !me.may_vote || others().any(|found| !found.answer.blank) {
        return Step::Wait;
    }
    form(me, voters, found, waited_enough)
}

fn form(me: &Myself, voters: &ConfiguredVoters, found: &[Found], waited_enough: bool) -> Step {
    let text = voters.text();
    let ready = found.iter().filter(|found| found.answer.may_vote && found.answer.configured == text);
    let mut members = BTreeMap::from([(me.id, ControllerNode { endpoints: me.endpoints.clone() })]);
    let complete = match voters {
        ConfiguredVoters::Named(named) => {
            if named.first_key_value().is_none_or(|(lowest, _)| *lowest != me.id.node_id) {
                return Step::Wait;
            }
            for found in ready.filter(|found| found.responder.node_id != me.id.node_id) {
                // An address is of one voter: the one that the configuration says.
                let expected = named.get(&found.responder.node_id);
                if expected.is_some_and(|endpoints| *endpoints == found.address.endpoints) {
                    members.insert(found.responder, ControllerNode { endpoints: found.address.endpoints.clone() });
                }
            }
            let majority = members.len() > named.len() / 2;
            majority && (members.len() == named.len() || waited_enough)
        }
        ConfiguredVoters::Bootstrap(servers) => {
            for found in ready {
                let endpoints = found.address.endpoints.clone();
                members.entry(found.responder).or_insert(ControllerNode { endpoints });
            }
            let lowest = members.keys().all(|id| id.node_id >= me.id.node_id);
            lowest && found.len() == servers.len() && members.len() == servers.len()
        }
    };
    if complete { Step::Initialise(members) } else { Step::Wait }
}

/// Whether only the rest is missing: a majority stands ready, and the grace for the others runs.
pub(crate) fn majority_ready(me: &Myself, voters: &ConfiguredVoters, found: &[Found]) -> bool {
    matches!(next_step(me, voters, found, true), Step::Initialise(_))
}

/// How long the grace runs.
pub(crate) fn grace_is_over(ready_for: Option<Duration>, grace: Duration) -> bool {
    ready_for.is_some_and(|ready_for| ready_for >= grace)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "ours";

    fn id(node_id: i32) -> RaftNodeId {
        RaftNodeId::from((node_id, 0xd))
    }

    fn endpoints(node_id: i32) -> Vec<ControllerEndpoint> {
        vec![ControllerEndpoint { listener: "C".into(), host: format!("host-{node_id}"), port: 9093 }]
    }

    fn named(ids: &[i32]) -> ConfiguredVoters {
        ConfiguredVoters::Named(ids.iter().map(|id| (BrokerId(*id), endpoints(*id))).collect())
    }

    fn bootstrap(ids: &[i32]) -> ConfiguredVoters {
        ConfiguredVoters::Bootstrap(ids.iter().flat_map(|id| endpoints(*id)).collect())
    }

    fn blank(node_id: i32) -> Myself {
        Myself { id: id(node_id), blank: true, may_vote: true, cluster_id: None, endpoints: endpoints(node_id) }
    }

    fn answer(node_id: i32, voters: &ConfiguredVoters) -> Found {
        let configured = voters.text();
        Found {
            address: PeerAddress { id: None, endpoints: endpoints(node_id) },
            responder: id(node_id),
            answer: ProbeAnswer { cluster_id: None, blank: true, may_vote: true, configured, leader: None },
        }
    }

    fn of_cluster(node_id: i32, voters: &ConfiguredVoters, cluster: &str) -> Found {
        let mut found = answer(node_id, voters);
        found.answer.blank = false;
        found.answer.cluster_id = Some(cluster.into());
        found
    }

    fn members(step: &Step) -> Vec<i32> {
        match step {
            Step::Initialise(members) => members.keys().map(|id| id.node_id.get()).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_lowest_voter_forms_a_cluster_of_all_at_once_and_of_a_majority_after_a_while() {
        let voters = named(&[1, 2, 3]);
        let all = [answer(2, &voters), answer(3, &voters)];
        assert_eq!(members(&next_step(&blank(1), &voters, &all, false)), [1, 2, 3]);
        assert_eq!(next_step(&blank(1), &voters, &all[..1], false), Step::Wait);
        assert_eq!(members(&next_step(&blank(1), &voters, &all[..1], true)), [1, 2]);
        assert_eq!(next_step(&blank(1), &voters, &[], true), Step::Wait);
        let others = [answer(1, &voters), answer(3, &voters)];
        assert_eq!(next_step(&blank(2), &voters, &others, true), Step::Wait);
    }

    #[test]
    fn nobody_forms_a_cluster_while_a_peer_knows_one_or_votes_in_one() {
        let voters = named(&[1, 2, 3]);
        let known = [answer(2, &voters), of_cluster(3, &voters, OURS)];
        assert_eq!(next_step(&blank(1), &voters, &known, true), Step::Join(None));
        let mut votes = answer(3, &voters);
        votes.answer.blank = false;
        assert_eq!(next_step(&blank(1), &voters, &[answer(2, &voters), votes], true), Step::Wait);
    }

    #[test]
    fn who_means_other_voters_or_may_not_vote_does_not_count() {
        let voters = named(&[1, 2, 3]);
        let elsewhere = answer(2, &named(&[2, 3]));
        let mut broker = answer(3, &voters);
        broker.answer.may_vote = false;
        assert_eq!(next_step(&blank(1), &voters, &[elsewhere, broker], true), Step::Wait);
        // Somebody else at the address of a voter is not that voter.
        let mut misplaced = answer(3, &voters);
        misplaced.address.endpoints = endpoints(2);
        assert_eq!(next_step(&blank(1), &voters, &[misplaced], true), Step::Wait);
    }

    #[test]
    fn of_addresses_alone_the_lowest_forms_once_all_have_answered() {
        let voters = bootstrap(&[1, 2, 3]);
        let all = [answer(1, &voters), answer(2, &voters), answer(3, &voters)];
        assert_eq!(members(&next_step(&blank(1), &voters, &all, false)), [1, 2, 3]);
        assert_eq!(next_step(&blank(1), &voters, &all[..2], true), Step::Wait);
        assert_eq!(next_step(&blank(2), &voters, &all, true), Step::Wait);
    }

    #[test]
    fn a_node_keeps_to_its_cluster_and_chooses_between_no_two() {
        let voters = named(&[1, 2, 3]);
        let member = Myself { blank: false, cluster_id: Some(OURS.into()), ..blank(1) };
        let (ours, theirs) = (of_cluster(2, &voters, OURS), of_cluster(3, &voters, "theirs"));
        let both = [ours, theirs];
        assert_eq!(next_step(&member, &voters, &both[1..], true), Step::Foreign("theirs".into()));
        assert_eq!(next_step(&member, &voters, &both, true), Step::Join(None));
        assert_eq!(next_step(&blank(1), &voters, &both, true), Step::Wait);
    }
}
