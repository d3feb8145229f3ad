//! A cluster seen from outside: whom to ask, over which connection, and when to ask again.
//!
//! Keeps one connection to each broker that was asked, and a metadata snapshot that is replaced when a leader proves
//! wrong or it grows old. Knows no API's meaning beyond Metadata and FindCoordinator.

use super::metadata::{Metadata, PartitionMetadata};
use super::{Address, ClientConfig, ClientError, Connection, retry};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, TopicPartition};
use crate::messages::metadata_request::MetadataRequestTopic;
use crate::messages::{
    ApiKey, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest, Request, StrBytes, TopicName,
};
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What kind of coordinator looks after a key (FindCoordinator's key type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CoordinatorKind {
    /// Of a consumer group.
    Group = 0,
    /// Of a transactional id.
    Transaction = 1,
    /// Of a share group's partition (KIP-932).
    Share = 2,
}

/// One connection, dialled by the first who needs it while the others wait.
type Slot = Arc<tokio::sync::Mutex<Option<Connection>>>;

/// A client of a cluster. Clones share connections and metadata.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ClientConfig,
    connections: Mutex<HashMap<Address, Slot>>,
    known: Mutex<Known>,
}

#[derive(Clone, Debug)]
struct Known {
    metadata: Arc<Metadata>,
    /// When each topic was last asked for; absent after it proved wrong.
    topics_at: HashMap<Arc<str>, Instant>,
    coordinators: HashMap<(CoordinatorKind, String), BrokerId>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Both maps are only ever replaced entry by entry: a panic elsewhere leaves them whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Client {
    /// Asks the bootstrap list, in order, for the cluster's brokers.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let known = Known { metadata: Arc::default(), topics_at: HashMap::new(), coordinators: HashMap::new() };
        let inner = Inner { config, connections: Mutex::default(), known: Mutex::new(known) };
        let client = Self { inner: Arc::new(inner) };
        client.refresh(Some(&[]), false).await?;
        Ok(client)
    }

    /// A client of the same cluster with connections of its own: a long fetch holds up what is behind it on its connection.
    pub fn dedicated(&self) -> Self {
        let known = Mutex::new(lock(&self.inner.known).clone());
        let inner = Inner { config: self.inner.config.clone(), connections: Mutex::default(), known };
        Self { inner: Arc::new(inner) }
    }

    /// Its settings.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// What is known of the cluster now, without asking.
    pub fn metadata(&self) -> Arc<Metadata> {
        lock(&self.inner.known).metadata.clone()
    }

    /// Asks for the metadata of `topics`, or of every topic, at any broker. `create`: let the broker create what is missing.
    pub async fn refresh(&self, topics: Option<&[&str]>, create: bool) -> Result<Arc<Metadata>, ClientError> {
        let names = topics.map(|names| {
            let topic = |name: &&str| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
            names.iter().map(topic).collect()
        });
        let request = MetadataRequest::default().with_topics(names).with_allow_auto_topic_creation(create);
        let response = self.ask_any(&request).await?;
        let mut known = lock(&self.inner.known);
        let mut metadata = Metadata::clone(&known.metadata);
        metadata.merge(&response, topics.is_none());
        let now = Instant::now();
        known.topics_at.extend(metadata.topics.iter().filter_map(|(name, topic)| {
            let asked = topics.is_none_or(|names| names.contains(&&**name));
            (asked && topic.error.is_none()).then(|| (name.clone(), now))
        }));
        known.metadata = Arc::new(metadata);
        Ok(known.metadata.clone())
    }

    /// Metadata that covers `topic`, asked for if it is unknown, old or has proved wrong.
    pub async fn metadata_of(&self, topic: &str) -> Result<Arc<Metadata>, ClientError> {
        {
            let known = lock(&self.inner.known);
            let fresh = known.topics_at.get(topic).is_some_and(|at| at.elapsed() < self.config().metadata_max_age);
            if fresh {
                return Ok(known.metadata.clone());
            }
        }
        let metadata = self.refresh(Some(&[topic]), false).await?;
        match metadata.topics.get(topic).map(|topic| topic.error) {
            Some(ErrorCode::None) => Ok(metadata),
            None => Err(ClientError::UnknownTopicOrPartition { subject: topic.to_owned() }),
            Some(code) => {
                let address = self.bootstrap_address();
                let subject = format!("topic {topic}");
                Err(ClientError::Refused { address, api: ApiKey::Metadata, subject, code, message: None })
            }
        }
    }

    /// Forgets what is known of `topic`: a leader proved wrong.
    pub fn invalidate(&self, topic: &str) {
        lock(&self.inner.known).topics_at.remove(topic);
    }

    /// A partition's leader and metadata.
    pub async fn leader(&self, partition: &TopicPartition) -> Result<(BrokerId, PartitionMetadata), ClientError> {
        let metadata = self.metadata_of(&partition.topic).await?;
        let Some(found) = metadata.partition(&partition.topic, partition.partition) else {
            self.invalidate(&partition.topic);
            return Err(ClientError::UnknownTopicOrPartition { subject: partition.to_string() });
        };
        match found.leader {
            Some(leader) => Ok((leader, found.clone())),
            None => {
                self.invalidate(&partition.topic);
                Err(ClientError::NoLeader { partition: partition.clone() })
            }
        }
    }

    /// The connection to `broker`, dialled and negotiated if it is not open.
    pub async fn connection(&self, broker: BrokerId) -> Result<Connection, ClientError> {
        let address = match self.metadata().brokers.get(&broker) {
            Some(found) => found.address.clone(),
            None => match self.refresh(Some(&[]), false).await?.brokers.get(&broker) {
                Some(found) => found.address.clone(),
                None => return Err(ClientError::UnknownBroker { broker }),
            },
        };
        self.connection_to(&address).await
    }

    /// The connection to `address`, dialled and negotiated if it is not open.
    pub async fn connection_to(&self, address: &Address) -> Result<Connection, ClientError> {
        let slot = lock(&self.inner.connections).entry(address.clone()).or_default().clone();
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = Connection::connect_with(address.clone(), &self.inner.config).await?;
        connection.negotiate().await?;
        Ok(slot.insert(connection).clone())
    }

    /// Where `broker` listens, or the first bootstrap address: whom an error may name.
    pub(super) fn address_of(&self, broker: BrokerId) -> Address {
        let known = self.metadata().brokers.get(&broker).map(|broker| broker.address.clone());
        known.unwrap_or_else(|| self.bootstrap_address())
    }

    /// The first address of the bootstrap list: what stands for the cluster in an error.
    pub(super) fn bootstrap_address(&self) -> Address {
        self.inner.config.bootstrap.first().cloned().unwrap_or_else(|| Address::new("cluster", 0))
    }

    /// Asks a known broker or, failing all of them, one of the bootstrap list: the first that answers.
    pub async fn ask_any<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut addresses: Vec<Address> = Vec::new();
        for address in self.metadata().brokers.values().map(|it| &it.address).chain(&self.inner.config.bootstrap) {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        // Open connections first: a dead broker must not cost a dial each time.
        addresses.sort_by_key(|address| !self.is_open(address));
        let mut attempts = Vec::new();
        for address in addresses {
            let answer = match self.connection_to(&address).await {
                Ok(connection) => connection.ask(request).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(response) => return Ok(response),
                Err(error) => attempts.push((address, Arc::new(error))),
            }
        }
        Err(ClientError::NoBroker { attempts })
    }

    fn is_open(&self, address: &Address) -> bool {
        let slot = lock(&self.inner.connections).get(address).cloned();
        slot.is_some_and(|slot| {
            slot.try_lock().is_ok_and(|slot| slot.as_ref().is_some_and(|connection| !connection.is_closed()))
        })
    }

    /// Asks `broker` once.
    pub async fn ask_broker<R: Request>(&self, broker: BrokerId, request: &R) -> Result<R::Response, ClientError> {
        self.connection(broker).await?.ask(request).await
    }

    /// Asks the controller; again while `code` gives a retriable error. Other codes are the caller's.
    pub async fn ask_controller<R: Request>(
        &self,
        request: &R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, ClientError> {
        self.retry(|attempt| {
            let code = &code;
            async move {
                let metadata = match attempt {
                    0 => self.metadata(),
                    _ => self.refresh(Some(&[]), false).await?,
                };
                let Some(controller) = metadata.controller.or(metadata.brokers.keys().next().copied()) else {
                    return Err(ClientError::UnknownBroker { broker: BrokerId::NONE });
                };
                let connection = self.connection(controller).await?;
                let response = connection.ask(request).await?;
                retriable::<R>(connection.address(), "the cluster", code(&response)).map(|()| response)
            }
        })
        .await
    }

    /// Asks the coordinator of `key`; again while `code` gives a retriable error. Other codes are the caller's.
    pub async fn ask_coordinator<R: Request>(
        &self,
        kind: CoordinatorKind,
        key: &str,
        request: &R,
        code: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<R::Response, ClientError> {
        self.retry(|_| {
            let code = &code;
            async move {
                let asked = async {
                    let coordinator = self.coordinator(kind, key).await?;
                    let connection = self.connection(coordinator).await?;
                    let response = connection.ask(request).await?;
                    retriable::<R>(connection.address(), key, code(&response)).map(|()| response)
                };
                let answer = asked.await;
                if answer.is_err() {
                    lock(&self.inner.known).coordinators.remove(&(kind, key.to_owned()));
                }
                answer
            }
        })
        .await
    }

    /// The coordinator of `key`, from memory or from FindCoordinator.
    pub async fn coordinator(&self, kind: CoordinatorKind, key: &str) -> Result<BrokerId, ClientError> {
        let entry = (kind, key.to_owned());
        if let Some(&broker) = lock(&self.inner.known).coordinators.get(&entry) {
            return Ok(broker);
        }
        let name = StrBytes::from_string(key.to_owned());
        let (connection, version) = self.any_connection::<FindCoordinatorRequest>().await?;
        // From version 4 on a request asks for several keys (KIP-699).
        let request = FindCoordinatorRequest::default().with_key_type(if version >= 1 { kind as i8 } else { 0 });
        let request = if version >= 4 { request.with_coordinator_keys(vec![name]) } else { request.with_key(name) };
        let response = connection.call(&request, version).await?;
        let (broker, code, message) = found_coordinator(&response, version);
        if code.is_none() {
            lock(&self.inner.known).coordinators.insert(entry, broker);
            return Ok(broker);
        }
        let (address, api, subject) = (connection.address().clone(), ApiKey::FindCoordinator, key.to_owned());
        Err(ClientError::Refused { address, api, subject, code, message })
    }

    async fn any_connection<R: Request>(&self) -> Result<(Connection, i16), ClientError> {
        let mut attempts = Vec::new();
        let metadata = self.metadata();
        for address in metadata.brokers.values().map(|it| &it.address).chain(&self.inner.config.bootstrap) {
            let found = self.connection_to(address).await;
            match found.and_then(|connection| Ok((connection.version_up_to::<R>(i16::MAX)?, connection))) {
                Ok((version, connection)) => return Ok((connection, version)),
                Err(error) => attempts.push((address.clone(), Arc::new(error))),
            }
        }
        Err(ClientError::NoBroker { attempts })
    }

    /// Runs `operation` until it succeeds, fails for good, or has been tried `max_attempts` times, with growing pauses.
    pub async fn retry<T, F>(&self, mut operation: impl FnMut(u32) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut attempts = 0;
        loop {
            let error = match operation(attempts).await {
                Ok(value) => return Ok(value),
                Err(error) if !error.is_retriable() => return Err(error),
                Err(error) => error,
            };
            attempts += 1;
            if attempts >= self.config().max_attempts {
                return Err(ClientError::RetriesExhausted { attempts, last: Arc::new(error) });
            }
            tokio::time::sleep(retry::pause(self.config(), attempts)).await;
        }
    }
}

/// An error if `code` asks for another attempt.
fn retriable<R: Request>(address: &Address, subject: &str, code: ErrorCode) -> Result<(), ClientError> {
    if !code.is_retriable() {
        return Ok(());
    }
    let (address, subject) = (address.clone(), subject.to_owned());
    Err(ClientError::Refused { address, api: super::versions::api_of::<R>(), subject, code, message: None })
}

fn found_coordinator(response: &FindCoordinatorResponse, version: i16) -> (BrokerId, ErrorCode, Option<String>) {
    let text = |message: &Option<StrBytes>| message.as_ref().map(|message| message.to_string());
    match response.coordinators.first() {
        Some(first) => (BrokerId(first.node_id.0), ErrorCode::from_code(first.error_code), text(&first.error_message)),
        None if version >= 4 => (BrokerId::NONE, ErrorCode::CoordinatorNotAvailable, None),
        None => {
            (BrokerId(response.node_id.0), ErrorCode::from_code(response.error_code), text(&response.error_message))
        }
    }
}

/// A topic's name in the codec's type.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
