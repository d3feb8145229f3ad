//! What crosses crates: real clients, clusters, faults, benchmarks.
//!
//! Owns the harness that starts brokers as processes (`weir` itself and Apache Kafka as the reference), the comparison of
//! what a client saw at each, and certificates for tests. It never links the broker: what is tested is the binary.

pub mod apache_kafka;
pub mod bad_batches;
pub mod certificates;
pub mod clients;
pub mod cluster;
pub mod disk;
pub mod gaps;
pub mod group_load;
pub mod handles;
pub mod ledger;
pub mod load;
pub mod network;
pub mod paths;
pub mod ports;
mod power;
pub mod process;
pub mod readiness;
pub mod usage;
pub mod verdict;
pub mod verifiable;
pub mod verified_load;
pub mod weir;
pub mod wire;
