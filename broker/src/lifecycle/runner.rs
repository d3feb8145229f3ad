//! The thread of a broker's life: asks the core what to do, does it, and tells the core how it went.
//!
//! It has a runtime of its own, so that a loaded data path cannot delay a heartbeat.

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use uuid::Uuid;
use weir_controller::decide::{
    ApiError, BrokerHeartbeatRequest, BrokerState, ControllerRequest, ControllerResponse, LogState,
    RegisterBrokerRequest,
};
use weir_controller::quorum::Controller;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, Offset};
use weir_storage::manager::LogManager;

use super::Shared;
use super::cordon::Cordon;
use super::life::{Known, Life, Step};
use crate::controller_client::ControllerClient;
use crate::server::{StartError, StartInterrupt};

/// How long one attempt to register may take.
const REGISTRATION_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stopping broker waits for its leaderships to move. What has not moved by then moves when it is found dead.
const CONTROLLED_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a stopping broker waits for an active controller to answer at all.
const CONTROLLED_SHUTDOWN_SILENCE: Duration = Duration::from_millis(1_500);

/// How soon it is noticed, while no heartbeat is answered, that a leader is cut off.
const CUT_OFF_LOOK_INTERVAL: Duration = Duration::from_millis(50);

pub(super) struct Runner {
    pub(super) life: Life,
    pub(super) registration: RegisterBrokerRequest,
    pub(super) registration_timeout: Duration,
    pub(super) controller: Arc<Controller>,
    pub(super) client: Arc<ControllerClient>,
    pub(super) logs: Arc<LogManager>,
    pub(super) cordon: Cordon,
    pub(super) shared: Arc<Shared>,
    /// What the last heartbeat said.
    pub(super) serves: Option<bool>,
    pub(super) unanswered_since: Option<Instant>,
    /// Whether it leads something that it is cut off from.
    pub(super) is_cut_off: Cell<bool>,
    /// Directories that have failed or do not answer, as the controller was told.
    pub(super) offline: Vec<Uuid>,
    /// Those that the controller was told of since it registered this broker.
    pub(super) gone: Vec<Uuid>,
    /// Whether there is a directory left.
    pub(super) has_disks: bool,
}

impl Runner {
    /// Lives until the broker stops. `registered` hears of the first registration, or that there will be none.
    pub(super) async fn run(mut self, registered: &SyncSender<Result<(), StartError>>, interrupt: &StartInterrupt) {
        let given_up = Instant::now() + self.registration_timeout;
        let first = tokio::select! {
            first = self.register_first(given_up) => first,
            () = interrupt.interrupted() => Err(StartError::Interrupted),
        };
        let go_on = first.is_ok();
        if registered.send(first).is_err() || !go_on {
            return;
        }
        // It leads nothing yet that another could have taken over.
        self.shared.presence.on_heard(self.shared.presence.now_ms());
        let (mut is_ready, mut stopping_since) = (false, None);
        loop {
            let now = Instant::now();
            self.notice_absence(now);
            self.look_whether_cut_off();
            self.look_at_metadata(now);
            if !is_ready && self.shared.is_ready.load(Ordering::Acquire) {
                is_ready = true;
                self.life.on_ready(now);
            }
            if stopping_since.is_none() && self.shared.wants_to_stop.load(Ordering::Acquire) {
                stopping_since = Some(now);
                self.life.on_stop_wanted(now);
            }
            if stopping_since.is_some_and(|since| self.gives_up(now, since)) {
                return;
            }
            match self.life.next(now) {
                Step::Stop => return,
                Step::Register => self.register().await,
                Step::Heartbeat(epoch) => self.heartbeat(epoch).await,
                Step::Wait(until) => {
                    // Either way it is looked again.
                    let _ = tokio::time::timeout_at(until.into(), self.shared.changed.notified()).await;
                }
            }
        }
    }

    async fn register_first(&mut self, given_up: Instant) -> Result<(), StartError> {
        loop {
            let refusal = match self.try_to_register().await {
                Ok(epoch) => {
                    self.on_registered(epoch);
                    return Ok(());
                }
                Err(refusal) => refusal,
            };
            let hopeless =
                [ErrorCode::InconsistentClusterId, ErrorCode::InvalidRegistration, ErrorCode::UnsupportedVersion];
            let now = Instant::now();
            if refusal.code.is_some_and(|code| hopeless.contains(&code)) || now >= given_up {
                return Err(StartError::Registration(refusal.message));
            }
            self.on_registration_failed(now, &refusal);
            if let Step::Wait(until) = self.life.next(now) {
                tokio::time::sleep_until(until.into()).await;
            }
        }
    }

    async fn register(&mut self) {
        match self.try_to_register().await {
            Ok(epoch) => self.on_registered(epoch),
            Err(refusal) => self.on_registration_failed(Instant::now(), &refusal),
        }
    }

    async fn try_to_register(&mut self) -> Result<BrokerEpoch, Refusal> {
        self.registration.log_dirs = self.logs.online_directories();
        let answer = self.client.submit(self.registration.clone());
        let answer = tokio::time::timeout(REGISTRATION_ATTEMPT_TIMEOUT, answer);
        match self.while_looking(answer).await.map_err(|_| Refusal::unanswered("no answer in time"))? {
            Ok(ControllerResponse::RegisterBroker(answer)) => answer.map_err(Refusal::from),
            Ok(other) => Err(Refusal::unanswered(format!("it answered {other:?}"))),
            Err(error) => Err(Refusal::unanswered(error)),
        }
    }

    fn on_registered(&mut self, epoch: BrokerEpoch) {
        tracing::info!(%epoch, "registered with the active controller");
        // Whatever the last stop took is known by now; this process loses nothing.
        self.registration.log_state = LogState::Intact;
        self.registration.previous_broker_epoch = None;
        self.unanswered_since = None;
        self.gone.clear();
        self.shared.set_epoch(epoch);
        self.life.on_registered(Instant::now(), epoch);
    }

    fn on_registration_failed(&mut self, now: Instant, refusal: &Refusal) {
        if self.unanswered_since.replace(self.unanswered_since.unwrap_or(now)).is_none() {
            tracing::warn!(error = %refusal.message, "the broker could not register yet; it goes on trying");
        }
        self.life.on_registration_failed(now);
    }

    async fn heartbeat(&mut self, epoch: BrokerEpoch) {
        let request = BrokerHeartbeatRequest {
            broker: self.shared.broker,
            broker_epoch: epoch,
            current_metadata_offset: self.applied(),
            want_fence: self.life.wants_to_be_fenced() || !self.has_disks,
            want_shut_down: self.life.wants_to_stop(),
            offline_log_dirs: self.offline.clone(),
            cordoned_log_dirs: Some(self.cordon.directories().to_vec()),
        };
        let told = self.offline.iter().filter(|directory| !self.gone.contains(directory)).copied().collect::<Vec<_>>();
        self.gone.extend(told);
        // Whoever was away or not heard must see what became of its leaderships.
        let presence = &self.shared.presence;
        let (was_away, sent_ms) = (presence.was_away() || !presence.is_heard(), presence.now_ms());
        let answer = self.client.submit_for_itself(ControllerRequest::from(request), was_away);
        // Half a session, so that one lost heartbeat does not cost the session.
        let answer = tokio::time::timeout(self.shared.session_timeout / 2, answer);
        let answer = self.while_looking(answer).await;
        let now = Instant::now();
        match answer {
            Ok(Ok(ControllerResponse::BrokerHeartbeat(answer))) => {
                self.on_heard(now, answer.as_ref());
                let presence = &self.shared.presence;
                if was_away && answer.is_ok() {
                    self.shared.replicas.settled().await;
                    presence.on_heard(sent_ms);
                    presence.on_confirmed();
                    tracing::info!("this process has been heard again and goes on with what it leads now");
                } else if answer.is_ok() && presence.is_heard() {
                    presence.on_heard(sent_ms);
                }
                // An answer that came after the session was over tells nothing of the leaderships; the next heartbeat asks for that.
                self.life.on_heartbeat(now, answer.map_err(|error| error.code));
            }
            Ok(Ok(other)) => self.on_unanswered(now, &format!("it answered {other:?}")),
            Ok(Err(error)) => self.on_unanswered(now, &error.to_string()),
            Err(_) => self.on_unanswered(now, "no answer in time"),
        }
    }

    /// Time has passed in which this process did not run: it is heard at once.
    fn notice_absence(&mut self, now: Instant) {
        if let Some(away) = self.shared.presence.on_run() {
            let away_ms = away.as_millis();
            tracing::warn!(away_ms, "this process did not run for longer than a session: others may lead by now");
            self.life.on_news(now);
        }
    }

    /// Waits for an answer. Whoever waits for what this broker leads meanwhile need not wait for as long.
    async fn while_looking<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = tokio::time::sleep(CUT_OFF_LOOK_INTERVAL) => self.look_whether_cut_off(),
            }
        }
    }

    /// Who waits for what is cut off is told so, for nothing else happens that would wake it.
    fn look_whether_cut_off(&self) {
        let is_heard = self.shared.presence.is_heard();
        let partitions = if is_heard { 0 } else { self.shared.replicas.wake_cut_off() };
        let was_cut_off = self.is_cut_off.replace(partitions > 0);
        if was_cut_off || partitions > 0 {
            self.shared.replicas.look_at_groups();
        }
        if !was_cut_off && partitions > 0 {
            tracing::warn!(
                partitions,
                "neither the controller nor followers have been heard for too long: others may lead by now, and clients are refused"
            );
        }
    }

    fn on_heard(&mut self, now: Instant, answer: Result<&BrokerState, &ApiError>) {
        *self.shared.answered.lock() = Some(now);
        if let Some(since) = self.unanswered_since.take() {
            let silent_ms = now.saturating_duration_since(since).as_millis();
            tracing::info!(silent_ms, "the active controller answers heartbeats again");
        }
        match answer {
            Ok(state) => {
                let serves = !state.is_fenced;
                if self.serves.replace(serves) != Some(serves) {
                    match serves {
                        true => tracing::info!("this broker is in service"),
                        false => tracing::info!(caught_up = state.is_caught_up, "this broker is not in service"),
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "the active controller did not take a heartbeat"),
        }
    }

    fn on_unanswered(&mut self, now: Instant, error: &str) {
        if self.unanswered_since.is_none() {
            tracing::warn!(error, "a heartbeat was not answered; this broker goes on trying");
            self.unanswered_since = Some(now);
        }
        self.life.on_heartbeat_lost(now);
    }

    fn look_at_metadata(&mut self, now: Instant) {
        let image = self.controller.image();
        let known = image.broker(self.shared.broker).map(|known| Known {
            epoch: known.epoch,
            incarnation: known.incarnation_id,
            fenced: known.fenced,
        });
        self.life.on_metadata(now, self.applied(), known);
        if self.cordon.look(&image) {
            self.life.on_news(now);
        }
        self.look_at_directories(now);
    }

    /// What has failed or does not answer is told at once; what answers again is registered again. Nobody else can take over from a
    /// broker that is alone, which therefore never looks.
    fn look_at_directories(&mut self, now: Instant) {
        self.look_for_stalls(now);
        let online = self.logs.online_directories();
        let failed = self.registration.log_dirs.iter().filter(|directory| !online.contains(directory));
        let failed = failed.copied().collect::<Vec<_>>();
        if failed != self.offline {
            self.shared.replicas.on_directory_lost();
            self.offline = failed;
            self.has_disks = !online.is_empty();
            if !self.has_disks {
                tracing::error!("no log directory works and answers: this broker asks to be out of service");
            }
            self.life.on_news(now);
        }
        let is_news =
            |directory: &Uuid| self.gone.contains(directory) || !self.registration.log_dirs.contains(directory);
        if online.iter().any(is_news) {
            self.life.on_directory_back(now);
        }
    }

    /// A disk that does not answer holds the threads that write to it, whose connections others can serve.
    fn look_for_stalls(&self, now: Instant) {
        let patience = self.shared.session_timeout;
        self.logs.look_for_stalls(now, patience);
        if let Some(network) = self.shared.network.get().and_then(Weak::upgrade) {
            network.look(now);
            if self.logs.has_stalled() {
                network.replace_held(now, patience);
            }
        }
    }

    fn applied(&self) -> Offset {
        self.controller.image().applied().map_or(Offset(-1), |applied| applied.offset)
    }

    /// Whether a stop has waited long enough.
    fn gives_up(&self, now: Instant, since: Instant) -> bool {
        let waited = now.saturating_duration_since(since);
        let silence = self.unanswered_since.map_or(Duration::ZERO, |silent| now.saturating_duration_since(silent));
        let gives_up = waited >= CONTROLLED_SHUTDOWN_TIMEOUT || silence.min(waited) >= CONTROLLED_SHUTDOWN_SILENCE;
        if gives_up {
            let waited_ms = waited.as_millis();
            tracing::warn!(waited_ms, "stopping although leaderships of this broker may not have moved");
        }
        gives_up
    }
}

/// Why there is no registration.
struct Refusal {
    /// If the controller answered.
    code: Option<ErrorCode>,
    message: String,
}

impl Refusal {
    fn unanswered(why: impl ToString) -> Self {
        Self { code: None, message: why.to_string() }
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self { code: Some(error.code), message: error.to_string() }
    }
}
