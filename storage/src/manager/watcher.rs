//! From the logs of a directory to the manager's threads.
//!
//! Called by appending threads, some of which hold a log's lock: rings the housekeeper on the first change after a rest, and
//! the flusher when the directory's budget of appended bytes is spent. Nothing else.

use std::sync::{Arc, Weak};

use super::directory::Directory;
use super::state::Alarm;
use crate::context::ContextWatcher;

#[derive(Debug)]
struct Watcher {
    directory: Weak<Directory>,
    alarm: Arc<Alarm>,
}

/// Lets the directory's logs tell what they do.
pub(super) fn watch(directory: &Arc<Directory>, alarm: &Arc<Alarm>) {
    let watcher = Watcher { directory: Arc::downgrade(directory), alarm: Arc::clone(alarm) };
    directory.context.set_watcher(Box::new(watcher));
}

impl ContextWatcher for Watcher {
    fn on_activity(&self) {
        self.alarm.ring();
    }

    fn on_budget_spent(&self) {
        if let Some(directory) = self.directory.upgrade() {
            directory.flushes.ask(|round| round.relieve = true);
        }
    }
}
