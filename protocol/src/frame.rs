//! Frames: a length, then that many bytes.
