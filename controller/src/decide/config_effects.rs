//! What changes of configs mean for partitions, in the same change: a leader, where one may now be elected uncleanly, and eligible leaders
//! by what `min.insync.replicas` is from here on.
//!
//! Kafka looks for partitions that wait for `unclean.leader.election.enable` every five minutes.

use weir_protocol::error_code::ErrorCode;

use super::catalog::UNCLEAN_ELECTION;
use super::config_changes::AlterConfigsResponse;
use super::eligible::{self, MIN_INSYNC_REPLICAS};
use super::register_broker::after;
use super::{ApiError, Context, Decision, election};
use crate::image::{ConfigResource, MetadataImage, Topic};
use crate::record::{ConfigRecord, ConfigResourceType, MetadataRecord};

/// One broker cannot have its own `min.insync.replicas` while what the controller knows of eligible leaders depends on it.
pub(super) fn check(
    image: &MetadataImage,
    resource: &ConfigResource,
    changes: &[ConfigRecord],
) -> Result<(), ApiError> {
    if eligible::is_enabled(image) && changes.iter().any(|change| eligible::is_of_one_broker(resource, &change.name)) {
        let message = "Broker-level min.insync.replicas cannot be altered while ELR is enabled.";
        return Err(ApiError::new(ErrorCode::InvalidConfig, message));
    }
    Ok(())
}

/// A decision on configs with what follows from it.
pub(super) fn followed(
    image: &MetadataImage,
    mut decision: Decision<AlterConfigsResponse>,
    context: &Context<'_>,
) -> Decision<AlterConfigsResponse> {
    let concerns = |record: &&ConfigRecord| [UNCLEAN_ELECTION, MIN_INSYNC_REPLICAS].contains(&&*record.name);
    let configs = decision.records.iter().filter_map(|record| match record {
        MetadataRecord::Config(config) => Some(config),
        _ => None,
    });
    let changes: Vec<_> = configs.filter(concerns).cloned().collect();
    if !changes.is_empty() {
        let effects = after(image, &decision.records, |working| effects(working, &changes, context));
        decision.records.extend(effects);
    }
    decision
}

fn effects(image: &MetadataImage, changes: &[ConfigRecord], context: &Context<'_>) -> Vec<MetadataRecord> {
    let of_all = |change: &ConfigRecord| change.resource_type == ConfigResourceType::Broker;
    if changes.iter().any(of_all) {
        return image.topics().flat_map(|topic| renewed(image, topic, context)).collect();
    }
    let topics = changes.iter().filter_map(|change| image.topic_by_name(&change.resource_name));
    let mut records: Vec<MetadataRecord> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for topic in topics.filter(|topic| seen.insert(topic.id)) {
        records.extend(renewed(image, topic, context));
    }
    records
}

fn renewed(image: &MetadataImage, topic: &Topic, context: &Context<'_>) -> Vec<MetadataRecord> {
    let terms = election::terms_of(image, &topic.name, context.catalog);
    let waits = topic.partitions().filter(|(_, partition)| {
        let outsiders = [partition.eligible_leader_replicas(), partition.last_known_elr()];
        !partition.has_leader() || outsiders.iter().any(|outsiders| !outsiders.is_empty())
    });
    let changes = waits.filter_map(|(index, partition)| election::renewed(image, (topic.id, index), partition, terms));
    changes.map(MetadataRecord::from).collect()
}
