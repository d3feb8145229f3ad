//! Produce (0): appends batches where they lie in the received frame, in arrival order.
//!
//! The ordered stage validates and appends; only the acknowledgement may wait, for replicas (acks=all) or for a sync that
//! the topic asks for. The bytes are received once and written once.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::produce_request::TopicProduceData;
use weir_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use weir_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse, StrBytes, TopicName};
use weir_protocol::records::batch::BatchHeader;

use super::call::Call;
use super::leaders::{Leader, endpoints};
use super::produced_batch;
use crate::net::{Dispatch, Frame};
use crate::partition::{Appended, Partition, PartitionError, Placement, ProduceOrigin};

/// From this version on topics are named by id (KIP-516).
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// From this version on an answer names the leader that the client should have asked.
const FIRST_VERSION_WITH_LEADERS: i16 = 10;
/// Acknowledged by every in-sync replica.
const ACKS_ALL: i16 = -1;

/// Records of one partition, by where they lie in the frame.
struct Part {
    partition: Result<Arc<Partition>, PartitionError>,
    index: i32,
    records: Option<Range<usize>>,
}

/// A topic of the request.
struct Topic {
    name: TopicName,
    id: uuid::Uuid,
    parts: Vec<Part>,
}

/// What an acknowledgement still waits for.
struct Pending {
    partition: Arc<Partition>,
    /// What the high watermark must reach, and in which leader epoch.
    required: (Offset, LeaderEpoch),
    /// Told when the records are durable, where the topic asks for that.
    flushed: Option<oneshot::Receiver<io::Result<()>>>,
    /// Whether it waits for no replica, but for this broker to know that it still leads.
    held: bool,
    /// Where in the response its answer stands.
    place: (usize, usize),
}

pub(super) fn handle(call: Call, request: ProduceRequest, mut frame: Frame) -> Dispatch {
    let (acks, timeout_ms) = (request.acks, request.timeout_ms);
    let refusal = refusal(&request);
    let topics = locate(&call, request, &frame);
    let mut pending = Vec::new();
    let mut response = ProduceResponse::default();
    // What only this broker has is acknowledged by its leader alone.
    let held = acks != ACKS_ALL && !call.node.lifecycle.presence().is_certain();
    // Nothing holds a slice of the frame any more.
    let Ok(bytes) = frame.unshare() else {
        tracing::error!("a produce request's frame is still shared");
        return Dispatch::Close;
    };
    for (at_topic, topic) in topics.into_iter().enumerate() {
        let mut answer = TopicProduceResponse::default().with_name(topic.name).with_topic_id(topic.id);
        for (at_part, part) in topic.parts.into_iter().enumerate() {
            let appended = match &refusal {
                Some(refusal) => Err(refusal.clone()),
                None => append(&call, &part, bytes, acks),
            };
            if let (Ok(appended), Ok(partition)) = (&appended, &part.partition) {
                let flushed = flush(partition, appended);
                let waits = flushed.is_some() || held || acks == ACKS_ALL && !is_replicated(partition, appended);
                if acks != 0 && waits {
                    let required = (appended.required_offset, appended.leader_epoch);
                    let partition = partition.clone();
                    pending.push(Pending { partition, required, flushed, held, place: (at_topic, at_part) });
                }
            }
            answer.partition_responses.push(partition_answer(&call, &part, appended));
        }
        response.responses.push(answer);
    }
    if acks == 0 {
        return unanswered(&call, &response);
    }
    if pending.is_empty() {
        name_leaders(&call, &mut response);
        return call.ready(&response);
    }
    let deadline = Instant::now() + Duration::from_millis(timeout_ms.max(0) as u64);
    call.later(move |call| acknowledged(call, response, pending, deadline))
}

/// What is wrong with the request as a whole.
fn refusal(request: &ProduceRequest) -> Option<PartitionError> {
    if !matches!(request.acks, -1..=1) {
        return Some(ErrorCode::InvalidRequiredAcks.into());
    }
    request.transactional_id.is_some().then(no_transactions)
}

fn no_transactions() -> PartitionError {
    PartitionError::new(ErrorCode::UnsupportedVersion, "This broker does not support transactions.")
}

/// Finds each partition and where its records lie, and lets go of the request's slices.
fn locate(call: &Call, request: ProduceRequest, frame: &Frame) -> Vec<Topic> {
    let by_id = call.version() >= FIRST_VERSION_WITH_TOPIC_IDS;
    let image = call.image();
    let locate_topic = |topic: TopicProduceData| {
        let parts = topic.partition_data.into_iter().map(|data| {
            let index = PartitionIndex(data.index);
            let placement = match by_id {
                true => call.node.partitions.find_by_id(&image, topic.topic_id, index),
                false => call.node.partitions.find(&image, &topic.name, index),
            };
            let partition = match placement {
                Placement::Local(partition) => Ok(partition),
                Placement::Elsewhere(_) => Err(ErrorCode::NotLeaderOrFollower.into()),
                Placement::Unknown if by_id && image.topic(topic.topic_id).is_none() => {
                    Err(ErrorCode::UnknownTopicId.into())
                }
                Placement::Unknown => Err(ErrorCode::UnknownTopicOrPartition.into()),
            };
            let records = data.records.as_ref().and_then(|records| frame.range_of(records));
            Part { partition, index: data.index, records }
        });
        Topic { parts: parts.collect(), id: topic.topic_id, name: owned(&topic.name) }
    };
    request.topic_data.into_iter().map(locate_topic).collect()
}

/// A name that does not keep the frame alive.
fn owned(name: &TopicName) -> TopicName {
    TopicName(StrBytes::from_string(name.to_string()))
}

fn append(call: &Call, part: &Part, frame: &mut [u8], acks: i16) -> Result<Appended, PartitionError> {
    let partition = part.partition.as_ref().map_err(Clone::clone)?;
    let records = part.records.clone().and_then(|range| frame.get_mut(range)).unwrap_or_default();
    let records = produced_batch::only_batch(call.version(), records)?;
    // Whatever is wrong with the header is the log's to say.
    if BatchHeader::parse(records).is_ok_and(|header| header.is_transactional()) {
        return Err(no_transactions());
    }
    partition.append(records, ProduceOrigin::Client, acks == ACKS_ALL, call.now_ms())
}

/// Makes the records durable where the topic asks for that, and tells when they are.
fn flush(partition: &Arc<Partition>, appended: &Appended) -> Option<oneshot::Receiver<io::Result<()>>> {
    if !appended.info.needs_fsync {
        return None;
    }
    let (done, flushed) = oneshot::channel();
    partition.flush_then(appended.required_offset, move |outcome| {
        // The client may have gone, or want no answer.
        let _ = done.send(outcome);
    });
    Some(flushed)
}

fn is_replicated(partition: &Partition, appended: &Appended) -> bool {
    matches!(partition.is_committed(appended.required_offset, appended.leader_epoch), Ok(true))
}

fn partition_answer(call: &Call, part: &Part, appended: Result<Appended, PartitionError>) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(part.index);
    match appended {
        Ok(Appended { info, .. }) => answer
            .with_base_offset(info.first_offset.get())
            .with_log_append_time_ms(info.log_append_time_ms)
            .with_log_start_offset(info.log_start_offset.get()),
        Err(error) => {
            let answer = answer.with_base_offset(-1).with_log_append_time_ms(-1).with_log_start_offset(-1);
            tracing::debug!(peer = %call.connection.peer_address, code = ?error.code, message = ?error.message, "produce refused");
            answer.with_error_code(error.code.code()).with_error_message(error.message.map(StrBytes::from_string))
        }
    }
}

/// Names who leads what this broker does not, and where they are reached, so that the client need not ask (KIP-951).
fn name_leaders(call: &Call, response: &mut ProduceResponse) {
    if call.version() < FIRST_VERSION_WITH_LEADERS {
        return;
    }
    let image = call.image();
    let mut leaders = Vec::new();
    for topic in &mut response.responses {
        for part in &mut topic.partition_responses {
            if ErrorCode::from_code(part.error_code) != ErrorCode::NotLeaderOrFollower {
                continue;
            }
            let index = PartitionIndex(part.index);
            let registration = match topic.topic_id.is_nil() {
                true => image.partition_by_name(&topic.name, index),
                false => image.partition(topic.topic_id, index),
            };
            // Who refuses does not name itself.
            let Some(registration) = registration.filter(|known| known.leader != call.node.id()) else { continue };
            part.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(registration.leader.get()))
                .with_leader_epoch(registration.leader_epoch.get());
            leaders.push(Leader { id: registration.leader, epoch: registration.leader_epoch });
        }
    }
    let endpoints = endpoints(call, &leaders).map(|node| {
        NodeEndpoint::default()
            .with_node_id(BrokerId(node.id.get()))
            .with_host(StrBytes::from_string(node.host.to_string()))
            .with_port(i32::from(node.port))
            .with_rack(node.rack.map(|rack| StrBytes::from_string(rack.to_string())))
    });
    response.node_endpoints = endpoints.collect();
}

/// With acks=0 there is no answer; a failure is told by closing the connection, as Kafka does.
fn unanswered(call: &Call, response: &ProduceResponse) -> Dispatch {
    let failed = response.responses.iter().flat_map(|topic| &topic.partition_responses).find(|p| p.error_code != 0);
    match failed {
        None => Dispatch::None,
        Some(part) => {
            let error = ErrorCode::from_code(part.error_code);
            tracing::info!(peer = %call.connection.peer_address, ?error, "an unacknowledged produce failed; the connection is closed");
            Dispatch::Close
        }
    }
}

/// Waits for what is pending, and writes what did not come in time into the response.
async fn acknowledged(
    call: Call,
    mut response: ProduceResponse,
    pending: Vec<Pending>,
    deadline: Instant,
) -> ProduceResponse {
    for wait in pending {
        let reached = match wait.held {
            true => call.node.still_led(&wait.partition, wait.required.1, wait.flushed, deadline).await,
            false => call.node.replicated(&wait.partition, wait.required, wait.flushed, deadline).await,
        };
        if let Err(error) = reached {
            let (topic, part) = wait.place;
            let answer = &mut response.responses[topic].partition_responses[part];
            answer.error_code = error.code.code();
            answer.error_message = error.message.map(StrBytes::from_string);
            answer.base_offset = -1;
        }
    }
    name_leaders(&call, &mut response);
    response
}
