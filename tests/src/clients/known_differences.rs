//! Where Weir differs from Apache Kafka on purpose: one line each, with what Weir gives instead and the reason.
//!
//! A line names one case of one driver, or ends the case with `*` to cover every case that begins so *and* gives the very same outcome.
//! `(varies)` stands for any outcome, where what is told depends on when it is asked; such a line need not describe a difference every time.
//! Any other line that no longer describes a difference fails the suite, so that the list cannot rot.

use thiserror::Error;

/// The outcome that stands for any.
const VARIES: &str = "(varies)";

/// The separator of the fields of a line.
const SEPARATOR: &str = " | ";

/// One line: `driver | case | what Weir gives | reason`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDifference {
    /// The driver's name.
    pub driver: String,
    /// The case, or its beginning followed by `*`.
    pub case: String,
    /// What Weir gives, `(absent)` where it gives no such case.
    pub subject: String,
    /// Why this stands.
    pub reason: String,
}

impl KnownDifference {
    /// Whether it describes this outcome.
    pub fn describes(&self, subject: Option<&str>) -> bool {
        self.subject == VARIES || self.subject == subject.unwrap_or("(absent)")
    }
}

/// A line that cannot be read.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("line {line} of the known differences is not `driver | case | outcome | reason`: {text}")]
pub struct KnownDifferencesError {
    line: usize,
    text: String,
}

/// The whole list.
#[derive(Debug, Default, Clone)]
pub struct KnownDifferences {
    lines: Vec<KnownDifference>,
    /// Where nothing of the above names a case.
    below: Vec<KnownDifference>,
}

impl KnownDifferences {
    /// Reads the list; `#` begins a comment line.
    pub fn parse(text: &str) -> Result<KnownDifferences, KnownDifferencesError> {
        let mut lines = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.splitn(4, SEPARATOR).map(str::trim).collect();
            let [driver, case, subject, reason] = fields[..] else {
                return Err(KnownDifferencesError { line: index + 1, text: line.to_owned() });
            };
            lines.push(KnownDifference {
                driver: driver.to_owned(),
                case: case.to_owned(),
                subject: subject.to_owned(),
                reason: reason.to_owned(),
            });
        }
        Ok(KnownDifferences { lines, below: Vec::new() })
    }

    /// These before others, of which it is not asked that each describe a difference.
    pub fn on_top_of(mut self, below: KnownDifferences) -> KnownDifferences {
        self.below.extend(below.lines);
        self
    }

    /// The line for a case, an exact one before one with `*`.
    pub fn find(&self, driver: &str, case: &str) -> Option<&KnownDifference> {
        let among = |lines: &'_ [KnownDifference]| {
            let exact = lines.iter().position(|line| line.driver == driver && line.case == case);
            let begins =
                |line: &KnownDifference| line.case.strip_suffix('*').is_some_and(|start| case.starts_with(start));
            exact.or_else(|| lines.iter().position(|line| line.driver == driver && begins(line)))
        };
        let above = among(&self.lines).map(|index| &self.lines[index]);
        above.or_else(|| among(&self.below).map(|index| &self.below[index]))
    }

    /// The lines of `driver` that name none of the cases that differ: they describe nothing any more and must go.
    pub fn unused<'a>(&'a self, driver: &'a str, differing: &[String]) -> Vec<&'a KnownDifference> {
        let names = |line: &KnownDifference| {
            differing.iter().any(|case| match line.case.strip_suffix('*') {
                Some(start) => case.starts_with(start),
                None => *case == line.case,
            })
        };
        let told = |line: &&KnownDifference| line.driver == driver && line.subject != VARIES && !names(line);
        self.lines.iter().filter(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_line_comes_before_one_that_covers_many() {
        let known = KnownDifferences::parse("# why\nd | a.* | x | many\nd | a.b | y | one\n").expect("well formed");
        assert_eq!(known.find("d", "a.b").map(|line| line.reason.as_str()), Some("one"));
        assert_eq!(known.find("d", "a.c").map(|line| line.reason.as_str()), Some("many"));
        assert_eq!(known.find("e", "a.b"), None);
    }

    #[test]
    fn a_line_on_top_comes_first_and_one_below_need_not_describe_anything() {
        let parse = |text| KnownDifferences::parse(text).expect("well formed");
        let known = parse("d | a | (varies) | top\n").on_top_of(parse("d | a | x | below\nd | b* | y | below\n"));
        assert!(known.find("d", "a").is_some_and(|line| line.reason == "top" && line.describes(Some("anything"))));
        assert!(known.find("d", "b.c").is_some_and(|line| line.describes(Some("y")) && !line.describes(None)));
        assert_eq!(known.unused("d", &["a".to_owned()]), Vec::<&KnownDifference>::new());
    }

    #[test]
    fn what_varies_may_be_the_same_for_once() {
        let known = KnownDifferences::parse("d | a | (varies) | why\n").expect("well formed");
        assert_eq!(known.unused("d", &[]), Vec::<&KnownDifference>::new());
    }

    #[test]
    fn a_line_without_a_reason_is_refused() {
        assert!(KnownDifferences::parse("d | a | x\n").is_err());
    }

    #[test]
    fn a_line_that_names_no_difference_is_unused() {
        let known = KnownDifferences::parse("d | gone | x | why\nd | there | x | why\n").expect("well formed");
        let unused = known.unused("d", &["there".to_owned()]);
        assert_eq!(unused.iter().map(|line| line.case.as_str()).collect::<Vec<_>>(), ["gone"]);
    }
}
