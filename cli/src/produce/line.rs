//! From a line to a record. Pure, and blind to encodings: a line is bytes.

use bytes::Bytes;
use weir_protocol::client::NewRecord;
use weir_protocol::ids::PartitionIndex;
use weir_protocol::records::Header;

use super::lines::MAX_LINE_BYTES;

/// Why a line is no record.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InputError {
    /// A key was promised.
    #[error("line {line} has no {separator:?} between key and value; the lines before it were written")]
    NoSeparator {
        /// Which, from 1.
        line: u64,
        /// What was looked for.
        separator: String,
    },
    /// It does not end.
    #[error("a line is longer than {MAX_LINE_BYTES} bytes; --value-file writes a whole file as one record")]
    TooLong,
}

/// What each line means.
#[derive(Debug, Default)]
pub(super) struct LineFormat {
    /// The key of every record.
    pub(super) key: Option<Bytes>,
    /// What stands between a line's key and its value.
    pub(super) key_separator: Option<String>,
    /// The headers of every record.
    pub(super) headers: Vec<Header>,
    /// The partition of every record.
    pub(super) partition: Option<PartitionIndex>,
    /// The timestamp of every record.
    pub(super) timestamp: Option<i64>,
}

impl LineFormat {
    /// The record of line `number` (from 1).
    pub(super) fn record(&self, line: Bytes, number: u64) -> Result<NewRecord, InputError> {
        let Some(separator) = &self.key_separator else {
            return Ok(self.record_of(Some(line)));
        };
        let wanted = separator.as_bytes();
        match line.windows(wanted.len()).position(|window| window == wanted) {
            Some(at) => {
                let (key, value) = (line.slice(..at), line.slice(at + wanted.len()..));
                Ok(NewRecord { key: Some(key), ..self.record_of(Some(value)) })
            }
            None => Err(InputError::NoSeparator { line: number, separator: separator.clone() }),
        }
    }

    /// The record with this value.
    pub(super) fn record_of(&self, value: Option<Bytes>) -> NewRecord {
        NewRecord {
            partition: self.partition,
            timestamp: self.timestamp,
            key: self.key.clone(),
            value,
            headers: self.headers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(separator: &str, line: &'static [u8]) -> Result<(Bytes, Bytes), InputError> {
        let format = LineFormat { key_separator: Some(separator.to_owned()), ..LineFormat::default() };
        format.record(Bytes::from_static(line), 7).map(|record| (record.key.unwrap(), record.value.unwrap()))
    }

    #[test]
    fn a_line_is_split_at_its_first_separator() {
        let pair = |key: &'static [u8], value: &'static [u8]| Ok((Bytes::from_static(key), Bytes::from_static(value)));
        assert_eq!(split(":", b"k:v:w"), pair(b"k", b"v:w"));
        assert_eq!(split("=>", b"\xff=>"), pair(b"\xff", b""));
        assert_eq!(split(":", b":v"), pair(b"", b"v"));
    }

    #[test]
    fn a_line_without_its_separator_is_named() {
        let error = split(":", b"no key").unwrap_err();
        assert!(error.to_string().starts_with("line 7 has no \":\""), "{error}");
    }

    #[test]
    fn a_line_without_separators_is_a_value_with_the_common_parts() {
        let format = LineFormat { key: Some(Bytes::from_static(b"k")), timestamp: Some(1), ..LineFormat::default() };
        let record = format.record(Bytes::from_static(b""), 1).unwrap();
        assert_eq!(
            (record.key.as_deref(), record.value.as_deref(), record.timestamp),
            (Some(&b"k"[..]), Some(&b""[..]), Some(1))
        );
    }
}
