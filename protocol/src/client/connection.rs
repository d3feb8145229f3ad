//! One socket to one broker: requests are pipelined, answers come in order.
//!
//! ```text
//! call ─┬─ pending (in order) ───────────────► reader task ─ socket
//!       └─ frames (bounded by max_in_flight) ► writer task ─ socket
//! ```
//!
//! A request enters the pending list and the writer's queue under one lock, so both have one order. Whatever breaks that
//! order (a wrong correlation id, an oversized frame, a timeout, an I/O error) closes the connection, and every pending
//! request fails with the reason; a closed connection never opens again.

use super::config::ClientConfig;
use super::versions::{BrokerVersions, api_of};
use super::{Address, ClientError, TlsConfig};
use crate::error_code::ErrorCode;
use crate::frame;
use crate::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, Encodable, Message, Request, RequestHeader, StrBytes,
};
use crate::private_api::{self, PrivateApi};
use crate::response::decode::{self, DecodeError};
use bytes::{BufMut, Bytes, BytesMut};
use rustls::pki_types::ServerName;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What a response's buffer begins with; it grows as bytes arrive.
const FIRST_READ_BYTES: usize = 16 * 1024;

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// A connection to a broker. Clones share the socket, which closes when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    address: Address,
    client_id: StrBytes,
    request_timeout: Duration,
    in_flight: Arc<Semaphore>,
    pipeline: Arc<Mutex<Pipeline>>,
    frames: mpsc::UnboundedSender<Outgoing>,
    versions: OnceLock<BrokerVersions>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

/// Why a request among Weir's nodes has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrivateCallError {
    /// The connection closed: the request may or may not have been done.
    #[error("the connection closed: {0}")]
    Disconnected(Arc<str>),
    /// No answer in time, and the connection was closed for it: the request may or may not have been done.
    #[error("no answer in time")]
    TimedOut,
    /// More bytes than a frame can have.
    #[error("{0} bytes are too many for a frame")]
    TooLarge(usize),
}

/// A frame to write. The queue needs no bound of its own: each frame, or its pending entry, holds a permit.
#[derive(Debug)]
struct Outgoing {
    frame: Bytes,
    unanswered: Option<Unwritten>,
}

/// Why a frame has no answer.
enum Unanswered {
    Closed,
    TimedOut,
}

/// What a frame that gets no answer holds until it is written, and whom to tell.
type Unwritten = (OwnedSemaphorePermit, oneshot::Sender<()>);

#[derive(Debug)]
struct Pending {
    correlation_id: i32,
    answer: oneshot::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct Pipeline {
    next_correlation_id: i32,
    pending: VecDeque<Pending>,
    closed: Option<Arc<str>>,
    on_close: Arc<Notify>,
}

impl Pipeline {
    /// Fails everything that waits, and everything to come.
    fn close(&mut self, reason: &str) {
        self.closed.get_or_insert_with(|| reason.into());
        self.pending.clear();
        self.on_close.notify_waiters();
    }
}

fn lock(pipeline: &Mutex<Pipeline>) -> MutexGuard<'_, Pipeline> {
    // Nothing panics while it holds the lock; if it did, the list would still be in order.
    pipeline.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Connection {
    /// Dials `address` with default settings; `tls` encrypts.
    pub async fn connect(address: Address, tls: Option<TlsConfig>) -> Result<Self, ClientError> {
        let mut config = ClientConfig::new(vec![address.clone()]);
        config.tls = tls;
        Self::connect_with(address, &config).await
    }

    /// Dials `address`. Speaks no Kafka yet: see [`Connection::negotiate`].
    pub async fn connect_with(address: Address, config: &ClientConfig) -> Result<Self, ClientError> {
        let dial = dial(&address, config.tls.as_ref());
        let (reader, writer) = match timeout(config.connect_timeout, dial).await {
            Ok(dialled) => dialled?,
            Err(_) => return Err(ClientError::ConnectTimeout { address, timeout: config.connect_timeout }),
        };
        let pipeline = Arc::new(Mutex::new(Pipeline::default()));
        let (frames, queue) = mpsc::unbounded_channel();
        let shared = Shared {
            client_id: StrBytes::from_string(config.client_id.clone()),
            request_timeout: config.request_timeout,
            in_flight: Arc::new(Semaphore::new(config.max_in_flight.max(1))),
            frames,
            versions: OnceLock::new(),
            reader: tokio::spawn(read_answers(reader, pipeline.clone(), config.max_response_bytes)),
            writer: tokio::spawn(write_frames(writer, pipeline.clone(), queue)),
            pipeline,
            address,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Where it goes.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }

    /// Whether it has closed: dial again.
    pub fn is_closed(&self) -> bool {
        lock(&self.shared.pipeline).closed.is_some()
    }

    /// Resolves once it has closed.
    pub async fn until_closed(&self) {
        let on_close = Arc::clone(&lock(&self.shared.pipeline).on_close);
        let notified = on_close.notified();
        if !self.is_closed() {
            notified.await;
        }
    }

    /// What the broker speaks, once [`Connection::negotiate`] has asked.
    pub fn versions(&self) -> Option<&BrokerVersions> {
        self.shared.versions.get()
    }

    /// Asks the broker which versions it speaks, at our newest ApiVersions version or, if it refuses that, at its own.
    pub async fn negotiate(&self) -> Result<ApiVersionsResponse, ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("weir"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let newest = ApiVersionsRequest::VERSIONS.max;
        let mut response = self.api_versions(&request, newest).await?;
        if response.error_code == ErrorCode::UnsupportedVersion.code() {
            let theirs = BrokerVersions::from_response(&response).range(ApiKey::ApiVersions);
            let version = theirs.map_or(0, |(_, max)| max.clamp(0, newest));
            let request = if version < 3 { ApiVersionsRequest::default() } else { request };
            response = self.api_versions(&request, version).await?;
        }
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {}
            code => {
                let address = self.address().clone();
                let subject = "this client".to_owned();
                return Err(ClientError::Refused { address, api: ApiKey::ApiVersions, subject, code, message: None });
            }
        }
        // A second negotiation on one connection says the same.
        let _ = self.shared.versions.set(BrokerVersions::from_response(&response));
        Ok(response)
    }

    /// A refusal comes in version 0, whatever was asked (KIP-511).
    async fn api_versions(
        &self,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<ApiVersionsResponse, ClientError> {
        let frame = self.encode(request, version)?;
        let timeout = self.shared.request_timeout;
        let answer = self.exchange(frame, timeout).await;
        let answer = answer.map_err(|error| self.unanswered(ApiKey::ApiVersions, timeout, error))?;
        decode::api_versions_frame(version, answer).map_err(|error| self.undecodable(error))
    }

    /// The best version of `R` that the broker speaks, at most `cap`.
    pub fn version_up_to<R: Request>(&self, cap: i16) -> Result<i16, ClientError> {
        static NONE: OnceLock<BrokerVersions> = OnceLock::new();
        let versions = self.versions().unwrap_or_else(|| NONE.get_or_init(BrokerVersions::default));
        versions.best::<R>(self.address(), cap)
    }

    /// Sends `request` at the best version that the broker speaks and waits for the answer.
    pub async fn ask<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        self.call(request, self.version_up_to::<R>(i16::MAX)?).await
    }

    /// Sends `request` at `version` and waits for the answer.
    pub async fn call<R: Request>(&self, request: &R, version: i16) -> Result<R::Response, ClientError> {
        self.call_within(request, version, self.shared.request_timeout).await
    }

    /// [`Connection::call`] with a timeout of its own, for requests that the broker parks.
    pub async fn call_within<R: Request>(
        &self,
        request: &R,
        version: i16,
        within: Duration,
    ) -> Result<R::Response, ClientError> {
        let frame = self.encode(request, version)?;
        let answer = self.exchange(frame, within).await;
        let answer = answer.map_err(|error| self.unanswered(api_of::<R>(), within, error))?;
        decode::frame::<R>(version, answer).map_err(|error| self.undecodable(error))
    }

    /// Sends a request of Weir's own and waits for the body of its answer (see [`private_api`]).
    pub async fn call_private(
        &self,
        api: PrivateApi,
        version: i16,
        body: &[u8],
        within: Duration,
    ) -> Result<Bytes, PrivateCallError> {
        let frame = private_api::encode(api, version, 0, body).ok_or(PrivateCallError::TooLarge(body.len()))?;
        let mut answer = self.exchange(frame, within).await.map_err(|error| match error {
            Unanswered::Closed => PrivateCallError::Disconnected(self.close_reason()),
            Unanswered::TimedOut => PrivateCallError::TimedOut,
        })?;
        // The correlation id was compared when it arrived.
        Ok(answer.split_off(size_of::<i32>()))
    }

    /// Sends `request` and waits for no answer, for there is none: Produce with acks=0. Returns once the system has it.
    pub async fn send<R: Request>(&self, request: &R, version: i16) -> Result<(), ClientError> {
        let frame = self.encode(request, version)?;
        let permit = timeout(self.shared.request_timeout, self.shared.in_flight.clone().acquire_owned())
            .await
            .map_err(|_| self.timed_out(api_of::<R>(), self.shared.request_timeout))?;
        let (written, wrote) = oneshot::channel();
        {
            let mut pipeline = lock(&self.shared.pipeline);
            if let Some(reason) = &pipeline.closed {
                return Err(self.disconnected(api_of::<R>(), reason.clone()));
            }
            pipeline.enqueue(&self.shared.frames, frame, permit.ok().map(|permit| (permit, written)));
        }
        match timeout(self.shared.request_timeout, wrote).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.closed(api_of::<R>())),
            Err(_) => Err(self.timed_out(api_of::<R>(), self.shared.request_timeout)),
        }
    }

    /// Length, header without correlation id, body.
    fn encode<R: Request>(&self, request: &R, version: i16) -> Result<BytesMut, ClientError> {
        let api = api_of::<R>();
        let fail = |reason: String| ClientError::Encode { api, version, reason };
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_client_id(Some(self.shared.client_id.clone()));
        let header_version = R::header_version(version);
        let size = header.compute_size(header_version).and_then(|size| Ok(size + request.compute_size(version)?));
        let size = size.map_err(|error| fail(error.to_string()))?;
        let mut frame = BytesMut::with_capacity(frame::FRAME_LENGTH_BYTES + size);
        frame.put_i32(i32::try_from(size).map_err(|_| fail(format!("{size} bytes are too many for a frame")))?);
        let encoded = header.encode(&mut frame, header_version).and_then(|()| request.encode(&mut frame, version));
        encoded.map_err(|error| fail(error.to_string()))?;
        debug_assert_eq!(frame.len(), frame::FRAME_LENGTH_BYTES + size, "{api:?} v{version}");
        Ok(frame)
    }

    fn undecodable(&self, source: DecodeError) -> ClientError {
        ClientError::Decode { address: self.address().clone(), source: Arc::new(source) }
    }

    fn submit(&self, frame: BytesMut, answer: oneshot::Sender<Bytes>, permit: OwnedSemaphorePermit) {
        let mut pipeline = lock(&self.shared.pipeline);
        if pipeline.closed.is_none() {
            let correlation_id = pipeline.enqueue(&self.shared.frames, frame, None);
            pipeline.pending.push_back(Pending { correlation_id, answer, _permit: permit });
        }
    }

    async fn exchange(&self, frame: BytesMut, within: Duration) -> Result<Bytes, Unanswered> {
        let exchange = async {
            let permit = self.shared.in_flight.clone().acquire_owned().await;
            let (answer, answered) = oneshot::channel();
            if let Ok(permit) = permit {
                self.submit(frame, answer, permit);
            }
            // A request that was not submitted, or whose connection closes, loses its sender.
            answered.await
        };
        match timeout(within, exchange).await {
            Ok(Ok(body)) => Ok(body),
            Ok(Err(_)) => Err(Unanswered::Closed),
            Err(_) => {
                lock(&self.shared.pipeline).close("an earlier request timed out");
                Err(Unanswered::TimedOut)
            }
        }
    }

    fn unanswered(&self, api: ApiKey, within: Duration, error: Unanswered) -> ClientError {
        match error {
            Unanswered::Closed => self.closed(api),
            Unanswered::TimedOut => self.timed_out(api, within),
        }
    }

    /// The error of a request whose sender is gone.
    fn closed(&self, api: ApiKey) -> ClientError {
        self.disconnected(api, self.close_reason())
    }

    fn close_reason(&self) -> Arc<str> {
        lock(&self.shared.pipeline).closed.clone().unwrap_or_else(|| "closed".into())
    }

    fn disconnected(&self, api: ApiKey, reason: Arc<str>) -> ClientError {
        ClientError::Disconnected { address: self.address().clone(), api, reason }
    }

    fn timed_out(&self, api: ApiKey, timeout: Duration) -> ClientError {
        ClientError::Timeout { address: self.address().clone(), api, timeout }
    }
}

impl Pipeline {
    /// Gives the frame its correlation id and its place in the order.
    fn enqueue(
        &mut self,
        frames: &mpsc::UnboundedSender<Outgoing>,
        mut frame: BytesMut,
        unanswered: Option<Unwritten>,
    ) -> i32 {
        /// After the length, the API key and the version.
        const CORRELATION_ID_AT: usize = 8;
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1);
        frame[CORRELATION_ID_AT..CORRELATION_ID_AT + 4].copy_from_slice(&correlation_id.to_be_bytes());
        // The writer outlives its queue unless it failed, and then the pipeline is closed.
        let _ = frames.send(Outgoing { frame: frame.freeze(), unanswered });
        correlation_id
    }
}

pub(super) async fn dial(address: &Address, tls: Option<&TlsConfig>) -> Result<(Reader, Writer), ClientError> {
    let refused = |source: io::Error| ClientError::Connect { address: address.clone(), source: Arc::new(source) };
    let socket = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(refused)?;
    socket.set_nodelay(true).map_err(refused)?;
    let Some(tls) = tls else {
        let (reader, writer) = socket.into_split();
        return Ok((Box::new(reader), Box::new(writer)));
    };
    let failed = |source: io::Error| ClientError::Tls { address: address.clone(), source: Arc::new(source) };
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
    let stream = tokio_rustls::TlsConnector::from(tls.config.clone()).connect(name, socket).await.map_err(failed)?;
    let (reader, writer) = tokio::io::split(stream);
    Ok((Box::new(reader), Box::new(writer)))
}

async fn write_frames(
    mut writer: Writer,
    pipeline: Arc<Mutex<Pipeline>>,
    mut queue: mpsc::UnboundedReceiver<Outgoing>,
) {
    while let Some(outgoing) = queue.recv().await {
        let written = async {
            writer.write_all(&outgoing.frame).await?;
            // TLS holds back what it has encrypted until it is flushed.
            writer.flush().await
        };
        if let Err(error) = written.await {
            lock(&pipeline).close(&format!("write failed: {error}"));
            return;
        }
        if let Some((_permit, written)) = outgoing.unanswered {
            // Whoever sent it may have gone.
            let _ = written.send(());
        }
    }
}

async fn read_answers(mut reader: Reader, pipeline: Arc<Mutex<Pipeline>>, max_response_bytes: usize) {
    loop {
        let delivered = match read_frame(&mut reader, max_response_bytes).await {
            Ok(frame) => deliver(&mut lock(&pipeline), frame),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = delivered {
            lock(&pipeline).close(&reason);
            return;
        }
    }
}

/// Hands the frame to the request at the head of the order.
fn deliver(pipeline: &mut Pipeline, frame: Bytes) -> Result<(), String> {
    let correlation_id = decode::correlation_id(&frame).map_err(|error| error.to_string())?;
    let Some(head) = pipeline.pending.pop_front() else {
        return Err(format!("an answer to request {correlation_id}, which is not pending"));
    };
    if head.correlation_id != correlation_id {
        return Err(format!("an answer to request {correlation_id} instead of {}", head.correlation_id));
    }
    // Whoever asked may have gone.
    let _ = head.answer.send(frame);
    Ok(())
}

async fn read_frame(reader: &mut Reader, max_bytes: usize) -> Result<Bytes, String> {
    let mut length = [0; frame::FRAME_LENGTH_BYTES];
    match reader.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err("end of stream".to_owned()),
        Err(error) => return Err(format!("read failed: {error}")),
    }
    let length = match frame::length(&length, max_bytes) {
        Ok(Some(length)) => length,
        Ok(None) => return Err("end of stream".to_owned()),
        Err(error) => return Err(format!("{error}{}", protocol_hint(&length))),
    };
    let mut frame = BytesMut::with_capacity(length.min(FIRST_READ_BYTES));
    while frame.len() < length {
        let left = length - frame.len();
        if frame.len() == frame.capacity() {
            frame.reserve(left.min(frame.len()));
        }
        let mut limited = (&mut frame).limit(left);
        match reader.read_buf(&mut limited).await {
            Ok(0) => return Err(format!("end of stream within a response of {length} bytes")),
            Ok(_) => {}
            Err(error) => return Err(format!("read failed: {error}")),
        }
    }
    Ok(frame.freeze())
}

/// What listens there, if the first bytes betray it.
pub(super) fn protocol_hint(first: &[u8; 4]) -> &'static str {
    match first {
        b"HTTP" => ": it speaks HTTP, this is no Kafka listener",
        [0x14..=0x17, 3, 0..=4, _] => ": it speaks TLS, configure TLS for this address",
        _ => "",
    }
}
