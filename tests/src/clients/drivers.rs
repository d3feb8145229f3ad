//! The drivers: which there are and how each is started.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::apache_kafka;
use crate::paths;

/// The toolchain a driver needs, as `tests/run` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Toolchain {
    /// Nothing beyond this crate's own binaries.
    Cargo,
    /// `java`.
    Java,
    /// The virtual environment in the cache.
    Python,
    /// The Go binaries in the cache.
    Go,
    /// `node` and the packages in the cache.
    Node,
}

/// A program that uses one client as its users do.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// Its name, which also begins the names of its topics and groups.
    pub name: &'static str,
    /// What it needs.
    pub toolchain: Toolchain,
    /// The script, class or binary.
    program: &'static str,
    /// How long one run may take on a loaded machine before it is a failure.
    pub patience: Duration,
    /// At how many brokers it has something to say.
    pub at: Brokers,
}

/// At how many brokers a driver has something to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brokers {
    /// At one: it asks whom it is given, whoever leads.
    One,
    /// At one and at several.
    Any,
    /// At several, which are left alone meanwhile.
    Several,
}

/// Every driver, the slow ones first so that they overlap with the rest.
pub const DRIVERS: [Driver; 11] = [
    driver("jvm-tools", Toolchain::Java, "JvmTools", 300),
    driver("java", Toolchain::Java, "JavaClient", 300),
    driver("librdkafka-rust", Toolchain::Cargo, "librdkafka-driver", 180),
    driver("confluent-python", Toolchain::Python, "confluent_driver.py", 180),
    driver("kafka-python", Toolchain::Python, "kafka_python_driver.py", 180),
    driver("aiokafka", Toolchain::Python, "aiokafka_driver.py", 180),
    driver("franz-go", Toolchain::Go, "franz", 180),
    driver("sarama", Toolchain::Go, "sarama", 180),
    driver("kafkajs", Toolchain::Node, "driver.js", 180),
    Driver { at: Brokers::One, ..driver("wire", Toolchain::Cargo, "wire-driver", 180) },
    Driver { at: Brokers::Several, ..driver("jvm-cluster-tools", Toolchain::Java, "JvmClusterTools", 300) },
];

const fn driver(name: &'static str, toolchain: Toolchain, program: &'static str, patience_s: u64) -> Driver {
    Driver { name, toolchain, program, patience: Duration::from_secs(patience_s), at: Brokers::Any }
}

impl Driver {
    /// Whether `tests/run` has installed what it needs.
    pub fn is_installed(&self) -> bool {
        self.needs().exists()
    }

    fn needs(&self) -> PathBuf {
        let cache = paths::cache_dir();
        match self.toolchain {
            Toolchain::Cargo => sibling_binary(self.program),
            Toolchain::Java => cache.join("java/classes").join(format!("{}.class", self.program)),
            Toolchain::Python => cache.join("python/bin/python"),
            Toolchain::Go => cache.join("go").join(self.program),
            Toolchain::Node => cache.join("node/node_modules/kafkajs"),
        }
    }

    /// The command that runs it; where the broker is comes by environment.
    pub fn command(&self) -> Command {
        let clients = paths::tests_dir().join("clients");
        match self.toolchain {
            Toolchain::Java => {
                let flags = ["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"];
                let mut command = apache_kafka::java(&flags.map(str::to_owned));
                command.arg(self.program);
                command
            }
            Toolchain::Python => {
                let mut command = Command::new(self.needs());
                command.arg("-u").arg(clients.join("python").join(self.program));
                command.env("PYTHONDONTWRITEBYTECODE", "1");
                command
            }
            Toolchain::Node => {
                let mut command = Command::new("node");
                command.arg(clients.join("node").join(self.program));
                command.env("NODE_PATH", paths::cache_dir().join("node/node_modules"));
                command.env("KAFKAJS_NO_PARTITIONER_WARNING", "1");
                command
            }
            Toolchain::Go | Toolchain::Cargo => Command::new(self.needs()),
        }
    }
}

/// A binary of this crate, which sits beside the running one.
fn sibling_binary(name: &str) -> PathBuf {
    env::current_exe().ok().and_then(|me| Some(me.parent()?.join(name))).unwrap_or_else(|| PathBuf::from(name))
}
