//! Carrying out moves of replicas: some at a time, throttled where that is wished, watched to their end.
//!
//! Everything goes through Kafka's own requests, so what is under way here is seen, and can be called off, with any tool.

mod mover;
mod options;
mod throttle;

pub(crate) use mover::Mover;
pub(crate) use options::MoveOptions;
pub(crate) use throttle::Throttle;
