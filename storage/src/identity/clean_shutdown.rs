//! `.kafka_cleanshutdown`: the logs were flushed, closed and written down.
//!
//! Owns the file, Kafka's `{"version":0,"brokerEpoch":5}` (`CleanShutdownFileHandler`, KIP-966). An empty one (Kafka before
//! 3.7) or one that does not read is a clean stop of unknown epoch, as in Kafka.

use std::fs;
use std::io;
use std::path::Path;

use weir_protocol::ids::BrokerEpoch;

use crate::checkpoint;

/// The file's name in a log directory.
pub const CLEAN_SHUTDOWN_FILE: &str = ".kafka_cleanshutdown";

pub(super) struct CleanShutdown {
    pub(super) broker_epoch: Option<BrokerEpoch>,
}

pub(super) fn read(dir: &Path) -> io::Result<Option<CleanShutdown>> {
    match fs::read(dir.join(CLEAN_SHUTDOWN_FILE)) {
        Ok(bytes) => Ok(Some(CleanShutdown { broker_epoch: parse(&String::from_utf8_lossy(&bytes)) })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn write(dir: &Path, broker_epoch: BrokerEpoch) -> io::Result<()> {
    checkpoint::write_atomically(&dir.join(CLEAN_SHUTDOWN_FILE), format(broker_epoch).as_bytes())
}

pub(super) fn delete(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(CLEAN_SHUTDOWN_FILE)) {
        Ok(()) => checkpoint::sync_dir(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn format(broker_epoch: BrokerEpoch) -> String {
    format!("{{\"version\":0,\"brokerEpoch\":{broker_epoch}}}")
}

/// The number after `"brokerEpoch":`. The object is flat, so nothing more of JSON is needed.
fn parse(text: &str) -> Option<BrokerEpoch> {
    let (_, rest) = text.split_once("\"brokerEpoch\"")?;
    let number = rest.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok().filter(|&epoch: &i64| epoch >= 0).map(BrokerEpoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_kafkas_bytes() {
        assert_eq!(format(BrokerEpoch(5)), "{\"version\":0,\"brokerEpoch\":5}");
    }

    #[test]
    fn epoch_reads_whatever_stands_around_it() {
        let epoch = |text| parse(text).map(BrokerEpoch::get);
        assert_eq!(epoch("{\"version\":0,\"brokerEpoch\":5}"), Some(5));
        assert_eq!(epoch("{ \"brokerEpoch\" : 12 , \"version\" : 0, \"more\": 1 }"), Some(12));
        for unknown in ["", "{", "{\"version\":0}", "{\"version\":0,\"brokerEpoch\":-1}", "{\"brokerEpoch\":null}"] {
            assert_eq!(epoch(unknown), None, "{unknown}");
        }
    }
}
