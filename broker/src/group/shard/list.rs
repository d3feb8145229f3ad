//! ListGroups v0–v5: the groups of this shard, by state and type.

use weir_protocol::messages::list_groups_response::ListedGroup;
use weir_protocol::messages::{GroupId as WireGroupId, ListGroupsRequest, StrBytes};

use super::{GroupCoordinatorShard, GroupView};

/// What a ListGroups asks for; empty lists ask for everything.
#[derive(Clone, Debug, Default)]
pub struct ListFilter {
    states: Vec<String>,
    types: Vec<String>,
}

impl ListFilter {
    /// The request's filters. Names are compared in any case; names that no state or type has match nothing.
    pub fn of(request: &ListGroupsRequest) -> Self {
        let lower = |names: &[StrBytes]| names.iter().map(|name| name.trim().to_lowercase()).collect();
        ListFilter { states: lower(&request.states_filter), types: lower(&request.types_filter) }
    }
}

impl GroupCoordinatorShard {
    /// Adds this shard's groups to `listed`.
    pub fn list_groups(&self, filter: &ListFilter, listed: &mut Vec<ListedGroup>) {
        for (group_id, group) in self.durable.groups() {
            let group_type = group.group_type();
            if !filter.types.is_empty() && !filter.types.iter().any(|name| group_type.is_named(name)) {
                continue;
            }
            let Some(view) = self.view(group_id) else { continue };
            let state = view.state().name();
            if !filter.states.is_empty() && !filter.states.iter().any(|name| name.eq_ignore_ascii_case(state)) {
                continue;
            }
            let protocol_type = match &view {
                GroupView::Live(group) => group.protocol_type(),
                GroupView::Stored(stored) => stored.protocol_type.as_ref(),
            };
            listed.push(
                ListedGroup::default()
                    .with_group_id(WireGroupId(group_id.to_wire()))
                    .with_protocol_type(protocol_type.cloned().unwrap_or_default())
                    .with_group_state(StrBytes::from_static_str(state))
                    .with_group_type(StrBytes::from_static_str(group_type.name())),
            );
        }
    }
}
