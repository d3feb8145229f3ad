//! Kafka's checkpoint files: a version, a count, then an entry a line.
//!
//! Owns the text format and its atomic replacement (Kafka's `CheckpointFile`, `OffsetCheckpointFile`): written to `.tmp`,
//! fsynced, renamed, and the directory fsynced, so a reader sees the old content or the new, never a mixture. Knows nothing
//! of what an entry means. A line that does not parse is an error that names the file and the line; nothing is skipped.
//!
//! ```text
//! 0                    version
//! 2                    entries
//! orders 0 1234        topic partition offset
//! orders 1 99
//! ```

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_protocol::ids::{Offset, PartitionIndex, TopicPartition};

/// The offset up to which each log of a directory is durable and verified.
pub const RECOVERY_POINT_FILE: &str = "recovery-point-offset-checkpoint";
/// The high watermark of each partition of a directory.
pub const HIGH_WATERMARK_FILE: &str = "replication-offset-checkpoint";
/// The log start offset of each partition of a directory whose start is not that of its first segment.
pub const LOG_START_FILE: &str = "log-start-offset-checkpoint";
/// How far each compacted log of a directory has been cleaned.
pub const CLEANER_OFFSET_FILE: &str = "cleaner-offset-checkpoint";

/// Something that is a line of a checkpoint file.
pub trait CheckpointEntry: Sized {
    /// The version on the file's first line.
    const VERSION: i32 = 0;
    /// Appends the line, without its end.
    fn format(&self, line: &mut String);
    /// Reads the line; `None` if it is not one.
    fn parse(line: &str) -> Option<Self>;
}

/// Why a checkpoint file does not read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file does not read.
    #[error("cannot read the checkpoint file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A newer version.
    #[error("the checkpoint file {} has version {version}, and this program reads version {expected}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: i32,
        /// What is known.
        expected: i32,
    },
    /// A line that is not an entry.
    #[error("line {line} of the checkpoint file {} is malformed: {content:?}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What it says, cut to a readable length.
        content: String,
    },
    /// More or fewer entries than the second line says.
    #[error("the checkpoint file {} announces {expected} entries and holds {found}", path.display())]
    Count {
        /// The file.
        path: PathBuf,
        /// Announced.
        expected: usize,
        /// There.
        found: usize,
    },
}

/// Reads a checkpoint file; one that is missing or empty holds no entries.
pub fn read<T: CheckpointEntry>(path: &Path) -> Result<Vec<T>, CheckpointError> {
    match fs::read(path) {
        Ok(bytes) => decode(path, &bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(CheckpointError::Io { path: path.to_owned(), source }),
    }
}

/// An error if the file exists and is empty.
pub(crate) fn refuse_empty(path: &Path) -> Result<(), CheckpointError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == 0 => {
            Err(CheckpointError::Malformed { path: path.to_owned(), line: 1, content: String::new() })
        }
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(CheckpointError::Io { path: path.to_owned(), source }),
    }
}

/// Replaces a checkpoint file, durably.
pub fn write<'a, T: CheckpointEntry + 'a>(
    path: &Path,
    entries: impl IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
) -> io::Result<()> {
    write_atomically(path, encode(entries).as_bytes())
}

/// The text of a checkpoint file.
pub fn encode<'a, T: CheckpointEntry + 'a>(
    entries: impl IntoIterator<Item = &'a T, IntoIter: ExactSizeIterator>,
) -> String {
    let entries = entries.into_iter();
    let mut text = format!("{}\n{}\n", T::VERSION, entries.len());
    for entry in entries {
        entry.format(&mut text);
        text.push('\n');
    }
    text
}

fn decode<T: CheckpointEntry>(path: &Path, bytes: &[u8]) -> Result<Vec<T>, CheckpointError> {
    const SHOWN_CHARS: usize = 80;
    let malformed = |line: usize, content: &str| CheckpointError::Malformed {
        path: path.to_owned(),
        line,
        content: content.chars().take(SHOWN_CHARS).collect(),
    };
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(1, &String::from_utf8_lossy(bytes)))?;
    let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let Some((number, line)) = lines.next() else { return Ok(Vec::new()) };
    let version: i32 = line.parse().map_err(|_| malformed(number, line))?;
    if version != T::VERSION {
        return Err(CheckpointError::Version { path: path.to_owned(), version, expected: T::VERSION });
    }
    let Some((number, line)) = lines.next() else { return Ok(Vec::new()) };
    let expected: usize = line.parse().map_err(|_| malformed(number, line))?;
    let mut entries = Vec::with_capacity(expected.min(bytes.len()));
    for (number, line) in lines {
        entries.push(T::parse(line).ok_or_else(|| malformed(number, line))?);
    }
    if entries.len() != expected {
        return Err(CheckpointError::Count { path: path.to_owned(), expected, found: entries.len() });
    }
    Ok(entries)
}

/// Who makes a written file durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Whoever writes it, by an fsync of the file.
    OwnFsync,
    /// A sync of the whole file system that follows; until then a power cut may leave it empty or torn.
    FileSystemSync,
}

/// Replaces `path` by `bytes`: the old content or the new is there after a crash at any moment, and the new once this
/// returns.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, bytes, Durability::OwnFsync)?;
    match path.parent() {
        Some(dir) => sync_dir(dir),
        None => Ok(()),
    }
}

/// As [`write_atomically`], without the fsync of the directory: after a power cut the old content may be back.
pub(crate) fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    if durability == Durability::OwnFsync {
        file.sync_data()?;
    }
    drop(file);
    fs::rename(&temporary, path)
}

/// Makes creations, renames and deletions in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// An offset of a partition: the line of every directory-wide checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    /// Whose offset.
    pub partition: TopicPartition,
    /// The offset, never negative.
    pub offset: Offset,
}

impl CheckpointEntry for PartitionOffset {
    fn format(&self, line: &mut String) {
        let TopicPartition { topic, partition } = &self.partition;
        write!(line, "{topic} {partition} {}", self.offset).expect("a string takes it all");
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (topic, partition, offset) = (words.next()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        if words.next().is_some() || partition < 0 || offset < 0 {
            return None;
        }
        let partition = TopicPartition { topic: Arc::from(topic), partition: PartitionIndex(partition) };
        Some(Self { partition, offset: Offset(offset) })
    }
}

/// Reads a directory-wide checkpoint as a map.
pub fn read_offsets(path: &Path) -> Result<HashMap<TopicPartition, Offset>, CheckpointError> {
    Ok(read::<PartitionOffset>(path)?.into_iter().map(|entry| (entry.partition, entry.offset)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(topic: &str, partition: i32, offset: i64) -> PartitionOffset {
        let partition = TopicPartition { topic: Arc::from(topic), partition: PartitionIndex(partition) };
        PartitionOffset { partition, offset: Offset(offset) }
    }

    fn check_error(content: &str, expected: &str) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        fs::write(&path, content).unwrap();
        let error = read::<PartitionOffset>(&path).unwrap_err().to_string();
        assert_eq!(error.replace(path.to_str().unwrap(), "FILE"), expected);
    }

    #[test]
    fn file_has_kafkas_bytes_and_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(RECOVERY_POINT_FILE);
        let entries = [entry("orders", 0, 1234), entry("a.b_c-d", 17, 0)];
        write(&path, &entries).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "0\n2\norders 0 1234\na.b_c-d 17 0\n");
        assert_eq!(read::<PartitionOffset>(&path).unwrap(), entries);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn missing_or_empty_file_holds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("checkpoint");
        assert_eq!(read::<PartitionOffset>(&path).unwrap(), []);
        fs::write(&path, "").unwrap();
        assert_eq!(read::<PartitionOffset>(&path).unwrap(), []);
    }

    #[test]
    fn what_does_not_read_is_named() {
        check_error("x\n", "line 1 of the checkpoint file FILE is malformed: \"x\"");
        check_error("1\n0\n", "the checkpoint file FILE has version 1, and this program reads version 0");
        check_error("0\n-1\n", "line 2 of the checkpoint file FILE is malformed: \"-1\"");
        check_error("0\n2\na 0 1\n", "the checkpoint file FILE announces 2 entries and holds 1");
        check_error("0\n999999999999\n", "the checkpoint file FILE announces 999999999999 entries and holds 0");
        for line in ["a 0", "a 0 1 2", "a x 1", "a 0 -1", "a -1 0", ""] {
            check_error(
                &format!("0\n1\n{line}\n"),
                &format!("line 3 of the checkpoint file FILE is malformed: {line:?}"),
            );
        }
    }
}
