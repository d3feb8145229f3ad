//! Where every change of the metadata goes: to the active controller, wherever it is.
//!
//! Owns the way there, and nothing that decides. Whoever asks is answered once the change is durable, applied and
//! published by the active controller and visible on this node, or learns that nobody could be asked in time. While there is
//! no active controller, or it dies with a request in hand, the request is sent again to the next one, as Kafka's brokers
//! do: a change may be asked for twice, and whoever asks may be told of its own first attempt.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};
use weir_controller::decide::{ControllerRequest, ControllerResponse};
use weir_controller::forward::{
    ForwardDecodeError, ForwardedOutcome, ForwardedQuorumRequest, ForwardedRequest, QuorumOutcome,
};
use weir_controller::quorum::{Controller, QuorumRequest, QuorumResponse, SubmitError};
use weir_protocol::ids::Offset;
use weir_protocol::private_api::PrivateApi;

use crate::quorum::{Lane, PeerLinks};

/// How long a change is tried when who asks says nothing else.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// How soon the next attempt follows a failed one when nothing tells of another active controller.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How long one attempt may take. A host that has vanished is given up sooner, once another node leads.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer waits for the change to be visible on this node; a node that is behind by more answers without.
const VISIBLE_TIMEOUT: Duration = Duration::from_secs(2);

/// Nobody who could be asked is known, or nobody answered.
const NOBODY: SubmitError = SubmitError::NotController { leader: None };

/// Asks the active controller for changes.
pub(crate) struct ControllerClient {
    controller: Arc<Controller>,
    /// The way to other controllers, for a node that has any.
    links: Option<Arc<PeerLinks>>,
}

impl ControllerClient {
    pub(crate) fn new(controller: Arc<Controller>, links: Option<Arc<PeerLinks>>) -> Self {
        Self { controller, links }
    }

    /// Whether this node is a cluster by itself.
    pub(crate) fn is_alone(&self) -> bool {
        self.links.is_none()
    }

    /// Asks for a change. The answer comes after the change is durable, applied and published.
    ///
    /// Dropping the future does not withdraw the request.
    pub(crate) async fn submit(
        &self,
        request: impl Into<ControllerRequest>,
    ) -> Result<ControllerResponse, SubmitError> {
        self.submit_by(request.into(), Instant::now() + DEFAULT_TIMEOUT).await
    }

    /// [`ControllerClient::submit`], tried until `deadline`.
    pub(crate) async fn submit_by(
        &self,
        request: ControllerRequest,
        deadline: Instant,
    ) -> Result<ControllerResponse, SubmitError> {
        // What a broker asks for itself it need not see first: one that is behind is heard all the same.
        let is_seen = lane(&request) == Lane::Changes;
        self.submit_until(request, deadline, is_seen).await
    }

    /// [`ControllerClient::submit`] of what a broker asks for itself; answered once the metadata that the active controller answered by are
    /// applied here, if they are to be seen.
    pub(crate) async fn submit_for_itself(
        &self,
        request: ControllerRequest,
        is_seen: bool,
    ) -> Result<ControllerResponse, SubmitError> {
        self.submit_until(request, Instant::now() + DEFAULT_TIMEOUT, is_seen).await
    }

    async fn submit_until(
        &self,
        request: ControllerRequest,
        deadline: Instant,
        is_seen: bool,
    ) -> Result<ControllerResponse, SubmitError> {
        let Some(links) = &self.links else { return self.controller.submit(request).await };
        let mut forwarding = Forwarding { lane: lane(&request), request, body: None };
        loop {
            let active = self.controller.active_controller();
            let attempt = async {
                match active {
                    Some(active) if active != self.controller.node_id() => {
                        tokio::select! {
                            // An answer that is there counts, whoever leads by now.
                            biased;
                            answer = self.forward(links, &mut forwarding, deadline) => answer,
                            // Whoever was asked may be gone for good, and somebody else is there to be asked.
                            () = self.controller.active_controller_other_than(Some(active)) => Err(NOBODY),
                        }
                    }
                    None if self.controller.failure().is_none() => Err(NOBODY),
                    // This node's own controller answers in a bounded time, and is not asked twice before it has.
                    _ => self.controller.submit(forwarding.request.clone()).await.map(|response| (response, None)),
                }
            };
            let outcome = timeout_at(deadline, attempt).await.unwrap_or(Err(SubmitError::TimedOut));
            match outcome {
                Err(SubmitError::NotController { .. }) => {}
                Err(error) => return Err(error),
                Ok((response, applied)) => {
                    if let Some(applied) = applied.filter(|_| is_seen) {
                        self.until_visible(applied).await;
                    }
                    return Ok(response);
                }
            }
            let pause = async {
                tokio::select! {
                    () = self.controller.active_controller_other_than(active) => {}
                    () = sleep(RETRY_INTERVAL) => {}
                }
            };
            timeout_at(deadline, pause).await.map_err(|_| SubmitError::TimedOut)?;
        }
    }

    /// Waits until a change that was made elsewhere can be seen here.
    async fn until_visible(&self, applied: Offset) {
        let visible = self.controller.until_applied(applied);
        if tokio::time::timeout(VISIBLE_TIMEOUT, visible).await.is_err() {
            tracing::warn!(offset = applied.get(), "a change was made and is not yet visible on this node");
        }
    }

    /// Asks the active controller something of the quorum itself; tried until `deadline`.
    pub(crate) async fn ask(&self, request: QuorumRequest, deadline: Instant) -> Result<QuorumResponse, SubmitError> {
        loop {
            let attempt = async {
                match (self.controller.active_controller(), &self.links) {
                    (Some(active), Some(links)) if active != self.controller.node_id() => {
                        self.forward_question(links, request.clone(), deadline).await
                    }
                    _ => self.controller.ask(request.clone()).await,
                }
            };
            match timeout_at(deadline, attempt).await.unwrap_or(Err(SubmitError::TimedOut)) {
                Err(SubmitError::NotController { .. }) => {}
                outcome => return outcome,
            }
            timeout_at(deadline, sleep(RETRY_INTERVAL)).await.map_err(|_| SubmitError::TimedOut)?;
        }
    }

    async fn forward_question(
        &self,
        links: &Arc<PeerLinks>,
        request: QuorumRequest,
        deadline: Instant,
    ) -> Result<QuorumResponse, SubmitError> {
        let cluster_id = Arc::clone(self.controller.cluster_id());
        let body = ForwardedQuorumRequest { cluster_id, request }.encode();
        let answer = self.call_active(links, Lane::Changes, PrivateApi::Quorum, body, deadline).await?;
        match QuorumOutcome::decode(&answer) {
            Ok(QuorumOutcome::Done(response)) => Ok(response),
            Ok(QuorumOutcome::Refused(refusal)) => Err(refusal.into()),
            Err(error) => Err(useless(&error)),
        }
    }

    /// Sends the request to the active controller; the answer, and from where on in the metadata it is visible.
    async fn forward(
        &self,
        links: &Arc<PeerLinks>,
        forwarding: &mut Forwarding,
        deadline: Instant,
    ) -> Result<(ControllerResponse, Option<Offset>), SubmitError> {
        let body = forwarding.body(self.controller.cluster_id());
        let answer = self.call_active(links, forwarding.lane, PrivateApi::Submit, body, deadline).await?;
        match ForwardedOutcome::decode(&answer) {
            Ok(ForwardedOutcome::Done { applied, response }) => Ok((response, Some(applied))),
            Ok(ForwardedOutcome::Refused(refusal)) => Err(refusal.into()),
            Err(error) => Err(useless(&error)),
        }
    }

    async fn call_active(
        &self,
        links: &Arc<PeerLinks>,
        lane: Lane,
        api: PrivateApi,
        body: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, SubmitError> {
        let address = self.controller.active_controller_address().ok_or(NOBODY)?;
        let endpoint = address.endpoints.first().cloned().ok_or(NOBODY)?;
        let timeout = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT_TIMEOUT);
        let answer = links.call_on(self.controller.runtime(), endpoint, lane, api, body, timeout).await;
        answer.map_err(|error| {
            tracing::debug!(%address, %error, "the active controller did not answer");
            NOBODY
        })
    }
}

fn useless(error: &ForwardDecodeError) -> SubmitError {
    SubmitError::Undecidable(format!("the answer of the active controller is of no use: {error}"))
}

/// A request on its way to another node.
struct Forwarding {
    request: ControllerRequest,
    lane: Lane,
    /// Written once, however often it is sent.
    body: Option<Bytes>,
}

impl Forwarding {
    fn body(&mut self, cluster_id: &Arc<str>) -> Bytes {
        let request = &self.request;
        let encode = || ForwardedRequest { cluster_id: Arc::clone(cluster_id), request: request.clone() }.encode();
        self.body.get_or_insert_with(encode).clone()
    }
}

/// What a broker asks for itself never waits behind a client's change that takes long.
fn lane(request: &ControllerRequest) -> Lane {
    match request {
        ControllerRequest::RegisterBroker(_)
        | ControllerRequest::BrokerHeartbeat(_)
        | ControllerRequest::AlterPartition(_)
        | ControllerRequest::AssignReplicasToDirs(_)
        | ControllerRequest::AllocateProducerIds(_)
        | ControllerRequest::ReportLogs(_) => Lane::Life,
        _ => Lane::Changes,
    }
}
