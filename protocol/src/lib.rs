//! The Kafka wire protocol: frames, headers, versions, record batches, error codes.

pub mod admission;
pub mod api;
#[cfg(feature = "client")]
pub mod client;
pub mod compression;
pub mod error_code;
pub mod fetch_response;
pub mod frame;
pub mod ids;
pub mod messages;
pub mod newer;
pub mod private_api;
pub mod records;
pub mod request;
pub mod response;
