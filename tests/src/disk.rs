//! A disk whose power can be cut, and that can be frozen: an ext4 file system in a file, on a loop device.
//!
//! Dropping it unmounts it, and with that its loop device goes, however the test ends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::power;

/// The size of the disk; the file is sparse.
const DISK_BYTES: u64 = 4 << 30;

/// Ways to mount it that show different remains after a cut: files that are renamed over others are not written out early, blocks are
/// allocated at once so that every commit of the journal writes data, data may reach the disk after the size that tells of it.
pub const MOUNT_OPTIONS: [&str; 4] =
    ["loop", "loop,noauto_da_alloc", "loop,nodelalloc", "loop,noauto_da_alloc,data=writeback"];

/// Why there can be no such disk here.
#[derive(Debug, thiserror::Error)]
pub enum NoDisk {
    /// Only root mounts.
    #[error("only root can mount a disk")]
    NotRoot,
    /// The kernel has no loop devices, or the container does not let us have one.
    #[error("no loop device can be mounted here: {0}")]
    NoLoopDevice(String),
    /// A tool is not installed.
    #[error("{0} is not installed")]
    NoTool(&'static str),
    /// Something else went wrong.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The disk. Mounted while it lives.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount_point: PathBuf,
    options: &'static str,
}

impl Disk {
    /// Makes an empty disk of the file `image` and mounts it.
    pub fn make(image: PathBuf, mount_point: PathBuf, options: &'static str) -> Result<Self, NoDisk> {
        if !rustix::process::geteuid().is_root() {
            return Err(NoDisk::NotRoot);
        }
        File::create(&image)?.set_len(DISK_BYTES)?;
        fs::create_dir_all(&mount_point)?;
        match run(Command::new("mkfs.ext4").arg("-q").arg(&image)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(NoDisk::NoTool("mkfs.ext4")),
            other => other?,
        }
        let disk = Self { image, mount_point, options };
        disk.mount().map_err(|error| NoDisk::NoLoopDevice(error.to_string()))?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    /// Cuts the power. Whoever uses the disk gets errors from now on.
    pub fn cut(&self) -> io::Result<()> {
        power::cut(&self.mount_point)
    }

    /// Lets nothing be written any more: whoever tries waits until it is thawed.
    pub fn freeze(&self) -> io::Result<()> {
        run(Command::new("fsfreeze").arg("--freeze").arg(&self.mount_point))
    }

    /// Ends that.
    pub fn thaw(&self) -> io::Result<()> {
        run(Command::new("fsfreeze").arg("--unfreeze").arg(&self.mount_point))
    }

    /// Mounts it again after a cut, when nobody uses it any more; the journal is replayed.
    pub fn power_on(&self) -> io::Result<()> {
        run(Command::new("umount").arg(&self.mount_point))?;
        self.mount()
    }

    fn mount(&self) -> io::Result<()> {
        run(Command::new("mount").arg("-o").arg(self.options).arg(&self.image).arg(&self.mount_point))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // One that is frozen could not be unmounted, and whoever writes to it could not be ended; most are not.
        let _ = self.thaw();
        // Lazily: whoever still holds a file of it after a failure must not keep it mounted for good.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.mount_point));
    }
}

/// Runs a command to its end; what it said on standard error is the error.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{} failed: {}", command.get_program().display(), said.trim())))
}
