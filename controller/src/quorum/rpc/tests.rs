use openraft::EntryPayload;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, VoteRequest, VoteResponse,
};
use openraft::vote::RaftLeaderId;

use super::*;
use crate::quorum::entry_batch::log_id;
use crate::quorum::peer::PeerAddress;
use crate::quorum::snapshot_file::SnapshotId;
use crate::quorum::types::{Change, ControllerEndpoint, Entry, LeaderId, Vote};

fn vote(term: u64) -> Vote {
    Vote { leader_id: LeaderId::new(term, RaftNodeId::from((1, 0xa))), committed: true }
}

fn header() -> RequestHeader {
    RequestHeader {
        cluster_id: Some("c".into()),
        sender: RaftNodeId::from((1, 0xa)),
        incarnation: Uuid::from_u128(0xf),
        target: Some(RaftNodeId::from((2, 0xb))),
    }
}

fn responder() -> Responder {
    Responder { id: RaftNodeId::from((2, 0xb)), incarnation: Uuid::from_u128(0xe) }
}

fn leader() -> PeerAddress {
    let endpoint = ControllerEndpoint { listener: "C".into(), host: "h".into(), port: 9093 };
    PeerAddress { id: Some(RaftNodeId::from((1, 0xa))), endpoints: vec![endpoint] }
}

fn append() -> AppendEntries {
    let change = Entry { log_id: log_id(3, 8), payload: EntryPayload::Normal(Change(Bytes::from_static(b"change"))) };
    let blank = Entry { log_id: log_id(3, 9), payload: EntryPayload::Blank };
    AppendEntries(AppendEntriesRequest {
        vote: vote(3),
        prev_log_id: Some(log_id(2, 7)),
        entries: vec![change, blank],
        leader_commit: Some(log_id(2, 7)),
    })
}

/// One request and answers of every kind: encoded, read back, and every cut and every trailing byte refused.
fn check<R: Rpc>(request: &R, answers: &[R::Answer])
where
    R::Answer: PartialEq + std::fmt::Debug,
{
    let bytes = encode_request(&header(), request).unwrap();
    let decode = |mut bytes: Bytes| -> Result<(RequestHeader, R), RpcDecodeError> {
        let header = RequestHeader::decode(&mut bytes)?;
        Ok((header, decode_body::<R>(bytes)?))
    };
    let (read, again) = decode(bytes.clone()).unwrap();
    assert_eq!(read, header());
    // An entry carries the time it was encoded at, which is not compared.
    assert_eq!(encode_request(&read, &again).unwrap().len(), bytes.len());
    for end in 0..bytes.len() {
        assert!(decode(bytes.slice(..end)).is_err(), "request cut at {end}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert!(decode(longer.into()).is_err());
    for answer in answers {
        let bytes = encode_answer::<R>(&responder(), answer);
        let (from, read) = decode_answer::<R>(bytes.clone()).unwrap();
        assert_eq!((from, read.as_ref()), (responder(), Ok(answer)));
        for end in 0..bytes.len() {
            assert!(decode_answer::<R>(bytes.slice(..end)).is_err(), "answer cut at {end}");
        }
    }
}

#[test]
fn every_call_survives_the_round_trip_and_no_cut_of_one_is_a_call() {
    check(
        &append(),
        &[
            AppendEntriesResponse::Success,
            AppendEntriesResponse::PartialSuccess(Some(log_id(3, 8))),
            AppendEntriesResponse::Conflict,
            AppendEntriesResponse::HigherVote(vote(4)),
        ],
    );
    let request = || VoteRequest::new(vote(3), Some(log_id(2, 7)));
    let answer = || VoteResponse { vote: vote(3), last_log_id: None, vote_granted: true };
    check(&RequestVote::with(request()), &[answer()]);
    check(&PreVote::with(request()), &[answer()]);
    let transfer = TransferLeaderRequest::new(vote(3), RaftNodeId::from((2, 0xb)), Some(log_id(2, 7)));
    check(
        &TransferLeader(transfer),
        &[
            Ok(()),
            Err(TransferLeaderError::VoteChanged { expected: vote(3), actual: vote(4) }),
            Err(TransferLeaderError::LogNotFlushed { expected: Some(log_id(2, 7)), actual: None }),
        ],
    );
    let id = SnapshotId { end_offset: 42, epoch: 3 };
    let chunk = SnapshotChunk { vote: vote(3), id, size: 9, position: 4, bytes: Bytes::from_static(b"part") };
    check(&chunk, &[SnapshotChunkAnswer { vote: vote(3), next_position: 8 }]);
    let known = ProbeAnswer {
        cluster_id: Some("c".into()),
        blank: false,
        may_vote: true,
        configured: "1,2,3".into(),
        leader: Some(leader()),
    };
    let blank = ProbeAnswer { cluster_id: None, blank: true, leader: None, ..known.clone() };
    check(&Probe, &[known, blank]);
    let denied = JoinAnswer::Denied("no".into());
    let answers = [JoinAnswer::Joined, JoinAnswer::Pending, JoinAnswer::NotLeader(Some(leader())), denied];
    check(&Join { endpoints: leader().endpoints, to_vote: true }, &answers);
    let supported = [("group.version".into(), (0, 1)), ("metadata.version".into(), (7, 27))];
    check(&Features, &[supported.into(), [].into()]);
}

#[test]
fn the_bytes_of_a_vote_never_change() {
    let node = |id: u8, directory: u8| [&[0, 0, 0, id][..], &[0; 15], &[directory]].concat();
    let number = |value: u8| [&[0; 7][..], &[value]].concat();
    let request = [
        &[0, 0, 0, 0, 0, 1, b'c'][..],
        &node(1, 0xa),
        &[0; 15],
        &[0xf, 1],
        &node(2, 0xb),
        &number(3),
        &node(1, 0xa),
        &[1, 1],
        &number(2),
        &number(7),
        &[0],
    ];
    let vote_request = RequestVote::with(VoteRequest::new(vote(3), Some(log_id(2, 7))));
    assert_eq!(encode_request(&header(), &vote_request).unwrap(), request.concat());
    let answer = [
        &[0, 0, 0, 0][..],
        &node(2, 0xb),
        &[0; 15],
        &[0xe],
        &number(3),
        &node(1, 0xa),
        &[1, 0],
        &number(0),
        &number(0),
        &[1],
    ];
    let granted = VoteResponse { vote: vote(3), last_log_id: None, vote_granted: true };
    assert_eq!(encode_answer::<RequestVote>(&responder(), &granted), answer.concat());
}

#[test]
fn every_refusal_survives_the_round_trip() {
    for refusal in [
        PeerRefusal::Unreadable("a".into()),
        PeerRefusal::ForeignCluster("b".into()),
        PeerRefusal::NotThisNode("c".into()),
        PeerRefusal::SecondIncarnation("d".into()),
        PeerRefusal::Unavailable("e".into()),
    ] {
        let bytes = encode_refusal(&responder(), &refusal);
        assert_eq!(decode_answer::<Probe>(bytes).unwrap(), (responder(), Err(refusal)));
    }
}

#[test]
fn a_flipped_byte_never_panics_and_never_passes_for_an_entry() {
    let bytes = encode_request(&header(), &append()).unwrap();
    for at in 0..bytes.len() {
        for flip in [1, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= flip;
            let mut damaged = Bytes::from(damaged);
            let Ok(_) = RequestHeader::decode(&mut damaged) else { continue };
            if let Ok(AppendEntries(read)) = decode_body::<AppendEntries>(damaged) {
                for (read, sent) in read.entries.iter().zip(append().0.entries) {
                    assert_eq!(read.payload, sent.payload, "byte {at}");
                }
            }
        }
    }
}

#[test]
fn entries_that_do_not_follow_one_another_are_refused() {
    let mut request = append();
    request.0.entries.swap(0, 1);
    let bytes = encode_request(&header(), &request).unwrap();
    let mut body = bytes;
    RequestHeader::decode(&mut body).unwrap();
    assert!(matches!(decode_body::<AppendEntries>(body), Err(RpcDecodeError::Entry(_))));
}
