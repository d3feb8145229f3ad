//! One connection, one task: receive, dispatch in order, let answers ripen, send in order.
//!
//! ```text
//!  socket --> FrameReader --> Handler::dispatch --> Answers --> Outbox --> socket
//!             (whole frames)   (ordered stage)      (in order)   (chunks)
//! ```
//!
//! Every bound stops the receiving, never the sending: [`MAX_IN_FLIGHT_REQUESTS`], [`MAX_UNSENT_RESPONSE_BYTES`] and
//! [`MAX_UNSENT_CHUNKS`]. Nothing is spawned and nothing crosses threads; dropping the task drops all it holds, parked
//! answers included. While answers are parked the socket is still read, so a dead peer is noticed; while so many are parked
//! that nothing more is received, a look every [`HANG_UP_LOOK`] notices it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use weir_protocol::frame::FrameError;

use super::answers::Answers;
use super::context::ConnectionContext;
use super::frame_reader::FrameReader;
use super::handler::Handler;
use super::metrics;
use super::network_thread::ThreadShared;
use super::outbox::Outbox;
use super::transport::{Received, Transport};

/// Requests of one connection that are dispatched and unanswered.
pub(super) const MAX_IN_FLIGHT_REQUESTS: usize = 128;
/// Response bytes in memory that a peer may leave unread before its next request is received.
const MAX_UNSENT_RESPONSE_BYTES: usize = 256 * 1024;
/// Response chunks that a peer may leave unread before its next request is received.
const MAX_UNSENT_CHUNKS: usize = 1024;
/// Answers that may gather while more requests keep arriving, so that they leave in one system call.
const MAX_GATHERED_CHUNKS: usize = 8;
/// What one connection receives before others have their turn.
const RECEIVE_TURN_BYTES: usize = 1024 * 1024;
/// Requests one connection has dispatched before others have their turn.
const DISPATCH_TURN_REQUESTS: usize = 256;
/// How long a request may be held up by lack of memory before its connection is closed.
const MEMORY_STALL: Duration = Duration::from_secs(10);

/// How often a connection that has the most requests in flight, and so receives nothing, looks whether its peer has gone.
const HANG_UP_LOOK: Duration = Duration::from_secs(1);
/// How often a connection without limits looks at itself.
const NO_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloseReason {
    #[error("the peer closed it")]
    PeerClosed,
    #[error("a request could not be answered, or its answer ends the connection")]
    Handler,
    #[error("{0}")]
    Frame(FrameError, [u8; 4]),
    #[error("nothing was sent or asked for {0:?}")]
    Idle(Duration),
    #[error("the peer did not read its answers for {0:?}")]
    WriteStalled(Duration),
    #[error("no memory for its request for {0:?} (queued.max.request.bytes)")]
    MemoryStalled(Duration),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the broker stops")]
    Shutdown,
}

/// Whether receiving went as far as it can for now.
enum Receiving {
    /// The socket has nothing more: it will wake the task.
    Drained,
    /// A bound stopped it; sending or ripening will lift it.
    Bounded,
    /// Its turn is over.
    TurnOver,
}

/// A connection's task.
pub(super) struct Connection<H: Handler> {
    transport: Transport,
    reader: FrameReader,
    answers: Answers,
    outbox: Outbox,
    handler: Arc<H>,
    context: Rc<ConnectionContext>,
    thread: Rc<ThreadShared>,
    last_activity: Instant,
    /// Since when the socket has taken nothing of the outbox.
    stalled_since: Option<Instant>,
    /// Since when a request waits for memory.
    starved_since: Option<Instant>,
    /// When it last looked whether its peer has gone.
    looked_at: Instant,
    timer: Pin<Box<Sleep>>,
    /// What the thread's count of requests in flight holds of this connection.
    counted_in_flight: usize,
}

impl<H: Handler> Connection<H> {
    pub(super) fn new(
        transport: Transport,
        reader: FrameReader,
        handler: Arc<H>,
        context: Rc<ConnectionContext>,
        thread: Rc<ThreadShared>,
    ) -> Connection<H> {
        let now = Instant::now();
        let first_check = thread.config.connections_max_idle.unwrap_or(thread.config.write_stall_timeout);
        Connection {
            transport,
            reader,
            answers: Answers::default(),
            outbox: Outbox::default(),
            handler,
            context,
            thread,
            last_activity: now,
            stalled_since: None,
            starved_since: None,
            looked_at: now,
            timer: Box::pin(sleep_until(now + first_check)),
            counted_in_flight: 0,
        }
    }

    /// Serves the connection until it ends, and says why it did.
    pub(super) async fn run(mut self) -> CloseReason {
        let reason = poll_fn(|context| self.poll(context)).await;
        if !matches!(reason, CloseReason::Io(_)) {
            self.transport.close();
        }
        reason
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<CloseReason> {
        let now = Instant::now();
        let mut turn = Turn::default();
        loop {
            let receiving = match self.receive(context, now, &mut turn) {
                Ok(receiving) => receiving,
                Err(reason) => {
                    // What is ripe still leaves, as far as the socket takes it.
                    self.ripen(context);
                    let _ = self.send(context, now);
                    return Poll::Ready(reason);
                }
            };
            self.ripen(context);
            let sent = match self.send(context, now) {
                Ok(sent) => sent,
                Err(error) => return Poll::Ready(error.into()),
            };
            if sent && self.is_over() {
                return Poll::Ready(if self.answers.ended() { CloseReason::Handler } else { CloseReason::Shutdown });
            }
            match receiving {
                Receiving::Bounded if sent && self.may_receive() => {}
                Receiving::TurnOver => {
                    context.waker().wake_by_ref();
                    break;
                }
                Receiving::Drained | Receiving::Bounded => break,
            }
        }
        self.poll_timer(context, now)
    }

    /// Receives and dispatches until the socket is drained, a bound is reached or the turn is over.
    fn receive(&mut self, context: &mut Context<'_>, now: Instant, turn: &mut Turn) -> Result<Receiving, CloseReason> {
        loop {
            if !self.may_receive() || self.should_send_first() {
                return Ok(Receiving::Bounded);
            }
            if turn.is_over() {
                return Ok(Receiving::TurnOver);
            }
            if let Some(frame) = self.reader.next() {
                turn.requests += 1;
                metrics::add(&self.thread.metrics.requests, 1);
                let dispatched = self.handler.dispatch(&self.context, frame);
                self.answers.push(dispatched, &mut self.outbox);
                continue;
            }
            if let Some((error, prefix)) = self.reader.failure() {
                return Err(CloseReason::Frame(*error, *prefix));
            }
            match self.transport.poll_receive(context, &mut self.reader) {
                Poll::Pending => return Ok(Receiving::Drained),
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Ready(Ok(Received::End)) => return Err(CloseReason::PeerClosed),
                Poll::Ready(Ok(Received::NoMemory)) => {
                    self.starved_since.get_or_insert(now);
                    return Ok(Receiving::Drained);
                }
                Poll::Ready(Ok(Received::Bytes(bytes))) => {
                    turn.bytes += bytes;
                    metrics::add(&self.thread.metrics.bytes_in, bytes as u64);
                    self.last_activity = now;
                    self.starved_since = None;
                }
            }
        }
    }

    fn may_receive(&self) -> bool {
        !self.answers.ended()
            && !self.thread.draining.get()
            && !self.is_pipeline_full()
            && self.outbox.memory_bytes() < MAX_UNSENT_RESPONSE_BYTES
            && self.outbox.len() < MAX_UNSENT_CHUNKS
    }

    fn is_pipeline_full(&self) -> bool {
        self.answers.len() >= MAX_IN_FLIGHT_REQUESTS
    }

    /// Whether enough answers have gathered, and the socket is not known to be full.
    fn should_send_first(&self) -> bool {
        self.outbox.len() >= MAX_GATHERED_CHUNKS && self.stalled_since.is_none() && !self.reader.has_frame()
    }

    fn ripen(&mut self, context: &mut Context<'_>) {
        self.answers.poll(context, &mut self.outbox);
        self.count_in_flight(self.answers.len());
    }

    fn count_in_flight(&mut self, now: usize) {
        let counter = &self.thread.metrics.requests_in_flight;
        metrics::add(counter, (now as u64).wrapping_sub(self.counted_in_flight as u64));
        self.counted_in_flight = now;
    }

    /// Sends what the socket takes; true if that was all.
    fn send(&mut self, context: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if self.transport.is_sent(&self.outbox) {
            return Ok(true);
        }
        let mut bytes = 0;
        let progress = self.transport.poll_send(context, &mut self.outbox, &mut bytes);
        metrics::add(&self.thread.metrics.bytes_out, bytes);
        if bytes > 0 {
            self.last_activity = now;
        }
        match progress {
            Poll::Ready(done) => {
                self.stalled_since = None;
                done.map(|()| true)
            }
            Poll::Pending => {
                if bytes > 0 || self.stalled_since.is_none() {
                    self.stalled_since = Some(now);
                }
                Ok(false)
            }
        }
    }

    /// Whether everything that will be answered has been, given that the outbox is empty.
    fn is_over(&self) -> bool {
        self.answers.ended() || (self.thread.draining.get() && self.answers.is_empty())
    }

    /// The timer is not moved with every request: when it fires, it looks how long there has been nothing to do.
    fn poll_timer(&mut self, context: &mut Context<'_>, mut now: Instant) -> Poll<CloseReason> {
        loop {
            let (mut next, reason) = self.next_deadline(now);
            if now >= next {
                return Poll::Ready(reason);
            }
            if self.is_pipeline_full() {
                if now >= self.looked_at + HANG_UP_LOOK {
                    if self.transport.is_hung_up() {
                        return Poll::Ready(CloseReason::PeerClosed);
                    }
                    self.looked_at = now;
                }
                next = next.min(self.looked_at + HANG_UP_LOOK);
            }
            if self.timer.deadline() > next || now >= self.timer.deadline() {
                self.timer.as_mut().reset(next);
            }
            ready!(self.timer.as_mut().poll(context));
            now = Instant::now();
        }
    }

    fn next_deadline(&self, now: Instant) -> (Instant, CloseReason) {
        let config = &self.thread.config;
        if let Some(since) = self.starved_since {
            return (since + MEMORY_STALL, CloseReason::MemoryStalled(MEMORY_STALL));
        }
        if let Some(since) = self.stalled_since {
            let limit = config.write_stall_timeout;
            return (since + limit, CloseReason::WriteStalled(limit));
        }
        match config.connections_max_idle {
            Some(limit) if self.answers.is_empty() => (self.last_activity + limit, CloseReason::Idle(limit)),
            Some(limit) => (now + limit, CloseReason::Idle(limit)),
            None => (now + NO_LIMIT, CloseReason::Idle(NO_LIMIT)),
        }
    }
}

impl<H: Handler> Drop for Connection<H> {
    fn drop(&mut self) {
        self.count_in_flight(0);
        self.handler.disconnected(&self.context);
    }
}

/// What a connection has done since it was last woken.
#[derive(Default)]
struct Turn {
    bytes: usize,
    requests: usize,
}

impl Turn {
    fn is_over(&self) -> bool {
        self.bytes >= RECEIVE_TURN_BYTES || self.requests >= DISPATCH_TURN_REQUESTS
    }
}
