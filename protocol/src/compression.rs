//! Bounded gzip, snappy, lz4 and zstd.
