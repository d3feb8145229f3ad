//! Makes sure that a measurement finds memory that the machine already has.
//!
//! A virtual machine gives pages it does not use back to its host, some seconds after they were freed, and the next one to touch them waits
//! for the host to find others: 2–3 CPU-seconds per gigabyte, several times what is measured here, charged to whoever happens to come
//! first. So whatever is about to be measured, broker or loop, finds its memory touched a moment before.

use std::hint::black_box;

/// Touched beyond what the data itself takes, in percent: socket buffers, indexes, the client's own queues.
const HEADROOM_PERCENT: u64 = 25;
/// Touched even where almost no data is written.
const AT_LEAST_BYTES: u64 = 64 << 20;

/// Touches as much memory as `bytes` of data will need, and gives it back to the kernel.
pub(crate) fn make_ready(bytes: u64) {
    let bytes = (bytes + bytes * HEADROOM_PERCENT / 100).max(AT_LEAST_BYTES);
    drop(black_box(vec![1_u8; bytes as usize]));
}
