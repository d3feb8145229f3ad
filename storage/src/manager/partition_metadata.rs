//! `partition.metadata`: which topic's incarnation a partition folder belongs to.
//!
//! Owns the file's format (Kafka's `PartitionMetadataFile`, KIP-516):
//!
//! ```text
//! version: 0
//! topic_id: xC0p-AVHQd2EvPZyHrtQzA
//! ```
//!
//! A folder without a readable file belongs to no topic: it was made just before the power went, and no record in it was
//! ever promised, for the file is made durable before the first flush of the log ends.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use weir_protocol::ids::TopicId;

use crate::identity::{format_uuid, parse_uuid};
use crate::log::Log;

/// The file's name in a partition folder.
pub const PARTITION_METADATA_FILE: &str = "partition.metadata";

/// The topic id in the folder's file; `None` if there is no readable one.
pub(super) fn read(dir: &Path) -> io::Result<Option<TopicId>> {
    match fs::read(dir.join(PARTITION_METADATA_FILE)) {
        Ok(bytes) => Ok(std::str::from_utf8(&bytes).ok().and_then(parse)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the folder's file. It is not durable yet: creating a thousand partitions must not cost a thousand fsyncs.
pub(super) fn write(dir: &Path, topic_id: TopicId) -> io::Result<()> {
    File::create(dir.join(PARTITION_METADATA_FILE))?.write_all(format(topic_id).as_bytes())
}

/// Makes the file durable before the log's first flush ends; later flushes find it done.
pub(super) fn sync_before_first_flush(log: &Log) -> io::Result<()> {
    if log.recovery_point() > log.log_start_offset() {
        return Ok(());
    }
    match File::open(log.dir().join(PARTITION_METADATA_FILE)) {
        Ok(file) => file.sync_data(),
        // The folder is being deleted; the flush itself tells.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn format(topic_id: TopicId) -> String {
    format!("version: 0\ntopic_id: {}", format_uuid(&topic_id))
}

fn parse(text: &str) -> Option<TopicId> {
    let mut lines = text.lines();
    let version: i32 = lines.next()?.strip_prefix("version:")?.trim().parse().ok()?;
    let topic_id = parse_uuid(lines.next()?.strip_prefix("topic_id:")?.trim())?;
    (version >= 0 && !topic_id.is_nil()).then_some(topic_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_kafkas_bytes_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let id = TopicId::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        write(dir.path(), id).unwrap();
        let text = fs::read_to_string(dir.path().join(PARTITION_METADATA_FILE)).unwrap();
        assert_eq!(text, "version: 0\ntopic_id: AQIDBAUGBwgJCgsMDQ4PEA");
        assert_eq!(read(dir.path()).unwrap(), Some(id));
    }

    #[test]
    fn what_does_not_read_is_no_topic_id() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        for text in ["", "version: 0", "version: 0\ntopic_id: x", "topic_id: AQIDBAUGBwgJCgsMDQ4PEA"] {
            fs::write(dir.path().join(PARTITION_METADATA_FILE), text).unwrap();
            assert_eq!(read(dir.path()).unwrap(), None, "{text}");
        }
        fs::write(dir.path().join(PARTITION_METADATA_FILE), "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA").unwrap();
        assert_eq!(read(dir.path()).unwrap(), None, "the zero id means none");
    }
}
