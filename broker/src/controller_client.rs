//! Where every change of the metadata goes: to the active controller, wherever it is.
//!
//! Owns the way there, and nothing that decides. Whoever asks is answered once the change is durable, applied and
//! published, or learns that nobody could be asked in time.

use std::sync::Arc;

use weir_controller::decide::{ControllerRequest, ControllerResponse};
use weir_controller::quorum::{Controller, SubmitError};

/// Asks the active controller for changes.
pub(crate) struct ControllerClient {
    controller: Arc<Controller>,
}

impl ControllerClient {
    pub(crate) fn new(controller: Arc<Controller>) -> Self {
        Self { controller }
    }

    /// Asks for a change. The answer comes after the change is durable, applied and published.
    ///
    /// Dropping the future does not withdraw the request.
    pub(crate) async fn submit(
        &self,
        request: impl Into<ControllerRequest>,
    ) -> Result<ControllerResponse, SubmitError> {
        self.controller.submit(request.into()).await
    }
}
