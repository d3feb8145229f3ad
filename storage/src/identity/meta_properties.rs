//! `meta.properties`: whose a log directory is.
//!
//! Owns the file's format, version 1 (KIP-631, KIP-858), a Java properties file:
//!
//! ```text
//! cluster.id=Some3lqXQ1mhBCfyN0sDWA
//! directory.id=xC0p-AVHQd2EvPZyHrtQzA
//! node.id=1
//! version=1
//! weir.metadata.log.id=xC0p-AVHQd2EvPZyHrtQzA
//! ```
//!
//! The last is ours, and there once the directory has held a metadata log. The cluster id is absent between a cluster's first start and its
//! first committed record; Kafka always has one. Ids are 16 bytes in unpadded base64url, as Kafka prints them.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use uuid::Uuid;
use weir_protocol::ids::BrokerId;

use crate::checkpoint;

/// The file's name in a log directory.
pub const META_PROPERTIES_FILE: &str = "meta.properties";

const DIRECTORY_ID: &str = "directory.id";

/// Kafka passes over keys that it does not know.
const METADATA_LOG_ID: &str = "weir.metadata.log.id";

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    /// The cluster, once it is known.
    pub cluster_id: Option<String>,
    /// The node.
    pub node_id: BrokerId,
    /// The directory's own id; Kafka before 3.7 wrote none.
    pub directory_id: Option<Uuid>,
    /// The id under which the metadata log that the directory holds, or held, is a member of its quorum (KIP-853): the
    /// directory's own, or another once a log was lost. `None` if it never held one.
    pub metadata_log_id: Option<Uuid>,
}

/// Why the file does not read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaPropertiesError {
    /// A key that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A value that makes no sense.
    #[error("{key}={value} is not valid")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// Kafka in ZooKeeper mode wrote it.
    #[error("version 0 is Kafka's ZooKeeper mode, which must be migrated to KRaft first")]
    ZooKeeper,
    /// Something newer wrote it.
    #[error("version {0} is unknown")]
    Version(String),
}

impl MetaProperties {
    /// Reads the file's text; keys it does not know are passed over.
    pub fn parse(text: &str) -> Result<Self, MetaPropertiesError> {
        let mut values = properties(text);
        match values.remove("version").as_deref() {
            None => return Err(MetaPropertiesError::Missing("version")),
            Some("1") => {}
            Some("0") => return Err(MetaPropertiesError::ZooKeeper),
            Some(other) => return Err(MetaPropertiesError::Version(other.to_owned())),
        }
        let node_id = values.remove("node.id").ok_or(MetaPropertiesError::Missing("node.id"))?;
        let node_id = match node_id.parse() {
            Ok(id @ 0..) => BrokerId(id),
            _ => return Err(MetaPropertiesError::Invalid { key: "node.id", value: node_id }),
        };
        let mut id = |key| match values.remove(key) {
            None => Ok(None),
            Some(value) => match parse_uuid(&value).filter(|id| !is_reserved(id)) {
                Some(id) => Ok(Some(id)),
                None => Err(MetaPropertiesError::Invalid { key, value }),
            },
        };
        let (directory_id, metadata_log_id) = (id(DIRECTORY_ID)?, id(METADATA_LOG_ID)?);
        let cluster_id = values.remove("cluster.id").filter(|id| !id.is_empty());
        Ok(Self { cluster_id, node_id, directory_id, metadata_log_id })
    }

    /// The file's text.
    pub fn format(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            text.push_str(key);
            text.push('=');
            text.push_str(&escape(value));
            text.push('\n');
        };
        if let Some(cluster_id) = &self.cluster_id {
            line("cluster.id", cluster_id);
        }
        if let Some(directory_id) = &self.directory_id {
            line(DIRECTORY_ID, &format_uuid(directory_id));
        }
        line("node.id", &self.node_id.to_string());
        line("version", "1");
        if let Some(metadata_log_id) = &self.metadata_log_id {
            line(METADATA_LOG_ID, &format_uuid(metadata_log_id));
        }
        text
    }

    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        checkpoint::write_atomically(&dir.join(META_PROPERTIES_FILE), self.format().as_bytes())
    }
}

/// Kafka keeps the ids below 100 for "unassigned", "lost" and the like (KIP-858).
fn is_reserved(id: &Uuid) -> bool {
    id.as_u128() < 100
}

/// Keys and values of a Java properties file; of its escapes, those that a value of ours can need.
fn properties(text: &str) -> HashMap<String, String> {
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with(['#', '!']));
    lines
        .map(|line| {
            let end = unescaped_position(line).unwrap_or(line.len());
            let (key, rest) = line.split_at(end);
            let value = rest.trim_start();
            let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim_start();
            (unescape(key), unescape(value))
        })
        .collect()
}

/// Where a key ends: at the first `=`, `:` or blank that no backslash precedes.
fn unescaped_position(line: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '=' | ':' | ' ' | '\t' => return Some(index),
            _ => {}
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or('\\') } else { c });
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | '=' | ':' | '#' | '!' | ' ') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const UUID_CHARS: usize = 22;

/// An id as Kafka prints it: 22 characters of base64url.
pub fn format_uuid(id: &Uuid) -> String {
    let shifted = id.as_u128();
    let digit = |index: usize| {
        let bits = 128 - 6 * (index as u32 + 1).min(21);
        let sextet = if index < 21 { shifted >> bits } else { shifted << 4 };
        char::from(ALPHABET[(sextet & 63) as usize])
    };
    (0..UUID_CHARS).map(digit).collect()
}

/// A random id whose text does not begin with a dash, for tools would take it for an option (Kafka: `Uuid.randomUuid`).
pub fn random_uuid() -> Uuid {
    loop {
        let id = Uuid::new_v4();
        if !format_uuid(&id).starts_with('-') {
            return id;
        }
    }
}

/// Reads what [`format_uuid`] and Kafka print.
pub fn parse_uuid(text: &str) -> Option<Uuid> {
    if text.len() != UUID_CHARS {
        return None;
    }
    let mut value: u128 = 0;
    for (index, byte) in text.bytes().enumerate() {
        let sextet = ALPHABET.iter().position(|&c| c == byte)? as u128;
        if index < UUID_CHARS - 1 {
            value = value << 6 | sextet;
        } else if sextet & 15 != 0 {
            return None;
        } else {
            value = value << 2 | sextet >> 4;
        }
    }
    Some(Uuid::from_u128(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_random_id_looks_like_an_option() {
        // One in 64 would, by chance.
        assert!((0..2_000).all(|_| !format_uuid(&random_uuid()).starts_with('-')));
    }

    #[test]
    fn kafkas_own_file_reads() {
        let text = "#\n#Wed Nov 01 12:00:00 UTC 2023\ncluster.id=Some3lqXQ1mhBCfyN0sDWA\n\
                    directory.id=xC0p-AVHQd2EvPZyHrtQzA\nnode.id=1\nversion=1\n";
        let meta = MetaProperties::parse(text).unwrap();
        assert_eq!(meta.cluster_id.as_deref(), Some("Some3lqXQ1mhBCfyN0sDWA"));
        assert_eq!(meta.node_id, BrokerId(1));
        assert_eq!(format_uuid(&meta.directory_id.unwrap()), "xC0p-AVHQd2EvPZyHrtQzA");
    }

    #[test]
    fn file_has_kafkas_keys_and_reads_back() {
        let meta = MetaProperties {
            cluster_id: Some("my cluster".to_owned()),
            node_id: BrokerId(3),
            directory_id: Some(Uuid::from_u128(u128::MAX)),
            metadata_log_id: None,
        };
        let text = "cluster.id=my\\ cluster\ndirectory.id=_____________________w\nnode.id=3\nversion=1\n";
        assert_eq!(meta.format(), text);
        assert_eq!(MetaProperties::parse(text).unwrap(), meta);
        let meta = MetaProperties { metadata_log_id: Some(Uuid::from_u128(u128::MAX - 1)), ..meta };
        let text = format!("{text}weir.metadata.log.id=_____________________g\n");
        assert_eq!(meta.format(), text);
        assert_eq!(MetaProperties::parse(&text).unwrap(), meta);
    }

    #[test]
    fn what_does_not_read_is_named() {
        let error = |text: &str| MetaProperties::parse(text).unwrap_err().to_string();
        assert_eq!(error(""), "version is missing");
        assert_eq!(error("version=7"), "version 7 is unknown");
        assert_eq!(error("version=0\nbroker.id=1"), MetaPropertiesError::ZooKeeper.to_string());
        assert_eq!(error("version=1"), "node.id is missing");
        assert_eq!(error("version=1\nnode.id=-4"), "node.id=-4 is not valid");
        assert_eq!(error("version=1\nnode.id=1\ndirectory.id=x"), "directory.id=x is not valid");
        let reserved = "version=1\nnode.id=1\ndirectory.id=AAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(error(reserved), "directory.id=AAAAAAAAAAAAAAAAAAAAAA is not valid");
    }

    #[test]
    fn ids_are_unpadded_base64url() {
        let id = Uuid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
        assert_eq!(format_uuid(&id), "AQIDBAUGBwgJCgsMDQ4PEA");
        assert_eq!(parse_uuid("AQIDBAUGBwgJCgsMDQ4PEA"), Some(id));
        for bad in ["", "AQIDBAUGBwgJCgsMDQ4PE", "AQIDBAUGBwgJCgsMDQ4PEB", "AQIDBAUGBwgJCgsMDQ4P+A"] {
            assert_eq!(parse_uuid(bad), None, "{bad}");
        }
    }
}
