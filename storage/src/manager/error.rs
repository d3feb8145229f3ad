//! Why an operation of the log manager fails: one enum an operation.

use std::io;
use std::path::PathBuf;

use uuid::Uuid;
use weir_protocol::ids::{TopicId, TopicPartition};

use crate::identity::IdentityError;
use crate::log::StorageError;

/// Why the log directories cannot be opened. Every message is one sentence that names the path and what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// None is configured.
    #[error("log.dirs is empty; name at least one directory")]
    NoDirectory,
    /// Two settings name one directory.
    #[error("log.dirs names {} twice; name each directory once", path.display())]
    Repeated {
        /// The directory.
        path: PathBuf,
    },
    /// Two directories have one id: one was copied from the other.
    #[error("the log directories {} and {} have the same directory.id; one is a copy of the other, remove it from log.dirs", first.display(), second.display())]
    SameDirectoryId {
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Two directories are of different clusters.
    #[error("the log directories {} and {} belong to different clusters ({first_cluster} and {second_cluster}); remove one of them from log.dirs", first.display(), second.display())]
    MixedClusters {
        /// One.
        first: PathBuf,
        /// Its cluster.
        first_cluster: String,
        /// The other.
        second: PathBuf,
        /// Its cluster.
        second_cluster: String,
    },
    /// A directory cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A thread cannot be started.
    #[error("cannot start a storage thread: {0}; raise the limit of processes (ulimit -u)")]
    Thread(#[source] io::Error),
}

/// Why a partition cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It is being read at start; it will be there soon.
    #[error("{0} is still being loaded")]
    Loading(TopicPartition),
    /// It is there, but could not be opened.
    #[error("{partition} could not be opened: {reason}")]
    Failed {
        /// Which.
        partition: TopicPartition,
        /// Why not.
        reason: String,
    },
    /// Another topic of this name has it.
    #[error("{partition} exists with topic id {found}, not {wanted}")]
    OtherTopic {
        /// Which.
        partition: TopicPartition,
        /// Of the one that exists.
        found: TopicId,
        /// Of the one to be created.
        wanted: TopicId,
    },
    /// No directory can take it.
    #[error("no log directory is online")]
    NoOnlineDirectory,
    /// The directory that was asked for is not here, or offline.
    #[error("log directory {0} is not online on this node")]
    DirectoryNotOnline(Uuid),
    /// Making its folder failed; the directory is offline from now on.
    #[error("cannot create the folder of {partition}: {source}")]
    Io {
        /// Which.
        partition: TopicPartition,
        /// Why not.
        source: io::Error,
    },
    /// The manager is closed.
    #[error("the log manager is closed")]
    Closed,
}

/// Why a partition cannot be moved to another directory.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// It is being read at start.
    #[error("{0} is still being loaded")]
    Loading(TopicPartition),
    /// It is not in service here, or does not move any more.
    #[error("{0} is not in service on this node")]
    Absent(TopicPartition),
    /// The directory is not here, or does not work.
    #[error("log directory {0} is not online on this node")]
    DirectoryNotOnline(Uuid),
    /// A folder cannot be made or renamed.
    #[error("cannot move {partition}: {source}")]
    Io {
        /// Which.
        partition: TopicPartition,
        /// Why not.
        source: io::Error,
    },
    /// The copy cannot be written.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a partition cannot be deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// It is not here.
    #[error("{0} is not on this node")]
    Absent(TopicPartition),
    /// It is being read at start.
    #[error("{0} is still being loaded")]
    Loading(TopicPartition),
    /// Its folder cannot be renamed; the directory is offline from now on.
    #[error("cannot rename the folder of {partition}: {source}")]
    Io {
        /// Which.
        partition: TopicPartition,
        /// Why not.
        source: io::Error,
    },
}
