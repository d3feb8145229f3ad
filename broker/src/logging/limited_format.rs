//! Formats a line if its place may still log, and says where lines were left out.
//!
//! Debug and trace lines are not limited: whoever asks for them wants all.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line_limit::{LineLimits, REFILL, Verdict};
use super::{LINES_LEFT_OUT, LogFormat};

/// `inner`, within the limits.
pub(super) struct LimitedFormat<F> {
    pub(super) inner: F,
    pub(super) format: LogFormat,
    pub(super) limits: Arc<LineLimits>,
    pub(super) started: Instant,
}

impl<S, N, F> FormatEvent<S, N> for LimitedFormat<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    /// What is left out is formatted as nothing.
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO {
            return self.inner.format_event(context, writer, event);
        }
        match self.limits.admit(metadata.callsite(), self.started.elapsed()) {
            Verdict::LeaveOut => {
                LINES_LEFT_OUT.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Verdict::Write { left_out, is_last } => {
                if left_out > 0 {
                    self.remark(&mut writer, metadata, &format!("{left_out} lines like the next were left out"))?;
                }
                self.inner.format_event(context, writer.by_ref(), event)?;
                if is_last && left_out == 0 {
                    let seconds = REFILL.as_secs();
                    let text = format!("of lines like the one before, one every {seconds} s is written from now on");
                    self.remark(&mut writer, metadata, &text)?;
                }
                Ok(())
            }
        }
    }
}

impl<F> LimitedFormat<F> {
    /// A line of the log's own.
    fn remark(&self, writer: &mut Writer<'_>, about: &Metadata<'_>, text: &str) -> fmt::Result {
        let (level, target) = (about.level(), about.target());
        match self.format {
            LogFormat::Text => {
                SystemTime.format_time(writer)?;
                writeln!(writer, " {level:>5} {target}: {text}")
            }
            LogFormat::Json => {
                write!(writer, "{{\"timestamp\":\"")?;
                SystemTime.format_time(writer)?;
                writeln!(writer, "\",\"level\":\"{level}\",\"message\":\"{text}\",\"target\":\"{target}\"}}")
            }
        }
    }
}
