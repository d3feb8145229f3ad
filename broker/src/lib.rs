//! The server: listeners, one file per API, partitions, coordinators, metrics.

pub mod administration;
pub mod alarm;
pub mod api;
pub mod broker;
pub mod config;
mod controller_client;
mod departures;
pub mod fetch_session;
pub mod group;
mod group_log;
pub mod http;
#[cfg(test)]
mod kernel_thread;
mod lifecycle;
mod log_dir_moves;
pub mod logging;
pub mod metrics;
pub mod net;
pub mod partition;
pub mod producer_ids;
mod publisher;
pub mod purgatory;
mod quorum;
mod replicas;
pub mod replication;
pub mod server;
