//! What a directory's `meta.properties` says of the metadata log in it, for whoever keeps that log.

use std::io;
use std::sync::Weak;

use uuid::Uuid;

use super::directory::Directory;

/// The record of one directory. It does not hold the directory: once its manager is gone nothing is written any more.
pub struct MetadataLogRecord(pub(super) Weak<Directory>);

impl MetadataLogRecord {
    /// See [`crate::identity::DirectoryIdentity::metadata_log_id`].
    pub fn id(&self) -> Option<Uuid> {
        self.0.upgrade()?.identity.lock().metadata_log_id()
    }

    /// See [`crate::identity::DirectoryIdentity::record_metadata_log_id`].
    pub fn set_id(&self, id: Uuid) -> io::Result<()> {
        let directory = self.0.upgrade().ok_or_else(|| io::Error::other("the log directory is closed"))?;
        directory.identity.lock().record_metadata_log_id(id)
    }
}
