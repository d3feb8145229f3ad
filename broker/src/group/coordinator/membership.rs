//! JoinGroup, SyncGroup, Heartbeat and LeaveGroup as the wire has them.

use tokio::sync::oneshot;
use uuid::Uuid;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::leave_group_request::MemberIdentity;
use weir_protocol::messages::{
    HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse,
    StrBytes, SyncGroupRequest, SyncGroupResponse,
};

use super::release::Waiter;
use super::reply::Reply;
use super::{GroupCoordinator, RequestContext, is_group_id};
use crate::group::shard::{JoinContext, join_error, sync_error};

/// Before this version the protocol's name could not be null.
const NULLABLE_PROTOCOL_VERSION: i16 = 7;

/// From this version on SyncGroup must say which protocol the member means (KIP-559).
const PROTOCOL_NAMED_VERSION: i16 = 5;

/// From this version on LeaveGroup names many members.
const BATCHED_LEAVE_VERSION: i16 = 3;

impl GroupCoordinator {
    /// JoinGroup v0–v9.
    pub fn join_group(&self, context: &RequestContext<'_>, request: JoinGroupRequest) -> Reply<JoinGroupResponse> {
        let fit = fit_join(context.api_version);
        let timeouts = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
        let member_id = crate::group::ids::detach(&request.member_id);
        if let Some(code) = check_join(context, &request, timeouts) {
            return Reply::Ready(fit(join_error(member_id, code)));
        }
        let join = JoinContext {
            client_id: context.client_id,
            client_host: context.client_host,
            api_version: context.api_version,
            random: if request.member_id.is_empty() { (self.random)() } else { Uuid::nil() },
        };
        let (sender, mut receiver) = oneshot::channel();
        let ticket = self.next_ticket();
        let partition = self.partition_of(request.group_id.as_str());
        let turned = self.turn(partition, Some((ticket, Waiter::Join(sender))), |shard, now, effects| {
            shard.join_group(now, &join, &request, ticket, effects);
        });
        if let Err(code) = turned {
            return Reply::Ready(fit(join_error(member_id, code)));
        }
        match receiver.try_recv() {
            Ok(response) => Reply::Ready(fit(response)),
            Err(_) => Reply::Later(Box::pin(async move {
                let response = receiver.await;
                fit(response.unwrap_or_else(|_| join_error(member_id, ErrorCode::NotCoordinator)))
            })),
        }
    }

    /// SyncGroup v0–v5.
    pub fn sync_group(&self, context: &RequestContext<'_>, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
        let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
        if context.api_version >= PROTOCOL_NAMED_VERSION && !names_protocol {
            return Reply::Ready(sync_error(ErrorCode::InconsistentGroupProtocol));
        }
        if !is_group_id(request.group_id.as_str()) {
            return Reply::Ready(sync_error(ErrorCode::InvalidGroupId));
        }
        let (sender, mut receiver) = oneshot::channel();
        let ticket = self.next_ticket();
        let partition = self.partition_of(request.group_id.as_str());
        let turned = self.turn(partition, Some((ticket, Waiter::Sync(sender))), |shard, now, effects| {
            shard.sync_group(now, &request, ticket, effects);
        });
        if let Err(code) = turned {
            return Reply::Ready(sync_error(code));
        }
        match receiver.try_recv() {
            Ok(response) => Reply::Ready(response),
            Err(_) => Reply::Later(Box::pin(async move {
                receiver.await.unwrap_or_else(|_| sync_error(ErrorCode::NotCoordinator))
            })),
        }
    }

    /// Heartbeat v0–v4.
    pub fn heartbeat(&self, request: &HeartbeatRequest) -> HeartbeatResponse {
        let respond = |code: ErrorCode| HeartbeatResponse::default().with_error_code(code.code());
        if !is_group_id(request.group_id.as_str()) {
            return respond(ErrorCode::InvalidGroupId);
        }
        let partition = self.partition_of(request.group_id.as_str());
        match self.turn(partition, None, |shard, now, _| shard.heartbeat(now, request)) {
            Ok(turned) => respond(turned.value.err().map_or(ErrorCode::None, |error| error.code())),
            // Whether the member is known will be seen when its group is; until then it keeps its place.
            Err(ErrorCode::CoordinatorLoadInProgress) => respond(ErrorCode::None),
            Err(code) => respond(code),
        }
    }

    /// LeaveGroup v0–v5.
    pub fn leave_group(
        &self,
        context: &RequestContext<'_>,
        mut request: LeaveGroupRequest,
    ) -> Reply<LeaveGroupResponse> {
        let refuse = |code: ErrorCode| LeaveGroupResponse::default().with_error_code(code.code());
        if !is_group_id(request.group_id.as_str()) {
            return Reply::Ready(refuse(ErrorCode::InvalidGroupId));
        }
        let is_single = context.api_version < BATCHED_LEAVE_VERSION;
        if is_single {
            let only = MemberIdentity::default().with_member_id(std::mem::take(&mut request.member_id));
            request.members = vec![only.with_group_instance_id(None)];
        }
        let partition = self.partition_of(request.group_id.as_str());
        let turned = self.turn(partition, None, |shard, now, effects| shard.leave_group(now, &request, effects));
        match turned {
            Err(code) => Reply::Ready(refuse(code)),
            Ok(turned) => {
                let response = if is_single {
                    let code = turned.value.first().map_or(0, |member| member.error_code);
                    LeaveGroupResponse::default().with_error_code(code)
                } else {
                    LeaveGroupResponse::default().with_members(turned.value)
                };
                self.release(turned.barrier, response, move |_, code| refuse(code))
            }
        }
    }
}

fn check_join(
    context: &RequestContext<'_>,
    request: &JoinGroupRequest,
    timeouts: std::ops::RangeInclusive<i32>,
) -> Option<ErrorCode> {
    let is_too_long = |text: &StrBytes| text.len() > i16::MAX as usize;
    if !is_group_id(request.group_id.as_str()) {
        return Some(ErrorCode::InvalidGroupId);
    }
    if !timeouts.contains(&request.session_timeout_ms) {
        return Some(ErrorCode::InvalidSessionTimeout);
    }
    // Every string of a member goes into a record with 16-bit lengths; the instance id or else the client id is part of the
    // member's id too.
    let names = request.protocols.iter().map(|protocol| &protocol.name).chain([&request.protocol_type]);
    let stems = [Some(context.client_id), request.group_instance_id.as_deref()];
    let stem_is_long = stems.into_iter().flatten().any(|stem| stem.len() > MAX_MEMBER_ID_STEM_BYTES);
    (stem_is_long || names.into_iter().any(is_too_long)).then_some(ErrorCode::InvalidRequest)
}

/// Leaves room for the random part of the member id; clients allow instance ids of 249 characters.
const MAX_MEMBER_ID_STEM_BYTES: usize = 16 * 1024;

fn fit_join(api_version: i16) -> impl FnOnce(JoinGroupResponse) -> JoinGroupResponse + Send {
    move |mut response| {
        if api_version < NULLABLE_PROTOCOL_VERSION && response.protocol_name.is_none() {
            response.protocol_name = Some(StrBytes::new());
        }
        response
    }
}
