//! One file per API: decode, act, reply.
//!
//! [`Apis`] is the network's handler; what administrators ask needs no broker (`Call<Administration>`), and is answered on controller
//! listeners too. A request's ordered stage runs in `Handler::dispatch`; what has to wait (a fetch
//! for records, a change for its commit) goes on as a future, and the network keeps the answers in order. An API that is
//! not in `registry` is not advertised, and asking for it closes the connection, as in Kafka.

mod alter_configs;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod call;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod describe_configs;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod dispatch;
mod elect_leaders;
mod fetch;
mod find_coordinator;
mod groups;
mod init_producer_id;
mod leaders;
mod list_config_resources;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod operations;
mod produce;
mod produced_batch;
mod raft_voters;
mod registry;
mod topics;
mod unregister_broker;
mod update_features;
mod wire;

pub use call::{Call, now_ms};
pub use dispatch::Apis;
pub(crate) use dispatch::ControllerApis;
pub use registry::ListenerKind;
