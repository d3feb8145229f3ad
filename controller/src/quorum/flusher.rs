//! The thread that fsyncs the metadata log.
//!
//! Owns one thread and a queue of appends that wait to be durable. It takes everything that waits, fsyncs once, and tells
//! openraft; the controller's thread never waits for the disk while it serves. Invariants: completions are reported in
//! the order of the appends; after a failed fsync nothing is ever reported durable again (the fsync is not retried). What has to be
//! written before the fsync and finds the disk full is written once there is room.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use openraft::storage::IOFlushed;

use super::metadata_log::MetadataLog;
use super::types::RaftTypes;

/// Appends that may wait for the disk; when that many wait, the append itself waits. openraft keeps fewer in flight.
const MAX_WAITING_APPENDS: usize = 4096;

/// Stack of the flusher thread; it calls fsync and a callback.
const STACK_BYTES: usize = 128 * 1024;

/// A handle to the fsync thread; dropping it lets the thread finish what waits and end.
pub(crate) struct Flusher {
    appends: Option<SyncSender<IOFlushed<RaftTypes>>>,
    thread: Option<JoinHandle<()>>,
}

impl Flusher {
    pub(crate) fn start(log: Arc<MetadataLog>) -> io::Result<Self> {
        let (appends, waiting) = sync_channel(MAX_WAITING_APPENDS);
        let thread = std::thread::Builder::new()
            .name("metadata-flush".into())
            .stack_size(STACK_BYTES)
            .spawn(move || run(&log, &waiting))?;
        Ok(Self { appends: Some(appends), thread: Some(thread) })
    }

    /// Reports to `callback` once everything appended before this call is durable.
    pub(crate) fn flush_then(&self, callback: IOFlushed<RaftTypes>) {
        let appends = self.appends.as_ref().expect("only drop takes the queue");
        if let Err(refused) = appends.send(callback) {
            refused.0.io_completed(Err(io::Error::other("the metadata log's flusher thread has ended")));
        }
    }
}

impl Drop for Flusher {
    fn drop(&mut self) {
        drop(self.appends.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already, and there is nothing left to flush for.
            let _ = thread.join();
        }
    }
}

fn run(log: &MetadataLog, waiting: &Receiver<IOFlushed<RaftTypes>>) {
    let mut batch = Vec::new();
    while let Ok(first) = waiting.recv() {
        batch.push(first);
        batch.extend(waiting.try_iter());
        let result = log.room().until_written_here("what belongs to the log", 0, || log.flush());
        for callback in batch.drain(..) {
            callback.io_completed(
                result.as_ref().map(|_| ()).map_err(|error| io::Error::new(error.kind(), error.to_string())),
            );
        }
    }
}
