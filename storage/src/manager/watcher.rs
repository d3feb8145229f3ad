//! From the logs of a directory to the manager's threads.
//!
//! Called by appending threads, some of which hold a log's lock: rings the housekeeper on the first change after a rest,
//! the flusher when the directory's budget of appended bytes is spent, and tells the node's owner of a directory that
//! failed. Nothing else.

use std::sync::{Arc, Weak};

use super::config::OnOffline;
use super::directory::Directory;
use super::state::Alarm;
use crate::context::ContextWatcher;

struct Watcher {
    directory: Weak<Directory>,
    alarm: Arc<Alarm>,
    on_offline: Option<OnOffline>,
}

/// Lets the directory's logs tell what they do.
pub(super) fn watch(directory: &Arc<Directory>, alarm: &Arc<Alarm>, on_offline: Option<OnOffline>) {
    let watcher = Watcher { directory: Arc::downgrade(directory), alarm: Arc::clone(alarm), on_offline };
    directory.context.set_watcher(Box::new(watcher));
}

impl std::fmt::Debug for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
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

    fn on_offline(&self, reason: &str) {
        if let (Some(directory), Some(tell)) = (self.directory.upgrade(), &self.on_offline) {
            tell(directory.id, reason);
        }
    }
}
