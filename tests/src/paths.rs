//! Where things are: the repository, the cache of the tests, the binary under test.
//!
//! Each can be told by environment, so that `tests/run`, a person and another checkout can share one harness:
//! `WEIR_BINARY` (the binary), `WEIR_TESTS_CACHE` (what `tests/run` installs, default `tests/.cache`).

use std::env;
use std::path::{Path, PathBuf};

/// The folder of this crate, `tests/` of the repository.
pub fn tests_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What `tests/run` installs for the drivers and for Apache Kafka.
pub fn cache_dir() -> PathBuf {
    env::var_os("WEIR_TESTS_CACHE").map_or_else(|| tests_dir().join(".cache"), PathBuf::from)
}

/// The `weir` binary under test: `WEIR_BINARY`, else the one beside the running test (same profile, same target folder).
///
/// # Panics
/// When there is none; a test without its subject cannot go on.
pub fn weir_binary() -> PathBuf {
    if let Some(binary) = env::var_os("WEIR_BINARY") {
        return PathBuf::from(binary);
    }
    let me = env::current_exe().expect("the running test has a path");
    // A binary sits in target/<profile>/, a test in target/<profile>/deps/.
    let found = me.ancestors().skip(1).take(2).map(|dir| dir.join("weir")).find(|binary| is_file(binary));
    found.unwrap_or_else(|| {
        panic!("no weir binary beside {}: run `cargo build --bins` or set WEIR_BINARY", me.display())
    })
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
