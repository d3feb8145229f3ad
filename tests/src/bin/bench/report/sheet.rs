//! Samples by figure and by who was measured, and what could not be measured and why.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Bar, Better, FIGURES, Figure, Verdict};

/// Whose figure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Who {
    /// The bare loop: the floor.
    Loop,
    Weir,
    ApacheKafka,
}

impl Who {
    /// As the table has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Loop => "bare loop",
            Who::Weir => "Weir",
            Who::ApacheKafka => "Apache Kafka",
        }
    }
}

/// Everything measured in one run.
#[derive(Debug, Default)]
pub(crate) struct Sheet {
    samples: BTreeMap<(&'static str, Who), Vec<f64>>,
    failures: Vec<String>,
    notes: Vec<String>,
}

impl Sheet {
    /// Adds a sample of a figure.
    ///
    /// # Panics
    /// When there is no such figure: a sample that no row shows is a mistake in the benchmark.
    pub(crate) fn add(&mut self, key: &str, who: Who, sample: f64) {
        let figure = FIGURES.iter().find(|figure| figure.key == key);
        let figure = figure.unwrap_or_else(|| panic!("no figure {key}"));
        println!("  {:<13} {:<65} {:>10} {}", who.name(), figure.title.trim_start(), number(sample), figure.unit);
        self.samples.entry((figure.key, who)).or_default().push(sample);
    }

    /// Says that something could not be measured.
    pub(crate) fn fail(&mut self, what: &str, who: Who, why: &dyn std::fmt::Display) {
        let failure = format!("{what}, {}: could not run: {why}", who.name());
        println!("  {failure}");
        self.failures.push(failure);
    }

    /// Says something that a reader of the figures should know.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Every sample of a figure, in the order they were taken.
    pub(crate) fn samples(&self, key: &str, who: Who) -> &[f64] {
        let found = self.samples.iter().find(|((name, whose), _)| *name == key && *whose == who);
        found.map_or(&[], |(_, samples)| samples)
    }

    /// The best sample of a figure.
    pub(crate) fn best(&self, figure: &Figure, who: Who) -> Option<f64> {
        let samples = self.samples(figure.key, who).iter().copied();
        match figure.better {
            Better::Less => samples.reduce(f64::min),
            Better::More => samples.reduce(f64::max),
        }
    }

    /// The most that the bar allows, where this run measured what it is told against.
    pub(crate) fn allowed(&self, figure: &Figure) -> Option<f64> {
        match figure.bar? {
            Bar::AtMost(amount) => Some(amount),
            Bar::TimesLoop(times) => Some(self.best(figure, Who::Loop)? * times),
            Bar::TimesKafka(times) => Some(self.best(figure, Who::ApacheKafka)? * times),
            Bar::TimesFigure(key, times) => {
                let other = FIGURES.iter().find(|figure| figure.key == key)?;
                Some(self.best(other, Who::Weir)? * times)
            }
        }
    }

    /// How Weir stands against the bar; none where there is no bar or something was not measured.
    pub(crate) fn verdict(&self, figure: &Figure) -> Option<Verdict> {
        let (reached, allowed) = (self.best(figure, Who::Weir)?, self.allowed(figure)?);
        // Of a bar of nothing, nothing is all and anything is too much.
        let share = if reached == allowed { 1.0 } else { reached / allowed };
        Some(Verdict { share })
    }
}

/// A number with as many digits as it deserves.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(key: &str) -> &'static Figure {
        FIGURES.iter().find(|figure| figure.key == key).expect("a figure")
    }

    #[test]
    fn the_best_of_all_samples_counts_for_the_loop_and_for_the_broker() {
        let mut sheet = Sheet::default();
        for (who, sample) in [(Who::Loop, 1.5), (Who::Loop, 1.0), (Who::Weir, 3.0), (Who::Weir, 1.6), (Who::Weir, 2.0)]
        {
            sheet.add("produce.64k.cpu", who, sample);
        }
        let verdict = sheet.verdict(figure("produce.64k.cpu")).expect("both were measured");
        assert!((verdict.share - 1.0).abs() < 1e-9 && verdict.reached());
    }

    #[test]
    fn a_bar_of_nothing_is_reached_by_nothing_and_missed_by_anything() {
        let verdict_of = |violations: f64| {
            let mut sheet = Sheet::default();
            sheet.add("failover.violations", Who::Weir, violations);
            sheet.verdict(figure("failover.violations")).expect("it was measured").reached()
        };
        assert_eq!((verdict_of(0.0), verdict_of(1.0)), (true, false));
    }

    #[test]
    fn there_is_no_verdict_without_what_the_bar_is_told_against() {
        let mut sheet = Sheet::default();
        sheet.add("paced.ack.p50", Who::Weir, 0.1);
        assert!(sheet.verdict(figure("paced.ack.p50")).is_none());
    }
}
