//! How moves are carried out, as a command line says it.

use clap::Args;

/// How replicas are moved.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct MoveOptions {
    /// Partitions that move at a time.
    #[arg(long, default_value_t = 10, value_name = "PARTITIONS", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) at_a_time: u16,
    /// The bytes a second that every broker may send, and may fetch, for the moves (KIP-73); no limit without.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) throttle: Option<u64>,
}
