//! `weir serve`: runs a broker until it is told to stop.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use weir_broker::config::{BrokerConfig, Settings};
use weir_broker::logging::{self, LogFormat};
use weir_broker::server::Server;

/// Run a broker: with no file a working single node, on loopback, in plaintext, with its data in ./weir-data.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A Kafka server.properties file; keys that do not apply are named and passed over.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a configuration key, over the file and the WEIR_* variables; may be given many times.
    #[arg(long = "override", short = 'o', value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// How log lines look; WEIR_LOG filters them.
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), String> {
    logging::init(match arguments.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    });
    let loaded = Settings::load(arguments.config.as_deref(), std::env::vars(), &arguments.overrides);
    let (settings, warnings) = loaded.map_err(|error| error.to_string())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let config = BrokerConfig::new(settings).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| format!("cannot wait for signals: {error}"))?;
    let _entered = runtime.enter();
    // Before the start, so that a signal that comes during it is not lost.
    let watch = |kind| signal(kind).map_err(|error| format!("cannot wait for signals: {error}"));
    let (mut interrupt, mut terminate) = (watch(SignalKind::interrupt())?, watch(SignalKind::terminate())?);
    let server = Server::start(config).map_err(|error| error.to_string())?;
    for (listener, address) in server.addresses() {
        tracing::info!(%listener, %address, "listening");
    }
    if let Some(address) = server.http_address() {
        tracing::info!(%address, "metrics and health are served");
    }
    tracing::info!(cluster_id = %server.cluster_id(), "weir is up");
    let name = runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    });
    tracing::info!(signal = name, "stopping");
    server.shutdown();
    tracing::info!("stopped");
    Ok(())
}
