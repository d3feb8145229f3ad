//! A registered broker, as the image holds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::partition::{DIRECTORY_LOST, DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED};
use crate::record::{BrokerEndpoint, BrokerFeature, RegisterBrokerRecord};

/// A broker that has registered and not been unregistered (Kafka's `BrokerRegistration`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    /// Its node id.
    pub id: BrokerId,
    /// The epoch of this registration.
    pub epoch: BrokerEpoch,
    /// The incarnation of the process.
    pub incarnation_id: Uuid,
    /// Where it listens.
    pub endpoints: Vec<BrokerEndpoint>,
    /// The levels of each feature that it supports: lowest, highest.
    pub features: BTreeMap<Arc<str>, (i16, i16)>,
    /// Its zone.
    pub rack: Option<Arc<str>>,
    /// Whether it is out of service.
    pub fenced: bool,
    /// Whether it is going out of service.
    pub in_controlled_shutdown: bool,
    /// Its log directories that are online.
    pub log_dirs: Vec<Uuid>,
    /// Those that take no new replicas; none until it said so.
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
    /// Whether it is a ZooKeeper broker in migration; only in imported logs.
    pub is_migrating_zk_broker: bool,
}

impl BrokerRegistration {
    /// Whether it serves: neither fenced nor in controlled shutdown.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// The endpoint of a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&BrokerEndpoint> {
        self.endpoints.iter().find(|endpoint| &*endpoint.name == listener)
    }

    /// The directories that may take a new replica.
    pub fn uncordoned_log_dirs(&self) -> impl Iterator<Item = &Uuid> {
        let cordoned = self.cordoned_log_dirs.as_deref().unwrap_or_default();
        self.log_dirs.iter().filter(move |dir| !cordoned.contains(dir))
    }

    /// Whether a replica that lies there, as the metadata says, lies in a directory that is online. One that nobody has chosen yet is as
    /// good as that; one that was lost is not.
    pub fn has_online(&self, directory: Option<Uuid>) -> bool {
        match directory {
            None | Some(DIRECTORY_UNASSIGNED | DIRECTORY_MIGRATING) => true,
            Some(DIRECTORY_LOST) => false,
            Some(directory) => self.log_dirs.contains(&directory),
        }
    }

    pub(super) fn from_record(record: &RegisterBrokerRecord) -> Self {
        Self {
            id: record.broker,
            epoch: record.broker_epoch,
            incarnation_id: record.incarnation_id,
            endpoints: record.endpoints.clone(),
            features: (record.features.iter())
                .map(|feature| (feature.name.clone(), (feature.min_supported_level, feature.max_supported_level)))
                .collect(),
            rack: record.rack.clone(),
            fenced: record.fenced,
            in_controlled_shutdown: record.in_controlled_shutdown,
            log_dirs: record.log_dirs.clone(),
            cordoned_log_dirs: record.cordoned_log_dirs.clone(),
            is_migrating_zk_broker: record.is_migrating_zk_broker,
        }
    }

    pub(super) fn to_record(&self) -> RegisterBrokerRecord {
        RegisterBrokerRecord {
            broker: self.id,
            is_migrating_zk_broker: self.is_migrating_zk_broker,
            incarnation_id: self.incarnation_id,
            broker_epoch: self.epoch,
            endpoints: self.endpoints.clone(),
            features: (self.features.iter())
                .map(|(name, (min, max))| BrokerFeature {
                    name: name.clone(),
                    min_supported_level: *min,
                    max_supported_level: *max,
                })
                .collect(),
            rack: self.rack.clone(),
            fenced: self.fenced,
            in_controlled_shutdown: self.in_controlled_shutdown,
            log_dirs: self.log_dirs.clone(),
            cordoned_log_dirs: self.cordoned_log_dirs.clone(),
        }
    }
}
