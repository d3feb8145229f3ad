//! The server: listeners, one file per API, partitions, coordinators, metrics.

pub mod api;
pub mod config;
pub mod group;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod partition;
pub mod purgatory;
pub mod server;
