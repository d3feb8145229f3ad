//! Who a log directory belongs to, and how it was left.
//!
//! Owns `meta.properties`, `.lock`, `.kafka_cleanshutdown` and `.weir-boot-id`; opening a directory checks them and nothing
//! else, so it takes milliseconds whatever the directory holds. Never looks into partitions. Invariants: while a
//! [`DirectoryIdentity`] lives no other process has the directory; a directory that is another cluster's, another
//! node's or nobody's (it holds foreign files) is left as it was found, and the error says in one sentence what to do.

mod boot_id;
mod clean_shutdown;
mod lock;
mod meta_properties;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use weir_protocol::ids::{BrokerEpoch, BrokerId};

pub(crate) use boot_id::forget as forget_boot_id;
pub use boot_id::{BOOT_ID_FILE, current_boot_id};
pub use clean_shutdown::CLEAN_SHUTDOWN_FILE;
pub use lock::LOCK_FILE;
pub use meta_properties::{
    META_PROPERTIES_FILE, MetaProperties, MetaPropertiesError, format_uuid, parse_uuid, random_uuid,
};

/// How the process that had the directory before left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastStop {
    /// Nobody had it.
    New,
    /// Everything was flushed and written down (`.kafka_cleanshutdown`); with the broker's epoch, if it was known (KIP-966).
    Clean(Option<BrokerEpoch>),
    /// The process died and the operating system has been up since: the page cache holds what it wrote.
    SameBoot,
    /// The operating system may have lost what was not flushed: it went down, or a write or an fsync here failed.
    Unclean,
}

/// Who opens a directory.
#[derive(Clone, Debug)]
pub struct Owner {
    /// `node.id`.
    pub node_id: BrokerId,
    /// The cluster, once it is known.
    pub cluster_id: Option<String>,
    /// The boot id of the running operating system, see [`current_boot_id`]; `None` if it has none.
    pub boot_id: Option<String>,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It cannot be made.
    #[error("cannot create the log directory {}: {source}; create it or choose another in log.dirs", path.display())]
    Create {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not read or write.
    #[error("cannot use the log directory {}: {doing}: {source}; give this user read and write access to it", path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What failed.
        doing: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the log directory {} is in use by {}; stop that process or choose another directory in log.dirs", path.display(), holder(pid))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// Who has it, if that can be told.
        pid: Option<u32>,
    },
    /// Its `meta.properties` makes no sense.
    #[error("{} does not describe a log directory: {source}; restore it, or remove the directory if its data is not needed", path.display())]
    MetaProperties {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: MetaPropertiesError,
    },
    /// It is another cluster's.
    #[error("the log directory {} belongs to cluster {found}, and this node to cluster {expected}; choose another directory in log.dirs", path.display())]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// In the directory.
        found: String,
        /// Of this node.
        expected: String,
    },
    /// It is another node's.
    #[error("the log directory {} belongs to node.id {found}, and this is node.id {expected}; set node.id={found} or choose another directory in log.dirs", path.display())]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// In the directory.
        found: BrokerId,
        /// Of this node.
        expected: BrokerId,
    },
    /// It is nobody's, and not empty.
    #[error("{} has no meta.properties but holds files that are not a broker's ({example}); choose an empty directory in log.dirs", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the files.
        example: String,
    },
}

fn holder(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// A locked directory of ours.
#[derive(Debug)]
pub struct DirectoryIdentity {
    path: PathBuf,
    meta: MetaProperties,
    last_stop: LastStop,
    boot_id: Option<String>,
    _lock: lock::DirectoryLock,
}

impl DirectoryIdentity {
    /// Locks the directory at `path`, made if it does not exist, and checks that it is the owner's. A new one gets
    /// `new_id` as its directory id.
    pub fn open(path: &Path, owner: &Owner, new_id: Uuid) -> Result<Self, IdentityError> {
        let unusable = |doing| move |source| IdentityError::Unusable { path: path.to_owned(), doing, source };
        make_durably(path).map_err(|source| IdentityError::Create { path: path.to_owned(), source })?;
        let file = path.join(META_PROPERTIES_FILE);
        let found = match fs::read_to_string(&file) {
            Ok(text) => Some(
                MetaProperties::parse(&text).map_err(|source| IdentityError::MetaProperties { path: file, source })?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unusable("reading meta.properties")(error)),
        };
        if found.is_none() {
            refuse_foreign(path)?;
        }
        let lock = lock::DirectoryLock::acquire(path).map_err(|error| match error {
            lock::LockError::Held(pid) => IdentityError::Locked { path: path.to_owned(), pid },
            lock::LockError::Io(source) => unusable("locking it")(source),
        })?;
        let last_stop = match &found {
            None => LastStop::New,
            Some(meta) => {
                check_owner(path, meta, owner)?;
                last_stop(path, owner).map_err(unusable("reading how it was left"))?
            }
        };
        let meta = Self::settle(path, found, owner, new_id).map_err(unusable("writing meta.properties"))?;
        let identity = Self { path: path.to_owned(), meta, last_stop, boot_id: owner.boot_id.clone(), _lock: lock };
        if last_stop != LastStop::Unclean {
            identity.record_boot_id().map_err(unusable("writing the boot id"))?;
        }
        Ok(identity)
    }

    /// Completes what the directory says of itself, and writes it if that changed.
    fn settle(path: &Path, found: Option<MetaProperties>, owner: &Owner, new_id: Uuid) -> io::Result<MetaProperties> {
        let before = found.clone();
        let mut meta = found.unwrap_or(MetaProperties {
            cluster_id: None,
            node_id: owner.node_id,
            directory_id: None,
            metadata_log_id: None,
        });
        meta.directory_id.get_or_insert(new_id);
        if meta.cluster_id.is_none() {
            meta.cluster_id.clone_from(&owner.cluster_id);
        }
        if before.as_ref() != Some(&meta) {
            meta.write(path)?;
        }
        Ok(meta)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory's id, for its whole life.
    pub fn directory_id(&self) -> Uuid {
        self.meta.directory_id.expect("settled at open")
    }

    /// The cluster the directory belongs to, once it is known.
    pub fn cluster_id(&self) -> Option<&str> {
        self.meta.cluster_id.as_deref()
    }

    /// The member of the metadata quorum whose log the directory holds or held, if it ever held one.
    pub fn metadata_log_id(&self) -> Option<Uuid> {
        self.meta.metadata_log_id
    }

    /// The directory holds the log of that member from now on; durable when it returns.
    pub fn record_metadata_log_id(&mut self, id: Uuid) -> io::Result<()> {
        let meta = MetaProperties { metadata_log_id: Some(id), ..self.meta.clone() };
        meta.write(&self.path)?;
        self.meta = meta;
        Ok(())
    }

    /// How the directory was left.
    pub fn last_stop(&self) -> LastStop {
        self.last_stop
    }

    /// The cluster is known now: writes it down.
    pub fn record_cluster_id(&mut self, cluster_id: &str) -> Result<(), IdentityError> {
        match &self.meta.cluster_id {
            Some(found) if found == cluster_id => Ok(()),
            Some(found) => Err(IdentityError::OtherCluster {
                path: self.path.clone(),
                found: found.clone(),
                expected: cluster_id.to_owned(),
            }),
            None => {
                let meta = MetaProperties { cluster_id: Some(cluster_id.to_owned()), ..self.meta.clone() };
                meta.write(&self.path).map_err(|source| IdentityError::Unusable {
                    path: self.path.clone(),
                    doing: "writing meta.properties",
                    source,
                })?;
                self.meta = meta;
                Ok(())
            }
        }
    }

    /// From here on a stop within this boot loses nothing. Opening a directory says so by itself unless it was left
    /// uncleanly: what an earlier boot lost must not be forgotten by a second start, so it is said only once the controller
    /// has taken note of the loss.
    pub fn record_boot_id(&self) -> io::Result<()> {
        self.boot_id.as_deref().map_or(Ok(()), |boot_id| boot_id::record(&self.path, boot_id))
    }

    /// Logs are about to change: the marker of the last clean stop no longer holds.
    pub fn clear_clean_shutdown(&self) -> io::Result<()> {
        clean_shutdown::delete(&self.path)
    }

    /// Everything is flushed and written down.
    pub fn write_clean_shutdown(&self, broker_epoch: BrokerEpoch) -> io::Result<()> {
        clean_shutdown::write(&self.path, broker_epoch)
    }
}

/// Makes the folder and those above it that are missing, so that a power cut takes none of their names.
fn make_durably(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    fs::create_dir_all(path)?;
    for folder in missing {
        let above = match folder.parent() {
            Some(above) if above.as_os_str().is_empty() => Path::new("."),
            Some(above) => above,
            // The root, or the end of a relative path, which is the folder that it counts from.
            None => continue,
        };
        crate::checkpoint::sync_dir(above)?;
    }
    Ok(())
}

fn check_owner(path: &Path, meta: &MetaProperties, owner: &Owner) -> Result<(), IdentityError> {
    if let (Some(found), Some(expected)) = (&meta.cluster_id, &owner.cluster_id)
        && found != expected
    {
        return Err(IdentityError::OtherCluster {
            path: path.to_owned(),
            found: found.clone(),
            expected: expected.clone(),
        });
    }
    if meta.node_id != owner.node_id {
        let (found, expected) = (meta.node_id, owner.node_id);
        return Err(IdentityError::OtherNode { path: path.to_owned(), found, expected });
    }
    Ok(())
}

fn last_stop(path: &Path, owner: &Owner) -> io::Result<LastStop> {
    if let Some(clean) = clean_shutdown::read(path)? {
        return Ok(LastStop::Clean(clean.broker_epoch));
    }
    let recorded = boot_id::read(path)?;
    Ok(if owner.boot_id.is_some() && recorded == owner.boot_id { LastStop::SameBoot } else { LastStop::Unclean })
}

/// A directory without `meta.properties` may hold what a first start that died left behind, and what a mount point holds.
fn refuse_foreign(path: &Path) -> Result<(), IdentityError> {
    let ours = |name: &str| {
        let name = name.strip_suffix(".tmp").unwrap_or(name);
        [LOCK_FILE, META_PROPERTIES_FILE, BOOT_ID_FILE, "lost+found"].contains(&name)
    };
    let unusable = |source| IdentityError::Unusable { path: path.to_owned(), doing: "listing it", source };
    for entry in fs::read_dir(path).map_err(unusable)? {
        let name = entry.map_err(unusable)?.file_name();
        let name = name.to_string_lossy();
        if !ours(&name) {
            return Err(IdentityError::Foreign { path: path.to_owned(), example: name.into_owned() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(node: i32, cluster: Option<&str>) -> Owner {
        let boot_id = Some("boot-1".to_owned());
        Owner { node_id: BrokerId(node), cluster_id: cluster.map(str::to_owned), boot_id }
    }

    const ID: Uuid = Uuid::from_u128(0x1234);

    fn open(path: &Path, owner: &Owner) -> Result<DirectoryIdentity, IdentityError> {
        DirectoryIdentity::open(path, owner, ID)
    }

    fn error(path: &Path, owner: &Owner) -> String {
        open(path, owner).unwrap_err().to_string().replace(path.to_str().unwrap(), "DIR")
    }

    #[test]
    fn a_new_directory_is_made_and_keeps_its_id() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let first = open(&path, &owner(1, None)).unwrap();
        assert_eq!((first.directory_id(), first.cluster_id(), first.last_stop()), (ID, None, LastStop::New));
        drop(first);
        let again = DirectoryIdentity::open(&path, &owner(1, Some("c")), Uuid::from_u128(9)).unwrap();
        assert_eq!((again.directory_id(), again.cluster_id()), (ID, Some("c")));
    }

    #[test]
    fn cluster_id_is_written_once_it_is_known_and_then_binds() {
        let dir = tempfile::tempdir().unwrap();
        let mut identity = open(dir.path(), &owner(1, None)).unwrap();
        identity.record_cluster_id("abc").unwrap();
        identity.record_cluster_id("abc").unwrap();
        assert!(matches!(identity.record_cluster_id("xyz"), Err(IdentityError::OtherCluster { .. })));
        drop(identity);
        assert_eq!(
            error(dir.path(), &owner(1, Some("xyz"))),
            "the log directory DIR belongs to cluster abc, and this node to cluster xyz; choose another directory in log.dirs"
        );
    }

    #[test]
    fn the_id_of_the_metadata_log_is_kept_beside_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let mut identity = open(dir.path(), &owner(1, None)).unwrap();
        assert_eq!(identity.metadata_log_id(), None);
        let id = Uuid::from_u128(0x5678);
        identity.record_metadata_log_id(id).unwrap();
        identity.record_cluster_id("abc").unwrap();
        drop(identity);
        let identity = open(dir.path(), &owner(1, None)).unwrap();
        let ids = (identity.directory_id(), identity.metadata_log_id(), identity.cluster_id());
        assert_eq!(ids, (ID, Some(id), Some("abc")));
    }

    #[test]
    fn another_nodes_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path(), &owner(1, None)).unwrap();
        assert_eq!(
            error(dir.path(), &owner(2, None)),
            "the log directory DIR belongs to node.id 1, and this is node.id 2; \
             set node.id=1 or choose another directory in log.dirs"
        );
    }

    #[test]
    fn a_directory_in_use_is_refused_with_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let _held = open(dir.path(), &owner(1, None)).unwrap();
        let pid = std::process::id();
        assert_eq!(
            error(dir.path(), &owner(1, None)),
            format!(
                "the log directory DIR is in use by process {pid}; \
                 stop that process or choose another directory in log.dirs"
            )
        );
    }

    #[test]
    fn a_directory_with_foreign_files_is_refused_untouched() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.doc"), "x").unwrap();
        assert_eq!(
            error(dir.path(), &owner(1, None)),
            "DIR has no meta.properties but holds files that are not a broker's (thesis.doc); \
             choose an empty directory in log.dirs"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_mount_point_is_as_good_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        open(dir.path(), &owner(1, None)).unwrap();
    }

    #[test]
    fn meta_properties_that_make_no_sense_are_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(META_PROPERTIES_FILE), "version=1\n").unwrap();
        assert_eq!(
            error(dir.path(), &owner(1, None)),
            "DIR/meta.properties does not describe a log directory: node.id is missing; \
             restore it, or remove the directory if its data is not needed"
        );
    }

    #[test]
    fn a_path_that_is_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        assert!(error(&path, &owner(1, None)).starts_with("cannot create the log directory DIR: "));
    }

    #[test]
    fn how_a_directory_was_left_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let stop = |owner: &Owner| open(dir.path(), owner).unwrap().last_stop();
        assert_eq!(stop(&owner(1, None)), LastStop::New);
        assert_eq!(stop(&owner(1, None)), LastStop::SameBoot);
        let rebooted = Owner { boot_id: Some("boot-2".to_owned()), ..owner(1, None) };
        assert_eq!(stop(&rebooted), LastStop::Unclean);
        assert_eq!(stop(&rebooted), LastStop::Unclean, "a second start does not hide what the first one found");
        open(dir.path(), &rebooted).unwrap().record_boot_id().unwrap();
        assert_eq!(stop(&rebooted), LastStop::SameBoot);
        let bootless = Owner { boot_id: None, ..owner(1, None) };
        assert_eq!(stop(&bootless), LastStop::Unclean);

        let identity = open(dir.path(), &rebooted).unwrap();
        identity.write_clean_shutdown(BrokerEpoch(77)).unwrap();
        drop(identity);
        let identity = open(dir.path(), &rebooted).unwrap();
        assert_eq!(identity.last_stop(), LastStop::Clean(Some(BrokerEpoch(77))));
        identity.clear_clean_shutdown().unwrap();
        drop(identity);
        assert_eq!(stop(&rebooted), LastStop::SameBoot);
    }
}
