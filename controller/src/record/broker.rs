//! Records of brokers: registration, fencing, departure.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody};

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerEndpoint {
    /// The listener's name.
    pub name: Arc<str>,
    /// The advertised host.
    pub host: Arc<str>,
    /// The advertised port.
    pub port: u16,
    /// Kafka's number of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of one feature that a broker supports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerFeature {
    /// The feature's name.
    pub name: Arc<str>,
    /// The lowest level.
    pub min_supported_level: i16,
    /// The highest level.
    pub max_supported_level: i16,
}

/// A broker registered (`RegisterBrokerRecord`, KIP-631).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    /// Its node id.
    pub broker: BrokerId,
    /// Whether it is a ZooKeeper broker in migration; only in imported logs.
    pub is_migrating_zk_broker: bool,
    /// The incarnation of the process.
    pub incarnation_id: Uuid,
    /// The epoch of this registration: the log index of this record.
    pub broker_epoch: BrokerEpoch,
    /// Where it listens.
    pub endpoints: Vec<BrokerEndpoint>,
    /// What it supports.
    pub features: Vec<BrokerFeature>,
    /// Its zone.
    pub rack: Option<Arc<str>>,
    /// Whether it starts fenced.
    pub fenced: bool,
    /// Whether it is in controlled shutdown.
    pub in_controlled_shutdown: bool,
    /// Its log directories that are online.
    pub log_dirs: Vec<Uuid>,
    /// Those that take no new replicas; none until the broker said so (KIP-1066).
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl RecordBody for RegisterBrokerRecord {
    const TYPE: u16 = 0;
    const MAX_VERSION: u16 = 4;

    fn version(&self) -> u16 {
        if self.cordoned_log_dirs.is_some() { 4 } else { 3 }
    }

    fn write(&self, _version: u16, out: &mut Writer) {
        out.i32(self.broker.get());
        out.bool(self.is_migrating_zk_broker);
        out.uuid(&self.incarnation_id);
        out.i64(self.broker_epoch.get());
        out.array(&self.endpoints, |out, endpoint| {
            out.string(&endpoint.name);
            out.string(&endpoint.host);
            out.u16(endpoint.port);
            out.i16(endpoint.security_protocol);
            out.no_tags();
        });
        out.array(&self.features, |out, feature| {
            out.string(&feature.name);
            out.i16(feature.min_supported_level);
            out.i16(feature.max_supported_level);
            out.no_tags();
        });
        out.nullable_string(self.rack.as_deref());
        out.bool(self.fenced);
        out.bool(self.in_controlled_shutdown);
        out.tags(|tags| {
            tags.uuids(0, (!self.log_dirs.is_empty()).then_some(&self.log_dirs));
            tags.uuids(1, self.cordoned_log_dirs.as_deref());
        });
    }

    fn read(version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut record = Self {
            broker: BrokerId(input.i32()?),
            is_migrating_zk_broker: if version >= 2 { input.bool()? } else { false },
            incarnation_id: input.uuid()?,
            broker_epoch: BrokerEpoch(input.i64()?),
            endpoints: input.array("RegisterBrokerRecord.end_points", 7, read_endpoint)?,
            features: input.array("RegisterBrokerRecord.features", 6, read_feature)?,
            rack: input.nullable_string()?,
            fenced: input.bool()?,
            in_controlled_shutdown: if version >= 1 { input.bool()? } else { false },
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        };
        input.tags(|tag, field| {
            match tag {
                0 if version >= 3 => record.log_dirs = field.uuids("RegisterBrokerRecord.log_dirs")?,
                1 if version >= 4 => record.cordoned_log_dirs = field.nullable_uuids()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}

fn read_endpoint(input: &mut Reader<'_>) -> Result<BrokerEndpoint, DecodeError> {
    let endpoint = BrokerEndpoint {
        name: input.string("BrokerEndpoint.name")?,
        host: input.string("BrokerEndpoint.host")?,
        port: input.u16()?,
        security_protocol: input.i16()?,
    };
    input.skip_tags()?;
    Ok(endpoint)
}

fn read_feature(input: &mut Reader<'_>) -> Result<BrokerFeature, DecodeError> {
    let feature = BrokerFeature {
        name: input.string("BrokerFeature.name")?,
        min_supported_level: input.i16()?,
        max_supported_level: input.i16()?,
    };
    input.skip_tags()?;
    Ok(feature)
}

/// Part of a broker's registration changed (`BrokerRegistrationChangeRecord`, KIP-841).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistrationChangeRecord {
    /// Which broker.
    pub broker: BrokerId,
    /// The epoch of the registration that is changed.
    pub broker_epoch: BrokerEpoch,
    /// Whether it is fenced from here on; `None` if that did not change.
    pub fenced: Option<bool>,
    /// Whether controlled shutdown began here; only a new registration ends it.
    pub in_controlled_shutdown: bool,
    /// Its online log directories; empty if they did not change.
    pub log_dirs: Vec<Uuid>,
    /// Its cordoned log directories; `None` if they did not change (KIP-1066).
    pub cordoned_log_dirs: Option<Vec<Uuid>>,
}

impl BrokerRegistrationChangeRecord {
    /// A record that changes nothing yet.
    pub fn new(broker: BrokerId, broker_epoch: BrokerEpoch) -> Self {
        Self {
            broker,
            broker_epoch,
            fenced: None,
            in_controlled_shutdown: false,
            log_dirs: Vec::new(),
            cordoned_log_dirs: None,
        }
    }

    /// Whether no field says anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::new(self.broker, self.broker_epoch)
    }
}

impl RecordBody for BrokerRegistrationChangeRecord {
    const TYPE: u16 = 17;
    const MAX_VERSION: u16 = 3;

    fn version(&self) -> u16 {
        if self.cordoned_log_dirs.is_some() { 3 } else { 2 }
    }

    fn write(&self, _version: u16, out: &mut Writer) {
        out.i32(self.broker.get());
        out.i64(self.broker_epoch.get());
        out.tags(|tags| {
            if let Some(fenced) = self.fenced {
                tags.field(0, |out| out.i8(if fenced { 1 } else { -1 }));
            }
            if self.in_controlled_shutdown {
                tags.field(1, |out| out.i8(1));
            }
            tags.uuids(2, (!self.log_dirs.is_empty()).then_some(&self.log_dirs));
            tags.uuids(3, self.cordoned_log_dirs.as_deref());
        });
    }

    fn read(version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let broker = BrokerId(input.i32()?);
        let mut record = Self::new(broker, BrokerEpoch(input.i64()?));
        input.tags(|tag, field| {
            match tag {
                0 => record.fenced = read_fenced(field)?,
                1 if version >= 1 => {
                    let code = field.i8()?;
                    if !(0..=1).contains(&code) {
                        let field = "in_controlled_shutdown";
                        return Err(DecodeError::InvalidValue { field, value: i64::from(code) });
                    }
                    record.in_controlled_shutdown = code == 1;
                }
                2 if version >= 2 => record.log_dirs = field.uuids("BrokerRegistrationChangeRecord.log_dirs")?,
                3 if version >= 3 => record.cordoned_log_dirs = field.nullable_uuids()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(record)
    }
}

fn read_fenced(input: &mut Reader<'_>) -> Result<Option<bool>, DecodeError> {
    match input.i8()? {
        -1 => Ok(Some(false)),
        0 => Ok(None),
        1 => Ok(Some(true)),
        code => Err(DecodeError::InvalidValue { field: "fenced", value: i64::from(code) }),
    }
}

/// Defines a record that holds nothing but a broker and its epoch.
macro_rules! broker_and_epoch_record {
    ($(#[$doc:meta])* $name:ident = $type:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            /// Which broker.
            pub broker: BrokerId,
            /// The epoch of its registration.
            pub broker_epoch: BrokerEpoch,
        }

        impl RecordBody for $name {
            const TYPE: u16 = $type;
            const MAX_VERSION: u16 = 0;

            fn write(&self, _version: u16, out: &mut Writer) {
                out.i32(self.broker.get());
                out.i64(self.broker_epoch.get());
                out.no_tags();
            }

            fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let record = Self { broker: BrokerId(input.i32()?), broker_epoch: BrokerEpoch(input.i64()?) };
                input.skip_tags()?;
                Ok(record)
            }
        }
    };
}

broker_and_epoch_record! {
    /// A broker left the cluster for good (`UnregisterBrokerRecord`).
    UnregisterBrokerRecord = 1
}
broker_and_epoch_record! {
    /// A broker was fenced (`FenceBrokerRecord`); Kafka before 3.3 wrote it, and only imported logs hold it.
    FenceBrokerRecord = 7
}
broker_and_epoch_record! {
    /// A broker was unfenced (`UnfenceBrokerRecord`); Kafka before 3.3 wrote it, and only imported logs hold it.
    UnfenceBrokerRecord = 8
}
