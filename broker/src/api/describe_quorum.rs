//! DescribeQuorum (55): who votes on the metadata, who follows, and how far each is (KIP-595, KIP-853).
//!
//! Only the active controller knows how far the others are, so it is asked wherever it is. Times are its own, made clock time
//! here: how long ago each was heard.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;
use weir_controller::quorum::{
    CLUSTER_METADATA_TOPIC, QuorumDescription, QuorumRequest, QuorumResponse, ReplicaState as Member,
};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData};
use weir_protocol::messages::{BrokerId, DescribeQuorumRequest, DescribeQuorumResponse};

use super::call::{Call, now_ms};
use super::wire::{text, topic_name};
use crate::administration::Administration;
use crate::net::Dispatch;

/// How long the active controller is looked for.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is not known of a member.
const UNKNOWN: i64 = -1;

pub(super) fn handle(call: Call<Administration>, request: DescribeQuorumRequest) -> Dispatch {
    if !asks_for_the_metadata_log(&request) {
        let version = call.version();
        return call.ready(&as_of_version(refused_topics(&request), version));
    }
    call.later(async move |call| {
        let deadline = Instant::now() + DESCRIBE_TIMEOUT;
        let response = match call.node.controller_client.ask(QuorumRequest::Describe, deadline).await {
            Ok(QuorumResponse::Described(quorum)) => answer(&quorum, now_ms()),
            Ok(_) => DescribeQuorumResponse::default().with_error_code(ErrorCode::UnknownServerError.code()),
            Err(error) => DescribeQuorumResponse::default()
                .with_error_code(error.error_code().code())
                .with_error_message(Some(text(error.to_string()))),
        };
        as_of_version(response, call.version())
    })
}

/// Directories, nodes and messages came with version 2 (KIP-853), and cannot be written before it.
fn as_of_version(mut response: DescribeQuorumResponse, version: i16) -> DescribeQuorumResponse {
    if version >= 2 {
        return response;
    }
    response.error_message = None;
    response.nodes.clear();
    for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
        partition.error_message = None;
        for member in partition.current_voters.iter_mut().chain(&mut partition.observers) {
            member.replica_directory_id = Uuid::nil();
        }
    }
    response
}

fn asks_for_the_metadata_log(request: &DescribeQuorumRequest) -> bool {
    match &request.topics[..] {
        [topic] => {
            *topic.topic_name.0 == *CLUSTER_METADATA_TOPIC
                && matches!(&topic.partitions[..], [partition] if partition.partition_index == 0)
        }
        _ => false,
    }
}

/// There is one log of which there is a quorum.
fn refused_topics(request: &DescribeQuorumRequest) -> DescribeQuorumResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(ErrorCode::UnknownTopicOrPartition.code())
        });
        TopicData::default().with_topic_name(topic.topic_name.clone()).with_partitions(partitions.collect())
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}

fn answer(quorum: &QuorumDescription, now_ms: i64) -> DescribeQuorumResponse {
    let states = |voter: bool| {
        let members = quorum.replicas.iter().filter(move |member| member.voter == voter);
        members.map(|member| replica_state(quorum, member, now_ms)).collect()
    };
    let partition = PartitionData::default()
        .with_partition_index(0)
        .with_leader_id(BrokerId(quorum.leader.map_or(-1, |leader| leader.node_id.get())))
        .with_leader_epoch(i32::try_from(quorum.leader_epoch).unwrap_or(i32::MAX))
        .with_high_watermark(offset(quorum.high_watermark))
        .with_current_voters(states(true))
        .with_observers(states(false));
    let topic =
        TopicData::default().with_topic_name(topic_name(CLUSTER_METADATA_TOPIC)).with_partitions(vec![partition]);
    let voters = quorum.replicas.iter().filter(|member| member.voter);
    let nodes = voters.map(|member| {
        let listeners = member.endpoints.iter().map(|endpoint| {
            Listener::default()
                .with_name(text(endpoint.listener.clone()))
                .with_host(text(endpoint.host.clone()))
                .with_port(endpoint.port)
        });
        Node::default().with_node_id(BrokerId(member.id.node_id.get())).with_listeners(listeners.collect())
    });
    DescribeQuorumResponse::default().with_nodes(nodes.collect()).with_topics(vec![topic])
}

fn replica_state(quorum: &QuorumDescription, member: &Member, now_ms: i64) -> ReplicaState {
    let heard_ms = member
        .acknowledged_ago
        .map_or(UNKNOWN, |ago| now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
    // Since when it lacks what is committed is not known.
    let has_all = member.log_end_offset.is_some_and(|end| end >= quorum.high_watermark);
    ReplicaState::default()
        .with_replica_id(BrokerId(member.id.node_id.get()))
        .with_replica_directory_id(member.id.directory_id)
        .with_log_end_offset(member.log_end_offset.map_or(UNKNOWN, offset))
        .with_last_fetch_timestamp(heard_ms)
        .with_last_caught_up_timestamp(if has_all { heard_ms } else { UNKNOWN })
}

fn offset(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}
