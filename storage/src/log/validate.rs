//! Judges a leader's append before anything is written.
//!
//! Owns the rules of one append that need no log state: format, sizes, CRC, counts, timestamps, keys (Kafka's
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator`). Runs outside the log's mutex, on the caller's buffer. Looks at
//! headers only, unless the topic is compacted or bounds how old a timestamp may be. Offsets, epochs and sequences are
//! judged later, with the state.

use weir_protocol::records::batch::{BatchHeader, batches};
use weir_protocol::records::{RecordError, RecordSkim, TimestampType, batch};

use super::{AppendError, AppendOrigin};
use crate::config::LogConfig;

/// The most that the records of one batch may take when they must be decompressed to be judged. No bound on memory, for they
/// pass through a window: it bounds the time that one batch can take.
pub(super) const MAX_DECOMPRESSED_BYTES: usize = 512 << 20;
/// What every topic allows; and how much for each byte that a message may have, which is more than real data shrinks by.
const MIN_DECOMPRESSED_BYTES: usize = 64 << 20;
const DECOMPRESSED_PER_MESSAGE_BYTE: usize = 64;

/// The most that the records of a client's batch may take, decompressed.
pub(super) fn decompressed_bytes_limit(config: &LogConfig) -> usize {
    let limit = (config.max_message_bytes as usize).saturating_mul(DECOMPRESSED_PER_MESSAGE_BYTE);
    limit.clamp(MIN_DECOMPRESSED_BYTES, MAX_DECOMPRESSED_BYTES)
}

/// What an append holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) record_count: u64,
    /// Offsets that the append takes.
    pub(super) offset_count: i64,
    pub(super) max_timestamp: i64,
    /// Batches whose codec is not the topic's.
    pub(super) other_codec: bool,
}

/// Judges every batch of the buffer.
pub(super) fn validate(
    records: &[u8],
    config: &LogConfig,
    origin: AppendOrigin,
    now_ms: i64,
) -> Result<Summary, AppendError> {
    let mut summary = Summary { max_timestamp: -1, ..Summary::default() };
    let wanted_codec = match config.compression {
        crate::config::CompressionType::Codec(codec) if origin == AppendOrigin::Client => Some(codec),
        _ => None,
    };
    for found in batches(records) {
        let (header, bytes) = found?;
        check_size(&header, config, origin)?;
        batch::verify_crc(bytes)?;
        if origin == AppendOrigin::Client {
            check_client_batch(&header, config, now_ms)?;
            if walks_records(config) {
                check_records(&header, bytes, config, now_ms)?;
            }
        }
        summary.record_count += header.records_count as u64;
        summary.offset_count += i64::from(header.last_offset_delta) + 1;
        summary.max_timestamp = summary.max_timestamp.max(header.max_timestamp);
        summary.other_codec |= wanted_codec.is_some_and(|codec| codec != header.compression());
    }
    if summary.offset_count == 0 {
        return Err(AppendError::InvalidRecord("The append holds no record batch".to_owned()));
    }
    check_append_size(records, config, origin)?;
    Ok(summary)
}

/// Judges the sizes of what was rewritten: records that came compressed may take more room in the topic's codec.
pub(super) fn check_sizes(records: &[u8], config: &LogConfig, origin: AppendOrigin) -> Result<(), AppendError> {
    for found in batches(records) {
        check_size(&found?.0, config, origin)?;
    }
    check_append_size(records, config, origin)
}

fn check_append_size(records: &[u8], config: &LogConfig, origin: AppendOrigin) -> Result<(), AppendError> {
    if records.len() > config.segment_bytes as usize && origin != AppendOrigin::RaftLeader {
        return Err(AppendError::LargerThanSegment { size_bytes: records.len(), segment_bytes: config.segment_bytes });
    }
    Ok(())
}

fn check_size(header: &BatchHeader, config: &LogConfig, origin: AppendOrigin) -> Result<(), AppendError> {
    let size_bytes = header.size_bytes();
    if origin != AppendOrigin::RaftLeader && size_bytes > config.max_message_bytes as usize {
        return Err(AppendError::TooLarge { size_bytes, max_bytes: config.max_message_bytes });
    }
    Ok(())
}

fn invalid<T>(reason: String) -> Result<T, AppendError> {
    Err(AppendError::InvalidRecord(reason))
}

fn check_client_batch(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<(), AppendError> {
    if header.base_offset != 0 {
        return invalid(format!(
            "The baseOffset of the record batch in the append should be 0, but it is {}",
            header.base_offset
        ));
    }
    if header.records_count <= 0 || i64::from(header.records_count) != i64::from(header.last_offset_delta) + 1 {
        return invalid(format!(
            "Inconsistent batch offset range [{}, {}] and count of records {}",
            header.base_offset,
            header.last_offset(),
            header.records_count
        ));
    }
    if header.is_control() {
        return invalid("Clients are not allowed to write control records".to_owned());
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return invalid(format!(
            "Invalid sequence number {} in record batch with producerId {}",
            header.base_sequence, header.producer_id
        ));
    }
    if config.timestamp_type == TimestampType::CreateTime {
        if header.timestamp_type() == TimestampType::LogAppendTime {
            return Err(AppendError::InvalidTimestamp(
                "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
                    .to_owned(),
            ));
        }
        let newest = now_ms.saturating_add(config.timestamp_after_max_ms);
        if header.max_timestamp > newest {
            return Err(timestamp_out_of_range(header.max_timestamp, config, now_ms));
        }
    }
    Ok(())
}

fn timestamp_out_of_range(timestamp: i64, config: &LogConfig, now_ms: i64) -> AppendError {
    AppendError::InvalidTimestamp(format!(
        "Timestamp {timestamp} of message is out of range. The timestamp should be within [{}, {}]",
        now_ms.saturating_sub(config.timestamp_before_max_ms),
        now_ms.saturating_add(config.timestamp_after_max_ms)
    ))
}

/// Whether a rule of the topic is about single records.
fn walks_records(config: &LogConfig) -> bool {
    config.cleanup.compact
        || (config.timestamp_type == TimestampType::CreateTime && config.timestamp_before_max_ms != i64::MAX)
}

fn check_records(header: &BatchHeader, bytes: &[u8], config: &LogConfig, now_ms: i64) -> Result<(), AppendError> {
    let oldest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let check_age = config.timestamp_type == TimestampType::CreateTime;
    let mut count = 0;
    for record in RecordSkim::new(bytes, decompressed_bytes_limit(config)).map_err(record_error)? {
        let record = record.map_err(record_error)?;
        count += 1;
        if config.cleanup.compact && record.key_bytes.is_none() {
            return invalid("Compacted topic cannot accept message without key.".to_owned());
        }
        if check_age && record.timestamp >= 0 && record.timestamp < oldest {
            return Err(timestamp_out_of_range(record.timestamp, config, now_ms));
        }
    }
    if count != header.records_count {
        return invalid(format!("Record batch says {} records and holds {count}", header.records_count));
    }
    Ok(())
}

fn record_error(error: RecordError) -> AppendError {
    AppendError::InvalidRecord(format!("Record batch does not decode: {error}"))
}

#[cfg(test)]
mod tests {
    use weir_protocol::compression::Codec;
    use weir_protocol::records::{BatchBuilder, patch};

    use super::*;
    use crate::config::{CleanupPolicy, CompressionType};

    const NOW: i64 = 1_700_000_000_000;

    fn one(builder: BatchBuilder) -> Vec<u8> {
        let mut builder = builder;
        builder.append(NOW, None, Some(b"v"), &[]).unwrap();
        builder.build().unwrap().to_vec()
    }

    fn plain() -> Vec<u8> {
        one(BatchBuilder::new(Codec::None))
    }

    fn check(records: &[u8], config: &LogConfig) -> Result<Summary, AppendError> {
        validate(records, config, AppendOrigin::Client, NOW)
    }

    fn refused(records: &[u8]) -> String {
        check(records, &LogConfig::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_good_batch_is_summed_up() {
        let summary = check(&[plain(), plain()].concat(), &LogConfig::default()).unwrap();
        assert_eq!(summary, Summary { record_count: 2, offset_count: 2, max_timestamp: NOW, other_codec: false });
    }

    #[test]
    fn a_flipped_bit_anywhere_under_the_crc_is_corrupt() {
        for at in [22, 40, 65] {
            let mut bytes = plain();
            bytes[at] ^= 0x40;
            let error = check(&bytes, &LogConfig::default()).unwrap_err();
            assert!(matches!(error, AppendError::CorruptBatch(_)), "{at}: {error}");
        }
    }

    #[test]
    fn a_cut_batch_is_corrupt_and_no_batch_is_refused() {
        let bytes = plain();
        assert!(matches!(check(&bytes[..bytes.len() - 1], &LogConfig::default()), Err(AppendError::CorruptBatch(_))));
        assert!(refused(&[]).contains("no record batch"));
    }

    #[test]
    fn an_old_format_is_unsupported() {
        let mut bytes = plain();
        bytes[16] = 1;
        assert!(matches!(check(&bytes, &LogConfig::default()), Err(AppendError::UnsupportedFormat(_))));
    }

    #[test]
    fn clients_begin_at_offset_zero_and_count_every_offset() {
        assert!(refused(&one(BatchBuilder::new(Codec::None).base_offset(5))).contains("should be 0"));
        assert!(
            refused(&one(BatchBuilder::new(Codec::None).last_offset_delta(3))).contains("Inconsistent batch offset")
        );
    }

    #[test]
    fn the_largest_offset_delta_is_refused_like_any_that_is_wrong() {
        let mut bytes = plain();
        bytes[23..27].copy_from_slice(&i32::MAX.to_be_bytes());
        patch::rewrite_crc(&mut bytes);
        assert!(refused(&bytes).contains("Inconsistent batch offset range [0, 2147483647]"));
    }

    #[test]
    fn clients_write_no_control_batches_and_producers_have_sequences() {
        assert!(refused(&one(BatchBuilder::new(Codec::None).control(true))).contains("control records"));
        assert!(
            refused(&one(BatchBuilder::new(Codec::None).producer(7, 0, -1))).contains("Invalid sequence number -1")
        );
    }

    #[test]
    fn the_future_is_bounded_and_the_past_on_demand() {
        let mut config = LogConfig { timestamp_after_max_ms: -1, ..LogConfig::default() };
        assert!(matches!(check(&plain(), &config), Err(AppendError::InvalidTimestamp(_))));
        config.timestamp_after_max_ms = 0;
        check(&plain(), &config).unwrap();
        config.timestamp_before_max_ms = -1;
        assert!(matches!(check(&plain(), &config), Err(AppendError::InvalidTimestamp(_))));
        config.timestamp_type = TimestampType::LogAppendTime;
        check(&plain(), &config).unwrap();
    }

    #[test]
    fn only_the_broker_stamps_log_append_time() {
        let mut bytes = plain();
        patch::set_log_append_time(&mut bytes, NOW);
        assert!(matches!(check(&bytes, &LogConfig::default()), Err(AppendError::InvalidTimestamp(_))));
    }

    #[test]
    fn a_compacted_topic_wants_keys() {
        let config = LogConfig { cleanup: CleanupPolicy::COMPACT, ..LogConfig::default() };
        assert!(matches!(check(&plain(), &config), Err(AppendError::InvalidRecord(_))));
        let mut keyed = BatchBuilder::new(Codec::Zstd);
        keyed.append(NOW, Some(b"k"), None, &[]).unwrap();
        check(&keyed.build().unwrap(), &config).unwrap();
    }

    #[test]
    fn sizes_are_bounded_by_message_and_segment() {
        let len = plain().len();
        let small = LogConfig { max_message_bytes: len as u32 - 1, ..LogConfig::default() };
        assert!(matches!(check(&plain(), &small), Err(AppendError::TooLarge { .. })));
        validate(&plain(), &small, AppendOrigin::RaftLeader, NOW).unwrap();
        let segment = LogConfig { segment_bytes: len as u32, ..LogConfig::default() };
        check(&plain(), &segment).unwrap();
        assert!(matches!(check(&[plain(), plain()].concat(), &segment), Err(AppendError::LargerThanSegment { .. })));
    }

    #[test]
    fn another_codec_than_the_topics_is_noticed() {
        let config = LogConfig { compression: CompressionType::Codec(Codec::Zstd), ..LogConfig::default() };
        assert!(check(&plain(), &config).unwrap().other_codec);
        assert!(!check(&one(BatchBuilder::new(Codec::Zstd)), &config).unwrap().other_codec);
    }

    #[test]
    fn what_a_batch_may_decompress_to_follows_the_size_of_messages_within_bounds() {
        let limit =
            |max_message_bytes| decompressed_bytes_limit(&LogConfig { max_message_bytes, ..LogConfig::default() });
        assert_eq!(limit(0), 64 << 20);
        assert_eq!(limit(1 << 20), 64 << 20);
        assert_eq!(limit(2 << 20), 128 << 20);
        assert_eq!(limit(64 << 20), 512 << 20);
    }

    #[test]
    fn a_compacted_topic_refuses_what_decompresses_to_too_much() {
        let config = LogConfig { cleanup: CleanupPolicy::COMPACT, ..LogConfig::default() };
        let value = vec![0; decompressed_bytes_limit(&config) / 4];
        for (records, accepted) in [(3, true), (4, false)] {
            let mut bomb = BatchBuilder::new(Codec::Zstd);
            for _ in 0..records {
                bomb.append(NOW, Some(b"k"), Some(&value), &[]).unwrap();
            }
            assert_eq!(check(&bomb.build().unwrap(), &config).is_ok(), accepted);
        }
    }
}
