//! Whether a partition survives the loss of any one zone.
//!
//! Pure. A cluster in one zone, or whose brokers name none, has nothing to survive in: nothing is said of it.

use std::collections::BTreeSet;
use std::fmt;

use weir_protocol::ids::BrokerId;

use crate::image::{MetadataImage, PartitionRegistration};

/// What the loss of one zone would do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneRisk {
    /// Too few replicas would be left for writes with acks=all.
    Unwritable {
        /// The zone; none is that of brokers which name no zone.
        zone: Option<String>,
        /// Replicas elsewhere.
        left: usize,
        /// `min.insync.replicas`.
        required: usize,
    },
    /// No replica would be left.
    Lost {
        /// The zone.
        zone: Option<String>,
    },
}

/// The zones of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones<'z>(BTreeSet<Option<&'z str>>);

impl<'z> Zones<'z> {
    /// Those of brokers with these racks.
    pub fn new(racks: impl IntoIterator<Item = Option<&'z str>>) -> Self {
        Self(racks.into_iter().collect())
    }

    /// Those of an image.
    pub fn of(image: &'z MetadataImage) -> Self {
        Self::new(image.brokers().map(|broker| broker.rack.as_deref()))
    }

    /// The worst that the loss of one zone can do to a partition with replicas in `replicas`, if anything.
    pub fn risk(&self, replicas: &[Option<&str>], min_insync_replicas: usize) -> Option<ZoneRisk> {
        if self.0.len() < 2 {
            return None;
        }
        let risk = |zone: &Option<&str>| {
            let left = replicas.iter().filter(|of| *of != zone).count();
            let zone = zone.map(str::to_owned);
            match left {
                0 => Some(ZoneRisk::Lost { zone }),
                _ if left < min_insync_replicas => {
                    Some(ZoneRisk::Unwritable { zone, left, required: min_insync_replicas })
                }
                _ => None,
            }
        };
        self.0.iter().filter_map(risk).max()
    }

    /// The same for a partition of the image that these zones are of.
    pub fn partition_risk(
        &self,
        image: &MetadataImage,
        partition: &PartitionRegistration,
        min_insync_replicas: usize,
    ) -> Option<ZoneRisk> {
        let zone = |id: &BrokerId| image.broker(*id).and_then(|broker| broker.rack.as_deref());
        let replicas: Vec<_> = partition.replicas.iter().map(zone).collect();
        self.risk(&replicas, min_insync_replicas)
    }
}

impl fmt::Display for ZoneRisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |zone: &Option<String>| match zone {
            Some(zone) => format!("zone {zone}"),
            None => "the brokers without a zone".to_owned(),
        };
        match self {
            Self::Lost { zone } => write!(f, "the loss of {} would leave no replica", named(zone)),
            Self::Unwritable { zone, left, required } => write!(
                f,
                "the loss of {} would leave {left} replica(s), and writes with acks=all need {required}",
                named(zone)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONES: [Option<&str>; 3] = [Some("a"), Some("b"), Some("c")];

    fn risk(replicas: &[Option<&str>], min_insync_replicas: usize) -> Option<ZoneRisk> {
        Zones::new(ZONES).risk(replicas, min_insync_replicas)
    }

    #[test]
    fn a_replica_in_each_of_three_zones_survives_any() {
        assert_eq!(risk(&ZONES, 2), None);
    }

    #[test]
    fn a_single_replica_is_lost_with_its_zone() {
        let risk = risk(&[Some("b")], 1).expect("it is at risk");
        assert_eq!(risk, ZoneRisk::Lost { zone: Some("b".into()) });
        assert_eq!(risk.to_string(), "the loss of zone b would leave no replica");
    }

    #[test]
    fn two_replicas_in_one_zone_leave_too_few_for_writes() {
        let risk = risk(&[Some("a"), Some("a"), Some("b")], 2).expect("it is at risk");
        assert_eq!(risk, ZoneRisk::Unwritable { zone: Some("a".into()), left: 1, required: 2 });
        let told = "the loss of zone a would leave 1 replica(s), and writes with acks=all need 2";
        assert_eq!(risk.to_string(), told);
    }

    #[test]
    fn the_worst_is_told() {
        let risk = risk(&[Some("a"), Some("a")], 2);
        assert_eq!(risk, Some(ZoneRisk::Lost { zone: Some("a".into()) }));
    }

    #[test]
    fn a_cluster_in_one_zone_has_nothing_to_survive_in() {
        assert_eq!(Zones::new([Some("a"), Some("a")]).risk(&[Some("a")], 1), None);
        assert_eq!(Zones::new([None, None]).risk(&[None], 1), None);
    }
}
