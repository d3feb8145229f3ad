//! Fetch (1): slices of segment files, at once or as soon as there is enough (KIP-74, KIP-227, KIP-516).
//!
//! The ordered stage settles the session and looks once. If that finds fewer than `min_bytes`, the request watches its
//! partitions in the purgatory and looks again whenever one of them grows. Records are never read here: the network
//! sends them from the file.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::fetch_response::{self, RecordsLength};
use weir_protocol::ids::{LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::fetch_response::{
    AbortedTransaction, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use weir_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId, StrBytes, TopicName};

use super::call::Call;
use crate::fetch_session::{FetchPartition, FetchPlan, PartitionAnswer, SessionRequest};
use crate::net::{Chunk, Dispatch, FileSlice, Response};
use crate::partition::{Isolation, Placement, Read, ReadFailure};
use crate::purgatory::Wake;

/// From this version on topics are named by id (KIP-516).
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;

/// What holds for every partition of a request.
struct Terms {
    isolation: Isolation,
    min_bytes: usize,
    max_bytes: usize,
    by_id: bool,
}

/// One look at everything a request wants.
struct Look {
    found: Vec<Result<Read, ReadFailure>>,
    bytes: usize,
    /// Whether something must be said at once, however few bytes there are.
    is_urgent: bool,
}

pub(super) fn handle(call: Call, request: FetchRequest) -> Dispatch {
    let by_id = call.version() >= FIRST_VERSION_WITH_TOPIC_IDS;
    let terms = Terms {
        isolation: Isolation::from_wire(request.isolation_level),
        min_bytes: request.min_bytes.max(0) as usize,
        max_bytes: (request.max_bytes.max(0) as usize).min(call.broker.fetch_max_bytes),
        by_id,
    };
    let max_wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let session = session_request(&call, request, by_id);
    let plan = match call.broker.sessions.begin(session, call.now_ms(), || call.broker.random_id()) {
        Ok(plan) => plan,
        Err(code) => return Dispatch::Ready(refuse(&call, code)),
    };
    let look = take_look(&call, &plan, &terms);
    if look.is_urgent || look.bytes >= terms.min_bytes || max_wait.is_zero() || plan.partitions.is_empty() {
        return Dispatch::Ready(answer(&call, &plan, &terms, look));
    }
    let deadline = Instant::now() + max_wait;
    Dispatch::Waiting(Box::pin(wait(call, plan, terms, deadline)))
}

/// Sleeps until there is enough, the time is over, or something must be said.
async fn wait(call: Call, plan: FetchPlan, terms: Terms, deadline: Instant) -> Response {
    let image = call.image();
    let keys = plan.partitions.iter().filter_map(|wanted| {
        let id = if terms.by_id { wanted.topic_id } else { image.topic_id(&wanted.topic)? };
        Some((id, wanted.partition))
    });
    let mut watch = call.broker.arrivals.watch(keys, Some(deadline));
    drop(image);
    loop {
        let look = take_look(&call, &plan, &terms);
        if look.is_urgent || look.bytes >= terms.min_bytes {
            return answer(&call, &plan, &terms, look);
        }
        if watch.wake().await != Wake::Notified {
            let last = take_look(&call, &plan, &terms);
            return answer(&call, &plan, &terms, last);
        }
    }
}

fn session_request(call: &Call, request: FetchRequest, uses_topic_ids: bool) -> SessionRequest {
    let image = call.image();
    let mut partitions = Vec::new();
    for topic in request.topics {
        let name = name_of(&image, &topic.topic, uses_topic_ids);
        partitions.extend(topic.partitions.into_iter().map(|wanted| FetchPartition {
            topic: name.clone(),
            topic_id: topic.topic_id,
            partition: PartitionIndex(wanted.partition),
            current_leader_epoch: LeaderEpoch(wanted.current_leader_epoch),
            fetch_offset: Offset(wanted.fetch_offset),
            last_fetched_epoch: LeaderEpoch(wanted.last_fetched_epoch),
            log_start_offset: Offset(wanted.log_start_offset),
            max_bytes: wanted.partition_max_bytes,
        }));
    }
    let mut forgotten = Vec::new();
    for topic in request.forgotten_topics_data {
        let name = name_of(&image, &topic.topic, uses_topic_ids);
        forgotten.extend(topic.partitions.iter().map(|&index| (name.clone(), topic.topic_id, PartitionIndex(index))));
    }
    let (session_id, epoch) = (request.session_id, request.session_epoch);
    SessionRequest { session_id, epoch, uses_topic_ids, partitions, forgotten }
}

/// The name to keep in the session: shared with the metadata where the topic is known. Where ids identify topics the
/// name is left out, so that a session's keys do not depend on whether the id is known yet.
fn name_of(image: &weir_controller::image::MetadataImage, name: &str, by_id: bool) -> Arc<str> {
    match image.topic_by_name(name) {
        _ if by_id => Arc::from(""),
        Some(topic) => topic.name.clone(),
        None => Arc::from(name),
    }
}

fn take_look(call: &Call, plan: &FetchPlan, terms: &Terms) -> Look {
    let image = call.image();
    let mut look = Look { found: Vec::with_capacity(plan.partitions.len()), bytes: 0, is_urgent: false };
    for wanted in &plan.partitions {
        let left = terms.max_bytes.saturating_sub(look.bytes);
        let max_bytes = (wanted.max_bytes.max(0) as usize).min(left) as u32;
        let placement = match terms.by_id {
            true => call.broker.partitions.find_by_id(&image, wanted.topic_id, wanted.partition),
            false => call.broker.partitions.find(&image, &wanted.topic, wanted.partition),
        };
        let found = match placement {
            Placement::Local(partition) => {
                let (epoch, min_one) = (wanted.current_leader_epoch, look.bytes == 0);
                partition.read(wanted.fetch_offset, epoch, terms.isolation, max_bytes, min_one)
            }
            Placement::Elsewhere(_) => Err(failed(ErrorCode::NotLeaderOrFollower)),
            Placement::Unknown if terms.by_id && image.topic(wanted.topic_id).is_none() => {
                Err(failed(ErrorCode::UnknownTopicId))
            }
            Placement::Unknown => Err(failed(ErrorCode::UnknownTopicOrPartition)),
        };
        match &found {
            Ok(read) => look.bytes += read.slice.as_ref().map_or(0, |slice| slice.length as usize),
            Err(_) => look.is_urgent = true,
        }
        look.found.push(found);
    }
    look
}

fn failed(code: ErrorCode) -> ReadFailure {
    crate::partition::PartitionError::from(code).into()
}

fn refuse(call: &Call, code: ErrorCode) -> Response {
    call.reply(&FetchResponse::default().with_error_code(code.code()))
}

/// Builds the response, leaving out what a session's fetcher knows already.
fn answer(call: &Call, plan: &FetchPlan, terms: &Terms, look: Look) -> Response {
    let mut response = FetchResponse::default().with_session_id(plan.session_id);
    let mut records = Vec::new();
    for (wanted, found) in plan.partitions.iter().zip(look.found) {
        let said = said_of(&found);
        if let Some(session) = &plan.started {
            session.lock().must_answer(wanted, said);
        }
        if let Some(session) = &plan.incremental
            && !session.lock().must_answer(wanted, said)
        {
            continue;
        }
        let (data, slice) = partition_data(call, wanted, found, terms);
        let is_same_topic = |topic: &&mut FetchableTopicResponse| match terms.by_id {
            true => topic.topic_id == wanted.topic_id,
            false => *topic.topic.0 == *wanted.topic,
        };
        match response.responses.last_mut().filter(is_same_topic) {
            Some(topic) => topic.partitions.push(data),
            None => {
                let topic = FetchableTopicResponse::default()
                    .with_topic(TopicName(StrBytes::from_string(wanted.topic.to_string())))
                    .with_topic_id(wanted.topic_id)
                    .with_partitions(vec![data]);
                response.responses.push(topic);
            }
        }
        records.push(slice);
    }
    match fetch_response::encode(&call.header, &response, records) {
        Ok(chunks) => chunks.into_iter().filter_map(chunk).collect(),
        Err(error) => {
            tracing::error!(%error, peer = %call.connection.peer_address, "a fetch response could not be encoded");
            Response::close()
        }
    }
}

impl RecordsLength for FileSlice {
    fn size_bytes(&self) -> usize {
        self.length as usize
    }
}

fn chunk(chunk: fetch_response::Chunk<Option<FileSlice>>) -> Option<Chunk> {
    match chunk {
        fetch_response::Chunk::Bytes(bytes) => Some(Chunk::Bytes(bytes)),
        fetch_response::Chunk::Records(slice) => slice.map(Chunk::Records),
    }
}

fn said_of(found: &Result<Read, ReadFailure>) -> PartitionAnswer {
    match found {
        Ok(read) => PartitionAnswer {
            error: ErrorCode::None,
            records_bytes: read.slice.as_ref().map_or(0, |slice| slice.length as usize),
            high_watermark: read.high_watermark,
            log_start_offset: read.log_start_offset,
            has_news: false,
        },
        Err(failure) => PartitionAnswer {
            error: failure.error.code,
            records_bytes: 0,
            high_watermark: failure.high_watermark,
            log_start_offset: failure.log_start_offset,
            has_news: false,
        },
    }
}

fn partition_data(
    call: &Call,
    wanted: &FetchPartition,
    found: Result<Read, ReadFailure>,
    terms: &Terms,
) -> (PartitionData, Option<FileSlice>) {
    let data = PartitionData::default()
        .with_partition_index(wanted.partition.get())
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(None);
    match found {
        Ok(read) => {
            let aborted = (terms.isolation == Isolation::ReadCommitted).then(|| {
                let aborted = read.aborted_transactions.iter().map(|aborted| {
                    AbortedTransaction::default()
                        .with_producer_id(ProducerId(aborted.producer_id.get()))
                        .with_first_offset(aborted.first_offset.get())
                });
                aborted.collect()
            });
            let data = data
                .with_high_watermark(read.high_watermark.get())
                .with_last_stable_offset(read.last_stable_offset.get())
                .with_log_start_offset(read.log_start_offset.get())
                .with_aborted_transactions(aborted);
            (data, read.slice.map(FileSlice::from))
        }
        Err(failure) => {
            let data = data
                .with_error_code(failure.error.code.code())
                .with_high_watermark(failure.high_watermark.get())
                .with_last_stable_offset(-1)
                .with_log_start_offset(failure.log_start_offset.get())
                .with_current_leader(leader_of(call, wanted, failure.error.code));
            (data, None)
        }
    }
}

/// Who leads, where that is what the fetcher got wrong (KIP-951).
fn leader_of(call: &Call, wanted: &FetchPartition, code: ErrorCode) -> LeaderIdAndEpoch {
    if !matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
        return LeaderIdAndEpoch::default();
    }
    let image = call.image();
    let registration = match wanted.topic_id.is_nil() {
        true => image.partition_by_name(&wanted.topic, wanted.partition),
        false => image.partition(wanted.topic_id, wanted.partition),
    };
    registration.map_or_else(LeaderIdAndEpoch::default, |registration| {
        LeaderIdAndEpoch::default()
            .with_leader_id(BrokerId(registration.leader.get()))
            .with_leader_epoch(registration.leader_epoch.get())
    })
}
