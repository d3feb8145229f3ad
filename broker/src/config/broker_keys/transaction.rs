//! Transactions and idempotent producers.

use super::super::definition::Definition;
use super::super::definition::Kind::{Boolean, Int, Short};
use super::super::definition::Update::{ClusterWide, ReadOnly};
use super::row::{MAX_INT, MAX_SHORT, key};
use super::why::TRANSACTIONS;

#[rustfmt::skip]
pub(super) static KEYS: &[Definition] = &[
    key("add.partitions.to.txn.retry.backoff.max.ms", Int(0, MAX_INT), Some("100"), ReadOnly,
        "How long a partition may be asked again to join a transaction, in milliseconds.").without_effect(TRANSACTIONS),
    key("add.partitions.to.txn.retry.backoff.ms", Int(1, MAX_INT), Some("20"), ReadOnly,
        "How long lies between two such attempts, in milliseconds.").without_effect(TRANSACTIONS),
    key("producer.id.expiration.ms", Int(1, MAX_INT), Some("86400000"), ClusterWide,
        "How long an idle producer is remembered, in milliseconds."),
    key("transaction.abort.timed.out.transaction.cleanup.interval.ms", Int(1, MAX_INT), Some("10000"), ReadOnly,
        "How often transactions past their timeout are looked for, in milliseconds.").without_effect(TRANSACTIONS),
    key("transaction.max.timeout.ms", Int(1, MAX_INT), Some("900000"), ReadOnly,
        "The longest timeout that a transaction may ask for, in milliseconds.").without_effect(TRANSACTIONS),
    key("transaction.partition.verification.enable", Boolean, Some("true"), ClusterWide,
        "Whether a transactional batch is checked against its coordinator.").without_effect(TRANSACTIONS),
    key("transaction.remove.expired.transaction.cleanup.interval.ms", Int(1, MAX_INT), Some("3600000"), ReadOnly,
        "How often expired transactional ids are removed, in milliseconds.").without_effect(TRANSACTIONS),
    key("transaction.state.log.load.buffer.size", Int(1, MAX_INT), Some("5242880"), ReadOnly,
        "How much of the transaction log is read at a time when it is loaded, in bytes.").without_effect(TRANSACTIONS),
    key("transaction.state.log.min.isr", Int(1, MAX_INT), Some("2"), ReadOnly,
        "How many replicas of the transaction log must be in sync.").without_effect(TRANSACTIONS),
    key("transaction.state.log.num.partitions", Int(1, MAX_INT), Some("50"), ReadOnly,
        "How many partitions the transaction log is made with.").without_effect(TRANSACTIONS),
    key("transaction.state.log.replication.factor", Short(1, MAX_SHORT), Some("3"), ReadOnly,
        "How many replicas the transaction log gets.").without_effect(TRANSACTIONS),
    key("transaction.state.log.segment.bytes", Int(1, MAX_INT), Some("104857600"), ReadOnly,
        "The segment size of the transaction log, in bytes.").without_effect(TRANSACTIONS),
    key("transaction.two.phase.commit.enable", Boolean, Some("false"), ReadOnly,
        "Whether transactions may take part in a two-phase commit.").without_effect(TRANSACTIONS),
    key("transactional.id.expiration.ms", Int(1, MAX_INT), Some("604800000"), ReadOnly,
        "How long an idle transactional id is remembered, in milliseconds.").without_effect(TRANSACTIONS),
];
