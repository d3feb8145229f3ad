//! Requests to the active controller, as one node forwards them to another, and their bytes.
//!
//! ```text
//! request   int16 version (0)   JSON {"cluster_id": string, "request": {name: {..}}}
//! outcome   int16 version (0)   JSON {"Done": {"applied": offset, "response": {name: {..}}}} or {"Refused": {..}}
//! ```
//!
//! What is asked of the quorum itself ([`ForwardedQuorumRequest`], [`QuorumOutcome`]) looks the same, without an offset.
//!
//! The body names its fields, so nodes of two versions understand each other while a cluster is upgraded: a field that one
//! side does not know is passed over, and one that is missing takes its default (`#[serde(default)]` on whatever is added).
//! Only a change of meaning needs another version. The bytes come from an authenticated peer and are still not trusted:
//! nothing here panics, and what is allocated is bounded by what arrived.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weir_protocol::ids::Offset;

use crate::decide::{ControllerRequest, ControllerResponse};
use crate::quorum::{QuorumRequest, QuorumResponse, SubmitError};

const VERSION: i16 = 0;

/// The largest request or outcome: far beyond what fits into one atomic change of the metadata.
pub const MAX_FORWARDED_BYTES: usize = 32 << 20;

/// A request, and the cluster of who asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ForwardedRequest {
    /// The cluster it is meant for.
    pub cluster_id: Arc<str>,
    /// What is asked for.
    pub request: ControllerRequest,
}

/// What became of a forwarded request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ForwardedOutcome {
    /// It was carried out.
    Done {
        /// How far the metadata of who answered was applied by then: from there on the change is visible.
        applied: Offset,
        /// The answer.
        response: ControllerResponse,
    },
    /// It has no answer.
    Refused(ForwardRefusal),
}

/// A question or change that concerns the quorum, and the cluster of who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardedQuorumRequest {
    /// The cluster it is meant for.
    pub cluster_id: Arc<str>,
    /// What is asked.
    pub request: QuorumRequest,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QuorumOutcome {
    /// It was answered.
    Done(QuorumResponse),
    /// It has no answer.
    Refused(ForwardRefusal),
}

/// Why a forwarded request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ForwardRefusal {
    /// Another node is the active controller by now, or none is.
    NotController,
    /// The controller is stopping or has failed.
    Stopping,
    /// What the request asks for does not fit one atomic change.
    TooLarge(String),
    /// The controller met a defect of its own, and changed nothing.
    Undecidable(String),
    /// The request is not for this cluster, or not understood.
    Unreadable(String),
}

/// Bytes that are no request or no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ForwardDecodeError {
    /// Fewer bytes than a version has.
    #[error("it ends early")]
    Truncated,
    /// A version that this build does not know.
    #[error("version {0} is unknown; is the other node of a newer version?")]
    UnknownVersion(i16),
    /// Not what the version says.
    #[error("it is not understood: {0}; is the other node of another version?")]
    Malformed(#[from] serde_json::Error),
}

impl ForwardedRequest {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`ForwardedRequest::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, ForwardDecodeError> {
        decode(bytes)
    }
}

impl ForwardedOutcome {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`ForwardedOutcome::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, ForwardDecodeError> {
        decode(bytes)
    }
}

impl ForwardedQuorumRequest {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`ForwardedQuorumRequest::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, ForwardDecodeError> {
        decode(bytes)
    }
}

impl QuorumOutcome {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`QuorumOutcome::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, ForwardDecodeError> {
        decode(bytes)
    }
}

impl From<SubmitError> for ForwardRefusal {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::NotController { .. } | SubmitError::TimedOut => Self::NotController,
            SubmitError::ShuttingDown | SubmitError::Failed(_) => Self::Stopping,
            SubmitError::TooLarge(reason) => Self::TooLarge(reason),
            SubmitError::Undecidable(reason) => Self::Undecidable(reason),
        }
    }
}

impl From<ForwardRefusal> for SubmitError {
    /// What stops there is asked for again elsewhere.
    fn from(refusal: ForwardRefusal) -> Self {
        match refusal {
            ForwardRefusal::NotController | ForwardRefusal::Stopping => Self::NotController { leader: None },
            ForwardRefusal::TooLarge(reason) => Self::TooLarge(reason),
            ForwardRefusal::Undecidable(reason) | ForwardRefusal::Unreadable(reason) => Self::Undecidable(reason),
        }
    }
}

fn encode(message: &impl Serialize) -> Bytes {
    let mut out = BytesMut::new();
    out.put_i16(VERSION);
    let mut out = out.writer();
    // Every map has text or numbers for keys, and nothing else can fail.
    serde_json::to_writer(&mut out, message).expect("requests and outcomes can be written");
    out.into_inner().freeze()
}

fn decode<M: DeserializeOwned>(mut bytes: &[u8]) -> Result<M, ForwardDecodeError> {
    if bytes.remaining() < size_of::<i16>() {
        return Err(ForwardDecodeError::Truncated);
    }
    match bytes.get_i16() {
        VERSION => Ok(serde_json::from_slice(bytes)?),
        version => Err(ForwardDecodeError::UnknownVersion(version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{AllocateProducerIdsRequest, CreateTopicsRequest, NewTopic, TopicRef};
    use weir_protocol::error_code::ErrorCode;
    use weir_protocol::ids::{BrokerEpoch, BrokerId};

    fn create() -> ForwardedRequest {
        let topic = NewTopic {
            name: "orders".into(),
            num_partitions: 3,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: vec![("cleanup.policy".into(), Some("compact".into())), ("x".into(), None)],
        };
        let request = CreateTopicsRequest { topics: vec![topic], validate_only: true }.into();
        ForwardedRequest { cluster_id: "ours".into(), request }
    }

    #[test]
    fn a_request_arrives_as_it_was_sent() {
        let sent = create();
        assert_eq!(ForwardedRequest::decode(&sent.encode()).unwrap(), sent);
        let by_id = TopicRef::id(uuid::Uuid::from_u128(7));
        let request = crate::decide::DeleteTopicsRequest { topics: vec![by_id] }.into();
        let sent = ForwardedRequest { cluster_id: "ours".into(), request };
        assert_eq!(ForwardedRequest::decode(&sent.encode()).unwrap(), sent);
    }

    #[test]
    fn an_outcome_arrives_as_it_was_sent() {
        let refused = ControllerResponse::AllocateProducerIds(Err(ErrorCode::StaleBrokerEpoch.into()));
        let done = ForwardedOutcome::Done { applied: Offset(i64::MAX), response: refused };
        assert_eq!(ForwardedOutcome::decode(&done.encode()).unwrap(), done);
        let refused = ForwardedOutcome::Refused(ForwardRefusal::TooLarge("much".into()));
        assert_eq!(ForwardedOutcome::decode(&refused.encode()).unwrap(), refused);
    }

    #[test]
    fn what_is_asked_of_the_quorum_arrives_as_it_was_sent() {
        use crate::quorum::{ControllerEndpoint, RaftNodeId, VoterChangeError};
        let voter = RaftNodeId { node_id: BrokerId(3), directory_id: uuid::Uuid::from_u128(u128::MAX) };
        let endpoints = vec![ControllerEndpoint { listener: "C".into(), host: "h".into(), port: 9093 }];
        for request in [
            QuorumRequest::Describe,
            QuorumRequest::AddVoter { voter, endpoints },
            QuorumRequest::RemoveVoter { voter },
        ] {
            let sent = ForwardedQuorumRequest { cluster_id: "ours".into(), request };
            assert_eq!(ForwardedQuorumRequest::decode(&sent.encode()).unwrap(), sent);
        }
        let refused = QuorumResponse::VotersChanged(Err(VoterChangeError::DuplicateVoter(voter)));
        let sent = QuorumOutcome::Done(refused);
        assert_eq!(QuorumOutcome::decode(&sent.encode()).unwrap(), sent);
    }

    #[test]
    fn a_field_of_a_newer_node_is_passed_over() {
        let text =
            br#"{"cluster_id":"ours","request":{"AllocateProducerIds":{"broker":1,"broker_epoch":2,"mood":"good"}}}"#;
        let bytes = [&[0, 0], text.as_slice()].concat();
        let request = AllocateProducerIdsRequest { broker: BrokerId(1), broker_epoch: BrokerEpoch(2) }.into();
        assert_eq!(ForwardedRequest::decode(&bytes).unwrap().request, request);
    }

    #[test]
    fn what_is_not_understood_is_said_and_never_panics() {
        let bytes = create().encode();
        for length in 0..bytes.len() {
            assert!(ForwardedRequest::decode(&bytes[..length]).is_err());
        }
        let newer = [&[0, 9], &bytes[2..]].concat();
        assert!(matches!(ForwardedRequest::decode(&newer), Err(ForwardDecodeError::UnknownVersion(9))));
        let unknown = [&[0, 0], br#"{"cluster_id":"","request":{"Dance":{}}}"#.as_slice()].concat();
        let error = ForwardedRequest::decode(&unknown).unwrap_err().to_string();
        assert!(error.contains("Dance"), "{error}");
        let deep = [&[0, 0], "[".repeat(100_000).as_bytes()].concat();
        assert!(ForwardedRequest::decode(&deep).is_err());
    }
}
