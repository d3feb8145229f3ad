//! What a controller listener answers: calls of the quorum's members, changes that other nodes forward, and administrators.
//!
//! It answers members as soon as the quorum's log is open, long before this node leads or follows, for they must be
//! answered for it to become either; what is forwarded it takes once the controller is ready, and administrators (KIP-919) once the node
//! is. Anything else closes the connection. Who asks has been let in by the listener; what they send is not trusted any further than that.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes};
use parking_lot::Mutex;
use uuid::Uuid;
use weir_controller::decide::ControllerRequest;
use weir_controller::forward::{
    ForwardRefusal, ForwardedOutcome, ForwardedQuorumRequest, ForwardedRequest, QuorumOutcome,
};
use weir_controller::quorum::{Controller, PeerRpcKind, PeerService};
use weir_protocol::ids::{BrokerId, Offset};
use weir_protocol::private_api::{self, PrivateApi, PrivateRequest};

use super::session_calls::{SessionCalls, TakeCall};
use crate::api::ControllerApis;
use crate::net::{Chunk, ConnectionContext, Dispatch, Frame, Handler, Response};

/// The version of every private API so far.
const VERSION: i16 = 0;

/// Answers on controller listeners.
pub(crate) struct ControllerListener {
    service: PeerService,
    session_calls: Arc<SessionCalls>,
    /// Once it is ready.
    controller: OnceLock<Arc<Controller>>,
    /// For administrators, once the node is ready.
    apis: OnceLock<ControllerApis>,
    sessions: Sessions,
}

/// Which broker's process is heard over which connection: the last that registered or was heartbeating there.
#[derive(Default)]
struct Sessions(Mutex<HashMap<u64, (BrokerId, Uuid)>>);

impl Sessions {
    /// A sign of life came over a connection.
    fn heard(&self, controller: &Controller, connection: u64, request: &ControllerRequest) {
        let image = controller.image();
        let process = match request {
            ControllerRequest::RegisterBroker(request) => Some((request.broker, request.incarnation_id)),
            ControllerRequest::BrokerHeartbeat(request) => image
                .broker(request.broker)
                .filter(|registered| registered.epoch == request.broker_epoch)
                .map(|registered| (registered.id, registered.incarnation_id)),
            _ => None,
        };
        let Some(process) = process else { return };
        let before = self.0.lock().insert(connection, process);
        if before == Some(process) {
            return;
        }
        controller.broker_session_opened(process.0, process.1);
        if let Some((broker, incarnation)) = before {
            controller.broker_session_closed(broker, incarnation);
        }
    }
}

impl ControllerListener {
    pub(crate) fn new(service: PeerService, session_calls: Arc<SessionCalls>) -> Self {
        Self {
            service,
            session_calls,
            controller: OnceLock::new(),
            apis: OnceLock::new(),
            sessions: Sessions::default(),
        }
    }

    /// From now on changes are taken.
    pub(crate) fn set_controller(&self, controller: Arc<Controller>) {
        // Called once, by the server that made both.
        let _ = self.controller.set(controller);
    }

    /// From now on administrators are answered.
    pub(crate) fn set_apis(&self, apis: ControllerApis) {
        // Called once, by the server that made both.
        let _ = self.apis.set(apis);
    }

    fn answer(&self, connection: u64, request: PrivateRequest) -> Result<Dispatch, String> {
        if request.version != VERSION {
            return Err(format!("version {} of {:?} is not spoken here", request.version, request.api));
        }
        let correlation_id = request.correlation_id;
        match request.api {
            PrivateApi::PeerCall => {
                let mut body = request.body;
                if body.len() < size_of::<i16>() {
                    return Err("a call of the quorum names no kind".to_owned());
                }
                let number = body.get_i16();
                let kind = PeerRpcKind::from_number(number);
                let kind = kind.ok_or_else(|| format!("a call of the quorum is of unknown kind {number}"))?;
                let answer = self.service.answer(kind, body);
                Ok(Dispatch::Waiting(Box::pin(async move { reply(correlation_id, answer.await) })))
            }
            PrivateApi::Submit => {
                let outcome = self.submit(connection, &request.body);
                Ok(Dispatch::Waiting(Box::pin(async move { reply(correlation_id, outcome.await.encode()) })))
            }
            PrivateApi::TakeCall => {
                let request = TakeCall::decode(request.body).ok_or("a member takes no call that way")?;
                let taken = Arc::clone(&self.session_calls).take(request);
                Ok(Dispatch::Waiting(Box::pin(async move { reply(correlation_id, taken.await) })))
            }
            PrivateApi::Quorum => {
                let outcome = self.ask(&request.body);
                Ok(Dispatch::Waiting(Box::pin(async move { reply(correlation_id, outcome.await.encode()) })))
            }
        }
    }
}

impl ControllerListener {
    /// Has a forwarded change made. Read on the connection's thread, so that a large one does not hold up the quorum.
    fn submit(&self, connection: u64, body: &[u8]) -> impl Future<Output = ForwardedOutcome> + use<> {
        let taken = self.take(connection, body);
        async move {
            let (controller, request) = match taken {
                Ok(taken) => taken,
                Err(refusal) => return ForwardedOutcome::Refused(refusal),
            };
            match controller.submit(request).await {
                Ok(response) => {
                    let applied = controller.image().applied().map_or(Offset(-1), |applied| applied.offset);
                    ForwardedOutcome::Done { applied, response }
                }
                Err(error) => ForwardedOutcome::Refused(error.into()),
            }
        }
    }

    fn take(&self, connection: u64, body: &[u8]) -> Result<(Arc<Controller>, ControllerRequest), ForwardRefusal> {
        let forwarded =
            ForwardedRequest::decode(body).map_err(|error| ForwardRefusal::Unreadable(error.to_string()))?;
        let controller = self.controller_of(&forwarded.cluster_id)?;
        self.sessions.heard(controller, connection, &forwarded.request);
        Ok((Arc::clone(controller), forwarded.request))
    }

    /// Answers what concerns the quorum itself.
    fn ask(&self, body: &[u8]) -> impl Future<Output = QuorumOutcome> + use<> {
        let taken = ForwardedQuorumRequest::decode(body).map_err(|error| ForwardRefusal::Unreadable(error.to_string()));
        let asked = taken.and_then(|asked| Ok(self.controller_of(&asked.cluster_id)?.ask(asked.request)));
        async move {
            match asked {
                Err(refusal) => QuorumOutcome::Refused(refusal),
                Ok(asked) => asked.await.map_or_else(|error| QuorumOutcome::Refused(error.into()), QuorumOutcome::Done),
            }
        }
    }

    /// The controller, if it is ready and the request is of its cluster.
    fn controller_of(&self, cluster_id: &Arc<str>) -> Result<&Arc<Controller>, ForwardRefusal> {
        let controller = self.controller.get().ok_or(ForwardRefusal::NotController)?;
        let own = controller.cluster_id();
        if own != cluster_id {
            let reason = format!("the request is of cluster {cluster_id}, and this is cluster {own}");
            return Err(ForwardRefusal::Unreadable(reason));
        }
        Ok(controller)
    }
}

impl Handler for ControllerListener {
    fn dispatch(&self, connection: &Rc<ConnectionContext>, mut frame: Frame) -> Dispatch {
        let answered = match (private_api::is_private(frame.as_slice()), self.apis.get()) {
            (true, _) => private_api::decode(frame.share())
                .map_err(|error| error.to_string())
                .and_then(|request| self.answer(connection.id, request)),
            (false, Some(apis)) => return apis.dispatch(connection, frame),
            (false, None) => Err("this node is not ready for administrators".to_owned()),
        };
        answered.unwrap_or_else(|reason| {
            tracing::warn!(peer = %connection.peer_address, %reason, "a request to the controller was refused; the connection is closed");
            Dispatch::Close
        })
    }

    fn disconnected(&self, connection: &ConnectionContext) {
        let heard = self.sessions.0.lock().remove(&connection.id);
        if let (Some((broker, incarnation)), Some(controller)) = (heard, self.controller.get()) {
            controller.broker_session_closed(broker, incarnation);
        }
    }
}

fn reply(correlation_id: i32, body: Bytes) -> Response {
    match private_api::answer_head(correlation_id, body.len()) {
        Some(head) => [Chunk::Bytes(head), Chunk::Bytes(body)].into_iter().collect(),
        None => Response::close(),
    }
}
