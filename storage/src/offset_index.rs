//! Offset to file position.
