//! One look at everything that a fetch wants.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_controller::image::MetadataImage;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, Offset};

use super::{Requester, Terms};
use crate::api::call::Call;
use crate::fetch_session::{FetchPartition, FetchPlan, PartitionAnswer};
use crate::partition::{Partition, PartitionError, Placement, Read, ReadFailure, ReplicaSide};
use crate::replication::{EpochEnd, FollowerFetch};

/// What was found of everything a request wants.
pub(super) struct Look {
    pub(super) found: Vec<Found>,
    pub(super) bytes: usize,
    /// Whether something must be said at once, however few bytes there are.
    pub(super) is_urgent: bool,
    /// Whether there is something that a follower has not been told, if no record: a high watermark, a log start.
    pub(super) has_news: bool,
    /// Whether there are records that are not committed yet: the high watermark is about to move.
    pub(super) is_unsettled: bool,
    /// How many of the bytes are of throttled replicas.
    pub(super) throttled_bytes: usize,
    /// When there may be something of the replicas that were held back, if some were.
    pub(super) held_back_until: Option<Instant>,
}

/// What was found of one partition.
pub(super) enum Found {
    /// Records, or that there are none yet.
    Read(Read),
    /// Another replica is closer to the consumer.
    Elsewhere { replica: BrokerId, high_watermark: Offset, log_start_offset: Offset },
    /// The follower's log parts from this one.
    Diverging { end: EpochEnd, high_watermark: Offset, log_start_offset: Offset },
    /// It cannot be read.
    Failed(ReadFailure),
}

impl Found {
    /// What a session remembers of it.
    pub(super) fn said(&self) -> PartitionAnswer {
        let (high_watermark, log_start_offset) = match self {
            Found::Read(read) => (read.high_watermark, read.log_start_offset),
            Found::Elsewhere { high_watermark, log_start_offset, .. }
            | Found::Diverging { high_watermark, log_start_offset, .. } => (*high_watermark, *log_start_offset),
            Found::Failed(failure) => (failure.high_watermark, failure.log_start_offset),
        };
        PartitionAnswer {
            error: match self {
                Found::Failed(failure) => failure.error.code,
                _ => ErrorCode::None,
            },
            records_bytes: self.records_bytes(),
            high_watermark,
            log_start_offset,
            has_news: matches!(self, Found::Elsewhere { .. } | Found::Diverging { .. }),
        }
    }

    fn records_bytes(&self) -> usize {
        match self {
            Found::Read(read) => read.slice.as_ref().map_or(0, |slice| slice.length as usize),
            _ => 0,
        }
    }
}

/// Looks at everything. The first look of a follower's request also takes in what it tells of the follower.
pub(super) fn take_look(call: &Call, plan: &FetchPlan, terms: &Terms, is_first: bool) -> Look {
    let image = call.image();
    let mut look = Look {
        found: Vec::with_capacity(plan.partitions.len()),
        bytes: 0,
        is_urgent: false,
        has_news: false,
        is_unsettled: false,
        throttled_bytes: 0,
        held_back_until: None,
    };
    let is_held = terms.is_held(call);
    for wanted in &plan.partitions {
        let left = terms.max_bytes.saturating_sub(look.bytes);
        let max_bytes = (wanted.max_bytes.max(0) as usize).min(left) as u32;
        let partition =
            if is_held { Err(failed(ErrorCode::NotLeaderOrFollower)) } else { find(call, &image, wanted, terms) };
        let mut throttling = Throttling::None;
        let found = partition
            .and_then(|partition| {
                throttling = Throttling::of(call, &partition, terms);
                let (max_bytes, min_one) = match throttling {
                    Throttling::HeldBack(_) => (0, false),
                    Throttling::None | Throttling::Counted => (max_bytes, look.bytes == 0),
                };
                one(&partition, &image, wanted, terms, (max_bytes, min_one, is_first))
            })
            .unwrap_or_else(Found::Failed);
        match throttling {
            Throttling::HeldBack(until) => {
                look.held_back_until = Some(look.held_back_until.map_or(until, |earliest| earliest.min(until)));
            }
            Throttling::Counted => look.throttled_bytes += found.records_bytes(),
            Throttling::None => {}
        }
        match &found {
            Found::Read(read) if terms.is_follower() => {
                let session = plan.incremental.as_ref().or(plan.started.as_ref());
                let said = found.said();
                look.has_news |= session.is_some_and(|session| session.lock().is_news(wanted, said));
                look.is_unsettled |= read.high_watermark < read.log_end_offset;
            }
            Found::Read(_) => {}
            Found::Elsewhere { .. } | Found::Diverging { .. } | Found::Failed(_) => look.is_urgent = true,
        }
        look.bytes += found.records_bytes();
        look.found.push(found);
    }
    look
}

/// What a throttle means for one replica that a follower fetches (KIP-73).
#[derive(Clone, Copy)]
enum Throttling {
    /// It is not throttled, or nobody follows.
    None,
    /// What it gets counts, and it gets it: it is in sync, or the rate is not exceeded.
    Counted,
    /// It gets nothing before this time.
    HeldBack(Instant),
}

impl Throttling {
    fn of(call: &Call, partition: &Partition, terms: &Terms) -> Self {
        let Requester::Follower { broker, .. } = &terms.requester else { return Self::None };
        if !partition.is_throttled(ReplicaSide::Leader) {
            return Self::None;
        }
        if partition.registration().isr.contains(broker) {
            return Self::Counted;
        }
        let local = call.node.partitions.local();
        let now_ms = local.now_ms();
        match local.throttles().of(ReplicaSide::Leader).exceeded_until(now_ms) {
            Some(until_ms) => {
                Self::HeldBack(Instant::now() + Duration::from_millis(until_ms.saturating_sub(now_ms).max(0) as u64))
            }
            None => Self::Counted,
        }
    }
}

fn find(
    call: &Call,
    image: &MetadataImage,
    wanted: &FetchPartition,
    terms: &Terms,
) -> Result<Arc<Partition>, ReadFailure> {
    let placement = match terms.by_id {
        true => call.node.partitions.find_by_id(image, wanted.topic_id, wanted.partition),
        false => call.node.partitions.find(image, &wanted.topic, wanted.partition),
    };
    match placement {
        Placement::Local(partition) => Ok(partition),
        Placement::Elsewhere(_) => Err(failed(ErrorCode::NotLeaderOrFollower)),
        Placement::Unknown if terms.by_id && image.topic(wanted.topic_id).is_none() => {
            Err(failed(ErrorCode::UnknownTopicId))
        }
        Placement::Unknown => Err(failed(ErrorCode::UnknownTopicOrPartition)),
    }
}

fn one(
    partition: &Arc<Partition>,
    image: &MetadataImage,
    wanted: &FetchPartition,
    terms: &Terms,
    (max_bytes, min_one, is_first): (u32, bool, bool),
) -> Result<Found, ReadFailure> {
    let here = || {
        (partition.opened_log().map(|log| (log.high_watermark(), log.log_start_offset())))
            .unwrap_or((Offset::NONE, Offset::NONE))
    };
    match &terms.requester {
        Requester::Follower { broker, broker_epoch } if is_first => {
            let fetch = FollowerFetch {
                broker: *broker,
                broker_epoch: *broker_epoch,
                current_leader_epoch: wanted.current_leader_epoch,
                fetch_offset: wanted.fetch_offset,
                last_fetched_epoch: wanted.last_fetched_epoch,
                log_start_offset: wanted.log_start_offset,
            };
            if let Some(end) = partition.on_follower_fetch(&fetch, image)? {
                let (high_watermark, log_start_offset) = here();
                return Ok(Found::Diverging { end, high_watermark, log_start_offset });
            }
        }
        Requester::Consumer { rack } if is_first && !rack.is_empty() => {
            if let Some(replica) = partition.preferred_replica(rack, wanted.fetch_offset, image) {
                partition.check_leadership(wanted.current_leader_epoch)?;
                let (high_watermark, log_start_offset) = here();
                return Ok(Found::Elsewhere { replica, high_watermark, log_start_offset });
            }
        }
        Requester::Follower { .. } | Requester::Consumer { .. } => {}
    }
    partition.read(wanted.fetch_offset, wanted.current_leader_epoch, terms.reader, max_bytes, min_one).map(Found::Read)
}

fn failed(code: ErrorCode) -> ReadFailure {
    PartitionError::from(code).into()
}
