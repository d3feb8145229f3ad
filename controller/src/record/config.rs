//! The record of one config of one resource.

use std::sync::Arc;

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody};
use serde::{Deserialize, Serialize};

/// What a config belongs to, by Kafka's numbers (`ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConfigResourceType {
    /// A topic, by name.
    Topic,
    /// A broker, by node id; with no name the default of every broker.
    Broker,
    /// The log levels of a broker; never stored.
    BrokerLogger,
    /// A client metrics subscription (KIP-714).
    ClientMetrics,
    /// A group (KIP-848, KIP-932).
    Group,
}

impl ConfigResourceType {
    /// Its number in requests and records.
    pub const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::BrokerLogger => 8,
            Self::ClientMetrics => 16,
            Self::Group => 32,
        }
    }

    /// The type with this number.
    pub fn from_code(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            8 => Some(Self::BrokerLogger),
            16 => Some(Self::ClientMetrics),
            32 => Some(Self::Group),
            _ => None,
        }
    }
}

/// One config of one resource was set or, without a value, deleted (`ConfigRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigRecord {
    /// What kind of thing it belongs to.
    pub resource_type: ConfigResourceType,
    /// Which one.
    pub resource_name: Arc<str>,
    /// The config's key.
    pub name: Arc<str>,
    /// Its value, or none if it is now unset.
    pub value: Option<Arc<str>>,
}

impl RecordBody for ConfigRecord {
    const TYPE: u16 = 4;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.i8(self.resource_type.code());
        out.string(&self.resource_name);
        out.string(&self.name);
        out.nullable_string(self.value.as_deref());
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = input.i8()?;
        let record = Self {
            resource_type: ConfigResourceType::from_code(code)
                .ok_or(DecodeError::InvalidValue { field: "resource_type", value: i64::from(code) })?,
            resource_name: input.string("ConfigRecord.resource_name")?,
            name: input.string("ConfigRecord.name")?,
            value: input.nullable_string()?,
        };
        input.skip_tags()?;
        Ok(record)
    }
}
