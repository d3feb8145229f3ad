//! A broker that comes back on other disks than it left: what was on them is gone.
//!
//! Where another replica has the data, the partition is placed anew on the broker, which chooses the directory and copies it. Where none
//! has, its directory is marked lost, so that nobody elects an empty log in its place: that is for an operator to decide. A
//! broker that brings one of its directories back keeps its placement, for the others may yet return.

use weir_protocol::ids::BrokerId;

use crate::image::{BrokerRegistration, DIRECTORY_LOST, DIRECTORY_UNASSIGNED, MetadataImage};
use crate::record::{MetadataRecord, PartitionChangeRecord};

use super::RegisterBrokerRequest;
use super::register_broker::is_reserved;

/// Whether a process has none of the directories that the broker is registered with whose id it has.
pub fn is_on_other_disks(image: &MetadataImage, request: &RegisterBrokerRequest) -> bool {
    image.broker(request.broker).is_some_and(|existing| lost_all(existing, request))
}

/// Whether a broker comes back with none of the directories that it had.
pub(super) fn lost_all(existing: &BrokerRegistration, request: &RegisterBrokerRequest) -> bool {
    !existing.log_dirs.is_empty() && !existing.log_dirs.iter().any(|directory| request.log_dirs.contains(directory))
}

/// Places anew what was on directories that `broker` has no more.
pub(super) fn placed_anew(image: &MetadataImage, broker: BrokerId) -> Vec<MetadataRecord> {
    let mut records = Vec::new();
    for topic in image.topics() {
        for (index, partition) in topic.partitions() {
            let replica = partition.replicas.iter().position(|replica| *replica == broker);
            let Some(replica) = replica.filter(|replica| !is_reserved(partition.directories[*replica])) else {
                continue;
            };
            let (isr, eligible) = (&partition.isr, partition.eligible_leader_replicas());
            let is_last = isr.iter().chain(eligible).chain(partition.last_known_elr()).all(|holder| *holder == broker);
            let mut directories = partition.directories.to_vec();
            directories[replica] = if is_last { DIRECTORY_LOST } else { DIRECTORY_UNASSIGNED };
            let change = PartitionChangeRecord::new(topic.id, index);
            records.push(PartitionChangeRecord { directories: Some(directories), ..change }.into());
        }
    }
    records
}
