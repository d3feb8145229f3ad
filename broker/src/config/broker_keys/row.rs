//! The shape of a row in the tables of broker keys.

use crate::config::definition::Kind::{self, Double, Int, Long, Short};
use crate::config::definition::{Definition, Update};

pub(super) const MAX_SHORT: i64 = i16::MAX as i64;
pub(super) const MAX_INT: i64 = i32::MAX as i64;
pub(super) const MAX_LONG: i64 = i64::MAX;

pub(super) const ANY_SHORT: Kind = Short(i16::MIN as i64, MAX_SHORT);
pub(super) const ANY_INT: Kind = Int(i32::MIN as i64, MAX_INT);
pub(super) const ANY_LONG: Kind = Long(i64::MIN, MAX_LONG);
pub(super) const ANY_DOUBLE: Kind = Double(f64::MIN, f64::MAX);

pub(super) const fn key(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    update: Update,
    doc: &'static str,
) -> Definition {
    Definition::new(name, kind, default, update, doc)
}
