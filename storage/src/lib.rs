//! One partition's log and a disk full of them: synchronous, no async runtime, no Kafka API.

pub mod checkpoint;
pub mod config;
pub mod context;
#[cfg(test)]
mod faults;
pub mod file_cache;
pub mod identity;
mod index_file;
pub mod leader_epoch_cache;
pub mod log;
pub mod manager;
pub mod offset_index;
pub mod producer_state;
pub mod segment;
mod stall;
pub mod time_index;
pub mod transaction_index;
