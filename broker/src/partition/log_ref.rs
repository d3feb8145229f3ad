//! A partition's log as it was when it was asked for: a move to another directory may replace it meanwhile.

use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use weir_storage::log::Log;

/// A log that is there.
#[derive(Debug)]
pub struct LogRef(Guard<Option<Arc<Log>>>);

impl LogRef {
    pub(super) fn of(log: &ArcSwapOption<Log>) -> Option<Self> {
        let log = log.load();
        log.is_some().then_some(Self(log))
    }
}

impl Deref for LogRef {
    type Target = Arc<Log>;

    fn deref(&self) -> &Arc<Log> {
        self.0.as_ref().expect("only a log that is there is referred to")
    }
}
