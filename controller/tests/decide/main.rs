//! Decisions: literal states, one request, then records, answer and the state that results.

mod allocate_producer_ids;
mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod assign_replicas_to_dirs;
mod broker_heartbeat;
mod cluster;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod elect_leaders;
mod eligible_leaders;
mod fence_broker;
mod form_cluster;
mod incremental_alter_configs;
mod internal_replication;
mod invariants;
mod many_topics;
mod placement;
mod preferred_leaders;
mod register_broker;
mod report_logs;
mod unregister_broker;
mod update_features;
