//! DescribeGroups v0–v6, for one group: its state and members.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use weir_protocol::messages::{GroupId as WireGroupId, StrBytes};

use super::{ClassicGroup, ClassicState, GroupCoordinatorShard, GroupView};

/// The first version in which an unknown group is an error and not merely dead.
const NOT_FOUND_VERSION: i16 = 6;

impl GroupCoordinatorShard {
    /// Describes one group; the caller adds the authorized operations.
    pub fn describe_group(&self, group_id: &WireGroupId, api_version: i16) -> DescribedGroup {
        let response = DescribedGroup::default().with_group_id(group_id.clone());
        let Some(view) = self.view(group_id.as_str()) else {
            let response = response.with_group_state(StrBytes::from_static_str(ClassicState::DEAD));
            if api_version < NOT_FOUND_VERSION {
                return response;
            }
            let message = format!("Group {} not found.", group_id.as_str());
            return response
                .with_error_code(ErrorCode::GroupIdNotFound.code())
                .with_error_message(Some(StrBytes::from_string(message)));
        };
        let response = response
            .with_group_state(StrBytes::from_static_str(view.state().name()))
            .with_protocol_type(view.protocol_type().cloned().unwrap_or_default());
        match view {
            GroupView::Stored(_) => response,
            GroupView::Live(group) => {
                let stable = group.protocol().filter(|_| group.state() == ClassicState::Stable);
                response
                    .with_protocol_data(stable.cloned().unwrap_or_default())
                    .with_members(describe_members(group, stable))
            }
        }
    }
}

/// Metadata is shown only while a protocol is agreed on.
fn describe_members(group: &ClassicGroup, protocol: Option<&StrBytes>) -> Vec<DescribedGroupMember> {
    let describe = |member: &crate::group::classic::Member| {
        DescribedGroupMember::default()
            .with_member_id(member.id.to_wire())
            .with_group_instance_id(member.instance_id.as_ref().map(|id| id.to_wire()))
            .with_client_id(member.client_id.clone())
            .with_client_host(member.client_host.clone())
            .with_member_metadata(protocol.map(|name| member.metadata(name)).unwrap_or_default())
            .with_member_assignment(member.assignment.clone())
    };
    group.members().map(describe).collect()
}
