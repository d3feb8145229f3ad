//! The rules of the groups: what was answered is held against the committed log of `__consumer_offsets`.
//!
//! | rule | broken when |
//! |---|---|
//! | commits stay | an OffsetCommit is answered and not committed, or an OffsetFetch gives an older state than was told before it was asked |
//! | only what is committed is shown | an OffsetFetch gives an offset that is not in the committed log |
//! | one owner | a partition is assigned to two members in one generation |
//! | generations go on | the log, or an answer to a member, goes back behind a generation that was told, or tells one that is not kept |
//! | members are told | a request of a member that is not in the generation it names is answered as if it were |
//! | members keep their offsets | offsets of a topic are removed while the group's members subscribe to it |
//! | the state is the log's | a coordinator holds another state than replaying its log gives |
//!
//! An answer is true of *some* moment: of one that is not before anything that a coordinator of its own epoch, or an earlier one, had told
//! anyone when the request was sent. A coordinator that was replaced and does not know yet may tell of the past, as in Kafka; it commits nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_broker::group::{CoordinatorRecord, GroupMetadataValue};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::LeaderEpoch;
use weir_protocol::messages::{OffsetCommitRequest, OffsetFetchResponse, SyncGroupRequest, SyncGroupResponse};

use super::history::{GroupHistory, History, Moment};
use super::records::{Records, Stored};
use super::wire::{GroupAnswer, GroupRequest, Question, assigned, code};

/// A rule, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    CommitsStay,
    OnlyCommittedIsShown,
    OneOwner,
    GenerationsGoOn,
    MembersAreTold,
    MembersKeepOffsets,
    StateIsTheLogs,
}

pub(crate) struct GroupRules {
    records: Records,
    history: History,
    /// What has been told, and by the coordinator of which epoch.
    told: Vec<(LeaderEpoch, Moment)>,
    /// Who was assigned a partition: by group, its life, its generation and the partition.
    owners: BTreeMap<(String, usize, i32, i32), String>,
    /// The only rule that counts, where a bug is planted that breaks it.
    only: Option<Rule>,
    pub(crate) broken: Option<String>,
    pub(crate) answered: u64,
}

impl GroupRules {
    pub(crate) fn new(records: Records, only: Option<Rule>) -> Self {
        let (history, told, owners) = Default::default();
        Self { records, history, told, owners, only, broken: None, answered: 0 }
    }

    /// Whether a bug is planted, and only one rule counts.
    pub(crate) fn is_planted(&self) -> bool {
        self.only.is_some()
    }

    /// A mark for a request that is sent now: whatever was told before it counts against its answer.
    pub(crate) fn told(&self) -> usize {
        self.told.len()
    }

    pub(crate) fn break_rule(&mut self, rule: Rule, what: impl FnOnce() -> String) {
        if self.only.is_none_or(|only| only == rule) && self.broken.is_none() {
            self.broken = Some(format!("{rule:?}: {}", what()));
        }
    }

    /// Records have been committed: `committed` is all there are.
    pub(crate) fn look_at_log(&mut self, committed: &[u64]) {
        for number in &committed[self.history.end..] {
            let stored = self.records.get(*number);
            self.look_at_record(&stored);
            self.history.take(&stored);
        }
    }

    fn look_at_record(&mut self, stored: &Arc<Stored>) {
        let last = |group: &str| self.history.group(group).and_then(|group| group.last_generation());
        match &stored.record {
            CoordinatorRecord::OffsetCommit { key, value: None }
                if last(&key.group).is_some_and(|last| !last.members.is_empty()) =>
            {
                let name = format!("partition {} of group {}", key.partition, key.group);
                self.break_rule(Rule::MembersKeepOffsets, || format!("the offset of {name} is gone"));
            }
            CoordinatorRecord::GroupMetadata { group, value: Some(value) } => {
                let before = last(group).map_or(0, |last| last.generation);
                if value.generation < before {
                    let went = format!("from {before} to {}", value.generation);
                    self.break_rule(Rule::GenerationsGoOn, || format!("the log of group {group} goes {went}"));
                }
            }
            _ => {}
        }
    }

    /// The moment behind which no answer to the question may fall.
    fn floor(&self, question: &Question) -> Moment {
        let epoch = question.coordinator.unwrap_or(LeaderEpoch::NONE);
        let told = &self.told[..question.told];
        told.iter().rev().find(|(by, _)| *by <= epoch).map_or(0, |(_, moment)| *moment)
    }

    fn tell(&mut self, question: &Question, moment: Moment) {
        self.answered += 1;
        let now = Question { told: self.told.len(), ..question.clone() };
        if let Some(epoch) = question.coordinator.filter(|_| moment > self.floor(&now)) {
            self.told.push((epoch, moment));
        }
    }

    /// A coordinator answers.
    pub(crate) fn look_at_answer(&mut self, question: &Question, answer: &GroupAnswer) {
        match (&*question.request, answer) {
            (GroupRequest::Join(request), GroupAnswer::Join(response)) if response.error_code == 0 => {
                let rule = Rule::GenerationsGoOn;
                self.look_at_member(question, rule, &request.group_id, response.generation_id, &response.member_id);
            }
            (GroupRequest::Sync(request), GroupAnswer::Sync(response)) if response.error_code == 0 => {
                self.look_at_sync(question, request, response);
            }
            // Who asks while the groups are being read is told to go on, whoever it is.
            (GroupRequest::Heartbeat(request), GroupAnswer::Heartbeat(response))
                if response.error_code == 0 && question.coordinator.is_some() =>
            {
                let rule = Rule::MembersAreTold;
                self.look_at_member(question, rule, &request.group_id, request.generation_id, &request.member_id);
            }
            (GroupRequest::Commit(request), GroupAnswer::Commit(response)) => {
                let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
                if partitions.map(|partition| code(partition.error_code)).all(|code| code == ErrorCode::None) {
                    self.look_at_commit(question, request);
                }
            }
            (GroupRequest::Fetch(_), GroupAnswer::Fetch(response)) => self.look_at_fetch(question, response),
            _ => {}
        }
    }

    /// A member was answered as one of a generation: it is one, or of one to come.
    fn look_at_member(&mut self, question: &Question, rule: Rule, group: &str, generation: i32, member: &str) {
        let Some(history) = self.history.group(group) else { return };
        let is_in = |stored: &GroupMetadataValue| match generation.cmp(&stored.generation) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => stored.members.iter().any(|stored| *stored.member_id == *member),
            std::cmp::Ordering::Greater => true,
        };
        let floor = self.floor(question);
        let holds = |moment| history.generation_at(moment).is_none_or(is_in);
        if !history.moments_of_generations(floor).any(holds) {
            let name = format!("member {member} of group {group}");
            let told = match history.generation_at(floor) {
                Some(stored) if stored.generation == generation => {
                    let members = stored.members.iter().map(|stored| &*stored.member_id).collect::<Vec<_>>();
                    format!("though that had been told with the members {members:?}")
                }
                stored => format!("after {} was told", stored.map_or(0, |stored| stored.generation)),
            };
            self.break_rule(rule, || format!("{name} was answered in generation {generation} {told}"));
        }
    }

    fn look_at_sync(&mut self, question: &Question, request: &SyncGroupRequest, response: &SyncGroupResponse) {
        let (group, generation) = (request.group_id.as_str(), request.generation_id);
        let has_it = |stored: &GroupMetadataValue| {
            let mut members = stored.members.iter();
            stored.generation == generation
                && members.any(|it| *it.member_id == *request.member_id && it.assignment == response.assignment)
        };
        let floor = self.floor(question);
        let found = self.history.group(group).and_then(|history| {
            let mut moments = history.moments_of_generations(floor);
            moments.find(|moment| history.generation_at(*moment).is_some_and(has_it))
        });
        let owner = request.group_instance_id.as_ref().unwrap_or(&request.member_id).to_string();
        let life = self.history.group(group).map_or(0, |history| history.deaths_before(found.unwrap_or(floor)));
        for partition in assigned(&response.assignment) {
            let key = (group.to_owned(), life, generation, partition);
            let first = self.owners.entry(key).or_insert_with(|| owner.clone()).clone();
            if first != owner {
                let name = format!("partition {partition} of group {group}");
                let both = format!("{first} and {owner} in generation {generation}");
                self.break_rule(Rule::OneOwner, || format!("{name} is assigned to both {both}"));
            }
        }
        match found {
            Some(moment) => self.tell(question, moment),
            None => self.break_rule(Rule::GenerationsGoOn, || {
                format!("{owner} of group {group} was given what no log says of generation {generation}")
            }),
        }
    }

    fn look_at_commit(&mut self, question: &Question, request: &OffsetCommitRequest) {
        let (group, generation) = (request.group_id.as_str(), request.generation_id_or_member_epoch);
        if generation >= 0 {
            self.look_at_member(question, Rule::MembersAreTold, group, generation, &request.member_id);
        }
        let mut told = 0;
        for partition in request.topics.iter().flat_map(|topic| &topic.partitions) {
            let (index, offset) = (partition.partition_index, partition.committed_offset);
            match self.history.group(group).and_then(|history| history.committed_at(index, offset)) {
                Some(moment) => told = told.max(moment),
                None => self.break_rule(Rule::CommitsStay, || {
                    format!("offset {offset} of partition {index} of group {group} is answered, and not committed")
                }),
            }
        }
        self.tell(question, told);
    }

    fn look_at_fetch(&mut self, question: &Question, response: &OffsetFetchResponse) {
        for group in response.groups.iter().filter(|group| group.error_code == 0) {
            let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
            let offset = |offset: i64| (offset >= 0).then_some(offset);
            let shown: Vec<_> = partitions.map(|it| (it.partition_index, offset(it.committed_offset))).collect();
            let nothing = GroupHistory::default();
            let history = self.history.group(&group.group_id).unwrap_or(&nothing);
            let floor = self.floor(question);
            if let Some(moment) = history.had_at(&shown, floor) {
                self.tell(question, moment);
                continue;
            }
            let is_known = |(partition, offset): &(i32, Option<i64>)| {
                offset.is_none_or(|offset| history.committed_at(*partition, offset).is_some())
            };
            let is_known = shown.iter().all(is_known);
            let rule = if is_known { Rule::CommitsStay } else { Rule::OnlyCommittedIsShown };
            let name = group.group_id.to_string();
            self.break_rule(rule, || format!("group {name} is shown {shown:?} after moment {floor} was told"));
        }
    }
}
