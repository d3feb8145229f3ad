//! Roles that could not be taken in time: an append under way holds the role that it was begun in, and on a disk that does not answer
//! it lasts as long as that does. They wait here, so that nobody else's role does; each is taken once its append has ended.

use std::sync::Arc;
use std::time::Duration;

use ahash::{AHashMap, AHashSet};
use uuid::Uuid;
use weir_controller::image::{MetadataImage, PartitionRegistration};

use crate::partition::{Partition, PartitionKey, RoleChange};

/// How long the first role of a directory waits for appends: beyond what one takes on a disk that is merely busy.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often those that wait are tried again.
pub(super) const RETRY: Duration = Duration::from_millis(50);

/// Roles that wait for appends to end.
#[derive(Default)]
pub(super) struct WaitingRoles {
    taking: AHashMap<PartitionKey, Arc<Partition>>,
    leaving: Vec<Arc<Partition>>,
    /// Directories in which one was waited for in vain: nobody is waited for again before that has ended.
    held_up: AHashSet<Option<Uuid>>,
}

impl WaitingRoles {
    pub(super) fn is_empty(&self) -> bool {
        self.taking.is_empty() && self.leaving.is_empty()
    }

    /// Takes the role that `registration` gives, or notes that it is to be taken.
    pub(super) fn take(
        &mut self,
        partition: &Arc<Partition>,
        registration: &Arc<PartitionRegistration>,
        image: &MetadataImage,
    ) -> Option<RoleChange> {
        let change = partition.take_role(Arc::clone(registration), image, self.patience(partition));
        match change {
            Some(_) => drop(self.taking.remove(&partition.key())),
            None => {
                self.hold_up(partition);
                self.taking.insert(partition.key(), Arc::clone(partition));
            }
        }
        change
    }

    /// The replica is no longer here.
    pub(super) fn leave(&mut self, partition: &Arc<Partition>) {
        self.taking.remove(&partition.key());
        if !partition.leave(self.patience(partition)) {
            self.hold_up(partition);
            self.leaving.push(Arc::clone(partition));
        }
    }

    /// Takes what can be taken by now, as `image` has it.
    pub(super) fn retry(&mut self, image: &MetadataImage) -> Vec<(Arc<Partition>, RoleChange)> {
        self.leaving.retain(|partition| !partition.leave(Duration::ZERO));
        let mut taken = Vec::new();
        self.taking.retain(|key, partition| {
            let Some(registration) = image.partition(key.0, key.1).filter(|_| !partition.is_gone()) else {
                return false;
            };
            match partition.take_role(Arc::clone(registration), image, Duration::ZERO) {
                Some(change) => {
                    taken.push((Arc::clone(partition), change));
                    false
                }
                None => true,
            }
        });
        if self.is_empty() {
            self.held_up.clear();
        }
        taken
    }

    fn patience(&self, partition: &Partition) -> Duration {
        if self.held_up.contains(&partition.lies_in()) { Duration::ZERO } else { PATIENCE }
    }

    fn hold_up(&mut self, partition: &Partition) {
        if self.held_up.insert(partition.lies_in()) {
            tracing::warn!(
                partition = %partition.topic_partition(),
                "an append does not end: the role of this replica, and of others that wait for the same disk, is taken when it has"
            );
        }
    }
}
