//! FindCoordinator (10): the broker that coordinates a group (KIP-699).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::find_coordinator_response::Coordinator;
use weir_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, StrBytes};

use super::call::Call;
use crate::group::OFFSETS_TOPIC;
use crate::net::Dispatch;

/// From this version on several keys are asked for at once.
const FIRST_VERSION_WITH_BATCHES: i16 = 4;
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) fn handle(call: Call, request: FindCoordinatorRequest) -> Dispatch {
    let keys: Vec<String> = match call.version() >= FIRST_VERSION_WITH_BATCHES {
        true => request.coordinator_keys.iter().map(|key| key.to_string()).collect(),
        false => vec![request.key.to_string()],
    };
    let key_type = request.key_type;
    let is_missing = key_type == GROUP && call.image().topic_by_name(OFFSETS_TOPIC).is_none();
    if !is_missing {
        return call.ready(&answer(&call, key_type, keys));
    }
    call.later(async move |call| {
        call.node.create_offsets_topic().await;
        answer(&call, key_type, keys)
    })
}

fn answer(call: &Call, key_type: i8, keys: Vec<String>) -> FindCoordinatorResponse {
    let coordinators: Vec<Coordinator> = keys.into_iter().map(|key| coordinator(call, key_type, key)).collect();
    if call.version() >= FIRST_VERSION_WITH_BATCHES {
        return FindCoordinatorResponse::default().with_coordinators(coordinators);
    }
    let only = coordinators.into_iter().next().unwrap_or_default();
    FindCoordinatorResponse::default()
        .with_error_code(only.error_code)
        .with_error_message(only.error_message)
        .with_node_id(only.node_id)
        .with_host(only.host)
        .with_port(only.port)
}

fn coordinator(call: &Call, key_type: i8, key: String) -> Coordinator {
    let refused = |code: ErrorCode, message: &'static str| {
        Coordinator::default()
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_static_str(message)))
            .with_node_id(BrokerId(-1))
            .with_port(-1)
    };
    let found = match key_type {
        GROUP => group_coordinator(call, &key)
            .ok_or_else(|| refused(ErrorCode::CoordinatorNotAvailable, "The coordinator is not available.")),
        // The one code that every client takes for final: librdkafka asks again after any other, until its caller's patience ends.
        TRANSACTION => {
            Err(refused(ErrorCode::TransactionalIdAuthorizationFailed, "This broker does not support transactions."))
        }
        _ => Err(refused(ErrorCode::InvalidRequest, "This broker does not know that type of coordinator.")),
    };
    found.unwrap_or_else(|refused| refused).with_key(StrBytes::from_string(key))
}

fn group_coordinator(call: &Call, group: &str) -> Option<Coordinator> {
    let image = call.image();
    let topic = image.topic_by_name(OFFSETS_TOPIC)?;
    let index = call.node.groups.partition_of(group);
    let leader = topic.partition(index)?.leader;
    if leader == call.node.id() && call.node.is_cut_off(topic.id, index) {
        // Another may coordinate it by now; brokers that are heard know who.
        return None;
    }
    let broker = image.broker(leader).filter(|broker| !broker.fenced)?;
    let endpoint = broker.endpoint(&call.connection.listener)?;
    let coordinator = Coordinator::default()
        .with_node_id(BrokerId(leader.get()))
        .with_host(StrBytes::from_string(endpoint.host.to_string()))
        .with_port(i32::from(endpoint.port));
    Some(coordinator)
}
