//! Which partition a record goes to: by key as Kafka's default partitioner does, without a key to one partition for a
//! batch, then to the next (KIP-480).

use crate::ids::PartitionIndex;

/// Kafka's murmur2 (`Utils.murmur2`): 32 bits, little endian, seed 0x9747b28c.
pub fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for &word in words {
        let mut k = u32::from_le_bytes(word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let last = tail.iter().enumerate().fold(0, |last, (index, &byte)| last | u32::from(byte) << (8 * index));
        hash = (hash ^ last).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of `key` among `partitions` (at least one), the same as with every Kafka client that hashes as Java's.
pub fn partition_for_key(key: &[u8], partitions: u32) -> PartitionIndex {
    let positive = murmur2(key) & 0x7fff_ffff;
    PartitionIndex((positive % partitions.max(1)) as i32)
}

/// Partitions for records without a key: the same for a batch, then the next.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sticky {
    turn: u32,
}

impl Sticky {
    /// Starts anywhere, so that many producers spread.
    pub(super) fn starting_at(turn: u32) -> Self {
        Self { turn }
    }

    /// The partition of the present batch.
    pub(super) fn current(&self, partitions: u32) -> PartitionIndex {
        PartitionIndex((self.turn % partitions.max(1)) as i32)
    }

    /// The batch is full.
    pub(super) fn advance(&mut self) {
        self.turn = self.turn.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_kafkas_own_tests() {
        // UtilsTest.testMurmur2
        let cases: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (data, hash) in cases {
            assert_eq!(murmur2(data) as i32, hash, "{data:?}");
        }
    }

    #[test]
    fn a_key_always_lands_in_range() {
        for partitions in 1..20 {
            for key in [&b""[..], b"a", b"foobar", &[0xff; 9]] {
                assert!((0..partitions as i32).contains(&partition_for_key(key, partitions).get()));
            }
        }
    }

    #[test]
    fn keyless_records_stay_for_a_batch_and_then_move() {
        let mut sticky = Sticky::starting_at(u32::MAX);
        let first = sticky.current(3);
        assert_eq!(sticky.current(3), first);
        sticky.advance();
        assert_eq!(sticky.current(3), PartitionIndex(0));
    }
}
