//! Whether this build can read what a quorum of several builds has written.
//!
//! Owns one judgement: a record, or a level of a feature, that is whole and that only a newer build knows. It is made before anything is
//! applied, and at a start before anything is written. Damage is no part of it: whoever reads on meets that. Kafka: KIP-584, and the
//! `UnsupportedVersionException` of its record serde.

use bytes::Bytes;

use super::entry_batch::{BatchContent, EntryError, decode_batch};
use super::membership_codec::MembershipDecodeError;
use crate::decide::SupportedFeatures;
use crate::record::{FeatureLevelRecord, MetadataRecord, for_each_framed};

/// What was found, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: a newer build wrote it, and this one cannot read it; upgrade this node")]
pub struct OfNewerBuild(pub(super) String);

/// Looks at the records of one change, in order.
pub(super) fn check_change(change: &[u8], supported: &SupportedFeatures) -> Result<(), OfNewerBuild> {
    let mut level = Ok(());
    let walked = for_each_framed(change, |framed| {
        if MetadataRecord::known_type(framed)? == FeatureLevelRecord::RECORD_TYPE
            && let MetadataRecord::FeatureLevel(record) = MetadataRecord::decode(framed)?
            && level.is_ok()
        {
            level = check_level(&record, supported);
        }
        Ok(())
    });
    match walked {
        Err(error) if error.is_of_newer_build() => level.and(Err(OfNewerBuild(error.to_string()))),
        _ => level,
    }
}

/// Looks at what stands in the log or in a snapshot.
pub(super) fn check_batch(batch: &Bytes, supported: &SupportedFeatures) -> Result<(), OfNewerBuild> {
    match decode_batch(batch) {
        Ok(batch) => match batch.content {
            BatchContent::Change(change) => check_change(&change, supported),
            _ => Ok(()),
        },
        Err(error) => check_error(&error),
    }
}

/// A level is finalized before the records that need it are written.
fn check_level(record: &FeatureLevelRecord, supported: &SupportedFeatures) -> Result<(), OfNewerBuild> {
    let FeatureLevelRecord { name, level } = record;
    let (lowest, highest) = supported.get(name).copied().unwrap_or((0, 0));
    match *level {
        0 => Ok(()),
        level if (lowest..=highest).contains(&level) => Ok(()),
        level => {
            let found = format!("metadata record FeatureLevelRecord sets {name} to level {level}");
            Err(OfNewerBuild(match highest {
                0 => format!("{found}, and this build has no such feature"),
                _ => format!("{found}, and this build runs levels {lowest} to {highest}"),
            }))
        }
    }
}

/// Looks at why a batch could not be read.
pub(super) fn check_error(error: &EntryError) -> Result<(), OfNewerBuild> {
    match error {
        EntryError::UnknownControl(_) | EntryError::Membership(MembershipDecodeError::UnknownVersion(_)) => {
            Err(OfNewerBuild(error.to_string()))
        }
        _ => Ok(()),
    }
}
