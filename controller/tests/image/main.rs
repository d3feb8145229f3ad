//! The image: replay, deltas, and the records that rebuild it.

mod delta;
mod generate;
mod replay;
mod snapshot;
