//! Which log directories of this broker take no new replicas (`cordoned.log.dirs`, KIP-1066).
//!
//! An operator names them by their paths, the controller knows them by their ids: the broker tells it with its heartbeats, and
//! placement goes by that. What lies there already stays and is served.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use weir_controller::image::MetadataImage;
use weir_protocol::ids::BrokerId;
use weir_storage::manager::LogManager;

use crate::broker::layers;
use crate::config::Settings;
use crate::config::definition::list;

/// Every directory.
const ALL: &str = "*";

/// What is cordoned, as the configuration says by now.
#[derive(Debug)]
pub(super) struct Cordon {
    broker: BrokerId,
    settings: Settings,
    directories: Vec<(PathBuf, Uuid)>,
    /// The value that was read last.
    value: String,
    cordoned: Vec<Uuid>,
}

impl Cordon {
    pub(super) fn new(broker: BrokerId, settings: Settings, logs: &LogManager) -> Self {
        let directories = logs.dirs().into_iter().map(|dir| (absolute(&dir.path), dir.id));
        Self { broker, settings, directories: directories.collect(), value: String::new(), cordoned: Vec::new() }
    }

    /// The ids of the cordoned directories.
    pub(super) fn directories(&self) -> &[Uuid] {
        &self.cordoned
    }

    /// Reads the configuration again; true if something else is cordoned by now.
    pub(super) fn look(&mut self, image: &MetadataImage) -> bool {
        let value = layers(self.broker, &self.settings, image).text("cordoned.log.dirs");
        if value == self.value {
            return false;
        }
        let before = std::mem::replace(&mut self.cordoned, cordoned(&value, &self.directories));
        self.value = value;
        before != self.cordoned
    }
}

/// A value of `cordoned.log.dirs` that names what this broker has not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "Invalid value [{value}] for configuration cordoned.log.dirs: Invalid entry in cordoned.log.dirs: {entry}. All cordoned log dirs must \
     be entries of log.dirs or log.dir."
)]
pub(crate) struct UnknownDirectory {
    value: String,
    entry: String,
}

/// Judges a value before it is set.
pub(crate) fn check_cordon(value: &str, logs: &LogManager) -> Result<(), UnknownDirectory> {
    check(value, &logs.dirs().iter().map(|dir| absolute(&dir.path)).collect::<Vec<_>>())
}

fn check(value: &str, directories: &[PathBuf]) -> Result<(), UnknownDirectory> {
    let is_known = |entry: &str| entry == ALL || directories.contains(&absolute(Path::new(entry)));
    match list(value).find(|entry| !is_known(entry)) {
        Some(entry) => Err(UnknownDirectory { value: value.to_owned(), entry: entry.to_owned() }),
        None => Ok(()),
    }
}

fn cordoned(value: &str, directories: &[(PathBuf, Uuid)]) -> Vec<Uuid> {
    let named: Vec<PathBuf> = list(value).filter(|path| *path != ALL).map(|path| absolute(Path::new(path))).collect();
    let is_all = list(value).any(|path| path == ALL);
    for path in named.iter().filter(|path| directories.iter().all(|(own, _)| own != *path)) {
        tracing::warn!(path = %path.display(), "cordoned.log.dirs names a directory that is none of log.dirs");
    }
    let is_cordoned = |(path, _): &&(PathBuf, Uuid)| is_all || named.contains(path);
    directories.iter().filter(is_cordoned).map(|(_, id)| *id).collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_nobody_is_refused_by_name() {
        let directories = ["/a", "/b"].map(PathBuf::from);
        assert_eq!(
            [check("", &directories), check("*", &directories), check("/b,/a", &directories)],
            [Ok(()), Ok(()), Ok(())]
        );
        let error = check("/a,/c", &directories).unwrap_err();
        assert_eq!(error.entry, "/c");
    }

    #[test]
    fn directories_are_named_by_their_paths_or_all_at_once() {
        let directories = [("/a", 1), ("/b", 2)].map(|(path, id)| (PathBuf::from(path), Uuid::from_u128(id)));
        let ids = |value| cordoned(value, &directories).iter().map(Uuid::as_u128).collect::<Vec<_>>();
        assert_eq!(
            [ids(""), ids("/b"), ids("/b, /a"), ids("*"), ids("/c")],
            [vec![], vec![2], vec![1, 2], vec![1, 2], vec![]]
        );
    }
}
