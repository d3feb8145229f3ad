//! DescribeGroups, ListGroups and DeleteGroups as the wire has them.

use ahash::AHashSet;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::delete_groups_response::DeletableGroupResult;
use weir_protocol::messages::describe_groups_response::DescribedGroup;
use weir_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
    ListGroupsRequest, ListGroupsResponse, StrBytes,
};

use super::reply::Reply;
use super::{GroupCoordinator, RequestContext};
use crate::group::classic::ClassicState;
use crate::group::shard::ListFilter;

impl GroupCoordinator {
    /// DescribeGroups v0–v6. The caller has removed, and answers for, groups that may not be described, and adds the
    /// authorized operations.
    pub fn describe_groups(
        &self,
        context: &RequestContext<'_>,
        request: &DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let describe = |group_id: &GroupId| {
            let partition = self.partition_of(group_id.as_str());
            self.read(partition, |shard| shard.describe_group(group_id, context.api_version))
                .unwrap_or_else(|code| undescribed(group_id, code))
        };
        DescribeGroupsResponse::default().with_groups(request.groups.iter().map(describe).collect())
    }

    /// ListGroups v0–v5: the groups that this broker coordinates. The caller removes those that may not be described.
    pub fn list_groups(&self, request: &ListGroupsRequest) -> ListGroupsResponse {
        let filter = ListFilter::of(request);
        let mut listed = Vec::new();
        for partition in self.partitions() {
            match self.read(partition, |shard| shard.list_groups(&filter, &mut listed)) {
                Ok(()) | Err(ErrorCode::NotCoordinator) => {}
                Err(code) => return ListGroupsResponse::default().with_error_code(code.code()),
            }
        }
        ListGroupsResponse::default().with_groups(listed)
    }

    /// DeleteGroups v0–v2, one answer for each group named, however often. The caller has removed, and answers for, groups
    /// that may not be deleted.
    pub fn delete_groups(&self, request: &DeleteGroupsRequest) -> Reply<DeleteGroupsResponse> {
        let respond = |results| DeleteGroupsResponse::default().with_results(results);
        let mut ready = Vec::with_capacity(request.groups_names.len());
        let mut waiting = Vec::new();
        let mut named = AHashSet::with_capacity(request.groups_names.len());
        for group_id in request.groups_names.iter().filter(|group_id| named.insert(*group_id)) {
            match self.delete_group(group_id) {
                Reply::Ready(result) => ready.push(result),
                Reply::Later(pending) => waiting.push(pending),
            }
        }
        if waiting.is_empty() {
            return Reply::Ready(respond(ready));
        }
        Reply::Later(Box::pin(async move {
            for pending in waiting {
                ready.push(pending.await);
            }
            respond(ready)
        }))
    }

    fn delete_group(&self, group_id: &GroupId) -> Reply<DeletableGroupResult> {
        let result = DeletableGroupResult::default().with_group_id(group_id.clone());
        let partition = self.partition_of(group_id.as_str());
        match self.turn(partition, None, |shard, _, effects| shard.delete_group(group_id.as_str(), effects)) {
            Err(code) => Reply::Ready(result.with_error_code(code.code())),
            Ok(turned) => match turned.value {
                Err(error) => Reply::Ready(result.with_error_code(error.code().code())),
                Ok(()) => self.release(turned.barrier, result, |result, code| result.with_error_code(code.code())),
            },
        }
    }
}

fn undescribed(group_id: &GroupId, code: ErrorCode) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(group_id.clone())
        .with_group_state(StrBytes::from_static_str(ClassicState::DEAD))
        .with_error_code(code.code())
}
