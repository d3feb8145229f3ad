//! Big receive buffers, kept per thread for the next big frame, so that a stream of batches neither maps, faults nor
//! zeroes fresh memory.
//!
//! Bounded by [`MAX_POOLED_BYTES`] a thread and [`MAX_POOLED_BUFFER_BYTES`] a buffer; what exceeds either is freed. Last
//! in, first out, so that the buffer handed out is the one the caches still hold.

use std::cell::RefCell;

use bytes::BytesMut;

/// Buffers below this size are left to the allocator.
pub(super) const MIN_POOLED_BUFFER_BYTES: usize = 8 * 1024;
/// The largest buffer kept.
pub(super) const MAX_POOLED_BUFFER_BYTES: usize = 2 * 1024 * 1024;
/// What a thread keeps in all.
pub(super) const MAX_POOLED_BYTES: usize = 3 * 1024 * 1024;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { buffers: Vec::new(), bytes: 0 }) };
}

struct Pool {
    buffers: Vec<BytesMut>,
    bytes: usize,
}

/// An empty buffer that holds at least `capacity` bytes and not more than a few times as many.
pub(super) fn take(capacity: usize) -> BytesMut {
    let pooled = POOL.with_borrow_mut(|pool| {
        let fits = |buffer: &BytesMut| buffer.capacity() >= capacity && buffer.capacity() / 4 <= capacity;
        let index = pool.buffers.iter().rposition(fits)?;
        let buffer = pool.buffers.remove(index);
        pool.bytes -= buffer.capacity();
        Some(buffer)
    });
    pooled.unwrap_or_else(|| BytesMut::with_capacity(capacity.max(MIN_POOLED_BUFFER_BYTES).next_power_of_two()))
}

/// Keeps the buffer for [`take`] if it is worth keeping. The caller must own its allocation alone.
pub(super) fn give_back(mut buffer: BytesMut) {
    buffer.clear();
    if buffer.capacity() < MIN_POOLED_BUFFER_BYTES || buffer.capacity() > MAX_POOLED_BUFFER_BYTES {
        return;
    }
    // The thread may be ending, its pool gone: then the buffer is simply freed.
    let _ = POOL.try_with(|pool| {
        let mut pool = pool.borrow_mut();
        if pool.bytes + buffer.capacity() <= MAX_POOLED_BYTES {
            pool.bytes += buffer.capacity();
            pool.buffers.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_big_buffer_returns_and_a_small_or_huge_one_does_not() {
        let buffer = take(100_000);
        let address = buffer.as_ptr();
        give_back(buffer);
        assert_eq!(take(90_000).as_ptr(), address);
        give_back(BytesMut::with_capacity(100));
        give_back(BytesMut::with_capacity(MAX_POOLED_BUFFER_BYTES + 1));
        POOL.with_borrow(|pool| assert!(pool.buffers.is_empty() && pool.bytes == 0));
    }

    #[test]
    fn a_thread_keeps_no_more_than_its_bound() {
        for buffer in (0..10).map(|_| BytesMut::with_capacity(1 << 20)).collect::<Vec<_>>() {
            give_back(buffer);
        }
        POOL.with_borrow(|pool| assert_eq!((pool.buffers.len(), pool.bytes), (3, 3 << 20)));
    }

    #[test]
    fn a_small_frame_never_takes_a_buffer_many_times_its_size() {
        give_back(BytesMut::with_capacity(1 << 20));
        assert!(take(16 * 1024).capacity() < 1 << 18);
    }
}
