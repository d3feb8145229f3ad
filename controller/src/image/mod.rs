//! The metadata image: what all records so far add up to.
