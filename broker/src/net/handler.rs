//! What the network asks of the layer above it.
//!
//! Two stages, as in Redpanda's request handling: [`Handler::dispatch`] is the ordered stage, run synchronously while the
//! frame arrives; what it cannot answer at once it returns as a future, the waiting stage. Futures of one connection
//! are polled by that connection's task alone, on one thread, so they need not be `Send`.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use super::context::ConnectionContext;
use super::frame::Frame;
use super::response::Response;

/// The waiting stage of a request: resolves to the response. Dropped unresolved when the connection dies first.
pub type WaitingResponse = Pin<Box<dyn Future<Output = Response>>>;

/// What became of a request in its ordered stage.
pub enum Dispatch {
    /// Answered already.
    Ready(Response),
    /// To be answered later. Later requests of the connection still run their ordered stage; their answers wait for this one.
    Waiting(WaitingResponse),
    /// Never answered (Produce with `acks=0`).
    None,
    /// Not answerable: the connection closes after the answers before this request have left.
    Close,
}

impl fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dispatch::Ready(response) => f.debug_tuple("Ready").field(response).finish(),
            Dispatch::Waiting(_) => f.write_str("Waiting"),
            Dispatch::None => f.write_str("None"),
            Dispatch::Close => f.write_str("Close"),
        }
    }
}

/// The request side of the broker, shared by every network thread.
pub trait Handler: Send + Sync + 'static {
    /// The ordered stage of one request: called in arrival order for each connection, on the connection's thread.
    ///
    /// `frame` is the request without its four length bytes. It must not block, and may run for as long as an append to
    /// the page cache takes. The context may be kept (`Rc::clone`) by a waiting response.
    fn dispatch(&self, connection: &Rc<ConnectionContext>, frame: Frame) -> Dispatch;

    /// A connection is gone; its waiting responses have been dropped.
    fn disconnected(&self, _connection: &ConnectionContext) {}

    /// Shutdown begins: every waiting response should resolve at once (parked fetches with what they have).
    /// Called once, from the thread that shuts the network down.
    fn shutting_down(&self) {}
}
