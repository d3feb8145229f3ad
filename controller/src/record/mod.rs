//! Metadata records: facts, encoded in Kafka's schemas.
//!
//! Owns the type [`MetadataRecord`] and its bytes. A record is framed as Kafka's `MetadataRecordSerde` frames it (frame
//! version, type, version, body, all flexible), byte for byte, so that an imported Kafka metadata log and ours read alike.
//! Records that Kafka does not have carry type numbers from [`WEIR_RECORD_TYPES_START`] on; `weir.metadata.version` gates
//! which of them may be written. Never applies a record: that is the image's part.
//!
//! Invariant: whatever bytes arrive, decoding neither panics nor allocates beyond a small multiple of them; a type or
//! version that this binary does not know is an error that names it, and the node that met it stops applying (KIP-631).

mod broker;
mod change;
mod cluster;
mod config;
mod feature;
mod partition;
mod producer_ids;
mod topic;
mod wire;

pub use broker::{
    BrokerEndpoint, BrokerFeature, BrokerRegistrationChangeRecord, FenceBrokerRecord, RegisterBrokerRecord,
    UnfenceBrokerRecord, UnregisterBrokerRecord,
};
pub(crate) use change::for_each_framed;
pub use change::{MAX_CHANGE_BYTES, MAX_CHANGE_RECORDS, decode_change, encode_change};
pub use cluster::ClusterIdRecord;
pub use config::{ConfigRecord, ConfigResourceType};
pub use feature::FeatureLevelRecord;
pub use partition::{LeaderRecoveryState, PartitionChangeRecord, PartitionRecord};
pub use producer_ids::ProducerIdsRecord;
pub use topic::{RemoveTopicRecord, TopicRecord};

use wire::{Reader, Writer};

/// The frame version of `MetadataRecordSerde`.
const FRAME_VERSION: u32 = 1;

/// Type numbers from here on are Weir's own; Kafka's are far below.
pub const WEIR_RECORD_TYPES_START: u16 = 20_000;

/// The longest string that a Kafka message may hold, in bytes.
pub const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// The schema of one kind of record.
trait RecordBody: Sized {
    /// The number of this type.
    const TYPE: u16;
    /// The newest version that this binary reads.
    const MAX_VERSION: u16;

    /// The version to write: the lowest that holds everything this record says, and never one of a Kafka older than 4.0.
    fn version(&self) -> u16 {
        0
    }

    fn write(&self, version: u16, out: &mut Writer);

    fn read(version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

macro_rules! metadata_records {
    ($($(#[$doc:meta])* $variant:ident($body:ty),)*) => {
        /// One fact about the cluster, in the order in which facts became true.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum MetadataRecord {
            $($(#[$doc])* $variant($body),)*
        }

        impl MetadataRecord {
            /// The number of this record's type.
            pub fn record_type(&self) -> u16 {
                match self { $(Self::$variant(_) => <$body as RecordBody>::TYPE,)* }
            }

            /// The version in which this record is written.
            pub fn version(&self) -> u16 {
                match self { $(Self::$variant(body) => body.version(),)* }
            }

            fn write_body(&self, version: u16, out: &mut Writer) {
                match self { $(Self::$variant(body) => body.write(version, out),)* }
            }

            /// The newest version of a type that this build reads.
            fn max_version(record_type: u16) -> Option<u16> {
                match record_type {
                    $(<$body as RecordBody>::TYPE => Some(<$body as RecordBody>::MAX_VERSION),)*
                    _ => None,
                }
            }

            fn read_body(record_type: u16, version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match record_type {
                    $(<$body as RecordBody>::TYPE => <$body as RecordBody>::read(version, input).map(Self::$variant),)*
                    _ => Err(DecodeError::UnknownType { record_type, version }),
                }
            }
        }

        $(impl From<$body> for MetadataRecord {
            fn from(body: $body) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

metadata_records! {
    /// A broker registered; the record's log index is its epoch.
    RegisterBroker(RegisterBrokerRecord),
    /// A broker left the cluster for good.
    UnregisterBroker(UnregisterBrokerRecord),
    /// A topic exists from here on.
    Topic(TopicRecord),
    /// A partition exists from here on, in the state given.
    Partition(PartitionRecord),
    /// One config of one resource was set or, without a value, deleted.
    Config(ConfigRecord),
    /// Some of a partition's state changed.
    PartitionChange(PartitionChangeRecord),
    /// A broker was fenced (written by old Kafka only; read, never written).
    FenceBroker(FenceBrokerRecord),
    /// A broker was unfenced (written by old Kafka only; read, never written).
    UnfenceBroker(UnfenceBrokerRecord),
    /// A topic, its partitions and its configs are gone.
    RemoveTopic(RemoveTopicRecord),
    /// The cluster runs a feature at a level.
    FeatureLevel(FeatureLevelRecord),
    /// Producer ids below the one given are handed out.
    ProducerIds(ProducerIdsRecord),
    /// Part of a broker's registration changed.
    BrokerRegistrationChange(BrokerRegistrationChangeRecord),
    /// Nothing happened.
    NoOp(NoOpRecord),
    /// The cluster's id; Weir's own, and the first record of a cluster.
    ClusterId(ClusterIdRecord),
}

impl MetadataRecord {
    /// Kafka's name of this record's type, for messages to people.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::RegisterBroker(_) => "RegisterBrokerRecord",
            Self::UnregisterBroker(_) => "UnregisterBrokerRecord",
            Self::Topic(_) => "TopicRecord",
            Self::Partition(_) => "PartitionRecord",
            Self::Config(_) => "ConfigRecord",
            Self::PartitionChange(_) => "PartitionChangeRecord",
            Self::FenceBroker(_) => "FenceBrokerRecord",
            Self::UnfenceBroker(_) => "UnfenceBrokerRecord",
            Self::RemoveTopic(_) => "RemoveTopicRecord",
            Self::FeatureLevel(_) => "FeatureLevelRecord",
            Self::ProducerIds(_) => "ProducerIdsRecord",
            Self::BrokerRegistrationChange(_) => "BrokerRegistrationChangeRecord",
            Self::NoOp(_) => "NoOpRecord",
            Self::ClusterId(_) => "ClusterIdRecord",
        }
    }

    /// This record's bytes, exactly as Kafka's `MetadataRecordSerde` writes them.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let mut out = Writer::default();
        self.write_framed(&mut out);
        out.finish()
    }

    /// Reads one record from bytes that hold exactly one.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let (record_type, version) = read_head(&mut input)?;
        let record = Self::read_body(record_type, version, &mut input)?;
        input.finish()?;
        Ok(record)
    }

    /// The type of the record that begins here, if this build knows it in that version; its body is not looked at.
    pub(crate) fn known_type(bytes: &[u8]) -> Result<u16, DecodeError> {
        read_head(&mut Reader::new(bytes)).map(|(record_type, _)| record_type)
    }

    fn write_framed(&self, out: &mut Writer) {
        let version = self.version();
        out.uvarint(FRAME_VERSION);
        out.uvarint(u32::from(self.record_type()));
        out.uvarint(u32::from(version));
        self.write_body(version, out);
    }
}

/// What stands before a record's body: its type and version, both known.
fn read_head(input: &mut Reader<'_>) -> Result<(u16, u16), DecodeError> {
    let frame_version = input.uvarint()?;
    if frame_version != FRAME_VERSION {
        return Err(DecodeError::UnknownFrameVersion { frame_version });
    }
    let record_type = input.uvarint_u16()?;
    let version = input.uvarint_u16()?;
    match MetadataRecord::max_version(record_type) {
        None => Err(DecodeError::UnknownType { record_type, version }),
        Some(max_version) if version > max_version => {
            Err(DecodeError::UnknownVersion { record_type, version, max_version })
        }
        Some(_) => Ok((record_type, version)),
    }
}

/// Nothing happened (`NoOpRecord`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NoOpRecord;

impl RecordBody for NoOpRecord {
    const TYPE: u16 = 20;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.skip_tags()?;
        Ok(Self)
    }
}

/// Why records could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string is longer than Kafka's messages can hold; the decision that let it through is at fault.
    #[error("a string of {bytes} bytes does not fit a metadata record (at most {MAX_STRING_BYTES})")]
    StringTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The records do not fit one Raft entry.
    #[error(
        "{records} metadata records of {bytes} bytes do not fit one change (at most {MAX_CHANGE_RECORDS} records of {MAX_CHANGE_BYTES} bytes)"
    )]
    ChangeTooLarge {
        /// How many records.
        records: usize,
        /// Their encoded size.
        bytes: usize,
    },
}

/// Why bytes are not records.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame is not the one that Kafka has used since 2.8.
    #[error("metadata record with frame version {frame_version}, expected {FRAME_VERSION}")]
    UnknownFrameVersion {
        /// What was found.
        frame_version: u32,
    },
    /// A record of a newer binary, or of a Kafka feature that is not built.
    #[error("metadata record of unknown type {record_type} (version {version})")]
    UnknownType {
        /// The type found.
        record_type: u16,
        /// The version beside it.
        version: u16,
    },
    /// A record of a newer binary.
    #[error("metadata record of type {record_type} has unknown version {version}, at most {max_version} is known")]
    UnknownVersion {
        /// The record's type.
        record_type: u16,
        /// The version found.
        version: u16,
        /// The newest that is known.
        max_version: u16,
    },
    /// The bytes end in the middle of a field.
    #[error("metadata record ends early: {needed} more bytes are claimed, {remaining} remain")]
    Truncated {
        /// How many bytes the next field needs or claims.
        needed: usize,
        /// How many there are.
        remaining: usize,
    },
    /// Bytes follow the record's end.
    #[error("{bytes} bytes follow the end of a metadata record")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// A variable-length integer that is too long or too large.
    #[error("metadata record holds a malformed variable-length integer")]
    MalformedVarint,
    /// A string that is not UTF-8.
    #[error("metadata record holds a string that is not UTF-8")]
    NotUtf8,
    /// A null where the schema has none.
    #[error("metadata record holds null in {field}, which cannot be null")]
    UnexpectedNull {
        /// Which field.
        field: &'static str,
    },
    /// A number that means nothing in this field.
    #[error("metadata record holds {value} in {field}")]
    InvalidValue {
        /// Which field.
        field: &'static str,
        /// What it holds.
        value: i64,
    },
    /// More records than one change may hold.
    #[error("a change claims {records} records, at most {MAX_CHANGE_RECORDS} are allowed")]
    TooManyRecords {
        /// How many it claims.
        records: usize,
    },
}

impl DecodeError {
    /// Whether the bytes are whole, and mean something to another build.
    pub(crate) fn is_of_newer_build(&self) -> bool {
        matches!(self, Self::UnknownFrameVersion { .. } | Self::UnknownType { .. } | Self::UnknownVersion { .. })
    }
}
