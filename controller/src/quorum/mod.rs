//! The Raft quorum that makes metadata durable.
