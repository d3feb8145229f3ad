//! Structured logs, on standard error.
//!
//! `WEIR_LOG` filters them (`info` by default, `weir_broker=debug` and the like); the format is for people, or JSON. Much
//! of what is logged is caused by clients, so that no place in the code may say more than [`line_limit`] allows and no
//! line may be longer than [`MAX_LINE_BYTES`]: a hostile client cannot fill a disk with it.

mod capped_writer;
mod limited_format;
pub mod line_limit;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tracing::Dispatch;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Format;

use capped_writer::CappedWriter;
pub use capped_writer::MAX_LINE_BYTES;
use limited_format::LimitedFormat;
use line_limit::LineLimits;

/// The environment variable that filters the log.
pub const FILTER_VARIABLE: &str = "WEIR_LOG";
/// What is written unless the variable says otherwise. What openraft says of a call that reached it after its end is given to whoever called,
/// too, and a call may well reach a node that is stopping.
const FILTER: &str = "info,openraft=error,openraft::raft::raft_inner=off";

/// Lines that a limit left out since the process began.
static LINES_LEFT_OUT: AtomicU64 = AtomicU64::new(0);

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
    let filter = EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(FILTER));
    let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
    // Only the first subscriber of a process counts; tests start several brokers in one.
    let _ = tracing::dispatcher::set_global_default(dispatch(format, filter, is_terminal, io::stderr));
}

/// How many lines the limits have left out.
pub fn lines_left_out() -> u64 {
    LINES_LEFT_OUT.load(Ordering::Relaxed)
}

fn dispatch<W, S>(format: LogFormat, filter: EnvFilter, ansi: bool, sink: S) -> Dispatch
where
    W: io::Write + 'static,
    S: Fn() -> W + Send + Sync + 'static,
{
    let writer = move || CappedWriter::new(sink(), format);
    let limits = Arc::new(LineLimits::default());
    let started = Instant::now();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi);
    match format {
        LogFormat::Text => {
            let event_format = LimitedFormat { inner: Format::default().with_ansi(ansi), format, limits, started };
            Dispatch::new(builder.event_format(event_format).with_writer(writer).finish())
        }
        LogFormat::Json => {
            let inner = Format::default().json().flatten_event(true);
            let event_format = LimitedFormat { inner, format, limits, started };
            Dispatch::new(builder.json().event_format(event_format).with_writer(writer).finish())
        }
    }
}

#[cfg(test)]
mod tests;
