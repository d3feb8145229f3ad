//! The active controller's eye on brokers: the core of `liveness` with a clock and with dials.
//!
//! Owns the lock around the core, which connections of brokers come and go through from any thread, and the tasks that dial.
//! It decides nothing; `fencing` carries out what the core asks for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::peer::PeerFuture;
use crate::decide::RegisterBrokerRequest;
use crate::image::MetadataImage;
use crate::liveness::{Dial, DialOutcome, Fencing, Liveness};

/// How long a dial may take; no answer within it says nothing of the broker.
const DIAL_TIMEOUT: Duration = Duration::from_millis(500);

/// Finds out whether anybody listens at an address.
pub trait BrokerDialer: Send + Sync + 'static {
    /// Connects and hangs up. Called on the controller's own runtime, which drives timers and sockets.
    fn dial(&self, host: &str, port: u16) -> PeerFuture<DialOutcome>;
}

/// How a controller that may become active finds out which brokers live.
#[derive(Clone)]
pub struct LivenessConfig {
    /// `broker.session.timeout.ms`.
    pub session_timeout: Duration,
    /// The listener of a broker that is dialled, `inter.broker.listener.name`; where a broker has none of that name, or none is
    /// named, every listener has to refuse.
    pub listener: Option<Arc<str>>,
    /// Dials.
    pub dialer: Arc<dyn BrokerDialer>,
}

/// What the handle and the loop share of it.
pub(crate) struct BrokerWatch {
    config: LivenessConfig,
    liveness: Mutex<Liveness>,
    /// Something may be due earlier than the loop thinks.
    changed: Notify,
}

impl BrokerWatch {
    pub(crate) fn new(config: LivenessConfig) -> Self {
        let liveness = Mutex::new(Liveness::new(Instant::now(), config.session_timeout));
        Self { config, liveness, changed: Notify::new() }
    }

    pub(crate) fn session_opened(&self, broker: BrokerId, incarnation: Uuid) {
        self.liveness.lock().on_session_opened(broker, incarnation);
    }

    pub(crate) fn session_closed(&self, broker: BrokerId, incarnation: Uuid) {
        self.liveness.lock().on_session_closed(Instant::now(), broker, incarnation);
        self.changed.notify_one();
    }

    pub(crate) fn on_active(&self, image: &MetadataImage) {
        self.liveness.lock().on_active(Instant::now(), image);
        self.changed.notify_one();
    }

    pub(crate) fn on_controller_heard(&self, controller: BrokerId) {
        self.liveness.lock().on_controller_heard(Instant::now(), controller);
    }

    pub(crate) fn on_inactive(&self) {
        self.liveness.lock().on_inactive();
    }

    pub(crate) fn follow(&self, image: &MetadataImage) {
        self.liveness.lock().follow(Instant::now(), image);
    }

    pub(crate) fn on_heard(&self, broker: BrokerId, epoch: BrokerEpoch) {
        self.liveness.lock().on_heard(Instant::now(), broker, epoch);
    }

    /// See [`Liveness::is_another_in_the_way`].
    pub(crate) fn is_another_in_the_way(&self, request: &RegisterBrokerRequest, on_other_disks: bool) -> bool {
        let (broker, incarnation) = (request.broker, request.incarnation_id);
        self.liveness.lock().is_another_in_the_way(Instant::now(), broker, incarnation, on_other_disks)
    }

    pub(crate) fn excuse_all(&self) {
        self.liveness.lock().excuse_all(Instant::now());
    }

    /// Returns once [`BrokerWatch::act`] may have something to do.
    pub(crate) async fn until_due(&self) {
        loop {
            let now = Instant::now();
            let deadline = self.liveness.lock().next_deadline(now);
            match deadline {
                Some(deadline) if deadline <= now => return,
                Some(deadline) => {
                    // Either way it is looked again.
                    let _ = tokio::time::timeout_at(deadline.into(), self.changed.notified()).await;
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Dials whoever is to be dialled, and tells who is to be fenced.
    pub(crate) fn act(self: &Arc<Self>, image: &MetadataImage) -> Vec<Fencing> {
        let actions = self.liveness.lock().poll(Instant::now());
        if let Some(held_up) = actions.held_up {
            let held_up_ms = held_up.as_millis();
            tracing::warn!(held_up_ms, "the active controller was held up: every broker gets a full session");
        }
        for dial in actions.dials {
            tokio::spawn(Arc::clone(self).dial(dial, self.endpoints(image, dial.broker)));
        }
        actions.fence
    }

    /// Where a broker is dialled.
    fn endpoints(&self, image: &MetadataImage, broker: BrokerId) -> Vec<(Arc<str>, u16)> {
        let Some(registration) = image.broker(broker) else { return Vec::new() };
        let named = self.config.listener.as_ref().and_then(|listener| registration.endpoint(listener));
        let dialled = named.map_or(&registration.endpoints[..], std::slice::from_ref);
        dialled.iter().map(|endpoint| (endpoint.host.clone(), endpoint.port)).collect()
    }

    async fn dial(self: Arc<Self>, dial: Dial, endpoints: Vec<(Arc<str>, u16)>) {
        let mut outcome = DialOutcome::Unknown("it has no listener".into());
        for (host, port) in endpoints {
            let dialled = tokio::time::timeout(DIAL_TIMEOUT, self.config.dialer.dial(&host, port)).await;
            outcome = dialled.unwrap_or_else(|_| DialOutcome::Unknown("no answer in time".into()));
            tracing::debug!(broker = %dial.broker, %host, port, ?outcome, "dialled a broker whose connection closed");
            if outcome != DialOutcome::Refused {
                break;
            }
        }
        self.liveness.lock().on_dialled(Instant::now(), dial, &outcome);
        self.changed.notify_one();
    }
}
