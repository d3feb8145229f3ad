//! Which partition of `__consumer_offsets` holds a group: Java's `String.hashCode` of the id, its absolute value modulo
//! the partition count, as every Kafka broker computes it.

use weir_protocol::ids::PartitionIndex;

/// The `__consumer_offsets` partition of `group_id`, out of `partitions` (at least one).
pub fn partition_for(group_id: &str, partitions: i32) -> PartitionIndex {
    let hash = java_hash(group_id);
    // Kafka's `Utils.abs`: the one number without a positive twin becomes zero.
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    PartitionIndex(positive % partitions.max(1))
}

/// Java's `String.hashCode`: over UTF-16 units, wrapping.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_land_where_kafka_puts_them() {
        // Printed by Kafka 4.3.1's `Utils.abs(s.hashCode()) % 50`.
        let expected = [
            ("", 0),
            ("a", 47),
            ("console-consumer-1", 24),
            ("grüp", 1),
            ("polygenelubricants", 0),
            ("\u{1F600}x", 39),
        ];
        for (group, partition) in expected {
            assert_eq!(partition_for(group, 50), PartitionIndex(partition), "{group}");
        }
    }

    #[test]
    fn the_hash_without_a_positive_twin_is_partition_zero() {
        assert_eq!(java_hash("polygenelubricants"), i32::MIN);
        assert_eq!(partition_for("polygenelubricants", 7), PartitionIndex(0));
    }
}
