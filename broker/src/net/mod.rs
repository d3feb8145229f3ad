//! Listeners, transports and pipelined connections: everything between a socket and a [`Handler`].
//!
//! Owns sockets, frames, buffers, the order of answers, and the bounds on all of them. Never looks inside a frame beyond
//! its length: it knows no Kafka API. A request enters the handler as a [`Frame`], in the order it arrived and on the
//! thread its connection is pinned to; its [`Response`] leaves in that order too (Kafka's `SocketServer` and
//! `RequestChannel`, without the channel).

mod buffer_pool;
mod config;
mod context;
mod frame;
mod handler;
mod metrics;
mod response;
mod tls_config;

pub use config::{ListenerConfig, ListenerSecurity, NetworkConfig};
pub use context::{ClientSoftware, ConnectionContext, SecurityProtocol};
pub use frame::{Frame, FrameShared};
pub use handler::{Dispatch, Handler, WaitingResponse};
pub use metrics::{ListenerMetrics, NetworkMetrics, NetworkThreadMetrics};
pub use response::{Chunk, FileSlice, Response};
pub use tls_config::{ClientAuth, TlsConfigError, TlsServerConfig};
