//! Checkpoint files of a log directory.
