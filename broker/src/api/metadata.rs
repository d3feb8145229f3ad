//! Metadata (3): brokers, topics and who leads them; creates a topic that is asked for, if that is allowed.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;
use weir_controller::image::{MetadataImage, PartitionRegistration, Topic};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::PartitionIndex;
use weir_protocol::messages::metadata_request::MetadataRequestTopic;
use weir_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use weir_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, StrBytes, TopicName};

use super::call::Call;
use super::operations::{CLUSTER_OPERATIONS, NO_OPERATIONS, TOPIC_OPERATIONS};
use super::topics::{is_internal, is_valid_topic_name};
use super::wire::broker_ids;
use crate::net::Dispatch;

/// The first version in which a topic may be asked for by its id (KIP-516).
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 12;
/// How long who asks again is kept waiting: mostly it has just lost a leader, whose end this broker's own connection tells it in a moment.
/// An answer before that names the dead one, after which librdkafka looks again tenths of a second later.
const SECOND_LOOK: Duration = Duration::from_millis(3);

/// What stands for nobody.
const NO_LEADER: i32 = -1;

/// A topic of the request.
enum Asked {
    Name(TopicName),
    Id(Uuid),
}

pub(super) fn handle(call: Call, request: MetadataRequest) -> Dispatch {
    if call.version() < FIRST_VERSION_WITH_TOPIC_IDS && request.topics.iter().flatten().any(is_asked_by_id) {
        return call.ready(&refusal(&request));
    }
    let image = call.image();
    let asked = asked_topics(&call, &request);
    let missing = match &asked {
        Some(asked) if allows_creation(&call, &request) => missing(&image, asked),
        _ => Vec::new(),
    };
    let second_look = asks_again(&call, &image, asked.as_deref());
    if missing.is_empty() && !second_look && until_decided(&call, &image, asked.as_deref()).is_none() {
        return call.ready(&answer(&call, &image, &request, asked));
    }
    call.later(async move |call| {
        if !missing.is_empty() {
            call.node.create_automatically(missing).await;
        }
        if second_look {
            sleep(SECOND_LOOK).await;
        }
        while let Some(until) = until_decided(&call, &call.image(), asked.as_deref()) {
            // Either way it is looked again.
            let _ = timeout_at(until, call.node.other_metadata_than(&call.image())).await;
        }
        answer(&call, &call.image(), &request, asked)
    })
}

/// Whether somebody asks again about leaders that are other brokers.
fn asks_again(call: &Call, image: &MetadataImage, asked: Option<&[Asked]>) -> bool {
    let is_elsewhere = |leader| leader != call.node.id();
    call.connection.has_asked_for_metadata.replace(true) && leaders_of(image, asked).any(is_elsewhere)
}

/// Until when to wait with an answer that would soon be another: where this broker has just started and is not in service yet, or
/// has just lost sight of a leader of what is asked for, of whom the controller may not have decided yet.
fn until_decided(call: &Call, image: &MetadataImage, asked: Option<&[Asked]>) -> Option<Instant> {
    let lost = call.node.replicas.lost_leaders();
    let now = Instant::now();
    if let Some(until) = call.node.departures.wait_until(now.into_std()) {
        return Some(until.into());
    }
    lost.wait_until(image, leaders_of(image, asked), now)
}

/// Who leads what is asked for, which may be everything.
fn leaders_of<'a>(
    image: &'a MetadataImage,
    asked: Option<&'a [Asked]>,
) -> impl Iterator<Item = weir_protocol::ids::BrokerId> + 'a {
    let named = asked.unwrap_or_default().iter().filter_map(|asked| match asked {
        Asked::Name(name) => image.topic_by_name(name),
        Asked::Id(id) => image.topic(*id),
    });
    let all = asked.is_none().then(|| image.topics()).into_iter().flatten();
    let topics = named.chain(all);
    topics.flat_map(|topic| topic.partitions().map(|(_, registration)| registration.leader))
}

/// Versions 10 and 11 have the field already, but an answer cannot leave a name out, so nothing can be asked by id.
fn is_asked_by_id(topic: &MetadataRequestTopic) -> bool {
    topic.name.is_none() || !topic.topic_id.is_nil()
}

/// Kafka refuses such a request as a whole, and names what has no name by the empty one.
fn refusal(request: &MetadataRequest) -> MetadataResponse {
    let refused = request.topics.iter().flatten().map(|topic| {
        let name = topic.name.as_ref().map_or_else(String::new, |name| name.to_string());
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(name))))
            .with_error_code(ErrorCode::InvalidRequest.code())
    });
    MetadataResponse::default().with_topics(refused.collect())
}

/// `None` is every topic. Version 0 says that with an empty list, later versions with null.
fn asked_topics(call: &Call, request: &MetadataRequest) -> Option<Vec<Asked>> {
    let topics = request.topics.as_ref()?;
    if topics.is_empty() && call.version() == 0 {
        return None;
    }
    let asked = topics.iter().map(|topic| match &topic.name {
        // A client that asks by id may leave the name empty rather than null.
        Some(name) if topic.topic_id.is_nil() => Asked::Name(TopicName(StrBytes::from_string(name.to_string()))),
        _ => Asked::Id(topic.topic_id),
    });
    Some(asked.collect())
}

/// Before version 4 a client could not say that it does not want topics created.
fn allows_creation(call: &Call, request: &MetadataRequest) -> bool {
    call.node.auto_create_topics && (call.version() < 4 || request.allow_auto_topic_creation)
}

fn missing(image: &MetadataImage, asked: &[Asked]) -> Vec<String> {
    let mut names: Vec<String> = asked
        .iter()
        .filter_map(|topic| match topic {
            Asked::Name(name) if image.topic_by_name(name).is_none() && is_valid_topic_name(name) => {
                Some(name.to_string())
            }
            _ => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn answer(
    call: &Call,
    image: &MetadataImage,
    request: &MetadataRequest,
    asked: Option<Vec<Asked>>,
) -> MetadataResponse {
    let topic_operations = if request.include_topic_authorized_operations { TOPIC_OPERATIONS } else { NO_OPERATIONS };
    let wants_cluster = request.include_cluster_authorized_operations;
    let topics = match asked {
        None => image.topics().map(|topic| known_topic(call, image, topic, topic_operations)).collect(),
        Some(asked) => asked.into_iter().map(|asked| one_topic(call, image, asked, topic_operations)).collect(),
    };
    MetadataResponse::default()
        .with_brokers(brokers(call, image))
        .with_cluster_id(image.cluster_id().map(|id| StrBytes::from_string(id.to_string())))
        .with_controller_id(BrokerId(call.node.administration.controller_to_name(image)))
        .with_topics(topics)
        .with_cluster_authorized_operations(if wants_cluster { CLUSTER_OPERATIONS } else { NO_OPERATIONS })
}

/// The brokers that serve or did a moment ago, at the addresses of the listener the client came by.
fn brokers(call: &Call, image: &MetadataImage) -> Vec<MetadataResponseBroker> {
    let listener = &call.connection.listener;
    let now = std::time::Instant::now();
    let listed = image.brokers().filter(|broker| !broker.fenced || call.node.departures.is_listed(broker.id, now));
    listed
        .filter_map(|broker| {
            let endpoint = broker.endpoint(listener)?;
            let answer = MetadataResponseBroker::default()
                .with_node_id(BrokerId(broker.id.get()))
                .with_host(StrBytes::from_string(endpoint.host.to_string()))
                .with_port(i32::from(endpoint.port))
                .with_rack(broker.rack.as_ref().map(|rack| StrBytes::from_string(rack.to_string())));
            Some(answer)
        })
        .collect()
}

fn one_topic(call: &Call, image: &MetadataImage, asked: Asked, operations: i32) -> MetadataResponseTopic {
    let unknown = MetadataResponseTopic::default().with_topic_authorized_operations(operations);
    match asked {
        Asked::Name(name) => match image.topic_by_name(&name) {
            Some(topic) => known_topic(call, image, topic, operations),
            None if !is_valid_topic_name(&name) => {
                unknown.with_name(Some(name)).with_error_code(ErrorCode::InvalidTopicException.code())
            }
            None => unknown.with_name(Some(name)).with_error_code(ErrorCode::UnknownTopicOrPartition.code()),
        },
        Asked::Id(id) => match image.topic(id) {
            Some(topic) => known_topic(call, image, topic, operations),
            None => unknown.with_topic_id(id).with_name(None).with_error_code(ErrorCode::UnknownTopicId.code()),
        },
    }
}

fn known_topic(call: &Call, image: &MetadataImage, topic: &Topic, operations: i32) -> MetadataResponseTopic {
    let partitions = topic.partitions().map(|(index, known)| partition(call, image, topic.id, (index, known)));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from_string(topic.name.to_string()))))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}

fn partition(
    call: &Call,
    image: &MetadataImage,
    topic: Uuid,
    (index, registration): (PartitionIndex, &PartitionRegistration),
) -> MetadataResponsePartition {
    let view = PartitionView::new(call, image, topic, (index, registration));
    MetadataResponsePartition::default()
        .with_error_code(view.error.code())
        .with_partition_index(index.get())
        .with_leader_id(view.leader)
        .with_leader_epoch(registration.leader_epoch.get())
        .with_replica_nodes(broker_ids(&registration.replicas))
        .with_isr_nodes(broker_ids(&registration.isr))
        .with_offline_replicas(view.offline)
}

/// A partition as a client on some listener sees it.
///
/// What this broker leads but is cut off from is led by nobody, as far as it can tell. Told so, librdkafka and the Java client ask again soon, and
/// one broker after another; told of a leader, be it the one that has just refused them, they are content. An answer of a later leader
/// epoch stands against this one. The brokers are listed all the same, for those that are left out are forgotten.
pub(super) struct PartitionView {
    /// Who leads it.
    pub(super) leader: BrokerId,
    /// Why it cannot be used from there, if it cannot.
    pub(super) error: ErrorCode,
    /// Replicas that cannot be reached from there.
    pub(super) offline: Vec<BrokerId>,
}

impl PartitionView {
    pub(super) fn new(
        call: &Call,
        image: &MetadataImage,
        topic: Uuid,
        (index, registration): (PartitionIndex, &PartitionRegistration),
    ) -> Self {
        let listener = &call.connection.listener;
        let is_reachable =
            |id| image.broker(id).is_some_and(|broker| !broker.fenced && broker.endpoint(listener).is_some());
        let offline = registration.replicas.iter().filter(|&&id| !is_reachable(id));
        let is_unsure = registration.leader == call.node.id() && call.node.is_cut_off(topic, index);
        let error = match registration.has_leader() && !is_unsure {
            true if is_reachable(registration.leader) => ErrorCode::None,
            true if image.is_active(registration.leader) => ErrorCode::ListenerNotFound,
            _ => ErrorCode::LeaderNotAvailable,
        };
        let leader = BrokerId(if is_unsure { NO_LEADER } else { registration.leader.get() });
        Self { leader, error, offline: offline.map(|id| BrokerId(id.get())).collect() }
    }
}
