//! What crosses crates: real clients, clusters, faults, benchmarks.
