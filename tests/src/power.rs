//! The ioctl that takes a file system's power: nothing that is not on its device yet gets there any more.
//!
//! `FS_IOC_SHUTDOWN` without a flush of the journal (`EXT4_GOING_FLAGS_NOLOGFLUSH`) stops every further write, the journal's too. What was
//! in the page cache or in an open transaction is gone at the next mount, as it is when the plug is pulled.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::ioctl::{Opcode, Setter, ioctl, opcode};

/// `_IOR('X', 125, __u32)`.
const FS_IOC_SHUTDOWN: Opcode = opcode::read::<u32>(b'X', 125);
/// `EXT4_GOING_FLAGS_NOLOGFLUSH`.
const WITHOUT_JOURNAL: u32 = 2;

/// Cuts the power of the file system mounted at `mount_point`.
pub(crate) fn cut(mount_point: &Path) -> io::Result<()> {
    let root = File::open(mount_point)?;
    // SAFETY: the operation reads one `u32` through its argument, which is what `Setter` points it to, and writes nothing to this process.
    unsafe { ioctl(&root, Setter::<FS_IOC_SHUTDOWN, u32>::new(WITHOUT_JOURNAL))? };
    Ok(())
}
