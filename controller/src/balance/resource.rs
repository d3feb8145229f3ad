//! What is to be spread over brokers, and how much of it is too much.

use std::fmt;

/// What a broker can have more of than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Replicas.
    Replicas,
    /// Bytes of its replicas.
    DiskBytes,
    /// Bytes a second that are written to its replicas.
    WriteRate,
    /// Partitions that prefer it as their leader.
    Leaders,
    /// Bytes a second that producers send it as a leader, which it sends on to followers and consumers.
    LeaderRate,
}

/// How many kinds there are.
pub(super) const RESOURCES: usize = 5;

/// An amount of each, in the order of [`Resource::ALL`].
pub(super) type Load = [f64; RESOURCES];

/// What is not worth a move is not a difference: a file or two, a trickle.
const SLACK_BYTES: f64 = (64 << 20) as f64;
const SLACK_BYTES_PER_S: f64 = (64 << 10) as f64;

impl Resource {
    /// Every kind.
    pub const ALL: [Resource; RESOURCES] =
        [Self::Replicas, Self::DiskBytes, Self::WriteRate, Self::Leaders, Self::LeaderRate];

    /// Whether another preferred leader changes it, without a byte being copied.
    pub(super) fn is_of_leaders(self) -> bool {
        matches!(self, Self::Leaders | Self::LeaderRate)
    }

    /// A difference from the mean that is none, however small the mean is.
    pub(super) fn slack(self) -> f64 {
        match self {
            // Five replicas on two brokers are two and three.
            Self::Replicas | Self::Leaders => 0.75,
            Self::DiskBytes => SLACK_BYTES,
            Self::WriteRate | Self::LeaderRate => SLACK_BYTES_PER_S,
        }
    }

    /// How much one kind counts beside the others: bytes are what fills disks and networks, numbers are what they may become.
    pub(super) fn weight(self) -> f64 {
        match self {
            Self::DiskBytes | Self::WriteRate => 2.0,
            Self::Replicas | Self::Leaders | Self::LeaderRate => 1.0,
        }
    }

    /// An amount of it, where it is clear of what: `12`, `1.5 GiB`, `3.0 MiB/s`.
    pub fn figure(self, amount: f64) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Replicas | Self::Leaders => write!(f, "{}", Count(amount)),
            Self::DiskBytes => write!(f, "{}", Bytes(amount)),
            Self::WriteRate | Self::LeaderRate => write!(f, "{}/s", Bytes(amount)),
        })
    }

    /// The same in words: `12 replicas`, `1.5 GiB on disk`.
    pub fn amount(self, amount: f64) -> impl fmt::Display {
        let is_one = amount == 1.0;
        let noun = match self {
            Self::Replicas if is_one => "replica",
            Self::Replicas => "replicas",
            Self::DiskBytes => "on disk",
            Self::WriteRate => "of writes",
            Self::Leaders if is_one => "leader",
            Self::Leaders => "leaders",
            Self::LeaderRate => "as leader",
        };
        fmt::from_fn(move |f| write!(f, "{} {noun}", self.figure(amount)))
    }
}

/// A mean of a number has a fraction, a number has none.
struct Count(f64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.fract() == 0.0 { write!(f, "{:.0}", self.0) } else { write!(f, "{:.1}", self.0) }
    }
}

/// In the largest unit of which there is at least one.
struct Bytes(f64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
        let (mut amount, mut unit) = (self.0, 0);
        while amount >= 1024.0 && unit + 1 < UNITS.len() {
            amount /= 1024.0;
            unit += 1;
        }
        let digits = usize::from(unit > 0 && amount < 100.0);
        write!(f, "{amount:.digits$} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_told_in_its_unit() {
        let told = |resource: Resource, amount| resource.amount(amount).to_string();
        assert_eq!(told(Resource::Replicas, 12.0), "12 replicas");
        assert_eq!([told(Resource::Leaders, 2.5), told(Resource::Leaders, 1.0)], ["2.5 leaders", "1 leader"]);
        assert_eq!(told(Resource::DiskBytes, 1.5 * 1024.0 * 1024.0 * 1024.0), "1.5 GiB on disk");
        assert_eq!(told(Resource::LeaderRate, 512.0), "512 B/s as leader");
    }
}
