//! Completes or takes back a replacement of segments that a crash cut short (Kafka's `LogLoader`).
//!
//! A cleaner writes new segments as `.cleaned`, renames them to `.swap` once they are whole, removes the segments that they
//! stand for, and takes the suffix away. A `.swap` file is therefore complete, and what it stands for may be half removed;
//! unless a `.cleaned` file at or below its offset tells that the replacement never got that far (KAFKA-6264).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use weir_protocol::ids::Offset;

use super::remove;
use crate::segment::SegmentFile;
use crate::segment::scan::{BatchScanner, LONG_WALK_BYTES, ScanError};

pub(super) const SWAP_SUFFIX: &str = ".swap";
pub(super) const CLEANED_SUFFIX: &str = ".cleaned";

/// A file of a segment, by what its name says without `suffix`.
struct Suffixed {
    path: PathBuf,
    kind: SegmentFile,
    base_offset: Offset,
}

/// Makes the folder hold whole segments without suffix alone. Returns whether there was anything to do.
pub(super) fn settle_replacements(dir: &Path) -> io::Result<bool> {
    let swapped = files_with(dir, SWAP_SUFFIX)?;
    if swapped.is_empty() {
        return Ok(false);
    }
    let first_cleaned = files_with(dir, CLEANED_SUFFIX)?.iter().map(|file| file.base_offset).min();
    let (unfinished, whole): (Vec<_>, Vec<_>) =
        swapped.into_iter().partition(|file| first_cleaned.is_some_and(|first| file.base_offset >= first));
    for file in &unfinished {
        remove(&file.path)?;
    }
    remove_replaced(dir, &whole)?;
    for file in &whole {
        fs::rename(&file.path, file.kind.path(dir, file.base_offset))?;
    }
    crate::checkpoint::sync_dir(dir)?;
    tracing::warn!(
        dir = %dir.display(), completed = whole.len(), taken_back = unfinished.len(),
        "settling a replacement of segments that was cut short"
    );
    Ok(true)
}

/// Removes the segments that the swapped ones stand for: those that begin within their offsets.
fn remove_replaced(dir: &Path, swapped: &[Suffixed]) -> io::Result<()> {
    let mut offsets: Option<(Offset, Offset)> = None;
    for file in swapped.iter().filter(|file| file.kind == SegmentFile::Log) {
        let end = end_offset(&file.path, file.base_offset)?;
        let (first, last) = offsets.unwrap_or((file.base_offset, end));
        offsets = Some((first.min(file.base_offset), last.max(end)));
    }
    let Some((first, end)) = offsets else { return Ok(()) };
    for file in files_with(dir, "")? {
        if file.base_offset >= first && file.base_offset < end {
            remove(&file.path)?;
        }
    }
    Ok(())
}

/// The offset after the last whole batch of a segment.
fn end_offset(path: &Path, base_offset: Offset) -> io::Result<Offset> {
    let file = fs::File::open(path)?;
    let size = u32::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
    let mut buffer = vec![0; LONG_WALK_BYTES];
    let mut scanner = BatchScanner::new(&file, 0, size, &mut buffer);
    let mut end = base_offset;
    loop {
        match scanner.next() {
            Ok(Some(scanned)) => end = Offset(scanned.header.next_offset()),
            Err(ScanError::Io(error)) => return Err(error),
            Ok(None) | Err(_) => return Ok(end),
        }
    }
}

fn files_with(dir: &Path, suffix: &str) -> io::Result<Vec<Suffixed>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_suffix(suffix)) else { continue };
        if let Some((kind, base_offset)) = SegmentFile::parse(name) {
            files.push(Suffixed { path: entry.path(), kind, base_offset });
        }
    }
    Ok(files)
}
