//! The record of a finalized feature level (KIP-584).

use std::sync::Arc;

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody};

/// The cluster runs a feature at a level; level 0 turns it off (`FeatureLevelRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureLevelRecord {
    /// The feature's name.
    pub name: Arc<str>,
    /// Its finalized level.
    pub level: i16,
}

impl FeatureLevelRecord {
    pub(crate) const RECORD_TYPE: u16 = <Self as RecordBody>::TYPE;
}

impl RecordBody for FeatureLevelRecord {
    const TYPE: u16 = 12;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.string(&self.name);
        out.i16(self.level);
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let record = Self { name: input.string("FeatureLevelRecord.name")?, level: input.i16()? };
        input.skip_tags()?;
        Ok(record)
    }
}
