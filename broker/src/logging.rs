//! Structured logs, on standard error.
//!
//! `WEIR_LOG` filters them (`info` by default, `weir_broker=debug` and the like); the format is for people, or JSON.

use tracing_subscriber::EnvFilter;

/// The environment variable that filters the log.
pub const FILTER_VARIABLE: &str = "WEIR_LOG";

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Sets the process's log up. A second call changes nothing.
pub fn init(format: LogFormat) {
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new("info,openraft=error"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // Only the first subscriber of a process counts; tests start several brokers in one.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(is_terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
