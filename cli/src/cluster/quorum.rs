//! `weir cluster quorum`: members of the metadata quorum (DescribeQuorum).

use serde::Serialize;
use weir_protocol::client::Admin;
use weir_protocol::messages::describe_quorum_response::{PartitionData, ReplicaState};

use super::voter::DirectoryId;
use crate::command_error::CommandError;
use crate::output::{self, Format, numbers, words};

#[derive(Debug, Serialize)]
struct Quorum {
    leader: Option<i32>,
    leader_epoch: i32,
    high_watermark: i64,
    members: Vec<Member>,
}

#[derive(Debug, Serialize)]
struct Member {
    node: i32,
    directory: Option<String>,
    role: &'static str,
    log_end_offset: Option<i64>,
    lag: Option<i64>,
}

pub(super) async fn run(admin: &Admin, format: Format) -> Result<(), CommandError> {
    let described = admin.describe_quorum().await;
    let quorum = Quorum::from(&described.map_err(|error| CommandError::client("describe the metadata quorum", error))?);
    match format {
        Format::Json => output::print_json(&quorum),
        Format::Table => output::print(&quorum.table()),
    }
}

impl From<&PartitionData> for Quorum {
    fn from(described: &PartitionData) -> Self {
        let leader = Some(described.leader_id.0).filter(|&id| id >= 0);
        let all = described.current_voters.iter().chain(&described.observers);
        let leader_end = all.clone().find(|member| Some(member.replica_id.0) == leader);
        let leader_end = leader_end.map(|member| member.log_end_offset).filter(|&end| end >= 0);
        let member = |state: &ReplicaState, role| {
            let end = Some(state.log_end_offset).filter(|&end| end >= 0);
            Member {
                node: state.replica_id.0,
                directory: (!state.replica_directory_id.is_nil())
                    .then(|| DirectoryId(state.replica_directory_id).to_string()),
                role: if Some(state.replica_id.0) == leader { "leader" } else { role },
                log_end_offset: end,
                lag: leader_end.zip(end).map(|(leader, end)| (leader - end).max(0)),
            }
        };
        let voters = described.current_voters.iter().map(|state| member(state, "voter"));
        let observers = described.observers.iter().map(|state| member(state, "observer"));
        Self {
            leader,
            leader_epoch: described.leader_epoch,
            high_watermark: described.high_watermark,
            members: voters.chain(observers).collect(),
        }
    }
}

impl Quorum {
    fn table(&self) -> String {
        let columns = [numbers("NODE"), words("ROLE"), numbers("LOG END"), numbers("LAG"), words("DIRECTORY")];
        let rows = self.members.iter().map(|member| {
            [
                member.node.to_string(),
                member.role.to_owned(),
                output::or_dash(member.log_end_offset),
                output::or_dash(member.lag),
                output::or_dash(member.directory.as_ref()),
            ]
        });
        let leader = match self.leader {
            Some(leader) => format!("node {leader} leads in epoch {}", self.leader_epoch),
            None => "nobody leads".to_owned(),
        };
        let high_watermark = self.high_watermark;
        format!("{leader}, committed below offset {high_watermark}\n\n{}", output::table(columns, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_protocol::messages::BrokerId;

    #[test]
    fn lag_is_told_against_the_leader_and_not_where_it_is_unknown() {
        let state = |id, end| ReplicaState::default().with_replica_id(BrokerId(id)).with_log_end_offset(end);
        let described = PartitionData::default()
            .with_leader_id(BrokerId(2))
            .with_leader_epoch(7)
            .with_high_watermark(40)
            .with_current_voters(vec![state(1, 38), state(2, 41)])
            .with_observers(vec![state(9, -1)]);
        let expected = "node 2 leads in epoch 7, committed below offset 40\n\n\
                        NODE  ROLE      LOG END  LAG  DIRECTORY\n   1  voter          38    3  -\n   2  leader         \
                        41    0  -\n   9  observer        -    -  -";
        assert_eq!(Quorum::from(&described).table(), expected);
    }
}
