//! AddRaftVoter (80) and RemoveRaftVoter (81): who votes on the metadata (KIP-853).

use std::time::Duration;

use tokio::time::Instant;
use weir_controller::quorum::{ControllerEndpoint, QuorumRequest, QuorumResponse, RaftNodeId, VoterChangeError};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::BrokerId;
use weir_protocol::messages::{
    AddRaftVoterRequest, AddRaftVoterResponse, RemoveRaftVoterRequest, RemoveRaftVoterResponse, StrBytes,
};

use super::call::Call;
use super::wire::{owned, text};
use crate::administration::Administration;
use crate::net::Dispatch;

/// How long a voter may take to be removed; the request does not say.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(15);

/// An error code, and a sentence where it is not nought.
type Outcome = (i16, Option<StrBytes>);

pub(super) fn add(call: Call<Administration>, request: AddRaftVoterRequest) -> Dispatch {
    let voter = RaftNodeId { node_id: BrokerId(request.voter_id), directory_id: request.voter_directory_id };
    let endpoints = request.listeners.iter().map(|listener| ControllerEndpoint {
        listener: listener.name.to_string(),
        host: listener.host.to_string(),
        port: listener.port,
    });
    let change = QuorumRequest::AddVoter { voter, endpoints: endpoints.collect() };
    let patience = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
    call.later(async move |call| {
        let (code, message) = change_voters(&call, request.cluster_id, change, patience).await;
        AddRaftVoterResponse::default().with_error_code(code).with_error_message(message)
    })
}

pub(super) fn remove(call: Call<Administration>, request: RemoveRaftVoterRequest) -> Dispatch {
    let voter = RaftNodeId { node_id: BrokerId(request.voter_id), directory_id: request.voter_directory_id };
    call.later(async move |call| {
        let change = QuorumRequest::RemoveVoter { voter };
        let (code, message) = change_voters(&call, request.cluster_id, change, REMOVE_TIMEOUT).await;
        RemoveRaftVoterResponse::default().with_error_code(code).with_error_message(message)
    })
}

async fn change_voters(
    call: &Call<Administration>,
    cluster_id: Option<StrBytes>,
    change: QuorumRequest,
    patience: Duration,
) -> Outcome {
    let own = call.node.controller.cluster_id();
    if let Some(named) = cluster_id.filter(|named| *owned(named) != **own) {
        let message = format!("The cluster is {own}, and the request is for {named}.", named = &*named);
        return (ErrorCode::InconsistentClusterId.code(), Some(text(message)));
    }
    match call.node.controller_client.ask(change, Instant::now() + patience).await {
        Ok(QuorumResponse::VotersChanged(Ok(()))) => (0, None),
        Ok(QuorumResponse::VotersChanged(Err(error))) => (code_of(&error).code(), Some(text(error.to_string()))),
        Ok(_) => (ErrorCode::UnknownServerError.code(), None),
        Err(error) => (error.error_code().code(), Some(text(error.to_string()))),
    }
}

fn code_of(error: &VoterChangeError) -> ErrorCode {
    match error {
        VoterChangeError::NotController { .. } => ErrorCode::NotController,
        VoterChangeError::DuplicateVoter(_) => ErrorCode::DuplicateVoter,
        // Kafka has no code for the last one: the set without it is no set of voters.
        VoterChangeError::VoterNotFound(_) | VoterChangeError::LastVoter(_) => ErrorCode::VoterNotFound,
        VoterChangeError::TimedOut(_) => ErrorCode::RequestTimedOut,
        VoterChangeError::NoMajority { .. } | VoterChangeError::Refused(_) => ErrorCode::InvalidRequest,
    }
}
