//! The group coordinator: one module per transition of the pure core, under virtual time; then the shell, and a model
//! that random operations are checked against.

mod commit_offsets;
mod cut_off;
mod delete;
mod describe_and_list;
mod expiry;
mod fake_broker;
mod fetch_offsets;
mod harness;
mod heartbeat;
mod join;
mod leave;
mod loading;
mod model;
mod rebalance;
mod shell;
mod static_members;
mod sync;
