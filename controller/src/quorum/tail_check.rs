//! Tells a torn tail from a damaged log, and from one that a newer build wrote, before the log is opened.
//!
//! Owns one judgement. A crash can leave the last entry incomplete: it was never acknowledged, and opening the log cuts it
//! off. But where intact entries stand *behind* a bad one the disk has spoilt what was acknowledged, and cutting there would
//! silently undo it: then the node does not start. Reads only, and only what no snapshot covers.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use bytes::BytesMut;
use weir_protocol::records::batch::{self, BatchHeader};

use super::entry_batch::{LOG_OVERHEAD, batch_size};
use super::readable::{OfNewerBuild, check_batch};
use crate::decide::SupportedFeatures;

/// Where the magic byte stands in a batch.
const MAGIC_AT: usize = 16;

const BUFFER_BYTES: usize = 256 * 1024;

/// How the entries end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With the last byte of the last segment.
    Whole,
    /// With bytes that are no entry, and nothing intact behind them.
    Torn,
    /// They do not end: an intact entry follows one that is not.
    Damaged { segment: PathBuf, position: u64, offset: i64 },
    /// This build cannot read the entry at this offset.
    OfNewerBuild { segment: PathBuf, offset: i64, found: OfNewerBuild },
}

/// Judges the entries of `directory` from `covered` on.
pub(crate) fn check_tail(directory: &Path, covered: i64, supported: &SupportedFeatures) -> io::Result<Tail> {
    let segments = segments(directory)?;
    let first = segments.partition_point(|(base, _)| *base <= covered).saturating_sub(1);
    let mut expected = None;
    for (at, (base, path)) in segments.iter().enumerate().skip(first) {
        let expected = expected.get_or_insert(*base);
        let mut walk = Walk::open(path, supported)?;
        let intact = *base == *expected && walk.advance_to_end(expected, covered)?;
        if let Some(found) = walk.unreadable {
            return Ok(Tail::OfNewerBuild { segment: path.clone(), offset: *expected, found });
        }
        if intact {
            continue;
        }
        let later_segment =
            segments[at + 1..].iter().any(|(_, path)| fs::metadata(path).is_ok_and(|file| file.len() > 0));
        if later_segment || intact_batch_follows(path, walk.position, *expected)? {
            return Ok(Tail::Damaged { segment: path.clone(), position: walk.position, offset: *expected });
        }
        return Ok(Tail::Torn);
    }
    Ok(Tail::Whole)
}

/// The segments of a log by base offset, ascending.
fn segments(directory: &Path) -> io::Result<Vec<(i64, PathBuf)>> {
    let mut segments = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".log"));
        if let Some(base) = name.and_then(|base| base.parse().ok()) {
            segments.push((base, path));
        }
    }
    segments.sort();
    Ok(segments)
}

/// A walk over the batches of one segment.
struct Walk<'a> {
    supported: &'a SupportedFeatures,
    file: io::BufReader<File>,
    /// Where the batch begins that comes next.
    position: u64,
    remaining: u64,
    batch: BytesMut,
    /// What ended it, if it is the work of a newer build.
    unreadable: Option<OfNewerBuild>,
}

impl<'a> Walk<'a> {
    fn open(path: &Path, supported: &'a SupportedFeatures) -> io::Result<Self> {
        let file = File::open(path)?;
        let remaining = file.metadata()?.len();
        let file = io::BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(Self { supported, file, position: 0, remaining, batch: BytesMut::new(), unreadable: None })
    }

    /// Walks while batches are intact and this build can read them; whether that was to the end. They are looked into from `covered` on.
    fn advance_to_end(&mut self, expected: &mut i64, covered: i64) -> io::Result<bool> {
        while self.remaining > 0 {
            let mut overhead = [0; LOG_OVERHEAD];
            if self.remaining < overhead.len() as u64 {
                return Ok(false);
            }
            self.file.read_exact(&mut overhead)?;
            let Some(size) = batch_size(&overhead).ok().filter(|size| *size as u64 <= self.remaining) else {
                return Ok(false);
            };
            self.batch.clear();
            self.batch.extend_from_slice(&overhead);
            self.batch.resize(size, 0);
            self.file.read_exact(&mut self.batch[LOG_OVERHEAD..])?;
            let Some(header) = BatchHeader::parse(&self.batch).ok().filter(|header| header.base_offset == *expected)
            else {
                return Ok(false);
            };
            if header.base_offset >= covered {
                if batch::verify_crc(&self.batch).is_err() {
                    return Ok(false);
                }
                self.unreadable = check_batch(&self.batch.split().freeze(), self.supported).err();
                if self.unreadable.is_some() {
                    return Ok(false);
                }
            }
            *expected = header.next_offset();
            self.position += size as u64;
            self.remaining -= size as u64;
        }
        Ok(true)
    }
}

/// Whether anything behind `position` is an intact batch of a later offset than `expected`.
fn intact_batch_follows(segment: &Path, position: u64, expected: i64) -> io::Result<bool> {
    let bytes = fs::read(segment)?;
    let rest = bytes.get(usize::try_from(position).unwrap_or(usize::MAX)..).unwrap_or_default();
    // Each batch takes more than a header, so offsets cannot run further ahead than this.
    let highest = expected.saturating_add((rest.len() / BatchHeader::LEN) as i64);
    for start in 1..rest.len().saturating_sub(BatchHeader::LEN) {
        let candidate = &rest[start..];
        if candidate[MAGIC_AT] != 2 {
            continue;
        }
        let Ok(header) = BatchHeader::parse(candidate) else { continue };
        if header.base_offset <= expected || header.base_offset > highest {
            continue;
        }
        if candidate.get(..header.size_bytes()).is_some_and(|whole| batch::verify_crc(whole).is_ok()) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::quorum::entry_batch::{encode_entry, log_id};
    use crate::quorum::types::Entry;

    /// Five entries in one segment, and where each begins.
    fn log() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
        let directory = tempfile::tempdir().unwrap();
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for index in 0..5 {
            starts.push(bytes.len());
            let entry = Entry { log_id: log_id(1, index), payload: EntryPayload::Blank };
            bytes.extend_from_slice(&encode_entry(&entry, 0).unwrap());
        }
        (directory, bytes, starts)
    }

    fn judge(directory: &Path, bytes: &[u8], covered: i64) -> Tail {
        fs::write(directory.join("00000000000000000000.log"), bytes).unwrap();
        check_tail(directory, covered, &SupportedFeatures::new()).unwrap()
    }

    #[test]
    fn every_cut_is_torn_and_never_damage() {
        let (directory, bytes, starts) = log();
        assert_eq!(judge(directory.path(), &bytes, 0), Tail::Whole);
        for length in 0..bytes.len() {
            let whole = starts.contains(&length);
            let expected = if whole { Tail::Whole } else { Tail::Torn };
            assert_eq!(judge(directory.path(), &bytes[..length], 0), expected, "cut at {length}");
        }
    }

    #[test]
    fn a_spoilt_last_entry_is_torn_and_a_spoilt_earlier_one_is_damage() {
        let (directory, bytes, starts) = log();
        for at in 0..bytes.len() {
            let entry = starts.partition_point(|start| *start <= at) - 1;
            // Kafka's CRC does not cover the leader epoch.
            if (12..16).contains(&(at - starts[entry])) {
                continue;
            }
            let mut spoilt = bytes.clone();
            spoilt[at] ^= 0x40;
            let tail = judge(directory.path(), &spoilt, 0);
            match entry {
                4 => assert_eq!(tail, Tail::Torn, "byte {at}"),
                _ => assert!(
                    matches!(tail, Tail::Damaged { offset, .. } if offset == entry as i64),
                    "byte {at}: {tail:?}"
                ),
            }
        }
    }

    #[test]
    fn damage_below_what_a_snapshot_covers_does_not_matter() {
        let (directory, mut bytes, starts) = log();
        bytes[starts[1] + 65] ^= 1;
        assert_eq!(judge(directory.path(), &bytes, 3), Tail::Whole);
    }
}
