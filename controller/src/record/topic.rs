//! Records of topics as a whole.

use std::sync::Arc;

use uuid::Uuid;

use super::wire::{Reader, Writer};
use super::{DecodeError, RecordBody};

/// A topic exists from here on (`TopicRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRecord {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, never used again.
    pub topic_id: Uuid,
}

impl RecordBody for TopicRecord {
    const TYPE: u16 = 2;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.string(&self.name);
        out.uuid(&self.topic_id);
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let record = Self { name: input.string("TopicRecord.name")?, topic_id: input.uuid()? };
        input.skip_tags()?;
        Ok(record)
    }
}

/// A topic, its partitions and its configs are gone (`RemoveTopicRecord`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoveTopicRecord {
    /// Which topic.
    pub topic_id: Uuid,
}

impl RecordBody for RemoveTopicRecord {
    const TYPE: u16 = 9;
    const MAX_VERSION: u16 = 0;

    fn write(&self, _version: u16, out: &mut Writer) {
        out.uuid(&self.topic_id);
        out.no_tags();
    }

    fn read(_version: u16, input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let record = Self { topic_id: input.uuid()? };
        input.skip_tags()?;
        Ok(record)
    }
}
