//! Timestamp to offset.
