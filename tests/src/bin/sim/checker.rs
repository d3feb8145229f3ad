//! The rules that hold after every event.
//!
//! | rule | broken when |
//! |---|---|
//! | one leader an epoch | two brokers lead a partition in the same leader epoch |
//! | the committed prefix never changes | a leader's high watermark covers a record that differs from what was committed there |
//! | the high watermark never goes back | a leader tells one below what was told in the same epoch |
//! | who is in sync has it all | a member of the ISR, or an eligible leader, as the controller knows them, lacks a committed record |
//! | nothing acknowledged is lost or moved | an acknowledged record is not committed at the offset that was said |
//!
//! Those of the groups are in [`crate::group::rules`].

use std::collections::BTreeMap;

use weir_broker::replication::LocalLog;
use weir_controller::decide::LogState;
use weir_controller::image::MetadataImage;
use weir_protocol::ids::{BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::broker::{Broker, Claim};
use crate::group::records::Records;
use crate::group::rules::{GroupRules, Rule};
use crate::model_log::ModelLog;
use crate::planted::Bug;

pub(crate) struct Checker {
    committed: Vec<Vec<u64>>,
    leaders: BTreeMap<(usize, LeaderEpoch), (BrokerId, Offset)>,
    acknowledged: Vec<Vec<(Offset, u64)>>,
    /// The partition of `__consumer_offsets`, whose log they go by.
    groups_partition: usize,
    pub(crate) groups: GroupRules,
    broken: Option<String>,
}

impl Checker {
    pub(crate) fn new(partitions: usize, groups_partition: usize, records: Records, bug: Option<Bug>) -> Self {
        Self {
            committed: vec![Vec::new(); partitions],
            leaders: BTreeMap::new(),
            acknowledged: vec![Vec::new(); partitions],
            groups_partition,
            groups: GroupRules::new(records, bug.and_then(Bug::group_rule)),
            broken: None,
        }
    }

    pub(crate) fn broken(&self) -> Option<&str> {
        self.broken.as_deref().or(self.groups.broken.as_deref())
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.iter().map(Vec::len).sum()
    }

    pub(crate) fn last_acknowledged(&self, partition: usize) -> Option<u64> {
        self.acknowledged[partition].last().map(|(_, value)| *value)
    }

    fn break_rule(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// A broker has done something: what it said on the way is held against what is known.
    pub(crate) fn look_at(&mut self, broker: &mut Broker) {
        for (partition, replica) in broker.replicas.iter_mut().enumerate() {
            for claim in std::mem::take(&mut replica.claims) {
                self.hold_against_epoch(partition, broker.id, &claim);
                self.commit(partition, &replica.log, claim.high_watermark, broker.id);
            }
        }
        self.groups.look_at_log(&self.committed[self.groups_partition]);
        if let Some(what) = broker.groups.differs.take() {
            let id = broker.id;
            self.groups
                .break_rule(Rule::StateIsTheLogs, || format!("broker {id} holds what its log does not give: {what}"));
        }
    }

    fn hold_against_epoch(&mut self, partition: usize, broker: BrokerId, claim: &Claim) {
        let Claim { epoch, high_watermark, is_told } = *claim;
        let (leader, told) = *self.leaders.entry((partition, epoch)).or_insert((broker, Offset(0)));
        if leader != broker {
            self.break_rule(format!("brokers {leader} and {broker} lead partition {partition} in epoch {epoch}"));
        }
        if !is_told {
            return;
        }
        if high_watermark < told {
            let went = format!("from {told} to {high_watermark} in epoch {epoch}");
            self.break_rule(format!("the high watermark of partition {partition} went back {went}"));
        }
        self.leaders.insert((partition, epoch), (broker, high_watermark));
    }

    /// What a leader says is committed is what was, and more.
    fn commit(&mut self, partition: usize, log: &ModelLog, high_watermark: Offset, leader: BrokerId) {
        let end = usize::try_from(high_watermark.get()).unwrap_or(0);
        let Some(here) = log.entries().get(..end) else {
            return self.break_rule(format!("leader {leader} of partition {partition} commits {end} and has less"));
        };
        let committed = &mut self.committed[partition];
        let both = committed.len().min(end);
        // The last records suffice here; `look_at_everything` compares all.
        let from = both.saturating_sub(20);
        let differs = (from..both).find(|at| here[*at].value != committed[*at]);
        committed.extend(here.iter().skip(both).map(|entry| entry.value));
        if let Some(at) = differs {
            self.break_rule(format!("leader {leader} of partition {partition} has another record at offset {at}"));
        }
    }

    pub(crate) fn look_at_isr(&mut self, image: &MetadataImage, topic: TopicId, broker: &Broker) {
        for (partition, replica) in broker.replicas.iter().enumerate() {
            let Some(registration) = image.partition(topic, PartitionIndex(partition as i32)) else { continue };
            let is_eligible = registration.eligible_leader_replicas().contains(&broker.id);
            // Until it has registered, the controller cannot know what a power cut took.
            let is_known = broker.log_state == LogState::Intact;
            if !is_known || !(registration.isr.contains(&broker.id) || is_eligible) {
                continue;
            }
            let committed = &self.committed[partition];
            let Some(last) = committed.len().checked_sub(1) else { continue };
            if replica.log.entries().get(last).map(|entry| entry.value) != Some(committed[last]) {
                let end = replica.log.log_end_offset();
                let what = if is_eligible { "eligible for" } else { "in sync with" };
                let name = format!("broker {} is {what} partition {partition}", broker.id);
                self.break_rule(format!("{name} and lacks what is committed at {last}; its log ends at {end}"));
            }
        }
    }

    pub(crate) fn look_at_everything(&mut self, image: &MetadataImage, topic: TopicId, broker: &Broker) {
        self.look_at_isr(image, topic, broker);
        for (partition, replica) in broker.replicas.iter().enumerate() {
            let same = replica.log.entries().iter().zip(&self.committed[partition]).position(|(a, b)| a.value != *b);
            if let Some(at) = same {
                let name = format!("broker {} at offset {at} of partition {partition}", broker.id);
                self.break_rule(format!("{name} has not what is committed there"));
            }
        }
    }

    /// A client has been told that its record is safe.
    pub(crate) fn acknowledge(&mut self, partition: usize, offset: Offset, value: u64) {
        let at = usize::try_from(offset.get()).unwrap_or(usize::MAX);
        if self.committed[partition].get(at) != Some(&value) {
            self.break_rule(format!(
                "record {value} was acknowledged at {offset} of partition {partition}, and is not committed there"
            ));
        }
        self.acknowledged[partition].push((offset, value));
    }
}
