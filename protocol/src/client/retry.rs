//! Pauses between attempts: they double up to a maximum, give or take a fifth (KIP-144, KIP-580).

use super::ClientConfig;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// The pause after this many failed attempts.
pub(super) fn pause(config: &ClientConfig, failed_attempts: u32) -> Duration {
    // The standard library's only source of random bits; clients that failed together must not return together.
    let random = RandomState::new().hash_one(failed_attempts);
    jittered(config.retry_backoff, config.retry_backoff_max, failed_attempts, random)
}

fn jittered(first: Duration, longest: Duration, failed_attempts: u32, random: u64) -> Duration {
    let doublings = failed_attempts.saturating_sub(1).min(16);
    let pause = first.saturating_mul(1 << doublings).min(longest);
    let percent = 80 + (random % 41) as u32;
    pause.saturating_mul(percent) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_stray_by_a_fifth() {
        let ms = Duration::from_millis;
        let at = |failed, random| jittered(ms(100), ms(1000), failed, random);
        assert_eq!([1, 2, 3, 4, 5, 100].map(|failed| at(failed, 20)), [100, 200, 400, 800, 1000, 1000].map(ms));
        assert_eq!([at(1, 0), at(1, 40), at(9, 40)], [80, 120, 1200].map(ms));
    }
}
