//! The checkpoint files of one directory, from its logs.
//!
//! Owns what goes into each file (the logs in service, and what earlier files said of partitions that are not) and that an
//! unchanged file is not written again. Each returns the number of files written.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use weir_protocol::ids::Offset;

use super::directory::Directory;
use crate::checkpoint::{self, HIGH_WATERMARK_FILE, LOG_START_FILE, PartitionOffset, RECOVERY_POINT_FILE};
use crate::log::Log;

/// What a checkpoint file holds, so that the same content is not written twice.
#[derive(Debug, Default)]
pub(super) struct LastWritten(Mutex<Option<(usize, u32)>>);

impl LastWritten {
    fn write(&self, directory: &Directory, file: &str, entries: &[PartitionOffset]) -> io::Result<u64> {
        let text = checkpoint::encode(entries);
        let content = (text.len(), crc32c::crc32c(text.as_bytes()));
        let mut last = self.0.lock();
        if *last == Some(content) {
            return Ok(0);
        }
        checkpoint::write_atomically(&directory.path.join(file), text.as_bytes())?;
        *last = Some(content);
        Ok(1)
    }
}

/// What the checkpoint files say of one partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FoundOffsets {
    pub(super) recovery_point: Option<Offset>,
    pub(super) log_start: Option<Offset>,
    pub(super) high_watermark: Option<Offset>,
}

/// Writes all three files.
pub(super) fn write_all(directory: &Directory, logs: &[Arc<Log>]) -> io::Result<u64> {
    let written = write_recovery_points(directory, logs)? + write_log_starts(directory, logs)?;
    Ok(written + write_high_watermarks(directory, logs)?)
}

fn entries(
    directory: &Directory,
    logs: &[Arc<Log>],
    offset_of: impl Fn(&Log) -> Option<Offset>,
    found_of: impl Fn(&FoundOffsets) -> Option<Offset>,
) -> Vec<PartitionOffset> {
    let entry = |log: &Arc<Log>| {
        let offset = offset_of(log).filter(|offset| offset.0 >= 0)?;
        Some(PartitionOffset { partition: log.topic_partition().clone(), offset })
    };
    let mut entries: Vec<_> = logs.iter().filter_map(entry).collect();
    let found = directory.found.lock();
    entries.extend(found.iter().filter_map(|(partition, offsets)| {
        Some(PartitionOffset { partition: partition.clone(), offset: found_of(offsets)? })
    }));
    entries
}

/// What is durable of each log.
pub(super) fn write_recovery_points(directory: &Directory, logs: &[Arc<Log>]) -> io::Result<u64> {
    let entries = entries(directory, logs, |log| Some(log.recovery_point()), |found| found.recovery_point);
    directory.recovery_points.write(directory, RECOVERY_POINT_FILE, &entries)
}

/// The start of each log that does not start with its first segment (records deleted on demand); the others tell it
/// themselves.
pub(super) fn write_log_starts(directory: &Directory, logs: &[Arc<Log>]) -> io::Result<u64> {
    let start_of = |log: &Log| {
        let start = log.log_start_offset();
        (start > log.first_segment_base_offset()).then_some(start)
    };
    let entries = entries(directory, logs, start_of, |found| found.log_start);
    directory.log_starts.write(directory, LOG_START_FILE, &entries)
}

/// The high watermark of each partition.
pub(super) fn write_high_watermarks(directory: &Directory, logs: &[Arc<Log>]) -> io::Result<u64> {
    let entries = entries(directory, logs, |log| Some(log.high_watermark()), |found| found.high_watermark);
    directory.high_watermarks.write(directory, HIGH_WATERMARK_FILE, &entries)
}
