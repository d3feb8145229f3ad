//! One connection to one controller listener, dialled when it is needed.
//!
//! Owns when it is dialled: by the first call that finds none, for all who wait at once, and not again before a pause that
//! doubles while dials fail. A dial goes on when who asked for it has given up, so that short deadlines cannot keep a slow
//! one from ever succeeding.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_controller::quorum::PeerError;
use weir_protocol::client::{Address, ClientConfig, ClientError, Connection};

/// The first pause after a failed dial.
const FIRST_PAUSE: Duration = Duration::from_millis(25);

/// The longest: a peer that returns is found again within this.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(200);

type Dialled = Option<Result<Connection, PeerError>>;

/// A connection that is made when it is needed. Clones share it.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    config: ClientConfig,
    state: Mutex<State>,
}

enum State {
    /// There is none. After a failure: why, and when to try again.
    Idle(Option<Failure>),
    /// It is being made, since a while by this pause's measure.
    Dialling(watch::Receiver<Dialled>, Duration),
    Open(Connection),
}

#[derive(Clone)]
struct Failure {
    error: PeerError,
    pause: Duration,
    until: Instant,
}

impl Link {
    pub(super) fn new(address: Address, config: ClientConfig) -> Self {
        Self { shared: Arc::new(Shared { address, config, state: Mutex::new(State::Idle(None)) }) }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(&*self.shared.state.lock(), State::Open(connection) if !connection.is_closed())
    }

    /// The connection, new if need be. Must be called on the runtime that shall drive it.
    pub(super) async fn connection(&self) -> Result<Connection, PeerError> {
        let mut dialled = match self.shared.open_or_dial() {
            Step::Open(connection) => return Ok(connection),
            Step::Pausing(error) => return Err(error),
            Step::Dialling(dialled) => dialled,
        };
        let outcome = dialled.wait_for(Option::is_some).await;
        let gone = || PeerError::Unreachable("the node is stopping".to_owned());
        outcome.ok().and_then(|outcome| outcome.clone()).unwrap_or_else(|| Err(gone()))
    }
}

enum Step {
    Open(Connection),
    Pausing(PeerError),
    Dialling(watch::Receiver<Dialled>),
}

impl Shared {
    fn open_or_dial(self: &Arc<Self>) -> Step {
        let mut state = self.state.lock();
        let pause = match &*state {
            State::Open(connection) if !connection.is_closed() => return Step::Open(connection.clone()),
            // One that worked and broke is replaced at once.
            State::Open(_) | State::Idle(None) => FIRST_PAUSE,
            State::Idle(Some(failure)) if Instant::now() < failure.until => {
                return Step::Pausing(failure.error.clone());
            }
            State::Idle(Some(failure)) => (failure.pause * 2).min(LONGEST_PAUSE),
            State::Dialling(dialled, _) if dialled.has_changed().is_ok() => return Step::Dialling(dialled.clone()),
            // Its task ended with the runtime it ran on.
            State::Dialling(_, pause) => *pause,
        };
        let (tell, dialled) = watch::channel(None);
        *state = State::Dialling(dialled.clone(), pause);
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = shared.dial(pause).await;
            // Who waited may have given up.
            let _ = tell.send(Some(outcome));
        });
        Step::Dialling(dialled)
    }

    async fn dial(&self, pause: Duration) -> Result<Connection, PeerError> {
        let outcome = Connection::connect_with(self.address.clone(), &self.config).await.map_err(|error| why(&error));
        *self.state.lock() = match &outcome {
            Ok(connection) => State::Open(connection.clone()),
            Err(error) => State::Idle(Some(Failure { error: error.clone(), pause, until: Instant::now() + pause })),
        };
        outcome
    }
}

fn why(error: &ClientError) -> PeerError {
    match error {
        ClientError::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => PeerError::Refused,
        ClientError::Tls { source, .. } => PeerError::TurnedAway(format!("TLS handshake failed: {source}")),
        ClientError::ConnectTimeout { .. } => PeerError::TimedOut,
        other => PeerError::Unreachable(other.to_string()),
    }
}
