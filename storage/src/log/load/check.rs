//! What a power cut left of the batches beyond the recovery point.
//!
//! The log is cut at the first batch that is bad, and at the first that is missing: the disk may have a later file, or a later
//! part of one, without an earlier. Never cuts what was flushed.

use std::path::Path;

use weir_protocol::ids::Offset;

use super::{Loader, remove};
use crate::log::LoadError;
use crate::segment::SealedSegment;
use crate::segment::load::{self, data_size};

impl Loader<'_> {
    /// Checks every batch at or above the recovery point; cuts the log at the first that fails or is missing.
    pub(super) fn check_batches(&self, dir: &Path, segments: &mut Vec<SealedSegment>) -> Result<(), LoadError> {
        let recovery_point = self.recovery_point;
        let first = segments.partition_point(|segment| segment.base_offset() <= recovery_point).saturating_sub(1);
        let mut end = None;
        for at in first..segments.len() {
            let segment = &segments[at];
            let base_offset = segment.base_offset();
            if let Some(end) = end
                && let Some(reason) = self.misplaced(base_offset, end)
            {
                return self.cut_from(dir, segments, at, 0, &reason);
            }
            let file = segment.segment.data(dir, &self.how.context, false)?;
            let size = data_size(&file, base_offset)?;
            let start = load::checked_position(&segment.segment, dir, &file, size, recovery_point)?;
            let checked = load::check_batches(&file, start, size, recovery_point, self.is_gapless())?;
            let Some((position, reason)) = checked.bad else {
                end = Some(checked.next_offset);
                continue;
            };
            if checked.next_offset < recovery_point {
                let reason = format!("{reason} at position {position}");
                return Err(load::SegmentLoadError::Corrupt { base_offset, reason, recovery_point }.into());
            }
            file.set_len(u64::from(position))?;
            segments[at].size = position;
            return self.cut_from(dir, segments, at + 1, size - position, &reason);
        }
        Ok(())
    }

    /// Offsets are missing only where compaction took them, and what was flushed may have been compacted.
    fn is_gapless(&self) -> bool {
        self.how.recovery_point.is_some() && !self.how.config.cleanup.compact
    }

    /// Why a segment cannot follow one that ends at `end`, if it cannot: the disk has the later file, and not all of the
    /// earlier one.
    fn misplaced(&self, base_offset: Offset, end: Offset) -> Option<String> {
        if base_offset < self.recovery_point {
            return None;
        }
        if base_offset < end {
            return Some(format!("the segment at {base_offset} begins before the end at {end}"));
        }
        (base_offset > end && end >= self.recovery_point && self.is_gapless())
            .then(|| format!("offsets {end} to {} are missing", base_offset.0 - 1))
    }

    /// Removes the segments from `at` on.
    fn cut_from(
        &self,
        dir: &Path,
        segments: &mut Vec<SealedSegment>,
        at: usize,
        removed_bytes: u32,
        reason: &str,
    ) -> Result<(), LoadError> {
        tracing::warn!(
            partition = %self.how.topic_partition, segment = %segments[at - 1].base_offset(), %reason, removed_bytes,
            removed_segments = segments.len() - at, "removing what a power cut left incomplete"
        );
        // From the end, so that a crash leaves no gap.
        for later in segments.drain(at..).rev() {
            later.segment.close();
            for file in later.segment.rename_deleted(dir)? {
                remove(&file)?;
            }
        }
        Ok(())
    }
}
