//! Assembles a broker from its parts, and takes it down again.
//!
//! The order of a start: listeners are bound (a port in use is found before anything is touched), directories are locked,
//! the controller leads or follows, the broker registers, connections are served; logs are recovered meanwhile, each partition
//! serving as soon as its own is. A stop goes the other way, and ends with every log flushed and marked clean.

mod controller;
mod controller_node;
mod error;
pub(crate) mod host_name;
mod interrupt;
mod metadata_dir;
mod node;
pub(crate) mod reconfigure;
mod tls;

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::Notify;
use weir_controller::quorum::Controller;
use weir_protocol::ids::{BrokerEpoch, TopicId, TopicPartition};
use weir_storage::manager::{Assignment, LogManager, LogManagerConfig, OnOffline};

use crate::administration::Administration;
use crate::api::{Apis, ControllerApis};
use crate::broker::{Broker, Randomness, topic_config};
use crate::config::connection_limits::connection_limits;
use crate::config::effective::Layers;
use crate::config::{BrokerConfig, ListenerConfig};
use crate::controller_client::ControllerClient;
use crate::departures::Departures;
use crate::fetch_session::FetchSessionCache;
use crate::group::{GroupConfig, GroupCoordinator, OFFSETS_TOPIC, SystemClock};
use crate::group_log::GroupLog;
use crate::http;
use crate::lifecycle::{self, Lifecycle};
use crate::log_dir_moves::{LogDirMoves, copy_bytes_per_second};
use crate::metrics::{Exposition, RequestMetrics};
use crate::net::{self, BoundNetwork, ListenerSecurity, Network, NetworkConfig, SecurityProtocol, TlsServerConfig};
use crate::partition::{LocalBroker, PartitionTable, Throttles};
use crate::producer_ids::ProducerIds;
use crate::publisher::{self, FileTask, Publisher};
use crate::purgatory::Purgatory;
use crate::quorum::ControllerListener;
use crate::replicas::{ReplicaSettings, Replicas, Surroundings};

use controller::RunningController;
pub use error::StartError;
pub use interrupt::StartInterrupt;
pub use node::Node;
use reconfigure::Reconfigurer;

/// The most fetch sessions of followers: each follower keeps `num.replica.fetchers` of them for each of its log directories.
const MAX_FOLLOWER_SESSIONS: usize = 4000;

/// A running broker.
pub struct Server {
    broker: Arc<Broker>,
    network: Network<Apis>,
    /// Serves other controllers, on a node that has any.
    controller_network: Option<Network<ControllerListener>>,
    addresses: Vec<(Arc<str>, SocketAddr)>,
    http_address: Option<SocketAddr>,
    /// Holds the directory of the metadata log, where that is none of the broker's.
    metadata_logs: Option<LogManager>,
    side: SideThread,
    files: JoinHandle<()>,
}

/// A thread for what is neither data nor metadata: HTTP, group timers, waits for replicas.
struct SideThread {
    handle: Handle,
    stop: Arc<Notify>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Starts a broker; returns once it is registered and answers.
    fn start(config: BrokerConfig, interrupt: &StartInterrupt) -> Result<Self, StartError> {
        let mut secured = Secured::new();
        let network = bind(&config, &mut secured)?;
        let controllers = controller::bind(&config, &mut secured)?;
        let mut addresses = network.local_addresses();
        let broker_listeners = addresses.len();
        addresses.extend(controllers.iter().flat_map(|controllers| controllers.local_addresses()));
        let http_listener = http::bind(&config)?;
        let directory_failed = Arc::new(Notify::new());
        let told = Arc::clone(&directory_failed);
        let on_offline: OnOffline = Arc::new(move |_, _| told.notify_one());
        let log_config = LogManagerConfig { on_offline: Some(on_offline), ..log_manager_config(&config) };
        let logs = Arc::new(LogManager::open(log_config)?);
        let metadata_logs = metadata_dir::open(&config, &logs)?;
        let RunningController { controller, network: controller_network, links } =
            controller::start(&config, metadata_logs.as_ref().unwrap_or(&logs), controllers, interrupt)?;
        metadata_logs.iter().chain([&*logs]).try_for_each(|logs| logs.record_cluster_id(controller.cluster_id()))?;
        let controller_client = Arc::new(ControllerClient::new(controller.clone(), links));
        let side = SideThread::spawn()?;
        let replica_settings = replica_settings(&config)?;
        let local = local_broker(&config, &replica_settings, &logs);
        let partitions = Arc::new(PartitionTable::new(local));
        let arrivals = partitions.local().committed().clone();
        let groups = group_coordinator(&config, &controller, &partitions, &arrivals, &side.handle);
        let (files, tasks) = mpsc::channel();
        let replicas =
            start_replicas(replica_settings, &partitions, (&controller, &controller_client), &groups, &files, &side)?;
        let lifecycle = Lifecycle::start(lifecycle::Parts {
            config: &config,
            controller: controller.clone(),
            client: controller_client.clone(),
            logs: logs.clone(),
            addresses: &addresses[..broker_listeners],
            interrupt,
            replicas: replicas.clone(),
            changed: directory_failed,
        })?;
        let moves =
            Arc::new(LogDirMoves::new(logs.clone(), copy_bytes_per_second(Layers::of_settings(&config.settings))));
        let reconfigurer = Arc::new(Reconfigurer {
            id: config.node_id,
            settings: config.settings.clone(),
            quota: network.connection_quota(),
            logs: logs.clone(),
            partitions: partitions.clone(),
            secured,
        });
        let departures = Arc::new(Departures::new(config.node_id, lifecycle.epoch(), Instant::now()));
        controller.subscribe(Box::new(Publisher {
            id: config.node_id,
            settings: config.settings.clone(),
            partitions: partitions.clone(),
            reconfigurer: reconfigurer.clone(),
            files,
            replicas: replicas.clone(),
            departures: departures.clone(),
            moves: moves.clone(),
        }));
        // What was set in an earlier run holds before the first connection is taken.
        reconfigurer.apply_limits(&controller.image());
        reconfigurer.reload_certificates(&controller.image());
        let administration = Arc::new(Administration {
            id: config.node_id,
            settings: config.settings.clone(),
            controller,
            controller_client,
            reconfigurer: Some(reconfigurer),
            requests: RequestMetrics::default(),
        });
        let broker = Arc::new(Broker {
            administration,
            lifecycle,
            logs: logs.clone(),
            partitions,
            arrivals,
            sessions: FetchSessionCache::new(
                config.settings.number("max.incremental.fetch.session.cache.slots") as usize
            ),
            follower_sessions: FetchSessionCache::new(MAX_FOLLOWER_SESSIONS),
            replicas,
            moves,
            departures,
            groups: groups.clone(),
            producer_ids: ProducerIds::default(),
            auto_create_topics: config.settings.flag("auto.create.topics.enable"),
            fetch_max_bytes: config.settings.number("fetch.max.bytes") as usize,
            random: Randomness::new(),
            loaded: AtomicBool::new(false),
        });
        let exposition = Arc::new(Exposition::new(broker.clone(), network.metrics()));
        let http_address = http_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some(listener) = http_listener {
            side.handle.spawn(http::serve(listener, exposition));
        }
        side.handle.spawn({
            let groups = groups.clone();
            async move { groups.run_timers().await }
        });
        let files = spawn_files_thread(broker.clone(), tasks)?;
        if let Some(controllers) = &controller_network {
            controllers.handler().set_apis(ControllerApis::new(broker.administration.clone()));
        }
        let network = network.start(Arc::new(Apis::new(broker.clone()))).map_err(StartError::Thread)?;
        broker.lifecycle.set_ready(&network.supervisor());
        Ok(Self { broker, network, controller_network, addresses, http_address, metadata_logs, side, files })
    }

    /// Each listener's name and the address it is bound to.
    fn addresses(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.addresses
    }

    /// Where metrics and health are served.
    fn http_address(&self) -> Option<SocketAddr> {
        self.http_address
    }

    /// The cluster's id.
    fn cluster_id(&self) -> Arc<str> {
        self.broker.controller().cluster_id().clone()
    }

    /// Stops: hands leaderships over, answers what waits, ends the controller, flushes every log and marks the directories clean.
    fn shutdown(self) {
        self.broker.lifecycle.stop();
        self.broker.groups.shutdown();
        self.network.shutdown();
        self.side.stop.notify_one();
        // A leader hands over before it goes, for which it is still reached.
        self.broker.controller().shutdown();
        if let Some(network) = self.controller_network {
            network.shutdown();
        }
        self.broker.replicas.stop();
        self.broker.moves.stop();
        self.broker.logs.close(true, self.broker.lifecycle.epoch());
        if let Some(metadata_logs) = self.metadata_logs {
            metadata_logs.close(true, BrokerEpoch::NONE);
        }
        // The publisher went with the controller, so the files thread has nobody to wait for once it is idle.
        drop(self.broker);
        drop(self.files);
        self.side.stop();
    }
}

impl SideThread {
    fn spawn() -> Result<Self, StartError> {
        let runtime: Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let handle = runtime.handle().clone();
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("weir-side".into());
        let thread = thread.spawn(move || runtime.block_on(stopped.notified())).map_err(StartError::Thread)?;
        Ok(Self { handle, stop, thread })
    }

    /// Ends what runs on it.
    fn stop(self) {
        self.stop.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the side thread panicked");
        }
    }
}

/// The bound listeners for clients; those that speak TLS join `secured`.
fn bind(config: &BrokerConfig, secured: &mut Secured) -> Result<BoundNetwork, StartError> {
    let settings = &config.settings;
    let buffer = |key| usize::try_from(settings.number(key)).ok();
    let network = NetworkConfig {
        network_threads: config.network_threads,
        connection_limits: connection_limits(Layers::of_settings(settings))?,
        connections_max_idle: config.connections_max_idle,
        socket_listen_backlog_size: settings.number("socket.listen.backlog.size") as i32,
        socket_send_buffer_bytes: buffer("socket.send.buffer.bytes"),
        socket_receive_buffer_bytes: buffer("socket.receive.buffer.bytes"),
        socket_request_max_bytes: config.max_request_bytes,
        queued_max_request_bytes: u64::try_from(settings.number("queued.max.request.bytes"))
            .unwrap_or(NetworkConfig::DEFAULT_QUEUED_MAX_REQUEST_BYTES),
        ..NetworkConfig::default()
    };
    let listeners = net_listeners(config, &config.listeners, secured)?;
    Ok(BoundNetwork::bind(network, listeners)?)
}

/// What the network needs to know of listeners; those that speak TLS join `secured`.
fn net_listeners(
    config: &BrokerConfig,
    listeners: &[ListenerConfig],
    secured: &mut Secured,
) -> Result<Vec<net::ListenerConfig>, StartError> {
    let layers = Layers::of_settings(&config.settings);
    let listener = |listener: &ListenerConfig| {
        let security = match listener.protocol {
            SecurityProtocol::Plaintext => ListenerSecurity::Plaintext,
            SecurityProtocol::Ssl => {
                let tls = Arc::new(tls::tls_config(layers, listener)?);
                secured.push((listener.clone(), tls.clone()));
                ListenerSecurity::Tls(tls)
            }
        };
        let name = listener.name.as_str().into();
        Ok(net::ListenerConfig { name, host: listener.host.clone(), port: listener.port, security })
    };
    listeners.iter().map(listener).collect()
}

/// Listeners that speak TLS.
type Secured = Vec<(ListenerConfig, Arc<TlsServerConfig>)>;

fn log_manager_config(config: &BrokerConfig) -> LogManagerConfig {
    let settings = &config.settings;
    LogManagerConfig {
        recovery_threads_per_dir: settings.number("num.recovery.threads.per.data.dir") as usize,
        checkpoint_interval_ms: settings.number("log.flush.offset.checkpoint.interval.ms"),
        high_watermark_checkpoint_interval_ms: settings.number("replica.high.watermark.checkpoint.interval.ms"),
        retention_check_interval_ms: settings.number("log.retention.check.interval.ms"),
        producer_id_expiration_ms: settings.number("producer.id.expiration.ms"),
        file_delete_delay_ms: settings.number("log.segment.delete.delay.ms") as u64,
        ..LogManagerConfig::new(config.log_dirs.clone(), config.node_id)
    }
}

fn group_coordinator(
    config: &BrokerConfig,
    controller: &Arc<Controller>,
    partitions: &Arc<PartitionTable>,
    arrivals: &Arc<Purgatory<crate::partition::PartitionKey>>,
    runtime: &Handle,
) -> Arc<GroupCoordinator> {
    let settings = &config.settings;
    let number = |key| settings.number(key) as i32;
    // Where a group lives depends on how many partitions there are, not on how many are configured by now.
    let existing = controller.image().topic_by_name(OFFSETS_TOPIC).map(|topic| topic.partition_count() as i32);
    let group_config = GroupConfig {
        offsets_topic_partitions: existing.unwrap_or(number("offsets.topic.num.partitions")),
        min_session_timeout_ms: number("group.min.session.timeout.ms"),
        max_session_timeout_ms: number("group.max.session.timeout.ms"),
        initial_rebalance_delay_ms: number("group.initial.rebalance.delay.ms"),
        max_size: settings.number("group.max.size") as usize,
        offset_metadata_max_bytes: settings.number("offset.metadata.max.bytes") as usize,
        offsets_retention_ms: settings.number("offsets.retention.minutes") * 60_000,
        offsets_retention_check_interval_ms: settings.number("offsets.retention.check.interval.ms"),
        ..GroupConfig::default()
    };
    let log = GroupLog::new(controller.clone(), partitions.clone(), arrivals.clone(), runtime.clone());
    let log = Arc::new(log);
    let groups = Arc::new(GroupCoordinator::new(group_config, log.clone(), SystemClock::start()));
    log.set_coordinator(&groups);
    groups
}

/// This broker, as its partitions know it.
fn local_broker(config: &BrokerConfig, replication: &ReplicaSettings, logs: &Arc<LogManager>) -> LocalBroker {
    let burst_seconds = config.settings.number("replication.quota.window.size.seconds").max(1) as u64;
    let throttles = Throttles::new(burst_seconds.saturating_mul(1_000));
    LocalBroker::new(config.node_id, logs.clone(), replication.max_lag_ms, throttles)
}

/// How brokers reach each other, and how they replicate.
fn replica_settings(config: &BrokerConfig) -> Result<ReplicaSettings, StartError> {
    let settings = &config.settings;
    let name = &config.inter_broker_listener;
    let is_encrypted = |listener: &ListenerConfig| listener.name == *name && listener.protocol == SecurityProtocol::Ssl;
    // One that is a cluster of its own need not know by what to know others.
    let tls = match config.quorum.is_some() && config.listeners.iter().any(is_encrypted) {
        true => Some(tls::dialling(Layers::of_settings(settings), name)?),
        false => None,
    };
    Ok(ReplicaSettings::new(settings, name.clone(), tls))
}

fn start_replicas(
    settings: ReplicaSettings,
    partitions: &Arc<PartitionTable>,
    (controller, client): (&Arc<Controller>, &Arc<ControllerClient>),
    groups: &Arc<GroupCoordinator>,
    files: &mpsc::Sender<FileTask>,
    side: &SideThread,
) -> Result<Arc<Replicas>, StartError> {
    let image = {
        // The controller holds the publisher, which holds the replicas.
        let controller = Arc::downgrade(controller);
        Arc::new(move || controller.upgrade().map_or_else(Arc::default, |controller| controller.image()))
    };
    let replicas = Replicas::start(Surroundings {
        settings,
        partitions: partitions.clone(),
        image,
        controller: client.clone(),
        groups: Arc::downgrade(groups),
        files: files.clone(),
        runtime: side.handle.clone(),
    });
    Ok(Arc::new(replicas.map_err(StartError::Thread)?))
}

/// Recovers what is on disk, then does what changes of the metadata ask for.
fn spawn_files_thread(broker: Arc<Broker>, tasks: mpsc::Receiver<FileTask>) -> Result<JoinHandle<()>, StartError> {
    let thread = std::thread::Builder::new().name("weir-files".into());
    let work = move || {
        load(&broker);
        let groups = broker.groups.clone();
        // What remains must not keep the broker, whose controller holds the sender of the tasks.
        drop(broker);
        publisher::work(&tasks, &groups);
    };
    thread.spawn(work).map_err(StartError::Thread)
}

fn load(broker: &Broker) {
    let image = broker.image();
    let assign = |partition: &TopicPartition, topic_id: Option<TopicId>| {
        let known = image.topic_by_name(&partition.topic);
        let known = known.filter(|topic| topic_id.is_none_or(|id| id == topic.id));
        let registration = known.and_then(|topic| topic.partition(partition.partition));
        match (known, registration) {
            (Some(topic), Some(registration)) if registration.replicas.contains(&broker.id()) => {
                let config = topic_config(broker.id(), broker.settings(), &image, &partition.topic);
                Assignment::Ours { topic_id: topic.id, config: Arc::new(config.log) }
            }
            _ => Assignment::Stray,
        }
    };
    let summary = broker.logs.load(&assign, &|_| {});
    broker.set_loaded();
    broker.logs.acknowledge_last_stop();
    broker.moves.resume(broker.partitions.all().into_iter());
    if summary.stray > 0 || summary.failed > 0 {
        tracing::warn!(online = summary.online, stray = summary.stray, failed = summary.failed, "logs recovered");
    } else if summary.online > 0 {
        tracing::info!(online = summary.online, "logs recovered");
    }
}
