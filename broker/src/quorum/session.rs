//! A member that nobody can dial takes its calls itself: it keeps a session open to every controller it knows.
//!
//! To every one and not to the active one alone, so that the next active controller reaches it without being found first.

use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use weir_controller::quorum::{Controller, ControllerEndpoint, PeerError, PeerService, RaftNodeId};
use weir_protocol::private_api::PrivateApi;

use super::links::{Lane, PeerLinks};
use super::session_calls::{TAKE_PATIENCE, TakeCall, TakenCall};

/// Requests that are open at one controller, so that a snapshot does not hold up a heartbeat.
const TAKERS: usize = 3;

/// How long a request may be without an answer before the controller counts as gone.
const TAKE_TIMEOUT: Duration = TAKE_PATIENCE.saturating_add(Duration::from_secs(3));

/// How soon a controller that was gone is asked again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// How often it is looked whether there are more controllers.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Sessions with controllers. All of them live on the controller's runtime, and end with it.
pub(crate) struct Sessions {
    member: RaftNodeId,
    links: Arc<PeerLinks>,
    service: PeerService,
    open: Mutex<BTreeSet<(String, u16)>>,
}

impl Sessions {
    pub(crate) fn new(member: RaftNodeId, links: Arc<PeerLinks>, service: PeerService) -> Arc<Self> {
        Arc::new(Self { member, links, service, open: Mutex::default() })
    }

    /// Opens sessions with whoever listens at those endpoints and has none yet. Must be called on the controller's runtime.
    pub(crate) fn open(self: &Arc<Self>, endpoints: impl IntoIterator<Item = ControllerEndpoint>) {
        for endpoint in endpoints {
            if !self.open.lock().insert((endpoint.host.clone(), endpoint.port)) {
                continue;
            }
            for _ in 0..TAKERS {
                let (sessions, endpoint) = (Arc::clone(self), endpoint.clone());
                tokio::spawn(async move { sessions.serve(&endpoint).await });
            }
        }
    }

    /// Opens sessions with controllers that join later, while `controller` runs.
    pub(crate) async fn follow(self: Arc<Self>, controller: Weak<Controller>) {
        while let Some(controller) = controller.upgrade() {
            let quorum = controller.describe_quorum();
            drop(controller);
            self.open(quorum.replicas.into_iter().filter_map(|replica| replica.endpoints.into_iter().next()));
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn serve(&self, endpoint: &ControllerEndpoint) {
        let mut answered = None;
        loop {
            match self.take(endpoint, answered.take()).await {
                Ok(Some(call)) => answered = Some((call.id, self.service.answer(call.kind, call.body).await)),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%endpoint, %error, "no session with a controller");
                    tokio::time::sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    async fn take(
        &self,
        endpoint: &ControllerEndpoint,
        answered: Option<(i64, bytes::Bytes)>,
    ) -> Result<Option<TakenCall>, PeerError> {
        let request = TakeCall { member: self.member, answered }.encode();
        let taken = self.links.call(endpoint, Lane::Session, PrivateApi::TakeCall, &request, TAKE_TIMEOUT).await?;
        TakenCall::decode(taken).map_err(PeerError::TurnedAway)
    }
}
