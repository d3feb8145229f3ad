//! Encodes responses into frames.
