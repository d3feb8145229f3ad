//! A small async Kafka client: what tests, the command line and replication need, and no more.
//!
//! ```text
//! Producer  Consumer  Admin       what people ask for
//!        \     |     /
//!         Client                  bootstrap, metadata, who leads what, retries
//!           |
//!        Connection               one socket: pipelining, correlation ids, timeouts, versions
//! ```
//!
//! A [`SerialConnection`] is for one who asks one thing after the other and wants large answers: it has no task of its own, and receives
//! into one buffer over and over.
//!
//! A [`Connection`] decides nothing: one request, one answer or one error. A [`Client`] finds the broker that must answer
//! and retries what Kafka calls retriable, a bounded number of times. Every error names the address, the API and, where
//! there is something to do, what.
//!
//! Never joins a consumer group (the coordinator's own tests use real clients for that), and never decodes what a broker
//! sends beyond the configured frame limit; within that limit every answer is walked before it is decoded
//! ([`crate::response::decode`]), so that what listens there can neither crash the client nor make it allocate without end.

mod address;
mod admin;
mod cluster;
mod config;
mod connection;
mod consumer;
mod eligible_leaders;
mod error;
mod log_dirs;
mod metadata;
mod offsets;
mod partitioner;
mod placement;
mod produce;
mod producer;
mod quorum;
mod retry;
mod serial;
mod tls;
mod versions;
mod visible;

pub use address::{Address, InvalidAddress};
pub use admin::{Admin, ConfigChange, ConfigResource, NewTopic, PerItem, Target};
pub use cluster::{Client, CoordinatorKind};
pub use config::ClientConfig;
pub use connection::{Connection, PrivateCallError};
pub use consumer::{Consumer, ConsumerConfig, PolledRecords};
pub use eligible_leaders::EligibleLeaders;
pub use error::ClientError;
pub use log_dirs::{LogDir, ReplicaLog};
pub use metadata::{BrokerMetadata, Metadata, PartitionMetadata, TopicMetadata};
pub use offsets::{Isolation, ListedOffset, OffsetSpec};
pub use partitioner::{murmur2, partition_for_key};
pub use placement::{Election, Move};
pub use producer::{Acks, Delivery, NewRecord, Producer, ProducerConfig};
pub use serial::SerialConnection;
pub use tls::{ClientIdentity, TlsConfig, TlsConfigError};
pub use versions::BrokerVersions;
