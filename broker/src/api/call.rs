//! One request in hand: who asks, what for, and what answers: a broker, or for administrators any node.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use weir_controller::image::MetadataImage;
use weir_protocol::messages::{Encodable, HeaderVersion, ResponseKind};
use weir_protocol::request::RequestHeader;
use weir_protocol::response::{self, ResponseError};

use super::registry::ListenerKind;
use crate::administration::Administration;
use crate::broker::Broker;
use crate::net::{ConnectionContext, Dispatch, Response};

/// A request's surroundings, kept by its waiting stage.
#[derive(Debug)]
pub struct Call<N = Broker> {
    /// The node that answers, as far as the API needs to know it.
    pub node: Arc<N>,
    /// The connection it came over.
    pub connection: Rc<ConnectionContext>,
    /// The kind of the listener it came to.
    pub listener_kind: ListenerKind,
    /// Its header.
    pub header: RequestHeader,
}

impl<N> Clone for Call<N> {
    fn clone(&self) -> Self {
        Self {
            node: self.node.clone(),
            connection: self.connection.clone(),
            listener_kind: self.listener_kind,
            header: self.header.clone(),
        }
    }
}

impl Call {
    /// The metadata as it is now.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.node.image()
    }

    /// The same, of an API that needs no broker.
    pub(super) fn administering(self) -> Call<Administration> {
        let Self { node, connection, listener_kind, header } = self;
        Call { node: node.administration.clone(), connection, listener_kind, header }
    }
}

impl Call<Administration> {
    /// The metadata as it is now.
    pub fn image(&self) -> Arc<MetadataImage> {
        self.node.image()
    }
}

impl<N: 'static> Call<N> {
    /// The version of the API asked for.
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    /// The wall clock, in milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        now_ms()
    }

    /// The answer in its frame.
    pub fn reply<M: Encodable + HeaderVersion>(&self, message: &M) -> Response {
        self.sent(response::encode_message(&self.header, message))
    }

    /// The answer in its frame, where its type is known at run time only.
    pub fn reply_kind(&self, kind: &ResponseKind) -> Response {
        self.sent(response::encode(&self.header, kind))
    }

    /// [`Call::reply`] as the end of the ordered stage.
    pub fn ready<M: Encodable + HeaderVersion>(&self, message: &M) -> Dispatch {
        Dispatch::Ready(self.reply(message))
    }

    /// The waiting stage of this call.
    pub fn later<M, F>(self, answer: impl FnOnce(Self) -> F + 'static) -> Dispatch
    where
        M: Encodable + HeaderVersion,
        F: Future<Output = M>,
    {
        Dispatch::Waiting(Box::pin(async move {
            let message = answer(self.clone()).await;
            self.reply(&message)
        }))
    }

    fn sent(&self, frame: Result<impl Into<Response>, ResponseError>) -> Response {
        match frame {
            Ok(frame) => frame.into(),
            Err(error) => {
                tracing::error!(%error, peer = %self.connection.peer_address, "an answer could not be encoded");
                Response::close()
            }
        }
    }
}

/// The wall clock, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
