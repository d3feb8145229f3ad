//! One socket to one broker, for one request at a time and large answers.
//!
//! No task, no queue: the caller's own task writes the request and reads the answer, into a buffer that is used again for the next one
//! once the caller has let go of everything that was decoded from it. So a follower copies what it fetches once, from the socket, and
//! touches no fresh memory for it. Whatever goes wrong makes the connection useless: drop it.

use super::config::ClientConfig;
use super::connection::{Reader, Writer, dial, protocol_hint};
use super::versions::{BrokerVersions, api_of};
use super::{Address, ClientError};
use crate::error_code::ErrorCode;
use crate::frame;
use crate::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, Encodable, Message, Request, RequestHeader, StrBytes,
};
use crate::response::decode::{self, DecodeError};
use bytes::{BufMut, Bytes, BytesMut};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// What the buffer begins with; it doubles as bytes arrive.
const FIRST_READ_BYTES: usize = 16 * 1024;
/// A buffer that was grown for large answers is given back after so many that fill less than a quarter of it.
const SMALL_ANSWERS: u32 = 8;

/// A connection to a broker, for one request at a time.
pub struct SerialConnection {
    address: Address,
    client_id: StrBytes,
    reader: Reader,
    writer: Writer,
    max_response_bytes: usize,
    versions: BrokerVersions,
    next_correlation_id: i32,
    request: BytesMut,
    /// The last answer, to be taken back once nobody else holds any of it.
    last: Bytes,
    small_answers: u32,
}

impl SerialConnection {
    /// Dials `address` and asks which versions are spoken there.
    pub async fn connect(address: Address, config: &ClientConfig) -> Result<Self, ClientError> {
        let connect = async {
            let (reader, writer) = dial(&address, config.tls.as_ref()).await?;
            let mut connection = Self {
                address: address.clone(),
                client_id: StrBytes::from_string(config.client_id.clone()),
                reader,
                writer,
                max_response_bytes: config.max_response_bytes,
                versions: BrokerVersions::default(),
                next_correlation_id: 0,
                request: BytesMut::new(),
                last: Bytes::new(),
                small_answers: 0,
            };
            connection.negotiate().await?;
            Ok(connection)
        };
        match timeout(config.connect_timeout, connect).await {
            Ok(connected) => connected,
            Err(_) => Err(ClientError::ConnectTimeout { address, timeout: config.connect_timeout }),
        }
    }

    /// Where it goes.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The best version of `R` that both sides speak, at most `cap`.
    pub fn version_up_to<R: Request>(&self, cap: i16) -> Result<i16, ClientError> {
        self.versions.best::<R>(&self.address, cap)
    }

    /// Sends `request` at `version` and receives the answer. A future that is dropped before it is done leaves the connection useless.
    pub async fn call<R: Request>(
        &mut self,
        request: &R,
        version: i16,
        within: Duration,
    ) -> Result<R::Response, ClientError> {
        match timeout(within, self.exchange(request, version)).await {
            Ok(answer) => decode::frame::<R>(version, answer?).map_err(|error| self.undecodable(error)),
            Err(_) => Err(ClientError::Timeout { address: self.address.clone(), api: api_of::<R>(), timeout: within }),
        }
    }

    /// One question at our newest version, and one at the broker's if it does not know that (KIP-511).
    async fn negotiate(&mut self) -> Result<(), ClientError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("weir"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let newest = ApiVersionsRequest::VERSIONS.max;
        let mut response = self.api_versions(&request, newest).await?;
        if response.error_code == ErrorCode::UnsupportedVersion.code() {
            response = self.api_versions(&ApiVersionsRequest::default(), 0).await?;
        }
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                self.versions = BrokerVersions::from_response(&response);
                Ok(())
            }
            code => {
                let (address, subject) = (self.address.clone(), "this client".to_owned());
                Err(ClientError::Refused { address, api: ApiKey::ApiVersions, subject, code, message: None })
            }
        }
    }

    async fn api_versions(
        &mut self,
        request: &ApiVersionsRequest,
        version: i16,
    ) -> Result<ApiVersionsResponse, ClientError> {
        let answer = self.exchange(request, version).await?;
        decode::api_versions_frame(version, answer).map_err(|error| self.undecodable(error))
    }

    async fn exchange<R: Request>(&mut self, request: &R, version: i16) -> Result<Bytes, ClientError> {
        let correlation_id = self.encode(request, version)?;
        let sent = async {
            self.writer.write_all(&self.request).await?;
            // TLS holds back what it has encrypted until it is flushed.
            self.writer.flush().await
        };
        if let Err(error) = sent.await {
            return Err(self.disconnected(api_of::<R>(), format!("write failed: {error}")));
        }
        let answer = match self.receive().await {
            Ok(answer) => answer,
            Err(reason) => return Err(self.disconnected(api_of::<R>(), reason)),
        };
        match decode::correlation_id(&answer) {
            Ok(id) if id == correlation_id => Ok(answer),
            Ok(id) => {
                let reason = format!("an answer to request {id} instead of {correlation_id}");
                Err(self.disconnected(api_of::<R>(), reason))
            }
            Err(error) => Err(self.undecodable(error)),
        }
    }

    /// Length, header, body, into the buffer for requests.
    fn encode<R: Request>(&mut self, request: &R, version: i16) -> Result<i32, ClientError> {
        let api = api_of::<R>();
        let fail = |reason: String| ClientError::Encode { api, version, reason };
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let frame = &mut self.request;
        frame.clear();
        frame.put_i32(0);
        let encoded = header.encode(frame, R::header_version(version)).and_then(|()| request.encode(frame, version));
        encoded.map_err(|error| fail(error.to_string()))?;
        let size = frame.len() - frame::FRAME_LENGTH_BYTES;
        let length = i32::try_from(size).map_err(|_| fail(format!("{size} bytes are too many for a frame")))?;
        frame[..frame::FRAME_LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(correlation_id)
    }

    /// Receives one answer. Nothing can follow it before the next request is sent, so a small one takes one read, length and all.
    async fn receive(&mut self) -> Result<Bytes, String> {
        let mut frame = self.buffer();
        let mut whole = frame::FRAME_LENGTH_BYTES;
        while frame.len() < whole {
            if frame.len() == frame.capacity() {
                frame.reserve((whole - frame.len()).min(frame.len()));
            }
            let was_known = frame.len() >= frame::FRAME_LENGTH_BYTES;
            match self.reader.read_buf(&mut frame).await {
                Ok(0) if frame.is_empty() => return Err("end of stream".to_owned()),
                Ok(0) if !was_known => return Err("end of stream within the length of a response".to_owned()),
                Ok(0) => {
                    return Err(format!(
                        "end of stream within a response of {} bytes",
                        whole - frame::FRAME_LENGTH_BYTES
                    ));
                }
                Ok(_) => {}
                Err(error) => return Err(format!("read failed: {error}")),
            }
            if let Some(length) = frame.first_chunk().filter(|_| !was_known) {
                whole += match frame::length(length, self.max_response_bytes) {
                    Ok(Some(length)) => length,
                    Ok(None) => return Err("end of stream".to_owned()),
                    Err(error) => return Err(format!("{error}{}", protocol_hint(length))),
                };
            }
        }
        if frame.len() > whole {
            return Err(format!("{} bytes that nobody asked for follow a response", frame.len() - whole));
        }
        self.small_answers = if whole < frame.capacity() / 4 { self.small_answers + 1 } else { 0 };
        let frame = frame.freeze();
        self.last = frame.clone();
        Ok(frame.slice(frame::FRAME_LENGTH_BYTES..))
    }

    /// The buffer of the last answer, emptied, unless somebody still holds some of that or it has become far too large.
    fn buffer(&mut self) -> BytesMut {
        let fresh = || BytesMut::with_capacity(FIRST_READ_BYTES);
        let Ok(mut buffer) = std::mem::take(&mut self.last).try_into_mut() else { return fresh() };
        buffer.clear();
        if buffer.capacity() < FIRST_READ_BYTES {
            return fresh();
        }
        if self.small_answers > SMALL_ANSWERS && buffer.capacity() > 4 * FIRST_READ_BYTES {
            self.small_answers = 0;
            return fresh();
        }
        buffer
    }

    fn undecodable(&self, source: DecodeError) -> ClientError {
        ClientError::Decode { address: self.address.clone(), source: Arc::new(source) }
    }

    fn disconnected(&self, api: ApiKey, reason: String) -> ClientError {
        ClientError::Disconnected { address: self.address.clone(), api, reason: reason.into() }
    }
}

impl std::fmt::Debug for SerialConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SerialConnection").field("address", &self.address).finish_non_exhaustive()
    }
}
