//! The record that names the cluster; Kafka keeps the id in `meta.properties` alone.

use std::sync::Arc;

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody, WEIR_RECORD_TYPES_START};

/// The cluster's id (Weir's own), the first record of a cluster: a node that joins learns it by replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterIdRecord {
    /// The id as people see it: a UUID in base64url, or whatever an imported cluster was formatted with.
    pub cluster_id: Arc<str>,
}

impl RecordBody for ClusterIdRecord {
    const TYPE: u16 = WEIR_RECORD_TYPES_START;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.string(&self.cluster_id);
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let record = Self { cluster_id: input.string("ClusterIdRecord.cluster_id")? };
        input.skip_tags()?;
        Ok(record)
    }
}
