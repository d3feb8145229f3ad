//! A fetcher: one connection to one leader for one lane, one fetch session on it, one request at a time.
//!
//! A fetch promises what lies below its offset, so the next one is built only after the answer before it has been taken in, and flushed
//! where a topic asks for that. When a partition is added while a request waits at the leader, the request is given up: its answer could
//! be half a second away, and so would be the acknowledgement of the new partition's first record.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ahash::AHashMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use weir_protocol::client::{Address, ClientConfig, ClientError, SerialConnection};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerId, TopicId};
use weir_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic, ReplicaState};
use weir_protocol::messages::{BrokerId as WireBrokerId, FetchRequest, FetchResponse};

use super::fetchers::Shared;
use super::followed::FollowedPartitions;
use super::lane::Lane;
use super::session::Session;
use crate::partition::{Partition, PartitionKey};
use crate::replication::{FollowerState, NextFetch};

/// The version from which a fetch names its sender's epoch (KIP-903), and topics by their ids.
const FIRST_VERSION: i16 = 15;
/// How long a request may go on waiting at the leader after a partition was added.
const GIVE_UP_AFTER: Duration = Duration::from_millis(20);
/// How long a dial and the handshake may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The largest answer that is read: whatever a frame can hold. `replica.fetch.response.max.bytes` bounds what is asked for, but a batch that
/// is larger than that comes whole, since nothing behind it could follow otherwise; how large batches may be was for whoever led when it
/// was written to say. Memory is taken as bytes arrive.
const MAX_ANSWER_BYTES: usize = i32::MAX as usize;

/// What a fetcher is told.
pub(super) enum Command {
    /// Fetch this partition from now on.
    Follow(Arc<Partition>, FollowerState),
    /// Fetch it no more.
    Unfollow(PartitionKey),
}

/// Everything that one fetcher owns.
pub(super) struct Fetcher {
    pub(super) leader: BrokerId,
    pub(super) lane: Lane,
    pub(super) shared: Shared,
    commands: mpsc::UnboundedReceiver<Command>,
    pub(super) followed: FollowedPartitions,
    session: Session,
    connection: Option<SerialConnection>,
    /// Whether the last attempt to fetch failed: only a change of that is worth a line.
    is_failing: bool,
}

/// The broker stops.
struct Stopped;

impl Fetcher {
    pub(super) fn new(
        leader: BrokerId,
        lane: Lane,
        shared: Shared,
        commands: mpsc::UnboundedReceiver<Command>,
    ) -> Self {
        Self {
            leader,
            lane,
            shared,
            commands,
            followed: FollowedPartitions::default(),
            session: Session::new(),
            connection: None,
            is_failing: false,
        }
    }

    /// Fetches until nobody can tell it anything any more.
    pub(super) async fn run(mut self) {
        while self.turn().await.is_ok() {}
    }

    async fn turn(&mut self) -> Result<(), Stopped> {
        while let Ok(command) = self.commands.try_recv() {
            self.apply(command);
        }
        if self.followed.is_empty() {
            self.disconnect();
            let command = self.commands.recv().await.ok_or(Stopped)?;
            self.apply(command);
            return Ok(());
        }
        let questions = self.followed.questions(self.shared.local.now_ms(), &mut self.session);
        if self.followed.asked_count() == 0 {
            if !self.followed.has_due() {
                return self.rest().await;
            }
            // Many logs are being opened.
            tokio::task::yield_now().await;
            return Ok(());
        }
        match self.fetch(questions).await? {
            Some(Ok(response)) => self.on_response(response).await,
            Some(Err(error)) => self.on_failure(&error),
            // Given up, to be asked anew.
            None => self.disconnect(),
        }
        Ok(())
    }

    /// Waits until a partition may be fetched again, or a command.
    async fn rest(&mut self) -> Result<(), Stopped> {
        let wait_ms = self.followed.next_deadline().map(|until_ms| until_ms - self.shared.local.now_ms());
        let wait = Duration::from_millis(wait_ms.unwrap_or(i64::MAX).clamp(1, 3_600_000) as u64);
        match tokio::time::timeout(wait, self.commands.recv()).await {
            Ok(Some(command)) => drop(self.apply(command)),
            Ok(None) => return Err(Stopped),
            Err(_) => {}
        }
        Ok(())
    }

    /// Applies a command; true if there is something new to ask.
    fn apply(&mut self, command: Command) -> bool {
        match command {
            Command::Follow(partition, state) => {
                self.followed.insert(partition, state, self.lane);
                true
            }
            Command::Unfollow(key) => {
                self.followed.remove(&key, &mut self.session);
                false
            }
        }
    }

    /// Sends one request and waits for its answer; nothing if it was given up.
    async fn fetch(
        &mut self,
        questions: Vec<(PartitionKey, NextFetch)>,
    ) -> Result<Option<Result<FetchResponse, ClientError>>, Stopped> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.connect().await? {
                Some(Ok(connection)) => connection,
                Some(Err(error)) => return Ok(Some(Err(error))),
                None => return Ok(None),
            },
        };
        let version = match connection.version_up_to::<FetchRequest>(i16::MAX) {
            Ok(version) => version.max(FIRST_VERSION),
            Err(error) => return Ok(Some(Err(error))),
        };
        let request = self.request(questions);
        let within = self.shared.settings.max_wait + self.shared.settings.socket_timeout;
        self.shared.metrics.fetches.fetch_add(1, Ordering::Relaxed);
        let answer = {
            let call = connection.call(&request, version, within);
            tokio::pin!(call);
            let mut give_up: Option<Instant> = None;
            loop {
                tokio::select! {
                    biased;
                    answer = &mut call => break answer,
                    command = self.commands.recv() => {
                        if self.apply(command.ok_or(Stopped)?) && give_up.is_none() {
                            give_up = Some(Instant::now() + GIVE_UP_AFTER);
                        }
                    }
                    () = until(give_up) => return Ok(None),
                }
            }
        };
        if answer.is_ok() {
            self.connection = Some(connection);
        }
        Ok(Some(answer))
    }

    /// Dials the leader, wherever it is by now; nothing if something else is to be done meanwhile.
    async fn connect(&mut self) -> Result<Option<Result<SerialConnection, ClientError>>, Stopped> {
        let settings = &self.shared.settings;
        let image = (self.shared.image)();
        let endpoint = image.broker(self.leader).and_then(|broker| broker.endpoint(&settings.listener)).cloned();
        let Some(endpoint) = endpoint else {
            let address = Address::new(format!("broker {} without listener {}", self.leader, settings.listener), 0);
            return Ok(Some(Err(ClientError::ConnectTimeout { address, timeout: Duration::ZERO })));
        };
        let mut config = ClientConfig::new(Vec::new());
        config.client_id = format!("broker-{}-fetcher", self.shared.local.id());
        config.tls = settings.tls.clone();
        config.connect_timeout = CONNECT_TIMEOUT;
        config.max_response_bytes = MAX_ANSWER_BYTES;
        let address = Address::new(&*endpoint.host, endpoint.port);
        let dial = SerialConnection::connect(address, &config);
        tokio::pin!(dial);
        tokio::select! {
            biased;
            dialled = &mut dial => Ok(Some(dialled)),
            command = self.commands.recv() => {
                self.apply(command.ok_or(Stopped)?);
                Ok(None)
            }
        }
    }

    fn request(&mut self, questions: Vec<(PartitionKey, NextFetch)>) -> FetchRequest {
        let settings = &self.shared.settings;
        let mut topics: AHashMap<TopicId, Vec<FetchPartition>> = AHashMap::new();
        for ((topic, partition), next) in questions {
            let partition = FetchPartition::default()
                .with_partition(partition.get())
                .with_current_leader_epoch(next.current_leader_epoch.get())
                .with_fetch_offset(next.fetch_offset.get())
                .with_last_fetched_epoch(next.last_fetched_epoch.get())
                .with_log_start_offset(next.log_start_offset.get())
                .with_partition_max_bytes(settings.max_partition_bytes);
            topics.entry(topic).or_default().push(partition);
        }
        let (session_id, epoch, forgotten) = self.session.next_request();
        let mut forgotten_topics: AHashMap<TopicId, Vec<i32>> = AHashMap::new();
        for (topic, partition) in forgotten {
            forgotten_topics.entry(topic).or_default().push(partition.get());
        }
        let topic = |(id, partitions)| FetchTopic::default().with_topic_id(id).with_partitions(partitions);
        let forgotten = |(id, partitions)| ForgottenTopic::default().with_topic_id(id).with_partitions(partitions);
        let replica = ReplicaState::default()
            .with_replica_id(WireBrokerId(self.shared.local.id().get()))
            .with_replica_epoch(self.shared.local.epoch().get());
        FetchRequest::default()
            .with_replica_state(replica)
            .with_max_wait_ms(self.max_wait_ms())
            .with_min_bytes(settings.min_bytes)
            .with_max_bytes(settings.max_response_bytes)
            .with_session_id(session_id)
            .with_session_epoch(epoch)
            .with_topics(topics.into_iter().map(topic).collect())
            .with_forgotten_topics_data(forgotten_topics.into_iter().map(forgotten).collect())
    }

    /// How long the leader may let the request wait: not beyond when another partition is to be asked for.
    fn max_wait_ms(&self) -> i32 {
        let max_wait_ms = self.shared.settings.max_wait.as_millis() as i64;
        let deadline = self.followed.next_deadline().map(|until_ms| until_ms - self.shared.local.now_ms());
        match deadline {
            _ if self.followed.has_due() => 0,
            Some(left_ms) => left_ms.clamp(0, max_wait_ms) as i32,
            None => max_wait_ms as i32,
        }
    }

    async fn on_response(&mut self, response: FetchResponse) {
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            ErrorCode::FetchSessionIdNotFound
            | ErrorCode::InvalidFetchSessionEpoch
            | ErrorCode::FetchSessionTopicIdError => {
                self.session.reset();
                return self.followed.ask_all_again();
            }
            code => {
                tracing::warn!(leader = self.leader.get(), ?code, "the leader refused a fetch");
                self.shared.metrics.fetch_failures.fetch_add(1, Ordering::Relaxed);
                self.session.reset();
                return self.followed.fail_all(self.shared.local.now_ms());
            }
        }
        if std::mem::take(&mut self.is_failing) {
            self.shared.lost_leaders.find(self.leader);
            tracing::info!(leader = self.leader.get(), "fetching again");
        }
        let has_session = self.session.on_answer(response.session_id);
        self.take_in(response).await;
        if !has_session {
            self.followed.ask_all_again();
        }
    }

    fn on_failure(&mut self, error: &ClientError) {
        if matches!(error, ClientError::Disconnected { .. } | ClientError::Connect { .. }) {
            self.shared.lost_leaders.lose(self.leader, &(self.shared.image)(), Instant::now());
        }
        if !std::mem::replace(&mut self.is_failing, true) {
            tracing::warn!(leader = self.leader.get(), %error, "cannot fetch from the leader; trying again");
        }
        self.shared.metrics.fetch_failures.fetch_add(1, Ordering::Relaxed);
        self.connection = None;
        self.session.reset();
        self.followed.fail_all(self.shared.local.now_ms());
    }

    fn disconnect(&mut self) {
        self.connection = None;
        self.session.reset();
        self.followed.ask_all_again();
    }

    /// The connection, while there is one.
    pub(super) fn connection(&mut self) -> Option<&mut SerialConnection> {
        self.connection.as_mut()
    }

    /// A question beside the fetches failed: what was fetched is of no use without its answer.
    pub(super) fn on_aside_failed(&mut self, error: &ClientError) {
        self.on_failure(error);
    }
}

/// Sleeps until then; for ever if there is no such time.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
