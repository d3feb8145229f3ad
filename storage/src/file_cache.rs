//! Open files, shared by every log of the process and bounded.
//!
//! Owns the handles of segments' data and offset index files. A segment keeps its handle in a slot of its own, so that the
//! append path finds it with one uncontended lock; the cache only remembers which slots are full and empties the
//! least recently used (second chance) when a new one would pass the cap. A handle that a reader still holds stays
//! open until it lets go: the cap is on what is *kept*. 100,000 idle partitions therefore cost no handles.
//!
//! Never holds two locks at once: a slot's lock is released before the ring's is taken, and the other way round.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

/// Files one segment may keep open: data and offset index.
const FILES_A_SEGMENT: usize = 2;
/// What the cache keeps at most, whatever the process may open.
const MAX_KEPT_FILES: usize = 65_536;
/// What the cache keeps at least, or a single busy partition would thrash.
const MIN_KEPT_FILES: usize = 16;

/// Bounds the files that segments keep open. One a process, shared by every directory.
#[derive(Debug)]
pub struct FileCache {
    ring: Mutex<Ring>,
    max_segments: usize,
}

#[derive(Debug, Default)]
struct Ring {
    /// Segments with at least one open handle, and dead ones not yet passed by the hand.
    members: Vec<Weak<HandleSlots>>,
    hand: usize,
}

/// The handles of one segment.
#[derive(Debug, Default)]
pub(crate) struct HandleSlots {
    data: Mutex<Option<Arc<File>>>,
    offset_index: Mutex<Option<Arc<File>>>,
    /// Used since the hand last passed.
    used: AtomicBool,
    /// In the ring.
    member: AtomicBool,
}

impl FileCache {
    /// A cache that keeps at most `max_open_files` files open.
    pub fn new(max_open_files: usize) -> Self {
        let max_segments = max_open_files.clamp(MIN_KEPT_FILES, MAX_KEPT_FILES) / FILES_A_SEGMENT;
        Self { ring: Mutex::default(), max_segments }
    }

    /// A cache that takes half of what the process may open (`RLIMIT_NOFILE`), the rest being for sockets.
    pub fn sized_for_process() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.and_then(|files| usize::try_from(files).ok()).unwrap_or(MAX_KEPT_FILES);
        Self::new(limit / 2)
    }

    /// Segments whose handles are kept at the moment.
    pub fn open_segments(&self) -> usize {
        self.ring.lock().members.iter().filter(|member| member.strong_count() > 0).count()
    }

    /// Notes that `slots` holds a handle now, and makes room for it.
    fn admit(&self, slots: &Arc<HandleSlots>) {
        if slots.member.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut evicted: Vec<Arc<HandleSlots>> = Vec::new();
        {
            let mut ring = self.ring.lock();
            while ring.members.len() >= self.max_segments {
                if let Some(victim) = ring.pass() {
                    evicted.push(victim);
                }
            }
            ring.members.push(Arc::downgrade(slots));
        }
        for victim in evicted {
            victim.close();
        }
    }
}

impl Ring {
    /// Moves the hand by one member: a dead one is forgotten, a used one gets its second chance, any other is taken out.
    fn pass(&mut self) -> Option<Arc<HandleSlots>> {
        if self.hand >= self.members.len() {
            self.hand = 0;
        }
        let Some(slots) = self.members[self.hand].upgrade() else {
            self.members.swap_remove(self.hand);
            return None;
        };
        if slots.used.swap(false, Ordering::Relaxed) {
            self.hand += 1;
            return None;
        }
        self.members.swap_remove(self.hand);
        slots.member.store(false, Ordering::Release);
        Some(slots)
    }
}

/// Which of a segment's files.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Handle {
    /// `.log`.
    Data,
    /// `.index`.
    OffsetIndex,
}

impl HandleSlots {
    fn slot(&self, which: Handle) -> &Mutex<Option<Arc<File>>> {
        match which {
            Handle::Data => &self.data,
            Handle::OffsetIndex => &self.offset_index,
        }
    }

    /// The handle, if it is open.
    pub(crate) fn get(&self, which: Handle) -> Option<Arc<File>> {
        let file = self.slot(which).lock().clone();
        if file.is_some() {
            // A plain load first: the line stays shared between threads that read the same segment.
            if !self.used.load(Ordering::Relaxed) {
                self.used.store(true, Ordering::Relaxed);
            }
        }
        file
    }

    /// Keeps `file` for the next caller, within the cache's bound.
    pub(crate) fn put(self: &Arc<Self>, which: Handle, file: Arc<File>, cache: &FileCache) {
        *self.slot(which).lock() = Some(file);
        self.used.store(true, Ordering::Relaxed);
        cache.admit(self);
    }

    /// Drops both handles; the files close when their last reader is done.
    pub(crate) fn close(&self) {
        let data = self.data.lock().take();
        let offset_index = self.offset_index.lock().take();
        drop((data, offset_index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> Arc<File> {
        Arc::new(File::open("/dev/null").unwrap())
    }

    #[test]
    fn the_least_recently_used_segment_loses_its_handles_at_the_cap() {
        let cache = FileCache::new(MIN_KEPT_FILES);
        let slots: Vec<_> = (0..9).map(|_| Arc::new(HandleSlots::default())).collect();
        for slot in &slots[..8] {
            slot.put(Handle::Data, open(), &cache);
        }
        for slot in &slots[..8] {
            slot.used.store(false, Ordering::Relaxed);
        }
        assert!(slots[0].get(Handle::Data).is_some());
        slots[8].put(Handle::Data, open(), &cache);
        assert!(slots[0].get(Handle::Data).is_some(), "it was used");
        assert!(slots[1].get(Handle::Data).is_none(), "it was not");
        assert_eq!(cache.open_segments(), 8);
    }

    #[test]
    fn a_segment_that_is_gone_makes_room_without_an_eviction() {
        let cache = FileCache::new(MIN_KEPT_FILES);
        let kept: Vec<_> = (0..7).map(|_| Arc::new(HandleSlots::default())).collect();
        for slot in &kept {
            slot.put(Handle::Data, open(), &cache);
        }
        let gone = Arc::new(HandleSlots::default());
        gone.put(Handle::Data, open(), &cache);
        drop(gone);
        let new = Arc::new(HandleSlots::default());
        new.put(Handle::Data, open(), &cache);
        assert!(kept.iter().all(|slot| slot.get(Handle::Data).is_some()));
    }

    #[test]
    fn an_evicted_segment_can_come_back() {
        let cache = FileCache::new(MIN_KEPT_FILES);
        let slots: Vec<_> = (0..20).map(|_| Arc::new(HandleSlots::default())).collect();
        for slot in slots.iter().chain(&slots) {
            slot.put(Handle::Data, open(), &cache);
        }
        assert!(cache.open_segments() <= 8);
    }
}
