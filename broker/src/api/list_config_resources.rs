//! ListConfigResources (74): what can be configured (KIP-714, KIP-1142).

use weir_controller::record::ConfigResourceType;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::list_config_resources_response::ConfigResource;
use weir_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse, StrBytes};

use super::call::Call;
use crate::administration::Administration;
use crate::net::Dispatch;

const TOPIC: i8 = ConfigResourceType::Topic.code();
const BROKER: i8 = ConfigResourceType::Broker.code();
const BROKER_LOGGER: i8 = ConfigResourceType::BrokerLogger.code();
const CLIENT_METRICS: i8 = ConfigResourceType::ClientMetrics.code();
const GROUP: i8 = ConfigResourceType::Group.code();

pub(super) fn handle(call: Call<Administration>, request: ListConfigResourcesRequest) -> Dispatch {
    let asked = match (call.version(), request.resource_types.is_empty()) {
        // Version 0 was ListClientMetricsResources.
        (0, _) => vec![CLIENT_METRICS],
        (_, true) => vec![TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP],
        (_, false) => request.resource_types,
    };
    if !asked.iter().all(|kind| matches!(*kind, TOPIC | BROKER | BROKER_LOGGER | CLIENT_METRICS | GROUP)) {
        let refused = ListConfigResourcesResponse::default().with_error_code(ErrorCode::UnsupportedVersion.code());
        return call.ready(&refused);
    }
    let response = ListConfigResourcesResponse::default().with_config_resources(resources(&call, &asked));
    call.ready(&response)
}

fn resources(call: &Call<Administration>, asked: &[i8]) -> Vec<ConfigResource> {
    let image = call.image();
    let resource = |name: &str, kind: i8| {
        ConfigResource::default().with_resource_name(StrBytes::from_string(name.to_owned())).with_resource_type(kind)
    };
    let mut found = Vec::new();
    for &kind in asked {
        match kind {
            TOPIC => found.extend(image.topics().map(|topic| resource(&topic.name, kind))),
            BROKER | BROKER_LOGGER => {
                found.extend(image.brokers().map(|broker| resource(&broker.id.to_string(), kind)));
            }
            // Named once they are configured.
            _ => {
                let configured = ConfigResourceType::from_code(kind).into_iter();
                found.extend(configured.flat_map(|kind| image.configured(kind)).map(|(name, _)| resource(name, kind)));
            }
        }
    }
    found
}
