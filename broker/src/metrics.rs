//! Counters and gauges, in Prometheus' text format.
//!
//! Counted where things happen, in plain atomics; gathered only when somebody asks. Names and meanings stand in
//! `docs/metrics.md`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use weir_controller::quorum::Controller;
use weir_controller::zones::Zones;
use weir_protocol::api::ApiKey;

use crate::administration::Administration;
use crate::broker::Broker;
use crate::http::Monitored;
use crate::net::NetworkMetrics;
use crate::partition::ReplicaSide;

/// One more than the highest API key there is room for.
const API_SLOTS: usize = 128;

/// What the APIs count.
#[derive(Debug)]
pub struct RequestMetrics {
    requests: [AtomicU64; API_SLOTS],
    refused: AtomicU64,
}

impl Default for RequestMetrics {
    fn default() -> Self {
        Self { requests: [const { AtomicU64::new(0) }; API_SLOTS], refused: AtomicU64::new(0) }
    }
}

impl RequestMetrics {
    /// A request came.
    pub fn count(&self, api: ApiKey) {
        if let Some(counter) = self.requests.get(api as usize) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was refused before it was known what it asks.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    fn by_api(&self) -> impl Iterator<Item = (ApiKey, u64)> {
        self.requests.iter().enumerate().filter_map(|(key, counter)| {
            let count = counter.load(Ordering::Relaxed);
            Some((ApiKey::try_from(key as i16).ok()?, count)).filter(|(_, count)| *count > 0)
        })
    }
}

/// Everything that is shown of a broker.
#[derive(Debug)]
pub struct Exposition {
    broker: Arc<Broker>,
    network: Arc<NetworkMetrics>,
}

impl Exposition {
    /// Shows `broker` and its network.
    pub fn new(broker: Arc<Broker>, network: Arc<NetworkMetrics>) -> Self {
        Self { broker, network }
    }
}

/// What a collector gathers, as text.
fn render(collector: impl Collector) -> String {
    let mut registry = Registry::with_prefix("weir");
    registry.register_collector(Box::new(collector));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        tracing::error!(%error, "metrics could not be written");
        let _ = writeln!(text, "# {error}");
    }
    text
}

impl Monitored for Exposition {
    fn unreadiness(&self) -> Option<String> {
        self.broker.unreadiness()
    }

    fn exposition(self: Arc<Self>) -> String {
        render(Gathered(self))
    }
}

#[derive(Debug)]
struct Gathered(Arc<Exposition>);

impl Collector for Gathered {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.broker(&mut encoder)?;
        self.replication(&mut encoder)?;
        requests(&mut encoder, &self.0.broker.administration.requests)?;
        self.network(&mut encoder)?;
        self.storage(&mut encoder)
    }
}

impl Gathered {
    fn broker(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let Exposition { broker, .. } = &*self.0;
        let image = broker.image();
        let id = broker.id();
        let (mut led, mut under_replicated, mut under_min_isr, mut offline, mut at_risk, mut moving) =
            (0, 0, 0, 0, 0, 0);
        let zones = Zones::of(&image);
        for topic in image.topics() {
            let min_insync =
                broker.partitions.topic_state(topic.id).map(|topic| topic.config.load().min_insync_replicas);
            for (_, partition) in topic.partitions() {
                let is_led = partition.leader == id;
                led += usize::from(is_led);
                under_replicated += usize::from(is_led && partition.isr.len() < partition.replicas.len());
                let required = min_insync.unwrap_or(1).min(partition.replicas.len());
                under_min_isr += usize::from(is_led && partition.isr.len() < required);
                moving += usize::from(is_led && partition.is_reassigning());
                at_risk += usize::from(is_led && zones.partition_risk(&image, partition, required).is_some());
                offline += usize::from(!partition.has_leader());
            }
        }
        let fenced = image.brokers().filter(|broker| broker.fenced).count();
        gauge(encoder, "brokers_fenced", "Brokers that are registered and out of service.", fenced)?;
        gauge(encoder, "topics", "Topics of the cluster.", image.topic_count())?;
        gauge(encoder, "partitions", "Partitions with a replica here.", broker.partitions.len())?;
        gauge(encoder, "partitions_led", "Partitions led here.", led)?;
        gauge(
            encoder,
            "partitions_under_replicated",
            "Partitions led here with replicas out of sync.",
            under_replicated,
        )?;
        gauge(
            encoder,
            "partitions_under_min_isr",
            "Partitions led here with too few replicas in sync for acks=all.",
            under_min_isr,
        )?;
        gauge(
            encoder,
            "partitions_at_zone_risk",
            "Partitions led here that the loss of one zone would stop.",
            at_risk,
        )?;
        gauge(encoder, "partitions_reassigning", "Partitions led here whose replicas move.", moving)?;
        gauge(encoder, "partitions_offline", "Partitions of the cluster without a leader.", offline)?;
        controller(encoder, broker.controller())?;
        let sessions = broker.sessions.len() + broker.follower_sessions.len();
        gauge(encoder, "fetch_sessions", "Incremental fetch sessions.", sessions)?;
        let local = broker.partitions.local();
        let watched = local.committed().watched_keys() + local.appended().watched_keys();
        gauge(encoder, "purgatory_watched", "Partitions watched by waiting requests.", watched)
    }

    fn replication(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let metrics = self.0.broker.replicas.metrics();
        let bytes = Some(&Unit::Bytes);
        counter(encoder, "isr_shrinks", "In-sync sets that lost a replica.", None, &metrics.isr_shrinks)?;
        counter(encoder, "isr_expands", "In-sync sets that gained a replica.", None, &metrics.isr_expands)?;
        counter(encoder, "isr_refusals", "In-sync sets that were refused.", None, &metrics.isr_refusals)?;
        counter(encoder, "replica_fetched", "Bytes fetched from leaders.", bytes, &metrics.fetched_bytes)?;
        counter(encoder, "replica_fetches", "Fetches sent to leaders.", None, &metrics.fetches)?;
        counter(encoder, "replica_fetch_failures", "Fetches that failed.", None, &metrics.fetch_failures)?;
        counter(encoder, "replica_truncations", "Logs cut to follow their leaders.", None, &metrics.truncations)?;
        let throttles = self.0.broker.partitions.local().throttles();
        let sent = throttles.of(ReplicaSide::Leader).bytes();
        counter(encoder, "replica_throttled_sent", "Bytes of throttled replicas sent.", bytes, sent)?;
        let fetched = throttles.of(ReplicaSide::Follower).bytes();
        counter(encoder, "replica_throttled_fetched", "Bytes of throttled replicas fetched.", bytes, fetched)
    }

    fn network(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let network = &self.0.network;
        let total = |pick: fn(&crate::net::NetworkThreadMetrics) -> &AtomicU64| AtomicU64::new(network.total(pick));
        let (received, sent) = (total(|t| &t.bytes_in), total(|t| &t.bytes_out));
        counter(encoder, "network_received", "Bytes received.", Some(&Unit::Bytes), &received)?;
        counter(encoder, "network_sent", "Bytes sent.", Some(&Unit::Bytes), &sent)?;
        let mut family = encoder.encode_descriptor("connections", "Open connections.", None, GAUGE)?;
        for listener in &network.listeners {
            let label = [("listener", listener.name.to_string())];
            let open = listener.connections.load(Ordering::Relaxed) as i64;
            ConstGauge::new(open).encode(family.encode_family(&label)?)?;
        }
        Ok(())
    }

    fn storage(&self, encoder: &mut DescriptorEncoder<'_>) -> std::fmt::Result {
        let dirs = self.0.broker.logs.dirs();
        let mut size = encoder.encode_descriptor("log_size", "Bytes of all logs.", Some(&Unit::Bytes), GAUGE)?;
        for dir in &dirs {
            let bytes: u64 = dir.logs.iter().map(|(_, bytes)| bytes).sum();
            let label = [("dir", dir.path.display().to_string())];
            ConstGauge::new(bytes as i64).encode(size.encode_family(&label)?)?;
        }
        let mut offline =
            encoder.encode_descriptor("log_dir_offline", "1 if the directory has failed.", None, GAUGE)?;
        for dir in &dirs {
            let label = [("dir", dir.path.display().to_string())];
            ConstGauge::new(i64::from(dir.offline.is_some())).encode(offline.encode_family(&label)?)?;
        }
        Ok(())
    }
}

/// What a node that is only a controller shows, as text.
pub(crate) fn render_controller(node: &Arc<Administration>) -> String {
    render(GatheredOfController(Arc::clone(node)))
}

struct GatheredOfController(Arc<Administration>);

impl std::fmt::Debug for GatheredOfController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("GatheredOfController").field(&self.0.id()).finish()
    }
}

impl Collector for GatheredOfController {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        gauge(&mut encoder, "topics", "Topics of the cluster.", self.0.image().topic_count())?;
        controller(&mut encoder, &self.0.controller)?;
        requests(&mut encoder, &self.0.requests)
    }
}

fn requests(encoder: &mut DescriptorEncoder<'_>, requests: &RequestMetrics) -> std::fmt::Result {
    let mut family = encoder.encode_descriptor("requests", "Requests by API.", None, COUNTER)?;
    for (api, count) in requests.by_api() {
        let label = [("api", format!("{api:?}"))];
        ConstCounter::new(count).encode(family.encode_family(&label)?)?;
    }
    counter(encoder, "requests_refused", "Requests that could not be decoded.", None, &requests.refused)?;
    let left_out = AtomicU64::new(crate::logging::lines_left_out());
    counter(encoder, "log_lines_left_out", "Log lines that a limit left out.", None, &left_out)
}

fn controller(encoder: &mut DescriptorEncoder<'_>, controller: &Controller) -> std::fmt::Result {
    let active = controller.active_controller() == Some(controller.node_id());
    gauge(encoder, "controller_active", "1 if this node is the active controller.", usize::from(active))?;
    let full = usize::from(controller.disk_full().is_some());
    gauge(encoder, "metadata_log_disk_full", "1 while changes wait for room on the disk of the metadata log.", full)?;
    let lag = usize::try_from(controller.describe_quorum().lag_entries).unwrap_or(usize::MAX);
    gauge(encoder, "metadata_lag_entries", "Committed changes of the metadata that are not applied here yet.", lag)
}

const COUNTER: prometheus_client::metrics::MetricType = prometheus_client::metrics::MetricType::Counter;
const GAUGE: prometheus_client::metrics::MetricType = prometheus_client::metrics::MetricType::Gauge;

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> std::fmt::Result {
    ConstGauge::new(value as i64).encode(encoder.encode_descriptor(name, help, None, GAUGE)?)
}

fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    value: &AtomicU64,
) -> std::fmt::Result {
    let value = ConstCounter::new(value.load(Ordering::Relaxed));
    value.encode(encoder.encode_descriptor(name, help, unit, COUNTER)?)
}
