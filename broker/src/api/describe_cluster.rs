//! DescribeCluster (60): the cluster's id, controller and brokers (KIP-700, KIP-919, KIP-1073).

use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use weir_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse, StrBytes};

use super::call::Call;
use super::operations::{CLUSTER_OPERATIONS, NO_OPERATIONS};
use crate::net::Dispatch;

/// The endpoints of brokers; the other kind, of controllers, is answered by controller listeners.
const BROKERS: i8 = 1;

pub(super) fn handle(call: Call, request: DescribeClusterRequest) -> Dispatch {
    if call.version() >= 1 && request.endpoint_type != BROKERS {
        let code = match request.endpoint_type {
            2 => ErrorCode::MismatchedEndpointType,
            _ => ErrorCode::UnsupportedEndpointType,
        };
        let message = "This listener tells the endpoints of brokers only.";
        let refused = DescribeClusterResponse::default()
            .with_error_code(code.code())
            .with_error_message(Some(StrBytes::from_static_str(message)));
        return call.ready(&refused);
    }
    let image = call.image();
    let brokers = image.brokers().filter(|broker| request.include_fenced_brokers || !broker.fenced);
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
    let wants_operations = request.include_cluster_authorized_operations;
    let response = DescribeClusterResponse::default()
        .with_endpoint_type(BROKERS)
        .with_cluster_id(image.cluster_id().map_or_else(StrBytes::default, |id| StrBytes::from_string(id.to_string())))
        .with_controller_id(BrokerId(call.broker.controller_to_name(&image)))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(if wants_operations { CLUSTER_OPERATIONS } else { NO_OPERATIONS });
    call.ready(&response)
}
