//! The metadata quorum over the network: the sockets between this node's controller and the others.
//!
//! | file | owns |
//! |---|---|
//! | `links` | connections to other controllers' listeners: one for each endpoint and kind of traffic |
//! | `link` | one of them: dialled when needed, again after a while when that failed |
//! | `transport` | calls between members of the quorum, over links |
//! | `listener` | what a controller listener answers |
//! | `session_calls` | calls to members that nobody can dial, which they come and take |
//! | `session` | the other end of that: a member that takes and answers calls |
//!
//! Nothing here decides: what calls mean is the controller's, in `weir_controller::quorum`. Nothing here runs on the threads
//! that serve data: links live on the controller's runtime, controller listeners have a network thread of their own.

mod link;
mod links;
mod listener;
mod session;
mod session_calls;
mod transport;

pub(crate) use links::{Lane, PeerLinks};
pub(crate) use listener::ControllerListener;
pub(crate) use session::Sessions;
pub(crate) use session_calls::SessionCalls;
pub(crate) use transport::TcpPeerTransport;
