//! A log that is replaced by its copy in another directory of this broker (KIP-113).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use weir_protocol::ids::Offset;
use weir_storage::log::Log;

use super::Partition;

impl Partition {
    /// Lets `replace` yield what takes the place of the log, while nobody appends to it or cuts it; nothing if it is not to be replaced
    /// yet. Readers go on with the one or the other. `None` if appends under way last longer than `patience`, or there is no log.
    pub(crate) fn replace_log<E>(
        &self,
        patience: Duration,
        replace: impl FnOnce(&Log) -> Result<Option<Arc<Log>>, E>,
    ) -> Option<Result<bool, E>> {
        let _files = self.files.lock();
        let original = self.opened_log()?;
        let tenure = self.tenure.try_write_for(patience)?;
        let replacement = match replace(&original) {
            Ok(replacement) => replacement,
            Err(error) => return Some(Err(error)),
        };
        let is_replaced = replacement.is_some();
        if let Some(log) = replacement {
            self.log.store(Some(Arc::clone(&log)));
            drop(tenure);
            self.tell_directory(&log);
            // Whoever waits for the one looks at the other.
            self.wake_all();
        }
        Some(Ok(is_replaced))
    }

    /// The log was cut here: a copy of it is to be cut too.
    pub(crate) fn note_cut(&self, to: Offset) {
        self.cut.fetch_min(to.get(), Ordering::AcqRel);
    }

    /// Where the log was cut at the lowest since this was last asked, if it was.
    pub(crate) fn take_cut(&self) -> Option<Offset> {
        let cut = self.cut.swap(i64::MAX, Ordering::AcqRel);
        (cut != i64::MAX).then_some(Offset(cut))
    }
}
