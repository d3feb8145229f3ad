//! `.weir-boot-id`: under which boot of the operating system a directory was last opened.
//!
//! A process that dies leaves what it wrote in the page cache; only a dead operating system loses it. Equal boot ids at the
//! next open tell the two apart. The file is not fsynced: when a power cut takes it, what remains is an older boot's,
//! which reads as the other boot that it was. Nor does it stay in a directory that has failed, for what the kernel dropped
//! with a failed fsync is gone as if the power had been. Kafka has no such file and passes it over.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// The file's name in a log directory.
pub const BOOT_ID_FILE: &str = ".weir-boot-id";

/// The boot id of the running operating system, `None` where there is none.
pub fn current_boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

pub(super) fn read(dir: &Path) -> io::Result<Option<String>> {
    match fs::read(dir.join(BOOT_ID_FILE)) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn record(dir: &Path, boot_id: &str) -> io::Result<()> {
    if read(dir)?.as_deref() == Some(boot_id) {
        return Ok(());
    }
    fs::write(dir.join(BOOT_ID_FILE), format!("{boot_id}\n"))
}

/// What was written here may be lost although the operating system lives on: the next open must not believe otherwise. Only an
/// open under the same boot would, so this need not be durable.
pub(crate) fn forget(dir: &Path) -> io::Result<()> {
    let file = dir.join(BOOT_ID_FILE);
    match fs::remove_file(&file) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Where no name can be changed any more the file may still be emptied, which is as good.
        Err(error) => File::options().write(true).truncate(true).open(&file).map(drop).map_err(|_| error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_boot_id_reads_as_none() {
        let dir = tempfile::tempdir().unwrap();
        forget(dir.path()).unwrap();
        record(dir.path(), "boot").unwrap();
        forget(dir.path()).unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
    }

    #[test]
    fn a_running_linux_has_a_boot_id() {
        assert_eq!(current_boot_id().map(|id| id.len()), Some(36));
    }
}
