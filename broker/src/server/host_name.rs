//! This host's name, which stands in where a listener on every address has none to tell.

/// The host's name; nothing if it has none.
pub(crate) fn host_name() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}
