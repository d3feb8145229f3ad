//! IncrementalAlterConfigs.

use weir_controller::decide::{
    ApiError, ConfigOperation, ConfigOperationType, IncrementalAlterConfigsRequest, ResourceConfigOperations,
};
use weir_controller::image::ConfigResource;
use weir_controller::record::{ConfigRecord, ConfigResourceType, MetadataRecord};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;

use crate::cluster::{Cluster, ORDERS, decided, error};
use ConfigOperationType::{Append, Delete, Set, Subtract};

/// What a record says of a config.
type KeyAndValue = (String, Option<String>);

fn operations(
    resource: &ConfigResource,
    ops: &[(&str, ConfigOperationType, Option<&str>)],
) -> ResourceConfigOperations {
    let operations = ops.iter().map(|(key, operation, value)| ConfigOperation {
        key: (*key).into(),
        operation: *operation,
        value: value.map(Into::into),
    });
    ResourceConfigOperations { resource: resource.clone(), operations: operations.collect() }
}

fn alter(
    cluster: &mut Cluster,
    resources: Vec<ResourceConfigOperations>,
) -> (Vec<KeyAndValue>, Vec<Result<(), ApiError>>) {
    let request = IncrementalAlterConfigsRequest { resources, validate_only: false };
    let (records, response) = decided!(cluster, IncrementalAlterConfigs(request));
    let records = records.into_iter().map(|record| match record {
        MetadataRecord::Config(ConfigRecord { name, value, .. }) => {
            (name.to_string(), value.map(|value| value.to_string()))
        }
        other => panic!("{other:?}"),
    });
    (records.collect(), response.resources.into_iter().map(|resource| resource.outcome).collect())
}

fn orders() -> ConfigResource {
    ConfigResource::topic("orders")
}

fn cluster() -> Cluster {
    Cluster::of(&[1]).with_topic("orders", ORDERS, &[&[1]]).with_config(orders(), "retention.ms", "5")
}

fn changes(ops: &[(&str, ConfigOperationType, Option<&str>)]) -> Vec<KeyAndValue> {
    let (records, outcomes) = alter(&mut cluster(), vec![operations(&orders(), ops)]);
    assert_eq!(outcomes, [Ok(())]);
    records
}

fn refuses(resource: &ConfigResource, ops: &[(&str, ConfigOperationType, Option<&str>)], expected: ApiError) {
    let (records, outcomes) = alter(&mut cluster(), vec![operations(resource, ops)]);
    assert_eq!((records, outcomes), (vec![], vec![Err(expected)]));
}

fn record(key: &str, value: Option<&str>) -> KeyAndValue {
    (key.to_owned(), value.map(str::to_owned))
}

#[test]
fn a_config_is_set_and_deleted_and_others_stay() {
    let mut cluster = cluster();
    alter(&mut cluster, vec![operations(&orders(), &[("unclean.leader.election.enable", Set, Some("true"))])]);
    assert_eq!(cluster.image.topic_configs("orders").unwrap().len(), 2);
    assert_eq!(changes(&[("retention.ms", Delete, None)]), [record("retention.ms", None)]);
}

#[test]
fn a_value_that_is_set_already_is_not_recorded_for_a_topic_but_for_a_broker() {
    assert_eq!(changes(&[("retention.ms", Set, Some("5"))]), []);
    let broker = ConfigResource::broker(BrokerId(1));
    let mut cluster = cluster().with_config(broker.clone(), "ssl.keystore.location", "/key");
    let (records, _) = alter(&mut cluster, vec![operations(&broker, &[("ssl.keystore.location", Set, Some("/key"))])]);
    assert_eq!(records, [record("ssl.keystore.location", Some("/key"))]);
}

#[test]
fn lists_grow_and_shrink_from_their_default() {
    assert_eq!(
        changes(&[("cleanup.policy", Append, Some("compact,delete"))]),
        [record("cleanup.policy", Some("delete,compact"))]
    );
    let mut cluster = cluster().with_config(orders(), "cleanup.policy", "compact,delete");
    let (records, _) =
        alter(&mut cluster, vec![operations(&orders(), &[("cleanup.policy", Subtract, Some("compact,other"))])]);
    assert_eq!(records, [record("cleanup.policy", Some("delete"))]);
}

#[test]
fn what_is_no_list_cannot_be_appended_to() {
    let message = |op| format!("Can't {op} to key retention.ms because its type is not LIST.");
    refuses(&orders(), &[("retention.ms", Append, Some("1"))], error(ErrorCode::InvalidConfig, &message("APPEND")));
    refuses(&orders(), &[("retention.ms", Subtract, Some("1"))], error(ErrorCode::InvalidConfig, &message("SUBTRACT")));
}

#[test]
fn a_resource_changes_whole_or_not_at_all() {
    refuses(
        &orders(),
        &[("retention.ms", Set, Some("9")), ("nonsense", Set, Some("1"))],
        error(ErrorCode::InvalidConfig, "Unknown topic config name: nonsense"),
    );
}

#[test]
fn malformed_requests_are_refused() {
    let invalid = |message| error(ErrorCode::InvalidRequest, message);
    refuses(
        &orders(),
        &[("retention.ms", Set, Some("1")), ("retention.ms", Delete, None)],
        invalid("Error due to duplicate config keys"),
    );
    refuses(
        &orders(),
        &[("retention.ms", Set, None), ("cleanup.policy", Append, None)],
        invalid("Null value not supported for : retention.ms, cleanup.policy"),
    );
    let twice = || operations(&orders(), &[("retention.ms", Set, Some("1"))]);
    let (records, outcomes) = alter(&mut cluster(), vec![twice(), twice()]);
    let expected = Err(invalid("Each resource must appear at most once."));
    assert_eq!((records, outcomes), (vec![], vec![expected.clone(), expected]));
}

#[test]
fn resources_must_be_what_they_say_and_exist() {
    let set: &[(&str, ConfigOperationType, Option<&str>)] = &[("retention.ms", Set, Some("1"))];
    let resource = |resource_type, name: &str| ConfigResource::new(resource_type, name);
    let invalid = |message| error(ErrorCode::InvalidRequest, message);
    refuses(&ConfigResource::topic(""), set, invalid("Default topic resources are not allowed."));
    refuses(
        &ConfigResource::topic("other"),
        set,
        error(ErrorCode::UnknownTopicOrPartition, "The topic 'other' does not exist."),
    );
    let broker = |name: &str| resource(ConfigResourceType::Broker, name);
    refuses(&broker("x"), set, invalid("Unable to parse broker name as a base 10 number."));
    refuses(&broker("-3"), set, invalid("Invalid negative broker ID."));
    refuses(&broker("9"), set, error(ErrorCode::BrokerIdNotRegistered, "No node with id 9 found."));
    refuses(&resource(ConfigResourceType::Group, ""), set, invalid("Default group resources are not allowed."));
    refuses(&resource(ConfigResourceType::BrokerLogger, "1"), set, invalid("Unknown resource type BROKER_LOGGER"));
    for resource in [ConfigResource::default_broker(), resource(ConfigResourceType::Group, "g")] {
        let (records, outcomes) = alter(&mut cluster(), vec![operations(&resource, set)]);
        assert_eq!((records.len(), outcomes), (1, vec![Ok(())]));
    }
}
