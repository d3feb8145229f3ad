//! A coordinator that is cut off: its broker runs, and leads as far as it knows, but nobody hears it, and another may lead by now.
//!
//! Its members are told to look elsewhere, those that wait for a rebalance too: a heartbeat that is answered would keep a consumer on a
//! host that has nothing to give. What it knew is let go; where it turns out that it still leads, the log is read again, and members
//! have a whole session to be heard in. Nobody's session ends meanwhile.

use parking_lot::MutexGuard;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::PartitionIndex;

use super::GroupCoordinator;
use super::slot::Slot;
use crate::group::clock::Now;

impl GroupCoordinator {
    /// Looks at every partition: who waits at one that is cut off is released, and one that is so no more is loaded again. Never waits
    /// for an append, and so looks at some only the next time.
    pub fn look_whether_cut_off(&self) {
        let now = self.clock.now();
        for partition in self.partitions() {
            if let Some(locked) = self.slot(partition).and_then(|slot| slot.try_lock()) {
                // Whichever it is: nobody asks.
                drop(self.unless_cut_off(locked, now, partition));
            }
        }
    }

    /// The slot, or what a client is told while it is cut off or has just ceased to be.
    pub(super) fn unless_cut_off<'a>(
        &self,
        mut locked: MutexGuard<'a, Slot>,
        now: Now,
        partition: PartitionIndex,
    ) -> Result<MutexGuard<'a, Slot>, ErrorCode> {
        let is_cut_off = !matches!(*locked, Slot::Absent) && self.log.is_cut_off(partition);
        match &*locked {
            Slot::Active(shard) if is_cut_off => {
                let leader_epoch = shard.leader_epoch;
                let retired = std::mem::replace(&mut *locked, Slot::CutOff { leader_epoch });
                drop(locked);
                if let Slot::Active(shard) = retired {
                    shard.retire(now, ErrorCode::NotCoordinator);
                }
                Err(ErrorCode::NotCoordinator)
            }
            _ if is_cut_off => Err(ErrorCode::NotCoordinator),
            Slot::CutOff { leader_epoch } => {
                let leader_epoch = *leader_epoch;
                *locked = Slot::Loading { leader_epoch };
                drop(locked);
                self.log.request_load(partition, leader_epoch);
                Err(ErrorCode::CoordinatorLoadInProgress)
            }
            _ => Ok(locked),
        }
    }
}
