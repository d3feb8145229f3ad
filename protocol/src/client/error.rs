//! What goes wrong between a client and a cluster, told so that a reader knows what to do next.

use super::{Address, InvalidAddress};
use crate::error_code::ErrorCode;
use crate::ids::{BrokerId, TopicPartition};
use crate::messages::ApiKey;
use crate::records::{BuildError, RecordError};
use crate::response::decode::DecodeError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a client could not do what it was asked to. Cheap to clone: one closed connection fails many requests.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// The bootstrap list is empty or wrong.
    #[error(transparent)]
    InvalidAddress(#[from] InvalidAddress),
    /// No address of the bootstrap list answered.
    #[error("no broker of the bootstrap list answers: {}", list(.attempts))]
    NoBroker {
        /// Each address and why it failed.
        attempts: Vec<(Address, Arc<ClientError>)>,
    },
    /// The dial failed.
    #[error("cannot connect to {address}: {source}{}", connect_hint(.source.kind()))]
    Connect {
        /// Whom.
        address: Address,
        /// The system's word.
        source: Arc<io::Error>,
    },
    /// The dial took too long.
    #[error("no connection to {address} after {timeout:?}: is the host reachable and the port open?")]
    ConnectTimeout {
        /// Whom.
        address: Address,
        /// How long it was tried.
        timeout: Duration,
    },
    /// The TLS handshake failed.
    #[error("TLS handshake with {address} failed: {source} (is it a TLS listener, and does the CA match?)")]
    Tls {
        /// With whom.
        address: Address,
        /// What rustls said.
        source: Arc<io::Error>,
    },
    /// The connection closed before the answer came: the request may or may not have been done.
    #[error("{address} closed the connection before answering {api:?}: {reason}")]
    Disconnected {
        /// Who.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// What is known.
        reason: Arc<str>,
    },
    /// No answer in time: the request may or may not have been done.
    #[error("{address} did not answer {api:?} within {timeout:?}")]
    Timeout {
        /// Who.
        address: Address,
        /// What was asked.
        api: ApiKey,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The request does not fit the version, or is too large.
    #[error("{api:?} v{version} cannot be encoded: {reason}")]
    Encode {
        /// Which API.
        api: ApiKey,
        /// Which version.
        version: i16,
        /// What the codec said.
        reason: String,
    },
    /// The answer is not what the API says.
    #[error("{address} answered with bytes that do not decode: {source}")]
    Decode {
        /// Who.
        address: Address,
        /// What is wrong with which answer.
        source: Arc<DecodeError>,
    },
    /// No version in common.
    #[error("{address} does not speak {api:?} at a version we do: ours {}..{}, theirs {}", .ours.0, .ours.1, range(.theirs))]
    UnsupportedVersion {
        /// Who.
        address: Address,
        /// Which API.
        api: ApiKey,
        /// Least and greatest.
        ours: (i16, i16),
        /// Least and greatest, if it knows the API at all.
        theirs: Option<(i16, i16)>,
    },
    /// The broker said no.
    #[error("{address} refused {api:?} for {subject}: {} ({}){}", .code.name(), .code.message(), detail(.message))]
    Refused {
        /// Who.
        address: Address,
        /// Which API.
        api: ApiKey,
        /// The topic, partition, group or resource.
        subject: String,
        /// Why.
        code: ErrorCode,
        /// The broker's own words, if any.
        message: Option<String>,
    },
    /// An answer leaves out what was asked for.
    #[error("{address} left {subject} out of its answer to {api:?}")]
    Missing {
        /// Who.
        address: Address,
        /// Which API.
        api: ApiKey,
        /// What.
        subject: String,
    },
    /// The cluster does not know the topic or the partition.
    #[error("unknown topic or partition {subject}: create it first, or check the name")]
    UnknownTopicOrPartition {
        /// Which.
        subject: String,
    },
    /// The partition has no leader now.
    #[error("{partition} has no leader: its replicas are offline or an election is under way")]
    NoLeader {
        /// Which.
        partition: TopicPartition,
    },
    /// Metadata names a broker without an address.
    #[error("broker {broker} is not among the brokers that the cluster lists")]
    UnknownBroker {
        /// Which.
        broker: BrokerId,
    },
    /// Fetched bytes are no good.
    #[error("{partition} at offset {offset}: {source}")]
    CorruptRecords {
        /// Where.
        partition: TopicPartition,
        /// The fetch offset.
        offset: i64,
        /// What is wrong.
        source: RecordError,
    },
    /// A batch could not be built.
    #[error("cannot build a record batch for {partition}: {source}")]
    Build {
        /// For what.
        partition: TopicPartition,
        /// Why.
        source: BuildError,
    },
    /// Every attempt failed.
    #[error("gave up after {attempts} attempts: {last}")]
    RetriesExhausted {
        /// How many.
        attempts: u32,
        /// The last failure.
        last: Arc<ClientError>,
    },
}

impl ClientError {
    /// Whether the same request may succeed later, or at another broker.
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::ConnectTimeout { .. }
            | Self::Disconnected { .. }
            | Self::Timeout { .. }
            | Self::NoLeader { .. }
            | Self::UnknownBroker { .. }
            | Self::NoBroker { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::UnknownTopicOrPartition { .. } => true,
            _ => false,
        }
    }

    /// The broker's error code, if it was a broker that refused.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::RetriesExhausted { last, .. } => last.code(),
            _ => None,
        }
    }

    /// Whether the request may have been done although it failed.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Disconnected { .. } | Self::Timeout { .. } | Self::Decode { .. } | Self::Missing { .. } => true,
            Self::Refused { code, .. } => {
                matches!(code, ErrorCode::RequestTimedOut | ErrorCode::NotEnoughReplicasAfterAppend)
            }
            Self::RetriesExhausted { last, .. } => last.is_outcome_unknown(),
            _ => false,
        }
    }
}

fn list(attempts: &[(Address, Arc<ClientError>)]) -> String {
    match attempts {
        [] => "it is empty".to_owned(),
        _ => attempts.iter().map(|(_, error)| error.to_string()).collect::<Vec<_>>().join("; "),
    }
}

fn connect_hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => " (no broker listens there: is it running, and is the port right?)",
        _ => "",
    }
}

fn range(theirs: &Option<(i16, i16)>) -> String {
    theirs.map_or_else(|| "none".to_owned(), |(min, max)| format!("{min}..{max}"))
}

fn detail(message: &Option<String>) -> String {
    message.as_ref().map_or_else(String::new, |message| format!(": {message}"))
}
