//! The directory of the metadata log (`metadata.log.dir`), where it is none of the broker's: it holds that log and no partition.

use std::path::Path;

use weir_controller::quorum::CLUSTER_METADATA_FOLDER;
use weir_storage::manager::{LogManager, LogManagerConfig};

use super::{StartError, log_manager_config};
use crate::config::{BrokerConfig, ConfigError};

/// Opens it, for a broker whose `log.dirs` are `logs`; nothing if it is one of these. A metadata log in one of them is not left behind: a
/// node that starts without it would begin anew.
pub(super) fn open(config: &BrokerConfig, logs: &LogManager) -> Result<Option<LogManager>, StartError> {
    let wanted = &config.metadata_log_dir;
    if config.log_dirs.contains(wanted) {
        return Ok(None);
    }
    if let Some(whereabouts) = missing_log(config, logs) {
        let reason = format!("this node would begin anew without its metadata log, which is {whereabouts}");
        return Err(ConfigError { key: "metadata.log.dir".into(), value: wanted.display().to_string(), reason }.into());
    }
    let alone =
        LogManagerConfig { dirs: vec![wanted.clone()], cluster_id: logs.cluster_id(), ..log_manager_config(config) };
    Ok(Some(LogManager::open(alone)?))
}

/// Where the metadata log is to be looked for, if there must be one and it is not where it should be. One of several controllers gets it
/// from the others.
fn missing_log(config: &BrokerConfig, logs: &LogManager) -> Option<String> {
    let holds_it = |dir: &Path| dir.join(CLUSTER_METADATA_FOLDER).exists();
    if holds_it(&config.metadata_log_dir) {
        return None;
    }
    match config.log_dirs.iter().find(|dir| holds_it(dir)) {
        Some(dir) => Some(format!("in {}: set metadata.log.dir to that", dir.display())),
        None if config.quorum.is_some() => None,
        None => logs.cluster_id().map(|id| format!("where metadata.log.dir led when cluster {id} was made")),
    }
}
