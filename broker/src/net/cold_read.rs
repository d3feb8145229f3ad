//! Keeps disks away from network threads: before a slice of a file is sent, it is made sure to be in the page cache.
//!
//! A probe (`preadv2` with `RWF_NOWAIT`, one byte at each end of a window) costs less than a microsecond and answers for the
//! hot case; where a window follows a hot one, its beginning needs none, and it is longer. A cold window is read by one of the
//! runtime's few blocking threads, after which the hot path goes on.

use std::fs::File;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use super::response::FileSlice;

/// What is probed, and sent without another probe.
pub(super) const HOT_WINDOW_BYTES: u32 = 256 * 1024;
/// What is probed at once where the bytes before it were hot.
const NEXT_HOT_WINDOW_BYTES: u32 = 1024 * 1024;
/// What is read from disk at once when a window is cold.
const COLD_WINDOW_BYTES: u32 = 1024 * 1024;
/// Blocking threads a network thread may have for cold reads. They end when they have been idle for a while.
pub(super) const COLD_READ_THREADS: usize = 2;

/// Set when the file system cannot answer probes (tmpfs, some overlays): such files are taken as hot.
static PROBES_UNSUPPORTED: AtomicBool = AtomicBool::new(false);

/// How far a connection's first file slice is known to be in the page cache.
#[derive(Debug, Default)]
pub(super) struct Warmth {
    hot: Option<(usize, u64)>,
    reading: Option<JoinHandle<io::Result<()>>>,
    cold_until: u64,
}

impl Warmth {
    /// How many bytes at the front of `slice` can be sent without waiting for a disk. Waits for the disk elsewhere if none.
    pub(super) fn poll_hot(&mut self, context: &mut Context<'_>, slice: &FileSlice) -> Poll<io::Result<u32>> {
        let file = Arc::as_ptr(&slice.file) as usize;
        if self.reading.is_some() {
            ready!(self.poll_warm(context, slice))?;
        }
        if let Some((known, until)) = self.hot
            && known == file
            && until > slice.position
            && until - slice.position <= u64::from(COLD_WINDOW_BYTES)
        {
            return Poll::Ready(Ok(slice.length.min((until - slice.position) as u32)));
        }
        let follows = self.hot == Some((file, slice.position));
        let window = slice.length.min(if follows { NEXT_HOT_WINDOW_BYTES } else { HOT_WINDOW_BYTES });
        let end = slice.position + u64::from(window);
        let begins_hot = follows || window == 1 || is_hot(&slice.file, slice.position)?;
        if begins_hot && is_hot(&slice.file, end - 1)? {
            self.hot = Some((file, end));
            return Poll::Ready(Ok(window));
        }
        ready!(self.poll_warm(context, slice))?;
        self.poll_hot(context, slice)
    }

    /// Has the front of `slice`, known to be cold, read from disk elsewhere.
    pub(super) fn poll_warm(&mut self, context: &mut Context<'_>, slice: &FileSlice) -> Poll<io::Result<()>> {
        let reading = self.reading.get_or_insert_with(|| {
            let (file, position) = (Arc::clone(&slice.file), slice.position);
            self.cold_until = position + u64::from(slice.length.min(COLD_WINDOW_BYTES));
            let until = self.cold_until;
            tokio::task::spawn_blocking(move || warm(&file, position, until))
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        read.map_err(io::Error::other)??;
        self.hot = Some((Arc::as_ptr(&slice.file) as usize, self.cold_until));
        Poll::Ready(Ok(()))
    }
}

/// Brings a range into the page cache by reading it.
fn warm(file: &File, mut position: u64, until: u64) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while position < until {
        let most = (until - position).min(buffer.len() as u64) as usize;
        match file.read_at(&mut buffer[..most], position) {
            // Truncated meanwhile: the sender finds out.
            Ok(0) => break,
            Ok(read) => position += read as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Reads the front of a slice if it is in the page cache (`EAGAIN` if not).
pub(super) fn read_hot(slice: &FileSlice, buffer: &mut [u8]) -> Result<usize, Errno> {
    let most = buffer.len().min(slice.length as usize);
    let buffer = &mut buffer[..most];
    match preadv2(&slice.file, &mut [IoSliceMut::new(buffer)], slice.position, ReadWriteFlags::NOWAIT) {
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => rustix::io::pread(&slice.file, buffer, slice.position),
        read => read,
    }
}

/// Whether the byte at `position` is in the page cache, or will not come from a disk.
fn is_hot(file: &File, position: u64) -> io::Result<bool> {
    if PROBES_UNSUPPORTED.load(Ordering::Relaxed) {
        return Ok(true);
    }
    let mut byte = [0];
    match preadv2(file, &mut [IoSliceMut::new(&mut byte)], position, ReadWriteFlags::NOWAIT) {
        Ok(_) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(Errno::INTR) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => {
            PROBES_UNSUPPORTED.store(true, Ordering::Relaxed);
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[test]
    fn a_cold_slice_is_read_elsewhere_and_then_hot() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, &vec![7; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let slice = FileSlice { file: Arc::new(file), position: 100, length: 2 << 20 };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let hot = runtime.block_on(async {
            let mut warmth = Warmth::default();
            poll_fn(|context| warmth.poll_hot(context, &slice)).await.unwrap()
        });
        assert!(hot == COLD_WINDOW_BYTES || hot == HOT_WINDOW_BYTES, "{hot}");
    }

    #[test]
    fn a_window_is_probed_once_however_it_is_sent() {
        let file = Arc::new(tempfile::tempfile().unwrap());
        file.set_len(4 << 20).unwrap();
        warm(&file, 0, 4 << 20).unwrap();
        let mut warmth = Warmth::default();
        let mut context = Context::from_waker(std::task::Waker::noop());
        let mut hot = |position, length| {
            let slice = FileSlice { file: Arc::clone(&file), position, length };
            match warmth.poll_hot(&mut context, &slice) {
                Poll::Ready(hot) => hot.unwrap(),
                Poll::Pending => panic!("written bytes are hot"),
            }
        };
        assert_eq!(hot(0, 1 << 20), HOT_WINDOW_BYTES);
        assert_eq!(hot(1000, (1 << 20) - 1000), HOT_WINDOW_BYTES - 1000);
        assert_eq!(hot(u64::from(HOT_WINDOW_BYTES), 5), 5);
        let next = u64::from(HOT_WINDOW_BYTES) + 5;
        assert_eq!(hot(next, 3 << 20), NEXT_HOT_WINDOW_BYTES, "what follows a hot window is longer");
    }
}
