//! Where each leader epoch starts.
