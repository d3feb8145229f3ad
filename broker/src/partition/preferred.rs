//! The replica that a consumer had better read from: the closest one that has what it asks for (KIP-392).

use weir_controller::image::MetadataImage;
use weir_protocol::ids::{BrokerId, Offset};

use super::Partition;
use super::role::Leadership;

impl Partition {
    /// The replica in the zone `rack` that a consumer at `offset` should read from instead of this leader, if there is one. Kafka's
    /// `RackAwareReplicaSelector`: the leader where it is in that zone itself, else the one in sync that has most.
    pub fn preferred_replica(&self, rack: &str, offset: Offset, image: &MetadataImage) -> Option<BrokerId> {
        let is_there = |broker: BrokerId| {
            let broker = image.broker(broker).filter(|broker| !broker.fenced);
            broker.is_some_and(|broker| broker.rack.as_deref() == Some(rack))
        };
        if rack.is_empty() || is_there(self.local.id()) {
            return None;
        }
        let tenure = self.tenure.read();
        let state = tenure.leadership().and_then(Leadership::known)?.lock();
        let candidates = state.followers().iter().filter(|follower| {
            state.in_sync().committed().contains(&follower.broker())
                && follower.log_start_offset() <= offset
                && follower.log_end_offset().is_some_and(|end| end >= offset)
                && is_there(follower.broker())
        });
        candidates.max_by_key(|follower| follower.log_end_offset()).map(|follower| follower.broker())
    }
}
