//! Listeners, transports and pipelined connections: everything between a socket and a [`Handler`].
//!
//! Owns sockets, frames, buffers, the order of answers, and the bounds on all of them. Never looks inside a frame beyond
//! its length: it knows no Kafka API. A request enters the handler as a [`Frame`], in the order it arrived and on the
//! thread its connection is pinned to; its [`Response`] leaves in that order too (Kafka's `SocketServer` and
//! `RequestChannel`, without the channel).
//!
//! ```text
//!  acceptor (per listener) --> network thread (one of num.network.threads) --> connection (one task each)
//!                                                                               |  receive: transport, frame_reader
//!                                                                               |  dispatch: Handler
//!                                                                               |  order: answers
//!                                                                               |  send: outbox, transport
//! ```

mod acceptor;
mod answers;
mod buffer_pool;
mod cold_read;
mod config;
mod connection;
mod connection_quota;
mod context;
mod creation_rate;
mod frame;
mod frame_reader;
mod handler;
mod listener;
mod memory_budget;
mod metrics;
mod network_thread;
mod open_files;
mod open_sockets;
mod outbox;
mod placement;
mod port_holder;
mod response;
mod scratch;
mod server;
mod thread_load;
mod threads;
mod tls_config;
mod transport;

pub use config::{ListenerConfig, ListenerSecurity, NetworkConfig};
pub use connection_quota::{ConnectionLimits, ConnectionQuota};
pub use context::{ClientSoftware, ConnectionContext, SecurityProtocol};
pub use frame::{Frame, FrameShared};
pub use handler::{Dispatch, Handler, WaitingResponse};
pub use listener::BindError;
pub use metrics::{ListenerMetrics, NetworkMetrics, NetworkThreadMetrics};
pub use response::{Chunk, FileSlice, Response};
pub use server::{BoundNetwork, Network, SHUTDOWN_BOUND};
pub use threads::SuperviseThreads;
pub use tls_config::{ClientAuth, TlsConfigError, TlsServerConfig, TlsSettings};
