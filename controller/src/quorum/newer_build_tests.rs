//! What a newer build wrote meets this one: in the log, in a snapshot, and from a leader while this node follows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::AppendEntriesRequest;
use openraft::vote::RaftLeaderId;
use tempfile::TempDir;
use tokio::runtime::Builder;
use uuid::Uuid;
use weir_protocol::ids::{BrokerId, Offset};

use super::controller::{Controller, ControllerConfig, PeerConfig, StartingController};
use super::entry_batch::{batch_size, log_id};
use super::failure::ControllerFailure;
use super::failure_tests::{alone, start, with_entry};
use super::formation::ConfiguredVoters;
use super::metadata_log::{CLUSTER_METADATA_FOLDER, MetadataLogError};
use super::peer::{PeerAddress, PeerError, PeerFuture, PeerRpcKind, PeerTransport};
use super::peer_service::PeerService;
use super::publisher::MetadataPublisher;
use super::rpc::{self, AppendEntries, PeerRefusal, RequestHeader};
use super::snapshot_file::{SnapshotError, SnapshotId, SnapshotWriter};
use super::start_error::StartError;
use super::timing::QuorumTiming;
use super::types::{Change, ControllerNode, Entry, LeaderId, Membership, RaftNodeId, StoredMembership, Vote};
use crate::image::{MetadataDelta, MetadataImage};
use crate::liveness::DialOutcome;
use crate::record::{ClusterIdRecord, FeatureLevelRecord, encode_change};

/// One record of three bytes: frame version 1, type 99, version 0.
const OF_UNKNOWN_TYPE: &[u8] = &[1, 3, 1, 99, 0];

/// The same of type 12, `FeatureLevelRecord`, in version 9.
const OF_UNKNOWN_VERSION: &[u8] = &[1, 3, 1, 12, 9];

fn of_unknown_level() -> Bytes {
    encode_change(&[FeatureLevelRecord { name: "metadata.version".into(), level: 99 }.into()]).unwrap()
}

/// Every file of the metadata, and what it holds.
fn files(directory: &TempDir) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(directory.path().join(CLUSTER_METADATA_FOLDER)).unwrap();
    files.map(|file| file.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Starts, and expects that it is refused without a trace; what is said.
fn refused(directory: &TempDir) -> (StartError, String) {
    let before = files(directory);
    let error = start(directory).err().unwrap();
    assert!(files(directory) == before, "the start that was refused changed the metadata");
    let said = error.to_string();
    assert!(said.contains("upgrade this node"), "{said}");
    (error, said)
}

#[test]
fn a_log_of_a_newer_build_is_not_started_nor_touched_and_starts_once_the_record_is_gone() {
    let cases = [
        (Bytes::from_static(OF_UNKNOWN_TYPE), "type 99 (version 0)"),
        (Bytes::from_static(OF_UNKNOWN_VERSION), "type 12 has unknown version 9"),
        (of_unknown_level(), "metadata.version to level 99"),
    ];
    for (change, named) in cases {
        let (directory, index) = with_entry(change);
        for _ in 0..2 {
            let (error, said) = refused(&directory);
            let offset = index as i64;
            assert!(
                matches!(&error, StartError::Log(MetadataLogError::OfNewerBuild { offset: at, .. }) if *at == offset)
            );
            assert!(said.contains(&format!("offset {index}")) && said.contains(named), "{said}");
        }
        cut_last_entry(&directory);
        start(&directory).unwrap().shutdown();
    }
}

/// Takes the last entry out of the only segment.
fn cut_last_entry(directory: &TempDir) {
    let segment = directory.path().join(CLUSTER_METADATA_FOLDER).join("00000000000000000000.log");
    let bytes = fs::read(&segment).unwrap();
    let (mut last, mut end) = (0, 0);
    while let Some(overhead) = bytes[end..].first_chunk() {
        (last, end) = (end, end + batch_size(overhead).unwrap());
    }
    fs::write(&segment, &bytes[..last]).unwrap();
}

#[test]
fn a_snapshot_of_a_newer_build_is_not_passed_over_for_an_older_one() {
    let directory = tempfile::tempdir().unwrap();
    let controller = start(&directory).unwrap();
    Builder::new_current_thread().build().unwrap().block_on(controller.snapshot()).unwrap();
    let applied = controller.image().applied().unwrap();
    controller.shutdown();
    let folder = directory.path().join(CLUSTER_METADATA_FOLDER);
    let id = SnapshotId { end_offset: applied.offset.get() as u64 + 2, epoch: applied.epoch.get() as u64 };
    let mut newer = SnapshotWriter::create(&folder, id, &StoredMembership::default()).unwrap();
    newer.append(&Bytes::from_static(OF_UNKNOWN_TYPE)).unwrap();
    let newer = newer.finish().unwrap();
    let (error, said) = refused(&directory);
    assert!(matches!(error, StartError::Snapshot(SnapshotError::OfNewerBuild { .. })), "{said}");
    assert!(said.contains("type 99") && said.contains(&id.to_string()), "{said}");
    fs::remove_file(newer.path).unwrap();
    start(&directory).unwrap().shutdown();
}

/// A network in which nobody is reached.
struct Nobody;

impl PeerTransport for Nobody {
    fn call(&self, _: PeerAddress, _: PeerRpcKind, _: Bytes, _: Duration) -> PeerFuture<Result<Bytes, PeerError>> {
        Box::pin(async { Err(PeerError::Unreachable("nobody is".into())) })
    }

    fn until_broken(&self, _: PeerAddress) -> PeerFuture<()> {
        Box::pin(std::future::pending())
    }

    fn dial(&self, _: PeerAddress) -> PeerFuture<DialOutcome> {
        Box::pin(async { DialOutcome::Unknown("nobody is reached".into()) })
    }
}

fn voter(number: i32) -> RaftNodeId {
    RaftNodeId { node_id: BrokerId(number), directory_id: Uuid::from_u128(0x1000 + number as u128) }
}

/// Node 1 of three, which follows whoever calls as node 2.
fn launch(directory: &TempDir) -> Result<StartingController, StartError> {
    let peers = PeerConfig {
        transport: Arc::new(Nobody),
        voters: ConfiguredVoters::Named((1..=3).map(|number| (BrokerId(number), Vec::new())).collect()),
        may_vote: true,
        timing: QuorumTiming::default(),
        liveness: None,
        leader_rebalance_interval: None,
    };
    Controller::launch(ControllerConfig { peers: Some(peers), ..alone(directory) })
}

/// What a leader of a newer build sends: these entries, committed.
fn send(service: &PeerService, entries: Vec<Entry>, last: u64) -> Result<(), PeerRefusal> {
    let header = RequestHeader {
        cluster_id: None,
        sender: voter(2),
        incarnation: Uuid::from_u128(0x2002),
        target: Some(voter(1)),
    };
    let before = entries.first().map_or(Some(last), |first| first.log_id.index().checked_sub(1));
    let request = AppendEntriesRequest {
        vote: Vote { leader_id: LeaderId::new(1, voter(2)), committed: true },
        prev_log_id: before.map(|index| log_id(1, index)),
        entries,
        leader_commit: Some(log_id(1, last)),
    };
    let request = rpc::encode_request(&header, &AppendEntries(request)).unwrap();
    let answer = service.answer(PeerRpcKind::AppendEntries, request);
    let answer = Builder::new_current_thread().build().unwrap().block_on(answer);
    rpc::decode_answer::<AppendEntries>(answer).unwrap().1.map(drop)
}

/// The entries that begin a cluster.
fn beginning() -> Vec<Entry> {
    let voters = BTreeSet::from([1, 2, 3].map(voter));
    let nodes = voters.iter().map(|voter| (*voter, ControllerNode::default())).collect::<BTreeMap<_, _>>();
    let named = encode_change(&[ClusterIdRecord { cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".into() }.into()]).unwrap();
    let payloads = [
        EntryPayload::Membership(Membership::new(vec![voters], nodes).unwrap()),
        EntryPayload::Blank,
        EntryPayload::Normal(Change(named)),
    ];
    (0..).zip(payloads).map(|(index, payload)| Entry { log_id: log_id(1, index), payload }).collect()
}

struct Failures(mpsc::Sender<Arc<ControllerFailure>>);

impl MetadataPublisher for Failures {
    fn on_delta(&self, _: &MetadataDelta, _: &Arc<MetadataImage>) {}

    fn on_failure(&self, failure: &Arc<ControllerFailure>) {
        self.0.send(Arc::clone(failure)).unwrap();
    }
}

#[test]
fn a_follower_that_is_sent_a_record_of_a_newer_build_says_so_and_takes_no_further_part() {
    let directory = tempfile::tempdir().unwrap();
    let starting = launch(&directory).unwrap();
    let service = starting.peer_service().unwrap();
    send(&service, beginning(), 2).unwrap();
    let follower = starting.ready().unwrap();
    let (failures, heard) = mpsc::channel();
    follower.subscribe(Box::new(Failures(failures)));

    let unknown = EntryPayload::Normal(Change(Bytes::from_static(OF_UNKNOWN_TYPE)));
    // Whether it is still told that the log has it does not matter: it has.
    let _ = send(&service, vec![Entry { log_id: log_id(1, 3), payload: unknown }], 3);
    let failure = heard.recv_timeout(Duration::from_secs(20)).unwrap();
    let said = failure.to_string();
    assert!(matches!(&*failure, ControllerFailure::OfNewerBuild { .. }), "{said}");
    assert!(["offset 3", "type 99", "upgrade this node"].iter().all(|words| said.contains(words)), "{said}");
    // What it knew is still readable, and nobody is misled to count on it.
    assert_eq!(follower.image().applied().unwrap().offset, Offset(2));
    assert_eq!(follower.active_controller(), None);
    assert!(matches!(send(&service, Vec::new(), 3), Err(PeerRefusal::Unavailable(_))));
    follower.shutdown();

    // Its log has lost nothing, and waits for the build that can read it.
    let error = launch(&directory).err().unwrap();
    assert!(matches!(error, StartError::Log(MetadataLogError::OfNewerBuild { offset: 3, .. })), "{error}");
}
