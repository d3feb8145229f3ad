//! How much room a directory's disk has.
//!
//! Owns the reserve mark: at which free space produce is refused and at which it resumes. Pure but for one `statvfs`.

use std::io;
use std::path::Path;

use super::config::{DISK_RESUME_PER_MILLE, LogManagerConfig};

/// The room on a disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DiskSpace {
    pub(super) total: u64,
    /// To this user.
    pub(super) usable: u64,
}

/// How many bytes this user may still write to the disk of `dir`.
pub fn usable_bytes(dir: &Path) -> io::Result<u64> {
    DiskSpace::of(dir).map(|space| space.usable)
}

impl DiskSpace {
    pub(super) fn of(dir: &Path) -> io::Result<Self> {
        let stat = rustix::fs::statvfs(dir)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { total: bytes(stat.f_blocks), usable: bytes(stat.f_bavail) })
    }

    /// The free space that is kept back.
    fn kept_back(&self, reserve: Reserve) -> u64 {
        reserve.bytes.min((self.total / 1000).saturating_mul(reserve.per_mille))
    }

    /// Whether produce is refused, given whether it was before.
    pub(super) fn is_full(&self, reserve: Reserve, was_full: bool) -> bool {
        let kept = self.kept_back(reserve);
        let mark = if was_full { kept + kept / 1000 * DISK_RESUME_PER_MILLE } else { kept };
        self.usable < mark
    }

    /// What may be appended before the mark is reached.
    pub(super) fn headroom(&self, reserve: Reserve) -> u64 {
        self.usable.saturating_sub(self.kept_back(reserve))
    }
}

/// What is kept free of a disk: so many bytes, or so many thousandths of it if that is less.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserve {
    pub(super) bytes: u64,
    pub(super) per_mille: u64,
}

impl Reserve {
    pub(super) fn of(config: &LogManagerConfig) -> Self {
        Self { bytes: config.disk_reserve_bytes, per_mille: config.disk_reserve_per_mille }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESERVE: Reserve = Reserve { bytes: 1 << 30, per_mille: 20 };

    #[test]
    fn reserve_is_a_share_of_a_small_disk() {
        let small = DiskSpace { total: 1_000_000, usable: 30_000 };
        assert_eq!(small.kept_back(RESERVE), 20_000);
        assert_eq!(small.headroom(RESERVE), 10_000);
        let large = DiskSpace { total: 1 << 40, usable: 1 << 39 };
        assert_eq!(large.kept_back(RESERVE), 1 << 30);
    }

    #[test]
    fn a_full_disk_resumes_with_a_margin() {
        let at = |usable| DiskSpace { total: 1_000_000, usable };
        assert!(!at(20_000).is_full(RESERVE, false));
        assert!(at(19_999).is_full(RESERVE, false));
        assert!(at(21_999).is_full(RESERVE, true));
        assert!(!at(22_000).is_full(RESERVE, true));
    }

    #[test]
    fn a_disk_has_room() {
        let space = DiskSpace::of(Path::new("/tmp")).unwrap();
        assert!(space.total > 0 && space.usable <= space.total);
    }
}
