//! What the nodes of a cluster are processes of: Weir, or Apache Kafka, which the same scenarios and tools are held against.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::node::NodeOptions;
use crate::apache_kafka;
use crate::paths;
use crate::wire::Wire;

/// How long one question whether it serves may take to be answered.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// What a node is a process of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// The `weir` binary.
    Weir,
    /// Apache Kafka from its jars.
    ApacheKafka {
        /// Flags for the JVM.
        jvm_flags: Vec<String>,
    },
}

impl Program {
    /// The name of its log.
    pub(super) fn log_name(&self) -> &'static str {
        match self {
            Program::Weir => "weir.log",
            Program::ApacheKafka { .. } => "kafka.log",
        }
    }

    /// Makes ready what it asks for before its first start.
    pub(super) fn prepare(&self, options: &NodeOptions) -> io::Result<()> {
        match self {
            Program::Weir => fs::create_dir_all(&options.dir),
            Program::ApacheKafka { .. } if options.data_dir().join("meta.properties").exists() => Ok(()),
            Program::ApacheKafka { .. } => apache_kafka::format_node(&options.data_dir(), options.id),
        }
    }

    /// The command that starts a node with this configuration.
    pub(super) fn command(&self, options: &NodeOptions, config: &Path) -> Command {
        match self {
            Program::Weir => {
                let mut command = options.host.command(&paths::weir_binary());
                // What the harness is told is not for the broker, which would take it for settings.
                for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WEIR_")) {
                    command.env_remove(name);
                }
                command.arg("serve").arg("--config").arg(config);
                command
            }
            Program::ApacheKafka { jvm_flags } => {
                let mut command = apache_kafka::java(jvm_flags);
                command.arg("kafka.Kafka").arg(config);
                command
            }
        }
    }

    /// Whether a broker serves, by what it says of itself over the wire: it is registered and not fenced where it is among the brokers.
    pub(super) fn is_among_brokers(options: &NodeOptions) -> io::Result<()> {
        let mut wire = Wire::connect(&options.bootstrap())?;
        wire.stream().set_read_timeout(Some(ANSWER_PATIENCE))?;
        match wire.metadata()?.brokers.iter().any(|broker| broker.node_id.0 == options.id) {
            true => Ok(()),
            false => Err(io::Error::other("it is not among the brokers")),
        }
    }
}
