//! What this broker is to a partition, and what changes that: the metadata alone.
//!
//! ```text
//!            not registered in this life, or no leader
//!   Idle  <---------------------------------------------+
//!    |  metadata                                         |
//!    +--> Sole      leads, and no other replica exists --+
//!    +--> Leader    leads, others follow ----------------+
//!    +--> Follower  another leads -----------------------+
//! ```
//!
//! A role lasts as long as its leader epoch. Taking one is done under the lock that every append holds for reading, so nothing is
//! written under a leadership that has ended.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use weir_controller::decide::IsrMember;
use weir_controller::image::{MetadataImage, PartitionRegistration};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, LeaderEpoch};
use weir_storage::log::Log;

use super::local::candidate;
use super::{LocalBroker, Partition, PartitionError};
use crate::replication::{LeaderState, LogAtElection, Terms};

/// What the metadata says of a partition, and what follows from it for this broker.
#[derive(Debug)]
pub(super) struct Tenure {
    pub(super) registration: Arc<PartitionRegistration>,
    pub(super) role: Role,
    /// The life of the broker in which it has that role.
    broker_epoch: BrokerEpoch,
}

/// What this broker is to a partition.
#[derive(Debug)]
pub(super) enum Role {
    /// Nothing, for now.
    Idle,
    /// Its leader and only replica: what is written is committed.
    Sole,
    /// Its leader, with followers.
    Leader(Leadership),
    /// A follower.
    Follower,
}

/// A leadership with followers. What is known of them begins when the log is there.
#[derive(Debug, Default)]
pub(super) struct Leadership {
    state: OnceLock<Mutex<LeaderState>>,
}

/// What became of this broker's part in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleChange {
    /// Nothing that anyone need act on.
    None,
    /// It leads, in an epoch in which it did not lead before.
    Leads,
    /// It follows another leader, or the same in another epoch.
    Follows,
    /// It neither leads nor follows.
    Idles,
}

impl Tenure {
    /// What `local` is to a partition. It acts if the metadata tells of its present life.
    pub(super) fn new(registration: Arc<PartitionRegistration>, local: IsrMember, acts: bool) -> Self {
        let IsrMember { broker: local, broker_epoch } = local;
        let role = if !acts || !registration.has_leader() {
            Role::Idle
        } else if registration.leader != local {
            if registration.replicas.contains(&local) { Role::Follower } else { Role::Idle }
        } else if registration.replicas.len() == 1 {
            Role::Sole
        } else {
            Role::Leader(Leadership::default())
        };
        Self { registration, role, broker_epoch }
    }

    /// Checks what a client believes of the leader epoch (KIP-320).
    pub(super) fn check_epoch(&self, believed: LeaderEpoch) -> Result<LeaderEpoch, PartitionError> {
        let epoch = self.registration.leader_epoch;
        if believed != LeaderEpoch::NONE && believed < epoch {
            return Err(ErrorCode::FencedLeaderEpoch.into());
        }
        if believed > epoch {
            return Err(ErrorCode::UnknownLeaderEpoch.into());
        }
        Ok(epoch)
    }

    /// Checks that this broker leads, at the epoch the client believes in if it names one.
    pub(super) fn check_leadership(&self, believed: LeaderEpoch) -> Result<LeaderEpoch, PartitionError> {
        let epoch = self.check_epoch(believed)?;
        if !self.leads() {
            return Err(ErrorCode::NotLeaderOrFollower.into());
        }
        Ok(epoch)
    }

    pub(super) fn leads(&self) -> bool {
        matches!(self.role, Role::Sole | Role::Leader(_))
    }

    pub(super) fn follows(&self) -> bool {
        matches!(self.role, Role::Follower)
    }

    /// The leadership, if others follow.
    pub(super) fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            _ => None,
        }
    }
}

impl Leadership {
    /// What is known of the followers, once the log has been opened.
    pub(super) fn known(&self) -> Option<&Mutex<LeaderState>> {
        self.state.get()
    }

    /// The same, beginning now if need be: nobody has appended since the epoch began.
    pub(super) fn state(&self, log: &Log, tenure: &Tenure, terms: Terms, local: &LocalBroker) -> &Mutex<LeaderState> {
        self.state.get_or_init(|| {
            let registration = &tenure.registration;
            let log_end = log.log_end_offset();
            log.assign_epoch_start(registration.leader_epoch, log_end);
            let is_flushed = log.config().flush_messages == 1;
            let at_election = LogAtElection {
                log_end,
                own_end: if is_flushed { log.recovery_point().min(log_end) } else { log_end },
                high_watermark: log.high_watermark(),
            };
            Mutex::new(LeaderState::new(local.member(), registration, at_election, terms, local.now_ms()))
        })
    }
}

impl Partition {
    /// The metadata says something new of this partition, or of the brokers that replicate it. Waits for appends under way, but not
    /// for longer than `patience`: on a disk that does not answer an append lasts as long as that does. Nothing if it was too long.
    ///
    /// A registration of the broker, or a role that was held up, is acted on by the newest metadata, and older ones may still be on their
    /// way: a registration that is older than the one known says nothing of who leads. Whoever acts on the change goes by
    /// [`Self::registration`].
    pub(crate) fn take_role(
        self: &Arc<Self>,
        registration: Arc<PartitionRegistration>,
        image: &MetadataImage,
        patience: Duration,
    ) -> Option<RoleChange> {
        let mut tenure = self.tenure.try_write_for(patience)?;
        let is_older = registration.partition_epoch < tenure.registration.partition_epoch;
        let registration = if is_older { Arc::clone(&tenure.registration) } else { registration };
        let next = Tenure::new(registration, self.local.member(), self.local.acts(image) && !self.is_gone());
        let same_epoch = tenure.registration.leader_epoch == next.registration.leader_epoch
            && tenure.broker_epoch == next.broker_epoch;
        let change = match (&tenure.role, &next.role) {
            (Role::Leader(_), Role::Leader(_)) | (Role::Sole, Role::Sole) | (Role::Follower, Role::Follower)
                if same_epoch && tenure.registration.leader == next.registration.leader =>
            {
                tenure.registration = next.registration;
                RoleChange::None
            }
            // A reassignment adds the first follower, or takes the last: the leadership goes on.
            (Role::Sole, Role::Leader(_)) | (Role::Leader(_), Role::Sole) if same_epoch => {
                *tenure = next;
                RoleChange::None
            }
            (Role::Idle, Role::Idle) => {
                *tenure = next;
                RoleChange::None
            }
            (_, role) => {
                let change = match role {
                    Role::Idle => RoleChange::Idles,
                    Role::Sole | Role::Leader(_) => RoleChange::Leads,
                    Role::Follower => RoleChange::Follows,
                };
                *tenure = next;
                change
            }
        };
        drop(tenure);
        if let Some(log) = self.opened_log() {
            self.tell_directory(&log);
        }
        self.refresh_leadership(image);
        if change != RoleChange::None {
            // Whoever waits finds that this broker does not lead.
            self.wake_all();
        }
        Some(change)
    }

    /// What it has been since it was made, and by what registration.
    pub(crate) fn first_role(&self) -> (RoleChange, Arc<PartitionRegistration>) {
        let tenure = self.tenure.read();
        let change = match &tenure.role {
            Role::Idle => RoleChange::None,
            Role::Sole | Role::Leader(_) => RoleChange::Leads,
            Role::Follower => RoleChange::Follows,
        };
        (change, tenure.registration.clone())
    }

    /// The replica is no longer here: whatever waits for it is told. False if appends under way last longer than `patience`.
    pub(crate) fn leave(&self, patience: Duration) -> bool {
        let left = self.tenure.try_write_for(patience).map(|mut tenure| tenure.role = Role::Idle).is_some();
        self.wake_all();
        left
    }

    /// Opens the log, and begins what its role needs of it.
    pub(crate) fn open(&self) -> Result<(), PartitionError> {
        self.log()?;
        let tenure = self.tenure.read();
        let log = &self.log()?;
        if let Some(leadership) = tenure.leadership() {
            let state = leadership.state(log, &tenure, self.terms(), &self.local);
            let high_watermark = state.lock().high_watermark();
            self.advance(log, Some(high_watermark));
        }
        Ok(())
    }

    /// Brings the leadership up to what the metadata and the topic's settings say now, and opens it if the log is open.
    pub(crate) fn refresh_leadership(self: &Arc<Self>, image: &MetadataImage) {
        let tenure = self.tenure.read();
        let Some(log) = &self.opened_log() else { return };
        let now_ms = self.local.now_ms();
        let (high_watermark, is_pending) = match &tenure.role {
            Role::Leader(leadership) => {
                let mut state = leadership.state(log, &tenure, self.terms(), &self.local).lock();
                state.on_metadata(&tenure.registration, now_ms);
                state.set_min_insync(self.terms().min_insync, now_ms);
                for broker in tenure.registration.replicas.iter().filter(|broker| **broker != self.local.id()) {
                    state.on_broker(*broker, candidate(image, &tenure.registration, *broker), now_ms);
                }
                (Some(state.high_watermark()), state.proposal().is_some())
            }
            Role::Sole => (Some(Self::sole_high_watermark(log)), false),
            Role::Idle | Role::Follower => (None, false),
        };
        self.advance(log, high_watermark);
        drop(tenure);
        if is_pending {
            self.local.want_isr(self.clone());
        }
    }

    pub(super) fn terms(&self) -> Terms {
        Terms { min_insync: self.topic.config.load().min_insync_replicas, max_lag_ms: self.local.max_lag_ms }
    }
}
