//! A broker's life in its cluster: registration, heartbeats, fencing, and a stop that moves leaderships first.
//!
//! | file | owns |
//! |---|---|
//! | `life` | what to do next, as a pure core |
//! | `runner` | the thread that does it |
//! | `registration` | what the controller is told of this broker |
//! | `cordon` | which log directories take no new replicas |
//! | `presence` | whether others may have given this process up, because it was away or is not heard |
//! | `dialer` | how it is found out, while this node is the active controller, which other brokers live |
//!
//! A node that is alone has nobody to be heard by: it registers once, serving, and no thread is started. Kafka:
//! `BrokerLifecycleManager` (KIP-631).

mod cordon;
mod dialer;
mod life;
mod presence;
mod registration;
mod runner;

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;
use weir_controller::decide::{ControllerResponse, RegisterBrokerRequest};
use weir_controller::image::{MetadataDelta, MetadataImage};
use weir_controller::quorum::{Controller, MetadataPublisher};
use weir_protocol::ids::{BrokerEpoch, BrokerId};
use weir_storage::manager::LogManager;

use crate::config::{BrokerConfig, Settings};
use crate::controller_client::ControllerClient;
use crate::net::SuperviseThreads;
use crate::replicas::Replicas;
use crate::server::{StartError, StartInterrupt};

use cordon::Cordon;
pub(crate) use cordon::check_cordon;
pub(crate) use dialer::{dial, liveness_config};
use life::Life;
use presence::Patience;
pub(crate) use presence::Presence;
use runner::Runner;

/// How many committed changes of the metadata a broker that counts as caught up may have yet to apply.
const MAX_READY_LAG_ENTRIES: u64 = 100;

/// What a broker's life needs of the rest of the broker.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a BrokerConfig,
    pub(crate) controller: Arc<Controller>,
    pub(crate) client: Arc<ControllerClient>,
    pub(crate) logs: Arc<LogManager>,
    pub(crate) addresses: &'a [(Arc<str>, SocketAddr)],
    /// Ends the wait for the first registration.
    pub(crate) interrupt: &'a StartInterrupt,
    pub(crate) replicas: Arc<Replicas>,
    /// Notified when a directory fails.
    pub(crate) changed: Arc<Notify>,
}

/// A broker's life as the rest of the broker sees it.
pub(crate) struct Lifecycle {
    shared: Arc<Shared>,
    /// None where the node is alone.
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    broker: BrokerId,
    /// Of the last registration of this process.
    epoch: AtomicI64,
    /// They act on what the metadata say of that epoch, and of no other.
    replicas: Arc<Replicas>,
    session_timeout: Duration,
    /// None where nobody listens for heartbeats.
    answered: Mutex<Option<Instant>>,
    presence: Arc<Presence>,
    is_ready: AtomicBool,
    /// The network holds the broker, which holds this.
    network: OnceLock<Weak<dyn SuperviseThreads>>,
    wants_to_stop: AtomicBool,
    /// Something of the above changed, a directory failed, or the metadata tell something new of this broker.
    changed: Arc<Notify>,
}

impl Lifecycle {
    /// Registers; returns once the controller knows this process, or will not have it.
    pub(crate) fn start(parts: Parts<'_>) -> Result<Self, StartError> {
        let Parts { config, controller, client, logs, addresses, interrupt, replicas, changed } = parts;
        let millis = |key| Duration::from_millis(config.settings.number(key).try_into().unwrap_or(0));
        let incarnation = Uuid::new_v4();
        let (session_timeout, heartbeat_interval) =
            (millis("broker.session.timeout.ms"), millis("broker.heartbeat.interval.ms"));
        let patience = Patience::new(session_timeout, heartbeat_interval, millis("replica.fetch.wait.max.ms"));
        let presence = Arc::new(Presence::new(controller.peer_service().map(|_| patience)));
        replicas.set_presence(Arc::clone(&presence));
        let shared = Arc::new(Shared {
            broker: config.node_id,
            epoch: AtomicI64::new(BrokerEpoch::NONE.get()),
            replicas,
            session_timeout,
            presence,
            answered: Mutex::default(),
            is_ready: AtomicBool::new(false),
            network: OnceLock::new(),
            wants_to_stop: AtomicBool::new(false),
            changed,
        });
        let request = registration::registration(config, controller.cluster_id(), incarnation, &logs, addresses);
        if controller.peer_service().is_none() {
            shared.set_epoch(register_alone(&client, request)?);
            return Ok(Self { shared, thread: Mutex::default() });
        }
        tell_failover_time(&config.settings);
        // This process is heard by the controller in it without any connection.
        controller.broker_session_opened(config.node_id, incarnation);
        controller.subscribe(Box::new(Watcher(Arc::clone(&shared))));
        let runner = Runner {
            life: Life::new(Instant::now(), incarnation, heartbeat_interval),
            registration: request,
            registration_timeout: millis("initial.broker.registration.timeout.ms"),
            controller,
            client,
            cordon: Cordon::new(config.node_id, config.settings.clone(), &logs),
            logs,
            shared: Arc::clone(&shared),
            serves: None,
            unanswered_since: None,
            is_cut_off: Cell::new(false),
            offline: Vec::new(),
            gone: Vec::new(),
            has_disks: true,
        };
        let (registered, is_registered) = sync_channel(1);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let thread = std::thread::Builder::new().name("weir-life".into());
        let interrupt = interrupt.clone();
        let live = move || runtime.block_on(runner.run(&registered, &interrupt));
        let thread = thread.spawn(live).map_err(StartError::Thread)?;
        let stopped = || Err(StartError::Registration("the thread that registers this broker ended".into()));
        is_registered.recv().unwrap_or_else(|_| stopped())?;
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// The epoch of this process's registration.
    pub(crate) fn epoch(&self) -> BrokerEpoch {
        BrokerEpoch(self.shared.epoch.load(Ordering::Acquire))
    }

    /// Whether others may have given this process up without its knowing.
    pub(crate) fn presence(&self) -> &Presence {
        &self.shared.presence
    }

    /// The broker takes requests from here on, and may be given partitions to lead. `network` has the threads that take them.
    pub(crate) fn set_ready(&self, network: &Arc<dyn SuperviseThreads>) {
        // Once.
        let _ = self.shared.network.set(Arc::downgrade(network));
        self.shared.is_ready.store(true, Ordering::Release);
        self.shared.changed.notify_one();
    }

    /// Why this broker does not serve, if it does not.
    pub(crate) fn unreadiness(&self, controller: &Controller, image: &MetadataImage) -> Option<String> {
        let Some(registration) = image.broker(self.shared.broker).filter(|known| known.epoch == self.epoch()) else {
            return Some("the broker is not registered yet".to_owned());
        };
        if registration.fenced {
            return Some("the broker is fenced".to_owned());
        }
        if registration.in_controlled_shutdown {
            return Some("the broker is stopping".to_owned());
        }
        let silent = self.shared.answered.lock().map_or(Duration::ZERO, |answered| answered.elapsed());
        if silent > self.shared.session_timeout && self.thread.lock().is_some() {
            return Some(format!("no heartbeat was answered for {} ms", silent.as_millis()));
        }
        let lag = controller.describe_quorum().lag_entries;
        (lag > MAX_READY_LAG_ENTRIES).then(|| format!("{lag} committed changes of the metadata are yet to be applied"))
    }

    /// Hands this broker's leaderships over and leaves the cluster, which takes a bounded time; at once where it is alone.
    pub(crate) fn stop(&self) {
        self.shared.wants_to_stop.store(true, Ordering::Release);
        self.shared.changed.notify_one();
        // Not under the lock: whoever asks whether this broker is ready must not wait for its end.
        let thread = self.thread.lock().take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread of this broker's heartbeats panicked");
        }
    }
}

impl Shared {
    fn set_epoch(&self, epoch: BrokerEpoch) {
        self.epoch.store(epoch.get(), Ordering::Release);
        self.replicas.on_registered(epoch);
    }
}

/// Hears what the metadata tell of this broker.
struct Watcher(Arc<Shared>);

impl MetadataPublisher for Watcher {
    fn on_delta(&self, delta: &MetadataDelta, _image: &Arc<MetadataImage>) {
        if delta.brokers.contains(&self.0.broker) {
            self.0.changed.notify_one();
        }
    }
}

/// A file of Kafka's may ask for its patience: whoever runs it is told what that means.
fn tell_failover_time(settings: &Settings) {
    const KEY: &str = "broker.session.timeout.ms";
    if settings.set(KEY).is_some() {
        let session_ms = settings.number(KEY);
        tracing::info!(
            "writes resume {session_ms} ms after a host is lost, as {KEY} says; a killed process is noticed at once"
        );
    }
}

/// Registers serving: the metadata of a node that is alone are complete before it asks.
fn register_alone(client: &ControllerClient, request: RegisterBrokerRequest) -> Result<BrokerEpoch, StartError> {
    let request = RegisterBrokerRequest { fenced: false, ..request };
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(StartError::Thread)?;
    match runtime.block_on(client.submit(request)) {
        Ok(ControllerResponse::RegisterBroker(Ok(epoch))) => Ok(epoch),
        Ok(ControllerResponse::RegisterBroker(Err(error))) => Err(StartError::Registration(error.to_string())),
        Ok(other) => Err(StartError::Registration(format!("it answered {other:?}"))),
        Err(error) => Err(StartError::Registration(error.to_string())),
    }
}
