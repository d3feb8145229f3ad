//! `weir serve`: runs a broker until it is told to stop.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use weir_broker::config::{BrokerConfig, Settings};
use weir_broker::logging::{self, LogFormat};
use weir_broker::server::{Node, StartError, StartInterrupt};

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
    let mut told_to_stop = async || {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    };
    let Some(server) = start(config, &runtime, &mut told_to_stop)? else { return Ok(()) };
    for (listener, address) in server.addresses() {
        tracing::info!(%listener, %address, "listening");
    }
    if let Some(address) = server.http_address() {
        tracing::info!(%address, "metrics and health are served");
    }
    tracing::info!(cluster_id = %server.cluster_id(), "weir is up");
    let name = runtime.block_on(told_to_stop());
    tracing::info!(signal = name, "stopping");
    server.shutdown();
    tracing::info!("stopped");
    Ok(())
}

/// Starts the broker on a thread of its own, for a start may wait long for its quorum, and a signal ends that wait.
fn start(
    config: BrokerConfig,
    runtime: &Runtime,
    told_to_stop: &mut impl AsyncFnMut() -> &'static str,
) -> Result<Option<Node>, String> {
    let start_interrupt = StartInterrupt::default();
    let (started, start) = oneshot::channel();
    let starting = {
        let start_interrupt = start_interrupt.clone();
        // Whoever waits for it does so until it has said something.
        std::thread::spawn(move || drop(started.send(Node::start(config, &start_interrupt))))
    };
    let outcome = runtime.block_on(async {
        tokio::pin!(start);
        tokio::select! {
            outcome = &mut start => outcome,
            signal = told_to_stop() => {
                tracing::info!(signal, "stopping before the broker is up");
                start_interrupt.interrupt();
                start.await
            }
        }
    });
    // A panic in it has been printed.
    let _ = starting.join();
    match outcome.map_err(|_| "the start panicked".to_owned())? {
        Ok(server) if start_interrupt.is_interrupted() => {
            server.shutdown();
            Ok(None)
        }
        Ok(server) => Ok(Some(server)),
        Err(StartError::Interrupted) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
