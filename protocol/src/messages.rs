//! The message structs of the codec crate.
//!
//! Owns nothing but the one door through which the rest of Weir reaches `kafka-protocol`: generated request, response and
//! header structs by Kafka's names, and the traits that move them to and from bytes. Bytes from a socket never go to
//! `Decodable` here; they go through [`crate::request`], which walks them first.

pub use kafka_protocol::messages::*;
pub use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes, VersionRange};
