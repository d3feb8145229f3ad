//! One file per API.
