//! Why a controller did not start, each in one sentence that an operator can act on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::failure::ControllerFailure;
use super::metadata_log::MetadataLogError;
use super::quorum_state::QuorumStateError;
use super::snapshot_file::SnapshotError;
use super::types::RaftNodeId;

/// What an operator does about a metadata log that cannot be used: see `member`.
pub(super) const REPLACE_FOLDER: &str = "if there are other controllers, remove the folder __cluster_metadata-0 whole, and this node comes back as another member of their quorum and gets the metadata from them; put a copy in its place only if there are none, for a copy lacks what this node has answered for since";

/// Why a controller did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The directory cannot be used.
    #[error("{path}: {source}")]
    Directory {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The vote cannot be read.
    #[error(transparent)]
    Vote(#[from] QuorumStateError),
    /// No snapshot can be read, though there are some.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The metadata log cannot be opened.
    #[error(transparent)]
    Log(#[from] MetadataLogError),
    /// The log was lost, and nobody else is known to have the metadata.
    #[error(
        "the metadata log {directory} is gone, and the configuration names no other controller to get the metadata from: this node would begin anew, with an empty cluster; restore it from a copy, or remove every log directory whole to begin anew"
    )]
    LogLost {
        /// The folder of the metadata log.
        directory: PathBuf,
    },
    /// A log without a vote: this node may have voted, and does not know for whom.
    #[error(
        "{directory} holds a metadata log but no quorum-state; a node that forgets its vote could vote twice, so it does not start; {REPLACE_FOLDER}"
    )]
    VoteLost {
        /// The folder of the metadata log.
        directory: PathBuf,
    },
    /// The directory was copied, or its `meta.properties` replaced.
    #[error(
        "the metadata log {directory} belongs to voter(s) {voters}, but this is node {node}: node.id or directory.id changed since the cluster was formed"
    )]
    ForeignNode {
        /// The folder of the metadata log.
        directory: PathBuf,
        /// Who this node is.
        node: RaftNodeId,
        /// Who votes.
        voters: String,
    },
    /// The metadata is another cluster's than `meta.properties` says.
    #[error("the metadata log {directory} belongs to cluster {found}, but meta.properties names cluster {expected}")]
    ForeignCluster {
        /// The folder of the metadata log.
        directory: PathBuf,
        /// What `meta.properties` says.
        expected: Arc<str>,
        /// What the log says.
        found: Arc<str>,
    },
    /// The configured controllers belong to another cluster than this node.
    #[error(
        "this node belongs to cluster {expected}, but the configured controllers belong to cluster {found}: they are another cluster's, or its meta.properties is"
    )]
    ForeignPeers {
        /// The cluster of this node.
        expected: Arc<str>,
        /// The cluster of the others.
        found: Arc<str>,
    },
    /// Another process with this node's ids takes part already.
    #[error(
        "another process with node.id and directory.id {node} takes part in the metadata quorum ({reason}): the data directory is a copy, or in use twice"
    )]
    SecondProcess {
        /// Whose ids they are.
        node: RaftNodeId,
        /// What a peer said.
        reason: String,
    },
    /// The active controller does not take this node in.
    #[error("the active controller does not take this node in: {reason}")]
    Denied {
        /// Why.
        reason: String,
    },
    /// The log is of a quorum of several, and the configuration names no other member.
    #[error(
        "the metadata log {directory} belongs to a quorum of several members ({voters}), but the configuration names no controller to reach: set controller.quorum.voters or controller.quorum.bootstrap.servers"
    )]
    NoPeersConfigured {
        /// The folder of the metadata log.
        directory: PathBuf,
        /// Who votes.
        voters: String,
    },
    /// It was told to stop before it was ready.
    #[error("the controller was stopped before it had joined the metadata quorum")]
    Stopped,
    /// The thread could not be made.
    #[error("the controller's thread could not start: {0}")]
    Thread(io::Error),
    /// The log holds what this node cannot apply, or the disk failed.
    #[error("{0}")]
    Failed(Arc<ControllerFailure>),
    /// openraft did not come to lead.
    #[error("the metadata quorum did not start: {reason}")]
    Quorum {
        /// What is known of it.
        reason: String,
    },
}
