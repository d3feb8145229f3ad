//! Aborted transactions of a segment.
