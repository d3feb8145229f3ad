//! Why a key has no effect: said once for all keys that share the reason.

pub(in crate::config) const ACLS: &str = "authorisation is not built";
pub(in crate::config) const ALONE: &str = "a node is a cluster of its own";
pub(in crate::config) const CLEANER: &str = "the log cleaner is not built";
pub(in crate::config) const CONSUMER: &str = "the consumer protocol of KIP-848 is not built";
pub(in crate::config) const COORDINATOR: &str = "the coordinator appends each operation at once, on the calling thread";
pub(in crate::config) const JVM: &str = "classes of the JVM cannot be loaded";
pub(in crate::config) const LZ4: &str = "the broker writes LZ4 at its fast level";
pub(in crate::config) const METRICS: &str = "metrics are served over HTTP, at http.listener";
pub(in crate::config) const PURGATORY: &str = "finished requests leave a purgatory at once";
pub(in crate::config) const QUOTAS: &str = "quotas are not built";
pub(in crate::config) const RAFT: &str = "the metadata log has rules of its own";
pub(in crate::config) const SAMPLES: &str = "what passes is counted exactly, not in samples";
pub(in crate::config) const SASL: &str = "SASL is not built";
pub(in crate::config) const SHARE: &str = "share groups are not built";
pub(in crate::config) const SOCKETS: &str = "the system sizes the buffers of these sockets by itself";
pub(in crate::config) const STREAMS: &str = "streams groups are not built";
pub(in crate::config) const TIERED: &str = "tiered storage is not built";
pub(in crate::config) const TRANSACTIONS: &str = "transactions are not built";
pub(in crate::config) const ZONES: &str = "a consumer that names its zone is always sent to the replica in it";
