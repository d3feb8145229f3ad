//! What the simulated machines say to each other.

use std::sync::Arc;

use uuid::Uuid;
use weir_broker::replication::{FetchedPartition, FollowerFetch, IsrProposal};
use weir_controller::decide::{AlteredPartition, BrokerHeartbeatRequest, LogState};
use weir_controller::record::MetadataRecord;
use weir_protocol::error_code::ErrorCode;
use weir_protocol::ids::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionEpoch};

use crate::group::wire::{GroupAnswer, Question};
use crate::model_log::Entry;

/// Who is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Address {
    Controller,
    Broker(BrokerId),
    Client,
    /// A member of a group.
    Member(usize),
    /// Who looks after the groups from outside.
    Administrator,
}

/// The records of one commit of the metadata log.
pub(crate) type Commit = Arc<Vec<MetadataRecord>>;

/// What is said.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Register {
        broker: BrokerId,
        incarnation: Uuid,
        log_state: LogState,
    },
    Registered {
        incarnation: Uuid,
        epoch: BrokerEpoch,
    },
    Heartbeat(BrokerHeartbeatRequest),
    MetadataFetch {
        broker: BrokerId,
        from: usize,
    },
    Metadata {
        from: usize,
        commits: Vec<Commit>,
    },
    Fetch {
        partition: usize,
        id: u64,
        fetch: FollowerFetch,
    },
    Fetched {
        partition: usize,
        id: u64,
        epoch: LeaderEpoch,
        answer: FetchedPartition,
        entries: Vec<Entry>,
    },
    AlterPartition {
        partition: usize,
        from: BrokerId,
        broker_epoch: BrokerEpoch,
        epoch: LeaderEpoch,
        proposal: IsrProposal,
    },
    Altered {
        partition: usize,
        epoch: LeaderEpoch,
        asked: PartitionEpoch,
        outcome: Result<AlteredPartition, ErrorCode>,
    },
    Produce {
        partition: usize,
        value: u64,
    },
    Produced {
        partition: usize,
        value: u64,
        outcome: Result<Offset, ErrorCode>,
    },
    AskGroups(Question),
    GroupAnswered {
        question: Question,
        answer: Arc<GroupAnswer>,
    },
}
