//! Cluster metadata: records, image, decisions, and the Raft quorum that makes them durable.

pub mod balance;
pub mod decide;
pub mod forward;
pub mod image;
pub mod liveness;
pub mod quorum;
pub mod record;
pub mod zones;
