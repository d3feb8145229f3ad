//! DescribeTopicPartitions (75): topics a page at a time, with their eligible leaders (KIP-966).

use weir_controller::image::{MetadataImage, Topic};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use weir_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, StrBytes, TopicName};

use super::call::Call;
use super::metadata::PartitionView;
use super::operations::TOPIC_OPERATIONS;
use super::topics::{is_internal, is_valid_topic_name};
use super::wire::broker_ids;
use crate::net::Dispatch;

pub(super) fn handle(call: Call, request: DescribeTopicPartitionsRequest) -> Dispatch {
    let image = call.image();
    let mut names: Vec<String> = match request.topics.is_empty() {
        false => request.topics.iter().map(|topic| topic.name.to_string()).collect(),
        true => image.topics().map(|topic| topic.name.to_string()).collect(),
    };
    names.sort_unstable();
    names.dedup();
    let (first_name, first_index) = match &request.cursor {
        Some(cursor) if cursor.partition_index < 0 => return call.ready(&refused()),
        Some(cursor) => (cursor.topic_name.to_string(), cursor.partition_index as usize),
        None => (String::new(), 0),
    };
    // The most partitions of one page, whatever the client asks for.
    let most = call.node.settings().number("max.request.partition.size.limit") as usize;
    let limit = (request.response_partition_limit.max(1) as usize).min(most);
    let mut page =
        Page { call: &call, image: &image, left: limit, response: DescribeTopicPartitionsResponse::default() };
    for name in names.into_iter().skip_while(|name| *name < first_name) {
        let from = if name == first_name { first_index } else { 0 };
        if !page.add(&name, from) {
            break;
        }
    }
    call.ready(&page.response)
}

/// A cursor that points nowhere is the client's error for every topic it asked for; there is no code at the top.
fn refused() -> DescribeTopicPartitionsResponse {
    let topic = DescribeTopicPartitionsResponseTopic::default().with_error_code(ErrorCode::InvalidRequest.code());
    DescribeTopicPartitionsResponse::default().with_topics(vec![topic])
}

struct Page<'a> {
    call: &'a Call,
    image: &'a MetadataImage,
    /// How many partitions still fit.
    left: usize,
    response: DescribeTopicPartitionsResponse,
}

impl Page<'_> {
    /// Adds a topic from partition `from` on. Returns whether there may be room for more.
    fn add(&mut self, name: &str, from: usize) -> bool {
        let wire_name = TopicName(StrBytes::from_string(name.to_owned()));
        let Some(topic) = self.image.topic_by_name(name) else {
            let code = match is_valid_topic_name(name) {
                true => ErrorCode::UnknownTopicOrPartition,
                false => ErrorCode::InvalidTopicException,
            };
            let unknown = DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(wire_name))
                .with_error_code(code.code())
                .with_topic_authorized_operations(TOPIC_OPERATIONS);
            self.response.topics.push(unknown);
            return true;
        };
        if self.left == 0 {
            self.response.next_cursor = Some(cursor(wire_name, from));
            return false;
        }
        let partitions = self.partitions(topic, from);
        let end = from + partitions.len();
        self.left -= partitions.len();
        let described = DescribeTopicPartitionsResponseTopic::default()
            .with_name(Some(wire_name.clone()))
            .with_topic_id(topic.id)
            .with_is_internal(is_internal(name))
            .with_partitions(partitions)
            .with_topic_authorized_operations(TOPIC_OPERATIONS);
        self.response.topics.push(described);
        if end < topic.partition_count() {
            self.response.next_cursor = Some(cursor(wire_name, end));
            return false;
        }
        true
    }

    fn partitions(&self, topic: &Topic, from: usize) -> Vec<DescribeTopicPartitionsResponsePartition> {
        let partitions = topic.partitions().skip(from).take(self.left).map(|(index, registration)| {
            let view = PartitionView::new(self.call, self.image, topic.id, (index, registration));
            DescribeTopicPartitionsResponsePartition::default()
                .with_error_code(view.error.code())
                .with_partition_index(index.get())
                .with_leader_id(view.leader)
                .with_leader_epoch(registration.leader_epoch.get())
                .with_replica_nodes(broker_ids(&registration.replicas))
                .with_isr_nodes(broker_ids(&registration.isr))
                .with_eligible_leader_replicas(Some(broker_ids(registration.eligible_leader_replicas())))
                .with_last_known_elr(Some(broker_ids(registration.last_known_elr())))
                .with_offline_replicas(view.offline)
        });
        partitions.collect()
    }
}

fn cursor(topic: TopicName, index: usize) -> Cursor {
    Cursor::default().with_topic_name(topic).with_partition_index(index as i32)
}
