//! The APIs of the group coordinator: JoinGroup (11), Heartbeat (12), LeaveGroup (13), SyncGroup (14), DescribeGroups
//! (15), ListGroups (16), DeleteGroups (42).
//!
//! The coordinator takes and gives wire messages; these hand them over and put the answers into frames.

use weir_protocol::messages::{
    DeleteGroupsRequest, DescribeGroupsRequest, Encodable, HeaderVersion, HeartbeatRequest, JoinGroupRequest,
    LeaveGroupRequest, ListGroupsRequest, SyncGroupRequest,
};

use super::call::Call;
use super::operations::GROUP_OPERATIONS;
use crate::group::{Reply, RequestContext};
use crate::net::Dispatch;

pub(super) fn join_group(call: Call, request: JoinGroupRequest) -> Dispatch {
    let reply = with_context(&call, |context| call.node.groups.join_group(context, request));
    send(call, reply)
}

pub(super) fn sync_group(call: Call, request: SyncGroupRequest) -> Dispatch {
    let reply = with_context(&call, |context| call.node.groups.sync_group(context, request));
    send(call, reply)
}

pub(super) fn heartbeat(call: Call, request: HeartbeatRequest) -> Dispatch {
    call.ready(&call.node.groups.heartbeat(&request))
}

pub(super) fn leave_group(call: Call, request: LeaveGroupRequest) -> Dispatch {
    let reply = with_context(&call, |context| call.node.groups.leave_group(context, request));
    send(call, reply)
}

pub(super) fn describe_groups(call: Call, request: DescribeGroupsRequest) -> Dispatch {
    let mut response = with_context(&call, |context| call.node.groups.describe_groups(context, &request));
    if request.include_authorized_operations {
        for group in response.groups.iter_mut().filter(|group| group.error_code == 0) {
            group.authorized_operations = GROUP_OPERATIONS;
        }
    }
    call.ready(&response)
}

pub(super) fn list_groups(call: Call, request: ListGroupsRequest) -> Dispatch {
    call.ready(&call.node.groups.list_groups(&request))
}

pub(super) fn delete_groups(call: Call, request: DeleteGroupsRequest) -> Dispatch {
    let reply = call.node.groups.delete_groups(&request);
    send(call, reply)
}

pub(super) fn with_context<R>(call: &Call, operation: impl FnOnce(&RequestContext<'_>) -> R) -> R {
    let client_host = format!("/{}", call.connection.peer_address.ip());
    let client_id = call.header.client_id.as_deref().unwrap_or_default();
    operation(&RequestContext { client_id, client_host: &client_host, api_version: call.version() })
}

pub(super) fn send<M: Encodable + HeaderVersion + 'static>(call: Call, reply: Reply<M>) -> Dispatch {
    match reply {
        Reply::Ready(message) => call.ready(&message),
        Reply::Later(pending) => call.later(|_| pending),
    }
}
