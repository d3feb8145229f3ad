//! A Fetch response, without the records, which stay where they are.

use weir_protocol::error_code::ErrorCode;
use weir_protocol::fetch_response::{self, RecordsLength};
use weir_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use weir_protocol::messages::{BrokerId, FetchResponse, ProducerId, StrBytes, TopicName};

use super::Terms;
use super::look::{Found, Look};
use crate::api::call::Call;
use crate::api::leaders::{Leader, endpoints};
use crate::fetch_session::{FetchPartition, FetchPlan};
use crate::net::{Chunk, FileSlice, Response};
use crate::partition::ReplicaSide;

/// From this version on a response names the endpoints of the leaders that it names (KIP-951).
const FIRST_VERSION_WITH_ENDPOINTS: i16 = 16;

pub(super) fn refuse(call: &Call, code: ErrorCode) -> Response {
    call.reply(&FetchResponse::default().with_error_code(code.code()))
}

/// Builds the response, leaving out what a session's fetcher knows already.
pub(super) fn answer(call: &Call, plan: &FetchPlan, terms: &Terms, look: Look) -> Response {
    let mut response = FetchResponse::default().with_session_id(plan.session_id);
    if look.throttled_bytes > 0 {
        let local = call.node.partitions.local();
        local.throttles().of(ReplicaSide::Leader).record(local.now_ms(), look.throttled_bytes as u64);
    }
    let mut records = Vec::new();
    let mut leaders = Vec::new();
    for (wanted, found) in plan.partitions.iter().zip(look.found) {
        let said = found.said();
        if let Some(session) = &plan.started {
            session.lock().must_answer(wanted, said);
        }
        if let Some(session) = &plan.incremental
            && !session.lock().must_answer(wanted, said)
        {
            continue;
        }
        let (data, slice) = partition_data(call, wanted, found, terms, &mut leaders);
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
    if call.version() >= FIRST_VERSION_WITH_ENDPOINTS && !leaders.is_empty() {
        response.node_endpoints = endpoints(call, &leaders)
            .map(|node| {
                NodeEndpoint::default()
                    .with_node_id(BrokerId(node.id.get()))
                    .with_host(StrBytes::from_string(node.host.to_string()))
                    .with_port(i32::from(node.port))
                    .with_rack(node.rack.map(|rack| StrBytes::from_string(rack.to_string())))
            })
            .collect();
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

fn partition_data(
    call: &Call,
    wanted: &FetchPartition,
    found: Found,
    terms: &Terms,
    leaders: &mut Vec<Leader>,
) -> (PartitionData, Option<FileSlice>) {
    let data = PartitionData::default()
        .with_partition_index(wanted.partition.get())
        .with_preferred_read_replica(BrokerId(-1))
        .with_aborted_transactions(None);
    match found {
        Found::Read(read) => {
            let aborted = terms.reader.sees_aborted().then(|| {
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
        Found::Elsewhere { replica, high_watermark, log_start_offset } => {
            let data = data
                .with_high_watermark(high_watermark.get())
                .with_last_stable_offset(high_watermark.get())
                .with_log_start_offset(log_start_offset.get())
                .with_preferred_read_replica(BrokerId(replica.get()));
            (data, None)
        }
        Found::Diverging { end, high_watermark, log_start_offset } => {
            let diverging = EpochEndOffset::default().with_epoch(end.epoch.get()).with_end_offset(end.end_offset.get());
            let data = data
                .with_high_watermark(high_watermark.get())
                .with_last_stable_offset(-1)
                .with_log_start_offset(log_start_offset.get())
                .with_diverging_epoch(diverging);
            (data, None)
        }
        Found::Failed(failure) => {
            let mut data = data
                .with_error_code(failure.error.code.code())
                .with_high_watermark(failure.high_watermark.get())
                .with_last_stable_offset(-1)
                .with_log_start_offset(failure.log_start_offset.get());
            if let Some(leader) = leader_of(call, wanted, failure.error.code) {
                data.current_leader = LeaderIdAndEpoch::default()
                    .with_leader_id(BrokerId(leader.id.get()))
                    .with_leader_epoch(leader.epoch.get());
                leaders.push(leader);
            }
            (data, None)
        }
    }
}

/// Who leads, where that is what the fetcher got wrong (KIP-951).
fn leader_of(call: &Call, wanted: &FetchPartition, code: ErrorCode) -> Option<Leader> {
    if !matches!(code, ErrorCode::NotLeaderOrFollower | ErrorCode::FencedLeaderEpoch) {
        return None;
    }
    let image = call.image();
    let registration = match wanted.topic_id.is_nil() {
        true => image.partition_by_name(&wanted.topic, wanted.partition),
        false => image.partition(wanted.topic_id, wanted.partition),
    };
    // Who refuses does not name itself, but its epoch to those who do not know it.
    let names = |leader| code == ErrorCode::FencedLeaderEpoch || leader != call.node.id();
    let registration = registration.filter(|registration| names(registration.leader));
    registration.map(|registration| Leader { id: registration.leader, epoch: registration.leader_epoch })
}
