//! What a figure is held to: an amount, or a multiple of something measured in the same run.

/// The most that Weir's figure may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bar {
    /// An amount in the figure's unit.
    AtMost(f64),
    /// A multiple of the bare loop's figure.
    TimesLoop(f64),
    /// A multiple of Apache Kafka's figure.
    TimesKafka(f64),
    /// A multiple of another figure of Weir's, by its key.
    TimesFigure(&'static str, f64),
}

/// How a figure stands against its bar.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verdict {
    /// Weir's figure as a share of what the bar allows: one or less is reached.
    pub(crate) share: f64,
}

impl Verdict {
    /// Whether the bar is reached.
    pub(crate) fn reached(self) -> bool {
        self.share <= 1.0
    }
}
