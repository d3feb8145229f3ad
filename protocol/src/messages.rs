//! The message structs of the codec crate.
