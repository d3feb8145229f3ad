//! AlterConfigs, the legacy form.

use weir_controller::decide::{AlterConfigsRequest, ApiError, ResourceConfigValues};
use weir_controller::image::ConfigResource;
use weir_controller::record::{ConfigRecord, ConfigResourceType, MetadataRecord};
use weir_protocol::error_code::ErrorCode;

use crate::cluster::{Cluster, ORDERS, decided, error};

fn cluster() -> Cluster {
    let orders = ConfigResource::topic("orders");
    Cluster::of(&[1])
        .with_topic("orders", ORDERS, &[&[1]])
        .with_config(orders.clone(), "retention.ms", "5")
        .with_config(orders, "cleanup.policy", "compact")
}

fn replace(
    cluster: &mut Cluster,
    configs: &[(&str, Option<&str>)],
    validate_only: bool,
) -> (Vec<MetadataRecord>, Result<(), ApiError>) {
    let configs = configs.iter().map(|(key, value)| ((*key).into(), value.map(Into::into))).collect();
    let resource = ResourceConfigValues { resource: ConfigResource::topic("orders"), configs };
    let request = AlterConfigsRequest { resources: vec![resource], validate_only };
    let (records, response) = decided!(cluster, AlterConfigs(request));
    (records, response.resources[0].outcome.clone())
}

fn record(name: &str, value: Option<&str>) -> MetadataRecord {
    ConfigRecord {
        resource_type: ConfigResourceType::Topic,
        resource_name: "orders".into(),
        name: name.into(),
        value: value.map(Into::into),
    }
    .into()
}

#[test]
fn what_the_request_does_not_name_is_unset() {
    let mut cluster = cluster();
    let (records, outcome) = replace(&mut cluster, &[("retention.ms", Some("6"))], false);
    assert_eq!(outcome, Ok(()));
    assert_eq!(records, [record("retention.ms", Some("6")), record("cleanup.policy", None)]);
    let (records, _) = replace(&mut cluster, &[], false);
    assert_eq!(records, [record("retention.ms", None)]);
    assert_eq!(cluster.image.topic_configs("orders"), None);
}

#[test]
fn validation_alone_writes_nothing() {
    assert_eq!(replace(&mut cluster(), &[], true), (vec![], Ok(())));
}

#[test]
fn bad_values_are_refused() {
    let (records, outcome) = replace(&mut cluster(), &[("nonsense", Some("6"))], false);
    let expected = error(ErrorCode::InvalidConfig, "Unknown topic config name: nonsense");
    assert_eq!((records, outcome), (vec![], Err(expected)));
    let (_, outcome) = replace(&mut cluster(), &[("retention.ms", None)], false);
    assert_eq!(outcome, Err(error(ErrorCode::InvalidRequest, "Null value not supported for : retention.ms")));
}
