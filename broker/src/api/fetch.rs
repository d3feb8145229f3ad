//! Fetch (1): slices of segment files, at once or as soon as there is enough (KIP-74, KIP-227, KIP-516).
//!
//! The ordered stage settles the session and looks once. If that finds fewer than `min_bytes`, the request watches its
//! partitions in the purgatory and looks again whenever one of them grows. Records are never read here: the network
//! sends them from the file. A follower's fetch also tells its leader how far it is, once, with the first look.

mod answer;
mod look;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};
use weir_protocol::messages::FetchRequest;

use super::call::Call;
use crate::alarm::Alarm;
use crate::fetch_session::{FetchPartition, FetchPlan, SessionRequest};
use crate::net::{Dispatch, Response};
use crate::partition::{Isolation, PartitionKey, Reader};
use crate::purgatory::{Wake, Watch};
use answer::{answer, refuse};
use look::{Look, take_look};

/// From this version on topics are named by id (KIP-516).
const FIRST_VERSION_WITH_TOPIC_IDS: i16 = 13;
/// From this version on a consumer may be sent to, and served by, a follower (KIP-392).
const FIRST_VERSION_WITH_RACK: i16 = 11;
/// From this version on a follower names its epoch (KIP-903).
const FIRST_VERSION_WITH_REPLICA_STATE: i16 = 15;
/// How long a follower's request goes on waiting with nothing to tell but a high watermark. Records on their way soon carry it, and
/// without any it is in time for readers.
const NEWS_DELAY: Duration = Duration::from_millis(5);

/// Who asks.
enum Requester {
    /// A consumer, in some zone.
    Consumer { rack: String },
    /// A broker that replicates what it fetches, in one of its lives.
    Follower { broker: BrokerId, broker_epoch: BrokerEpoch },
}

/// What holds for every partition of a request.
struct Terms {
    requester: Requester,
    reader: Reader,
    min_bytes: usize,
    max_bytes: usize,
    by_id: bool,
}

impl Terms {
    fn new(call: &Call, request: &FetchRequest) -> Self {
        let version = call.version();
        let (replica, broker_epoch) = match version >= FIRST_VERSION_WITH_REPLICA_STATE {
            true => (request.replica_state.replica_id.0, request.replica_state.replica_epoch),
            false => (request.replica_id.0, -1),
        };
        // Below zero are consumers, among them those that debug.
        let (requester, reader) = match replica {
            0.. => {
                let (broker, broker_epoch) = (BrokerId(replica), BrokerEpoch(broker_epoch));
                (Requester::Follower { broker, broker_epoch }, Reader::Follower)
            }
            _ => {
                let isolation = Isolation::from_wire(request.isolation_level);
                let takes_followers = version >= FIRST_VERSION_WITH_RACK;
                let requester = Requester::Consumer { rack: request.rack_id.to_string() };
                (requester, Reader::Consumer { isolation, takes_followers })
            }
        };
        Self {
            requester,
            reader,
            min_bytes: request.min_bytes.max(0) as usize,
            max_bytes: (request.max_bytes.max(0) as usize).min(call.node.fetch_max_bytes),
            by_id: version >= FIRST_VERSION_WITH_TOPIC_IDS,
        }
    }

    fn is_follower(&self) -> bool {
        matches!(self.requester, Requester::Follower { .. })
    }

    /// Whether a consumer must wait until this broker knows what it still leads.
    fn is_held(&self, call: &Call) -> bool {
        !self.is_follower() && !call.node.lifecycle.presence().is_certain()
    }
}

pub(super) fn handle(call: Call, request: FetchRequest) -> Dispatch {
    let terms = Terms::new(&call, &request);
    let max_wait = Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let session = session_request(&call, request, terms.by_id);
    let sessions = if terms.is_follower() { &call.node.follower_sessions } else { &call.node.sessions };
    let plan = match sessions.begin(session, call.now_ms(), || call.node.random_id()) {
        Ok(plan) => plan,
        Err(code) => return Dispatch::Ready(refuse(&call, code)),
    };
    let is_held = terms.is_held(&call);
    let look = take_look(&call, &plan, &terms, true);
    let is_enough = (look.is_urgent || look.bytes >= terms.min_bytes) && !is_held;
    if is_enough || max_wait.is_zero() || plan.partitions.is_empty() {
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
    let local = call.node.partitions.local();
    let purgatory = if terms.is_follower() { local.appended() } else { local.committed() };
    let mut watch = purgatory.watch(keys, Some(deadline));
    drop(image);
    watch.swap_alarm(call.connection.alarm.take());
    let look = ripen(&call, &plan, &terms, &mut watch, deadline).await;
    call.connection.alarm.replace(watch.swap_alarm(Alarm::default()));
    drop(watch);
    answer(&call, &plan, &terms, look)
}

/// Looks until there is something to say, or the time is over.
async fn ripen(
    call: &Call,
    plan: &FetchPlan,
    terms: &Terms,
    watch: &mut Watch<PartitionKey>,
    deadline: Instant,
) -> Look {
    // When a follower is told what is no record.
    let mut news_at: Option<Instant> = None;
    loop {
        if terms.is_held(call) {
            // If it does not come to know in time, the look finds nothing that it leads.
            let _ = tokio::time::timeout_at(deadline, call.node.lifecycle.presence().until_certain()).await;
        }
        let look = take_look(call, plan, terms, false);
        let now = Instant::now();
        let is_time = news_at.is_some_and(|at| now >= at);
        if look.is_urgent || look.bytes >= terms.min_bytes || (look.has_news && is_time) {
            return look;
        }
        news_at = match look.has_news || look.is_unsettled {
            true if is_time => Some(now + NEWS_DELAY),
            true => news_at.or(Some(now + NEWS_DELAY)),
            false => None,
        };
        let ripe_at = [news_at, look.held_back_until].into_iter().flatten().fold(deadline, Instant::min);
        watch.set_deadline(ripe_at);
        match watch.wake().await {
            Wake::Notified => {}
            Wake::Deadline if Instant::now() < deadline => {}
            Wake::Deadline | Wake::Closed | Wake::Full => return take_look(call, plan, terms, false),
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
