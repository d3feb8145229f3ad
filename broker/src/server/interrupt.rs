//! Calls a start off: one that waits for the metadata quorum or for its registration ends at once.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;
use weir_controller::quorum::StartAbort;

/// Calls a start off from another thread. Clones call off the same one.
#[derive(Clone, Default)]
pub struct StartInterrupt {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Default)]
struct State {
    interrupted: bool,
    waits_for_quorum: Option<StartAbort>,
}

impl StartInterrupt {
    /// Calls the start off; nothing happens to a broker that is up.
    pub fn interrupt(&self) {
        let mut state = self.shared.state.lock();
        state.interrupted = true;
        if let Some(abort) = state.waits_for_quorum.take() {
            abort.abort();
        }
        self.shared.notify.notify_one();
    }

    /// Whether the start has been called off.
    pub fn is_interrupted(&self) -> bool {
        self.shared.state.lock().interrupted
    }

    /// From now on an interruption aborts the wait for the quorum.
    pub(super) fn abort_with(&self, abort: StartAbort) {
        let mut state = self.shared.state.lock();
        if state.interrupted {
            abort.abort();
        }
        state.waits_for_quorum = Some(abort);
    }

    /// The wait for the quorum is over.
    pub(super) fn quorum_found(&self) {
        self.shared.state.lock().waits_for_quorum = None;
    }

    /// Resolves once the start is called off. For one waiter at a time.
    pub(crate) async fn interrupted(&self) {
        while !self.is_interrupted() {
            self.shared.notify.notified().await;
        }
    }
}

impl std::fmt::Debug for StartInterrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StartInterrupt").field("interrupted", &self.is_interrupted()).finish_non_exhaustive()
    }
}
