//! Calls to members that nobody can dial: a broker that is no controller has no controller listener, so it comes and takes them.
//!
//! Such a member keeps a few requests open at every controller; each is answered with the next call that is meant for the
//! member, and the next request brings the call's answer.
//!
//! ```text
//! request   int32 node.id   16 bytes directory.id   int64 the call that is answered, or -1   its answer
//! response  int64 the call, or -1 for none yet   int16 its kind   its body
//! ```
//!
//! A call that is lost on the way is answered by nobody and times out, like any other that is lost.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use weir_controller::quorum::{PeerError, PeerRpcKind, RaftNodeId};
use weir_protocol::ids::BrokerId;

/// How long a request to take a call is left open. Whoever asked knows by then that this node still lives.
pub(super) const TAKE_PATIENCE: Duration = Duration::from_secs(5);

/// No call: what is answered after [`TAKE_PATIENCE`], and what a first request answers.
const NO_CALL: i64 = -1;

/// Calls to one member that wait to be taken.
const MAX_WAITING_CALLS: usize = 64;

/// Members that are remembered; beyond that, those that do not wait for a call are forgotten.
const MAX_MEMBERS: usize = 16_384;

/// A member's request for the next call, with the answer to an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TakeCall {
    pub(super) member: RaftNodeId,
    pub(super) answered: Option<(i64, Bytes)>,
}

/// A call as a member gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TakenCall {
    pub(super) id: i64,
    pub(super) kind: PeerRpcKind,
    pub(super) body: Bytes,
}

impl TakeCall {
    pub(super) fn encode(&self) -> Bytes {
        let (id, answer) = self.answered.as_ref().map_or((NO_CALL, &[][..]), |(id, answer)| (*id, answer));
        let mut out = BytesMut::with_capacity(4 + 16 + 8 + answer.len());
        out.put_i32(self.member.node_id.get());
        out.put_slice(self.member.directory_id.as_bytes());
        out.put_i64(id);
        out.put_slice(answer);
        out.freeze()
    }

    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let node_id = BrokerId(bytes.try_get_i32().ok()?);
        let directory_id = uuid::Uuid::from_u128(bytes.try_get_u128().ok()?);
        let id = bytes.try_get_i64().ok()?;
        let member = RaftNodeId { node_id, directory_id };
        Some(Self { member, answered: (id != NO_CALL).then_some((id, bytes)) })
    }
}

impl TakenCall {
    fn encode(call: Option<&Self>) -> Bytes {
        let body = call.map_or(&[][..], |call| &call.body);
        let mut out = BytesMut::with_capacity(8 + 2 + body.len());
        out.put_i64(call.map_or(NO_CALL, |call| call.id));
        out.put_i16(call.map_or(0, |call| call.kind as i16));
        out.put_slice(body);
        out.freeze()
    }

    /// None of a call that is none, an error of what makes no sense.
    pub(super) fn decode(mut bytes: Bytes) -> Result<Option<Self>, String> {
        let ends_early = |_| "it ends early".to_owned();
        let id = bytes.try_get_i64().map_err(ends_early)?;
        let number = bytes.try_get_i16().map_err(ends_early)?;
        if id == NO_CALL {
            return Ok(None);
        }
        let kind = PeerRpcKind::from_number(number).ok_or_else(|| format!("it is of unknown kind {number}"))?;
        Ok(Some(Self { id, kind, body: bytes }))
    }
}

/// The calls to every member that takes its own.
#[derive(Default)]
pub(crate) struct SessionCalls {
    members: Mutex<BTreeMap<RaftNodeId, Arc<Member>>>,
    next_id: AtomicI64,
}

struct Member {
    queue: mpsc::Sender<TakenCall>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<TakenCall>>,
    answers: Mutex<HashMap<i64, oneshot::Sender<Bytes>>>,
    /// Requests that are open for a call.
    takers: AtomicUsize,
}

impl Member {
    fn new() -> Self {
        let (queue, waiting) = mpsc::channel(MAX_WAITING_CALLS);
        let waiting = tokio::sync::Mutex::new(waiting);
        Self { queue, waiting, answers: Mutex::default(), takers: AtomicUsize::new(0) }
    }

    /// The next call that somebody still waits for.
    async fn next(&self) -> Option<TakenCall> {
        let mut waiting = self.waiting.lock().await;
        loop {
            let call = waiting.recv().await?;
            if self.answers.lock().contains_key(&call.id) {
                return Some(call);
            }
        }
    }
}

/// Forgets a call when nobody waits for its answer any more.
struct Asked<'a> {
    member: &'a Member,
    id: i64,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.member.answers.lock().remove(&self.id);
    }
}

/// Counts a request while it is open.
struct Taker<'a>(&'a AtomicUsize);

impl<'a> Taker<'a> {
    fn enter(takers: &'a AtomicUsize) -> Self {
        takers.fetch_add(1, Ordering::Relaxed);
        Self(takers)
    }
}

impl Drop for Taker<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SessionCalls {
    /// Calls a member that takes its calls here.
    pub(super) async fn call(
        &self,
        member: RaftNodeId,
        kind: PeerRpcKind,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, PeerError> {
        let known = self.members.lock().get(&member).cloned();
        let Some(known) = known else {
            return Err(PeerError::Unreachable(format!("node {} has no session open here", member.node_id)));
        };
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        known.answers.lock().insert(id, answer);
        let _asked = Asked { member: &known, id };
        if known.queue.try_send(TakenCall { id, kind, body }).is_err() {
            let reason = format!("{MAX_WAITING_CALLS} calls wait for node {} already", member.node_id);
            return Err(PeerError::Unreachable(reason));
        }
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(PeerError::TimedOut),
        }
    }

    /// Takes what a member answers, and waits for its next call.
    pub(super) async fn take(self: Arc<Self>, request: TakeCall) -> Bytes {
        let member = self.member(request.member);
        if let Some((id, answer)) = request.answered
            && let Some(asked) = member.answers.lock().remove(&id)
        {
            // Who asked may have gone.
            let _ = asked.send(answer);
        }
        let _open = Taker::enter(&member.takers);
        let call = tokio::time::timeout(TAKE_PATIENCE, member.next()).await;
        TakenCall::encode(call.ok().flatten().as_ref())
    }

    fn member(&self, id: RaftNodeId) -> Arc<Member> {
        let mut members = self.members.lock();
        if members.len() >= MAX_MEMBERS && !members.contains_key(&id) {
            members.retain(|_, member| member.takers.load(Ordering::Relaxed) > 0);
        }
        Arc::clone(members.entry(id).or_insert_with(|| Arc::new(Member::new())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn member(node_id: i32) -> RaftNodeId {
        RaftNodeId::from((node_id, 7))
    }

    fn taken(bytes: Bytes) -> TakenCall {
        TakenCall::decode(bytes).unwrap().unwrap()
    }

    #[test]
    fn requests_and_calls_arrive_as_they_were_sent_and_nothing_else_is_taken() {
        for answered in [None, Some((3, Bytes::from_static(b"answer")))] {
            let request = TakeCall { member: member(4), answered };
            assert_eq!(TakeCall::decode(request.encode()), Some(request));
        }
        let call = TakenCall { id: 5, kind: PeerRpcKind::Join, body: Bytes::from_static(b"body") };
        assert_eq!(TakenCall::decode(TakenCall::encode(Some(&call))), Ok(Some(call)));
        assert_eq!(TakenCall::decode(TakenCall::encode(None)), Ok(None));
        assert_eq!(TakeCall::decode(Bytes::from_static(&[0; 27])), None);
        assert!(TakenCall::decode(Bytes::from_static(&[0; 9])).is_err());
        assert!(TakenCall::decode(Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 1, 99, 99])).is_err());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_call_goes_to_whom_it_is_meant_for_and_its_answer_to_who_asked() {
        let calls = Arc::new(SessionCalls::default());
        let take = |id, answered| Arc::clone(&calls).take(TakeCall { member: member(id), answered });
        let other = tokio::spawn(take(2, None));
        let first = tokio::spawn(take(1, None));
        tokio::task::yield_now().await;
        let asked = tokio::spawn({
            let calls = Arc::clone(&calls);
            async move { calls.call(member(1), PeerRpcKind::Vote, Bytes::from_static(b"?"), PATIENCE).await }
        });
        let call = taken(first.await.unwrap());
        assert_eq!((call.kind, &call.body[..]), (PeerRpcKind::Vote, &b"?"[..]));
        let next = tokio::spawn(take(1, Some((call.id, Bytes::from_static(b"!")))));
        assert_eq!(asked.await.unwrap(), Ok(Bytes::from_static(b"!")));
        assert!(!other.is_finished() && !next.is_finished());
    }

    #[tokio::test(flavor = "current_thread")]
    async fn who_has_no_session_is_unreachable_and_who_does_not_take_is_late() {
        const SOON: Duration = Duration::from_millis(10);
        let calls = Arc::new(SessionCalls::default());
        let take = || Arc::clone(&calls).take(TakeCall { member: member(1), answered: None });
        let call = || calls.call(member(1), PeerRpcKind::Vote, Bytes::new(), SOON);
        assert!(matches!(call().await, Err(PeerError::Unreachable(_))));
        tokio::time::timeout(SOON, take()).await.unwrap_err();
        assert_eq!(call().await, Err(PeerError::TimedOut));
        // What nobody waits for any more is not handed out.
        tokio::time::timeout(SOON, take()).await.unwrap_err();
    }
}
