//! Which brokers live: sessions, deadlines, and the difference between the dead and the silent.
//!
//! Owns [`Liveness`], a pure core: time is an argument, dials are asked for and their outcomes told. It never fences a
//! broker itself; it says who is to be fenced and why. It answers to Kafka's `BrokerHeartbeatManager`, and goes further:
//!
//! - A broker that was not heard for the session timeout is silent, and is fenced at its deadline.
//! - A broker is dead, and fenced at once, when the connection over which it was heard has closed *and* two dials to its
//!   listener within [`DEATH_WINDOW`] were refused. Dials that time out, find no way or no free handle never count: they say
//!   something of the network or of this node.
//! - Who comes to lead gives every broker that serves a full session, and dials each at once: the former active controller
//!   may have known of deaths that it could tell nobody. The former controller's own silence counts from when it was last
//!   heard as that: it is the same process that would have been heard.
//! - A controller that was itself held up for half a session gives everybody a full session before it fences anyone.
//!   No two machines' clocks are ever compared.
//! - While nobody can be fenced, for the controller has lost its majority, nobody is dialled, and nobody's silence counts.

mod probe;
mod sessions;

pub(crate) use probe::Probe;
pub use probe::{DEATH_WINDOW, DialOutcome};
pub use sessions::{Actions, Dial, Fencing, FencingReason, Liveness};
