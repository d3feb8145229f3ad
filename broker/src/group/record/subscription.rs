//! The topics a consumer subscribed to, read from its JoinGroup metadata (`ConsumerProtocolSubscription`).
//!
//! Read as version 0, the prefix of all later ones: `version i16  topics [string] ...`. The bytes are a client's own:
//! anything malformed means "not known", never an error.

use std::collections::BTreeSet;

use bytes::Bytes;
use weir_protocol::messages::StrBytes;

use super::primitives::Reader;

/// The topics of one subscription; `None` when the bytes are not a consumer's.
pub(crate) fn subscribed_topics(metadata: &Bytes) -> Option<BTreeSet<StrBytes>> {
    let mut reader = Reader::new(metadata.clone());
    let version = reader.i16().ok()?;
    if version < 0 {
        return None;
    }
    let count = reader.array_length("Subscription.topics").ok()?;
    let mut topics = BTreeSet::new();
    for _ in 0..count {
        topics.insert(reader.string("Subscription.topics").ok()?);
    }
    // The user data, nullable, must still be there for the bytes to be a subscription.
    reader.i32().ok().map(|_| topics)
}
