//! The settings of one log.
