//! Which member of the quorum a node is: that whose log and vote its directory holds.
//!
//! A member is a node and an id (KIP-853), at first that of the directory. Owns what becomes of it when its log is lost:
//! without what it acknowledged, or without its vote, a member may not vote again. Where there are others to get the
//! metadata from, the node takes a new id and comes back as another member, as with an empty directory; alone it does not
//! start, for it would begin an empty cluster. The folder may be gone as a whole, so it is recorded outside of it that there
//! was one.
//!
//! Invariants: an id is recorded only once a vote of its member is on the disk, so that a folder without any is a lost one; a
//! new id, which follows a recorded one, is recorded before its first vote. Both are durable before anybody is answered.

use std::io;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;
use weir_storage::identity::random_uuid;

use super::controller::ControllerConfig;
use super::quorum_state::QuorumStateFile;
use super::start_error::StartError;
use super::types::{LogId, RaftNodeId};

/// Where it is kept that a directory has held a metadata log: `meta.properties`.
pub trait MemberRecord: Send + Sync {
    /// The id of the member whose log the directory holds or held; nothing if it never held one.
    fn member(&self) -> Option<Uuid>;

    /// Replaces that id; durable when it returns.
    fn set_member(&self, id: Uuid) -> io::Result<()>;
}

/// Who this node is to its quorum.
pub(super) struct Member {
    pub(super) id: RaftNodeId,
    /// It was another one, whose log is gone: there is a cluster somewhere, and this node forms none.
    pub(super) lost_log: bool,
}

/// The record of the member that a node is.
#[derive(Clone)]
pub(crate) struct RecordedMember {
    directory_id: Uuid,
    record: Arc<dyn MemberRecord>,
}

impl RecordedMember {
    /// Records that this member has voted.
    pub(crate) fn note(&self) -> io::Result<()> {
        match self.record.member() {
            Some(noted) if noted == self.directory_id => Ok(()),
            _ => self.record.set_member(self.directory_id),
        }
    }
}

impl std::fmt::Debug for RecordedMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RecordedMember").field(&self.directory_id).finish()
    }
}

/// The record of who `config` says that this node is, if one is kept.
pub(super) fn record_of(config: &ControllerConfig) -> Option<RecordedMember> {
    let record = Arc::clone(config.member_record.as_ref()?);
    Some(RecordedMember { directory_id: record.member().unwrap_or(config.directory_id), record })
}

/// Settles who this node is, by what its `folder` holds: `vote`, and a log that ends with `last`.
pub(super) fn settle(
    config: &ControllerConfig,
    folder: &Path,
    vote: &mut QuorumStateFile,
    last: Option<LogId>,
) -> Result<Member, StartError> {
    let unwritable = |source| StartError::Directory { path: config.directory.clone(), source };
    let recorded = config.member_record.as_ref().and_then(|record| record.member());
    let lost_log = match (vote.vote(), last) {
        // An entry of a leader is taken only after its vote.
        (None, Some(last)) if recorded.is_some() || last.committed_leader_id().term > 0 => {
            record_of(config).map_or(Ok(()), |record| record.note()).map_err(unwritable)?;
            return Err(StartError::VoteLost { directory: folder.to_path_buf() });
        }
        (None, None) => recorded.is_some(),
        (Some(_), None) => !vote.given_without_log(),
        (_, Some(_)) => false,
    };
    let mut directory_id = recorded.unwrap_or(config.directory_id);
    if lost_log {
        let others = config.peers.as_ref().is_some_and(|peers| !peers.voters.addresses(config.node_id).is_empty());
        let Some(record) = config.member_record.as_ref().filter(|_| others) else {
            return Err(StartError::LogLost { directory: folder.to_path_buf() });
        };
        let former = RaftNodeId { node_id: config.node_id, directory_id };
        directory_id = random_uuid();
        record.set_member(directory_id).map_err(unwritable)?;
        vote.forget().map_err(unwritable)?;
        let id = RaftNodeId { node_id: config.node_id, directory_id };
        tracing::warn!(
            directory = %folder.display(), %former, %id,
            "the metadata log is gone, and with it perhaps what this node has answered for: it joins the quorum as another member, once the other controllers are there"
        );
    }
    vote.record_in(record_of(config));
    Ok(Member { id: RaftNodeId { node_id: config.node_id, directory_id }, lost_log })
}
