//! Stands in for openraft's histogram crate.
//!
//! The crate of this name builds tables of bucket bounds for every resolution it knows at the first histogram: some twenty
//! megabytes that stay, more than the rest of an idle broker. openraft makes its histograms always and shows them only with
//! its `runtime-stats` feature, which is off here. This one has a bucket for each power of two, and the part of the other's
//! interface that openraft uses.

use std::fmt;
use std::marker::PhantomData;

/// One bucket for zero, and one for each power of two.
const BUCKETS: usize = 65;

/// Counts of values, by their highest bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    buckets: [u64; BUCKETS],
    _data: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// A histogram of nothing.
    pub fn new() -> Self {
        Self { buckets: [0; BUCKETS], _data: PhantomData }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value that came `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        self.buckets[(u64::BITS - value.leading_zeros()) as usize] += count;
    }

    /// How many values were counted.
    pub fn total(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The least power of two below which the share `part` of all values lies.
    pub fn percentile(&self, part: f64) -> u64 {
        let wanted = (self.total() as f64 * part).ceil() as u64;
        let mut seen = 0;
        let bucket = self.buckets.iter().position(|count| {
            seen += count;
            seen >= wanted && seen > 0
        });
        bucket.map_or(0, |bucket| 1_u64.checked_shl(bucket as u32).map_or(u64::MAX, |bound| bound - 1))
    }

    /// The usual percentiles.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// Percentiles of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileStats {
    /// How many values were counted.
    pub samples: u64,
    /// A thousandth lies below.
    pub p0_1: u64,
    /// A hundredth lies below.
    pub p1: u64,
    /// A twentieth lies below.
    pub p5: u64,
    /// A tenth lies below.
    pub p10: u64,
    /// Half lies below.
    pub p50: u64,
    /// Nine tenths lie below.
    pub p90: u64,
    /// All but a hundredth lies below.
    pub p99: u64,
    /// All but a thousandth lies below.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[samples: {}, P50: {}, P90: {}, P99: {}, P99.9: {}]",
            self.samples, self.p50, self.p90, self.p99, self.p99_9
        )
    }
}

/// Histograms under each other, a line each.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    lines: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// A chart of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram.
    #[must_use]
    pub fn add<T>(mut self, name: impl Into<String>, histogram: Histogram<T>) -> Self {
        self.lines.push((name.into(), histogram.percentile_stats()));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|(name, stats)| writeln!(f, "{name}: {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_bounds_of_powers_of_two() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile(0.5), 0);
        for value in [0, 1, 2, 3, 900] {
            histogram.record(value);
        }
        assert_eq!((histogram.percentile(0.5), histogram.percentile(0.99)), (3, 1023));
        histogram.record_n(u64::MAX, 100);
        assert_eq!((histogram.total(), histogram.percentile(0.9)), (105, u64::MAX));
    }
}
