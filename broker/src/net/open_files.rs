//! The limit on file handles: a broker wants a handle per connection and per open segment.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, as servers do; without permission things stay as they are.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit on open files stays as it is");
        }
    }
}
