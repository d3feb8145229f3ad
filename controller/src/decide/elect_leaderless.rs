//! ElectLeaderless: partitions without a leader get one, some at a time.
//!
//! Whoever begins to serve gets the partitions that waited for it in the change that says so, unless they are too many for one: then the rest
//! follows in others, and whoever carries that on decides with this request what is left. Kafka: `generateLeaderAndIsrUpdates` for `NO_LEADER`.

use serde::{Deserialize, Serialize};

use super::{Context, Decision, election};
use crate::image::MetadataImage;

/// Elects leaders where there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElectLeaderlessRequest {
    /// The most partitions that it may change.
    pub limit: usize,
}

/// How many partitions it changed.
pub type ElectLeaderlessResponse = usize;

pub(super) fn decide(
    image: &MetadataImage,
    request: &ElectLeaderlessRequest,
    context: &mut Context<'_>,
) -> Decision<ElectLeaderlessResponse> {
    let mut records = election::arrival_updates(image, context.catalog);
    records.truncate(request.limit);
    let response = records.len();
    Decision { records, response }
}
