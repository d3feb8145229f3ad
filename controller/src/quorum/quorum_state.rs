//! The vote on disk: Kafka's `quorum-state`, one small JSON document beside the metadata log.
//!
//! Owns the file's format (schema `QuorumStateData`, `data_version` 1, KIP-853) and its atomic replacement: written to
//! `quorum-state.part`, fsynced, renamed, directory fsynced. Invariant: after `save` returns, no crash can bring back a
//! vote that is older in a way a peer could notice. One fsync is saved on purpose: a vote that differs from the durable one
//! only by "the quorum granted it" is replaced without a sync of the directory, for a node that forgets only that still
//! refuses every other candidate of the term, and hears of the grant again from the leader. Its content is always synced
//! before the rename: a file system may keep the new name and not the bytes, and a vote that does not read stops the node.
//!
//! | field | meaning |
//! |---|---|
//! | `leaderId` | node id of the leader once the vote is granted by a quorum, else -1 |
//! | `leaderEpoch` | the term |
//! | `votedId`, `votedDirectoryId` | whom this node voted for in that term |
//! | `logEmpty` | ours, and only where true: the vote was given before the log had its first entry |
//!
//! A vote beside an empty log otherwise means that the log was lost. The mark goes before the first entry is acknowledged.
//! That there is a vote is also recorded outside of the folder (`member`), before the first one is answered.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use openraft::vote::RaftLeaderId;
use serde::{Deserialize, Serialize};
use weir_protocol::ids::BrokerId;
use weir_storage::identity::{format_uuid, parse_uuid};

use super::member::RecordedMember;
use super::start_error::REPLACE_FOLDER;
use super::types::{LeaderId, RaftNodeId, Vote};

const FILE_NAME: &str = "quorum-state";
const TEMPORARY_NAME: &str = "quorum-state.part";
const DATA_VERSION: u8 = 1;

/// The document is about 130 bytes; anything much longer is not ours.
const MAX_FILE_BYTES: u64 = 4096;

/// Why the vote could not be read.
#[derive(Debug, thiserror::Error)]
pub enum QuorumStateError {
    /// The file could not be read or replaced.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there and makes no sense.
    #[error(
        "{path} is damaged ({reason}); a node that forgets its vote could vote twice, so it does not start; {REPLACE_FOLDER}"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct QuorumStateData {
    leader_id: i32,
    leader_epoch: i32,
    voted_id: i32,
    voted_directory_id: String,
    #[serde(rename = "data_version")]
    data_version: u8,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    log_empty: bool,
}

/// The vote of this node, in memory and on disk.
#[derive(Debug)]
pub(crate) struct QuorumStateFile {
    directory: PathBuf,
    vote: Option<Vote>,
    without_log: bool,
    fsyncs: u64,
    record: Option<RecordedMember>,
}

impl QuorumStateFile {
    /// Whether `directory` holds a vote, be it readable or not.
    pub(crate) fn is_in(directory: &Path) -> bool {
        directory.join(FILE_NAME).exists()
    }

    /// Reads the vote of `directory`; a missing file is a node that never voted. What is found is durable, by name too: a
    /// process that was killed may have come no further than the rename.
    pub(crate) fn open(directory: &Path) -> Result<Self, QuorumStateError> {
        let path = directory.join(FILE_NAME);
        let damaged = |reason: String| QuorumStateError::Damaged { path: path.clone(), reason };
        let saved = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(QuorumStateError::Io { path, source }),
            Ok(metadata) if metadata.len() > MAX_FILE_BYTES => {
                return Err(damaged(format!("{} bytes long", metadata.len())));
            }
            Ok(_) => {
                let text = fs::read(&path).map_err(|source| QuorumStateError::Io { path: path.clone(), source })?;
                Some(decode(&text).map_err(damaged)?)
            }
        };
        let Some((vote, without_log)) = saved else {
            let directory = directory.to_path_buf();
            return Ok(Self { directory, vote: None, without_log: false, fsyncs: 0, record: None });
        };
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|source| QuorumStateError::Io { path: directory.to_path_buf(), source })?;
        Ok(Self { directory: directory.to_path_buf(), vote: Some(vote), without_log, fsyncs: 1, record: None })
    }

    pub(crate) fn vote(&self) -> Option<Vote> {
        self.vote
    }

    /// How many fsyncs this file has cost.
    pub(crate) fn fsyncs(&self) -> u64 {
        self.fsyncs
    }

    /// Whether the vote was given before the log had an entry.
    pub(crate) fn given_without_log(&self) -> bool {
        self.without_log
    }

    /// Where it is noted that this member has voted.
    pub(crate) fn record_in(&mut self, record: Option<RecordedMember>) {
        self.record = record;
    }

    /// Removes the vote of a member that is no more.
    pub(crate) fn forget(&mut self) -> io::Result<()> {
        match fs::remove_file(self.directory.join(FILE_NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => File::open(&self.directory)?.sync_all()?,
        }
        self.vote = None;
        self.without_log = false;
        Ok(())
    }

    /// Makes `vote` durable; `without_log` tells that the log has no entry yet. One that finds the disk full (an error of kind
    /// `StorageFull`) leaves the earlier vote as it was.
    pub(crate) fn save(&mut self, vote: Vote, without_log: bool) -> io::Result<()> {
        self.replace(vote, without_log)?;
        self.record.as_ref().map_or(Ok(()), RecordedMember::note)
    }

    fn replace(&mut self, vote: Vote, without_log: bool) -> io::Result<()> {
        if self.vote == Some(vote) && self.without_log == without_log {
            return Ok(());
        }
        let same_grantee = self.vote.is_some_and(|saved| saved.leader_id == vote.leader_id);
        let durable = !(same_grantee && vote.committed && self.without_log == without_log);
        let temporary = self.directory.join(TEMPORARY_NAME);
        if let Err(error) = write(&temporary, &encode(&vote, without_log)?) {
            // Another attempt makes another file; this one only takes room.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        self.fsyncs += 1;
        // From here on there is no telling which of the two votes a crash leaves, so nothing is a matter of room any more.
        fs::rename(&temporary, self.directory.join(FILE_NAME)).map_err(io::Error::other)?;
        if durable {
            File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(io::Error::other)?;
            self.fsyncs += 1;
        }
        self.vote = Some(vote);
        self.without_log = without_log;
        Ok(())
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn encode(vote: &Vote, log_empty: bool) -> io::Result<Vec<u8>> {
    let voted_for = vote.leader_id.voted_for;
    let term = vote.leader_id.term;
    let leader_epoch = i32::try_from(term).map_err(|_| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("term {term} is no partition leader epoch"))
    })?;
    let data = QuorumStateData {
        leader_id: if vote.committed { voted_for.node_id.get() } else { -1 },
        leader_epoch,
        voted_id: voted_for.node_id.get(),
        voted_directory_id: format_uuid(&voted_for.directory_id),
        data_version: DATA_VERSION,
        log_empty,
    };
    serde_json::to_vec(&data).map_err(io::Error::other)
}

fn decode(text: &[u8]) -> Result<(Vote, bool), String> {
    let data: QuorumStateData = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    if data.data_version != DATA_VERSION {
        return Err(format!("data_version {} is unknown, {DATA_VERSION} is known", data.data_version));
    }
    let term = u64::try_from(data.leader_epoch).map_err(|_| format!("leaderEpoch {}", data.leader_epoch))?;
    let directory_id = parse_uuid(&data.voted_directory_id)
        .ok_or_else(|| format!("votedDirectoryId {:?} is no id", data.voted_directory_id))?;
    if data.leader_id != -1 && data.leader_id != data.voted_id {
        return Err(format!("leaderId {} is not the voted {}", data.leader_id, data.voted_id));
    }
    let voted_for = RaftNodeId { node_id: BrokerId(data.voted_id), directory_id };
    let vote = Vote { leader_id: LeaderId::new(term, voted_for), committed: data.leader_id != -1 };
    Ok((vote, data.log_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(term: u64, node: u64, committed: bool) -> Vote {
        Vote { leader_id: LeaderId::new(term, RaftNodeId::from(node)), committed }
    }

    fn saved(vote: Vote) -> (tempfile::TempDir, QuorumStateFile) {
        let directory = tempfile::tempdir().unwrap();
        let mut file = QuorumStateFile::open(directory.path()).unwrap();
        file.save(vote, false).unwrap();
        (directory, file)
    }

    #[test]
    fn the_bytes_are_kafkas_quorum_state() {
        let (directory, _) = saved(vote(7, 1, false));
        let text = fs::read_to_string(directory.path().join("quorum-state")).unwrap();
        let golden = r#"{"leaderId":-1,"leaderEpoch":7,"votedId":1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAg","data_version":1}"#;
        assert_eq!(text, golden);
        let (directory, _) = saved(vote(7, 1, true));
        let text = fs::read_to_string(directory.path().join("quorum-state")).unwrap();
        assert_eq!(text, golden.replace("\"leaderId\":-1", "\"leaderId\":1"));
    }

    #[test]
    fn a_vote_is_read_back_as_it_was_saved() {
        for vote in [vote(0, 0, false), vote(1, 3, false), vote(9, 3, true)] {
            let (directory, _) = saved(vote);
            assert_eq!(QuorumStateFile::open(directory.path()).unwrap().vote(), Some(vote));
        }
    }

    #[test]
    fn only_the_grant_of_a_durable_vote_saves_an_fsync_and_never_that_of_its_content() {
        let (_directory, mut file) = saved(vote(1, 1, false));
        assert_eq!(file.fsyncs(), 2);
        file.save(vote(1, 1, true), false).unwrap();
        assert_eq!(file.fsyncs(), 3);
        file.save(vote(2, 3, true), false).unwrap();
        assert_eq!(file.fsyncs(), 5);
    }

    #[test]
    fn a_vote_before_the_first_entry_says_so_until_there_is_one() {
        let (directory, mut file) = saved(vote(1, 1, false));
        assert!(!file.given_without_log());
        file.save(vote(2, 3, false), true).unwrap();
        let read = QuorumStateFile::open(directory.path()).unwrap();
        assert!(read.given_without_log());
        assert_eq!(read.vote(), Some(vote(2, 3, false)));
        file.save(vote(2, 3, false), false).unwrap();
        assert!(!QuorumStateFile::open(directory.path()).unwrap().given_without_log());
    }

    #[test]
    fn a_vote_that_is_found_is_made_durable_by_name() {
        let (directory, _) = saved(vote(1, 1, false));
        assert_eq!(QuorumStateFile::open(directory.path()).unwrap().fsyncs(), 1);
        assert_eq!(QuorumStateFile::open(tempfile::tempdir().unwrap().path()).unwrap().fsyncs(), 0);
    }

    #[test]
    fn a_damaged_vote_stops_the_start_and_is_never_taken_for_none() {
        let (directory, _) = saved(vote(1, 1, false));
        let path = directory.path().join("quorum-state");
        for text in [
            "",
            "{}",
            "{\"leaderId\":-1",
            r#"{"leaderId":-1,"leaderEpoch":7,"votedId":1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAg","data_version":2}"#,
            r#"{"leaderId":-1,"leaderEpoch":-7,"votedId":1,"votedDirectoryId":"AAAAAAAAAAAAAAAAAAAAAg","data_version":1}"#,
        ] {
            fs::write(&path, text).unwrap();
            assert!(matches!(QuorumStateFile::open(directory.path()), Err(QuorumStateError::Damaged { .. })), "{text}");
        }
    }
}
