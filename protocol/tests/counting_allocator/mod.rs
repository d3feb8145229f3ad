//! An allocator that counts what the current thread holds.
//!
//! Owns the global allocator of the test binary that includes it. It passes everything on to the system's allocator and
//! counts in thread-local cells, so that tests in other threads do not disturb each other.

// A global allocator is an unsafe trait; there is no other way to see what foreign code allocates.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: isize) {
    // A thread that is ending has no cells any more; nothing is measured there.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes to `System` with its own arguments, and `System` keeps the contract. Counting touches only
// constant-initialised cells without destructors, so it never allocates and cannot re-enter.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: `block` came from `System.alloc` above with this `layout`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The old block and the new one may exist at once.
        count(new_size as isize);
        count(-(layout.size() as isize));
        // SAFETY: `block` came from `System` with this `layout`; the caller promises that `new_size` is valid for it.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// The most that this thread holds at once during `work`, beyond what it holds before.
pub(crate) fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get();
    PEAK.set(before);
    let result = work();
    (result, usize::try_from(PEAK.get() - before).expect("the peak is never below the start"))
}
