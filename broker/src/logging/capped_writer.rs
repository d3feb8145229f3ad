//! A writer that cuts lines which are too long, for names and reasons in them are a client's.

use std::io::{self, Write};

use super::LogFormat;

/// The longest line that is written, in bytes.
pub const MAX_LINE_BYTES: usize = 4096;

/// Takes a whole line at a time, as the subscriber gives it.
pub(super) struct CappedWriter<W> {
    inner: W,
    format: LogFormat,
}

impl<W: Write> CappedWriter<W> {
    pub(super) fn new(inner: W, format: LogFormat) -> Self {
        Self { inner, format }
    }

    fn write_cut(&mut self, line: &[u8]) -> io::Result<()> {
        match self.format {
            LogFormat::Text => {
                let kept = String::from_utf8_lossy(&line[..MAX_LINE_BYTES]);
                let kept = kept.trim_end_matches(char::REPLACEMENT_CHARACTER);
                writeln!(self.inner, "{kept}... ({} bytes)", line.len())
            }
            // Half an object would be no JSON.
            LogFormat::Json => {
                let bytes = line.len();
                writeln!(
                    self.inner,
                    "{{\"level\":\"WARN\",\"message\":\"a line was too long to be logged\",\"bytes\":{bytes}}}"
                )
            }
        }
    }
}

impl<W: Write> Write for CappedWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match line.len() <= MAX_LINE_BYTES {
            true => self.inner.write_all(line)?,
            false => self.write_cut(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
