//! DescribeCluster (60): the cluster's id, controller and brokers (KIP-700, KIP-919, KIP-1073).

use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use weir_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse, StrBytes};

use super::call::Call;
use super::operations::{CLUSTER_OPERATIONS, NO_OPERATIONS};
use super::registry::ListenerKind;
use crate::administration::Administration;
use crate::net::Dispatch;

/// The kinds of endpoints that are told: each on listeners of its own.
const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) fn handle(call: Call<Administration>, request: DescribeClusterRequest) -> Dispatch {
    // Before version 1 nobody knew of another kind.
    let asked = if call.version() >= 1 { request.endpoint_type } else { BROKERS };
    let (told, told_name) = match call.listener_kind {
        ListenerKind::Broker => (BROKERS, "BROKER"),
        ListenerKind::Controller => (CONTROLLERS, "CONTROLLER"),
    };
    if asked != told {
        return call.ready(&refused(asked, told_name));
    }
    let image = call.image();
    let (controller, nodes) = match call.listener_kind {
        ListenerKind::Broker => {
            (call.node.controller_to_name(&image), brokers(&call, &image, request.include_fenced_brokers))
        }
        ListenerKind::Controller => controllers(&call),
    };
    let wants_operations = request.include_cluster_authorized_operations;
    let response = DescribeClusterResponse::default()
        .with_endpoint_type(told)
        .with_cluster_id(image.cluster_id().map_or_else(StrBytes::default, |id| StrBytes::from_string(id.to_string())))
        .with_controller_id(BrokerId(controller))
        .with_brokers(nodes)
        .with_cluster_authorized_operations(if wants_operations { CLUSTER_OPERATIONS } else { NO_OPERATIONS });
    call.ready(&response)
}

/// In Kafka's words, by which its clients tell that they were given the wrong addresses.
fn refused(asked: i8, told: &str) -> DescribeClusterResponse {
    let other = match asked {
        BROKERS => Some("BROKER"),
        CONTROLLERS => Some("CONTROLLER"),
        _ => None,
    };
    let (code, message) = match other {
        Some(other) => (
            ErrorCode::MismatchedEndpointType,
            format!("The request was sent to an endpoint of type {told}, but we wanted an endpoint of type {other}"),
        ),
        None => (ErrorCode::UnsupportedEndpointType, format!("Unsupported endpoint type {asked}")),
    };
    DescribeClusterResponse::default()
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}

fn brokers(call: &Call<Administration>, image: &MetadataImage, with_fenced: bool) -> Vec<DescribeClusterBroker> {
    let brokers = image.brokers().filter(|broker| with_fenced || !broker.fenced);
    let brokers = brokers.filter_map(|broker| {
        let endpoint = broker.endpoint(&call.connection.listener)?;
        let answer = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(broker.id.get()))
            .with_host(StrBytes::from_string(endpoint.host.to_string()))
            .with_port(i32::from(endpoint.port))
            .with_rack(broker.rack.as_ref().map(|rack| StrBytes::from_string(rack.to_string())))
            .with_is_fenced(broker.fenced);
        Some(answer)
    });
    brokers.collect()
}

/// The active controller, and every one that votes.
fn controllers(call: &Call<Administration>) -> (i32, Vec<DescribeClusterBroker>) {
    let quorum = call.node.controller.describe_quorum();
    let voters = quorum.replicas.iter().filter(|member| member.voter).filter_map(|member| {
        let mut endpoints = member.endpoints.iter();
        let endpoint = endpoints.find(|endpoint| *endpoint.listener == *call.connection.listener)?;
        let answer = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(member.id.node_id.get()))
            .with_host(StrBytes::from_string(endpoint.host.to_string()))
            .with_port(i32::from(endpoint.port));
        Some(answer)
    });
    (quorum.leader.map_or(-1, |leader| leader.node_id.get()), voters.collect())
}
