//! One segment: a batch file and its indexes.
