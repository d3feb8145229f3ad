//! A partition's log: segments in order.
