//! An answer that is there, or will be.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// The future half of a [`Reply`].
pub type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The operation has been carried out, in the order of the calls; its answer may have to wait for replication, or for
/// other members. Handlers that can answer in place match on it, others simply `.await` it.
pub enum Reply<T> {
    /// The answer.
    Ready(T),
    /// The answer comes when this completes.
    Later(Pending<T>),
}

impl<T: Send + 'static> Reply<T> {
    /// The answer in another form.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U + Send + 'static) -> Reply<U> {
        match self {
            Reply::Ready(answer) => Reply::Ready(convert(answer)),
            Reply::Later(pending) => Reply::Later(Box::pin(async move { convert(pending.await) })),
        }
    }
}

impl<T: Send + 'static> IntoFuture for Reply<T> {
    type Output = T;
    type IntoFuture = Pending<T>;

    fn into_future(self) -> Pending<T> {
        match self {
            Reply::Ready(answer) => Box::pin(std::future::ready(answer)),
            Reply::Later(pending) => pending,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reply::Ready(answer) => f.debug_tuple("Ready").field(answer).finish(),
            Reply::Later(_) => f.write_str("Later"),
        }
    }
}
