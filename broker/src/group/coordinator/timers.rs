//! One task for the deadlines of all shards: it sleeps until the first of them, and not at all while there is none.

use std::sync::atomic::Ordering;
use std::time::Duration;

use weir_protocol::ids::PartitionIndex;

use super::{GroupCoordinator, NO_DEADLINE};

impl GroupCoordinator {
    /// Runs forever; drop or abort it to stop. Needs a runtime with time.
    pub async fn run_timers(&self) {
        loop {
            // From here on every operation that finds an earlier deadline says so, and wakes the sleep below.
            self.wakes_at_ms.store(NO_DEADLINE, Ordering::SeqCst);
            self.run_due();
            let wakes_at_ms = self.wakes_at_ms.load(Ordering::SeqCst);
            let woken = self.wake.notified();
            if wakes_at_ms == NO_DEADLINE {
                woken.await;
                continue;
            }
            let sleep_ms = u64::try_from(wakes_at_ms - self.clock.now().monotonic_ms).unwrap_or(0);
            // Either way the shards are looked at again.
            let _ = tokio::time::timeout(Duration::from_millis(sleep_ms), woken).await;
        }
    }

    /// Does whatever is due in any shard: one round of [`GroupCoordinator::run_timers`], for who keeps time otherwise.
    pub fn run_due(&self) {
        for partition in self.partitions() {
            self.run_due_in(partition);
        }
    }

    fn run_due_in(&self, partition: PartitionIndex) {
        let Ok(Some(due_ms)) = self.read(partition, |shard| shard.next_deadline_ms()) else { return };
        if due_ms <= self.clock.now().monotonic_ms {
            // The turn itself does what is due; a failed append is logged there, and the shard loaded again.
            let _ = self.turn(partition, None, |_, _, _| ());
        } else {
            // Not `wake_timers_by`: a task that wakes itself never sleeps.
            self.wakes_at_ms.fetch_min(due_ms, Ordering::SeqCst);
        }
    }

    /// Makes the task wake by `due_ms` at the latest.
    pub(super) fn wake_timers_by(&self, due_ms: Option<i64>) {
        let Some(due_ms) = due_ms else { return };
        if due_ms < self.wakes_at_ms.load(Ordering::Relaxed)
            && due_ms < self.wakes_at_ms.fetch_min(due_ms, Ordering::SeqCst)
        {
            self.wake.notify_one();
        }
    }
}
