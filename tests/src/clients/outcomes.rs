//! What a driver printed, by case, and whether two of them agree.

use std::collections::HashMap;

use super::known_differences::KnownDifferences;
use super::wherever::wherever;

/// The text between a case and its outcome.
const SEPARATOR: &str = " = ";
/// Lines of one case are one outcome, joined by this.
const JOIN: &str = "; ";

/// A driver's output: cases in the order of their first line.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcomes {
    order: Vec<String>,
    by_case: HashMap<String, Vec<String>>,
}

impl Outcomes {
    /// Reads `case = outcome` lines. A line without a separator belongs to the case `output`, for a driver that says
    /// what it should not says it at both brokers or is caught.
    pub fn parse(text: &str) -> Outcomes {
        let mut outcomes = Outcomes::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (case, outcome) = line.split_once(SEPARATOR).unwrap_or(("output", line));
            outcomes.push(case.trim(), outcome.trim());
        }
        outcomes
    }

    fn push(&mut self, case: &str, outcome: &str) {
        if !self.by_case.contains_key(case) {
            self.order.push(case.to_owned());
        }
        self.by_case.entry(case.to_owned()).or_default().push(outcome.to_owned());
    }

    /// The outcome of a case, its lines joined.
    pub fn outcome(&self, case: &str) -> Option<String> {
        self.by_case.get(case).map(|lines| lines.join(JOIN))
    }

    /// Without what says which of several brokers does something.
    pub fn wherever(mut self) -> Outcomes {
        self.by_case.values_mut().flatten().for_each(|outcome| *outcome = wherever(outcome));
        self
    }

    /// The number of cases.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether the driver said nothing.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

/// What comparing one case gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Both brokers gave the same.
    Same,
    /// They differ as the known differences say, for this reason.
    Known {
        /// Why the difference stands.
        reason: String,
    },
    /// They differ and nothing says why.
    Different {
        /// What the reference gave; `None` when the case did not appear there.
        reference: Option<String>,
        /// What the subject gave.
        subject: Option<String>,
    },
}

/// Compares two runs of `driver`, case by case, in the order of the reference; what only the subject said comes last.
pub fn compare(
    driver: &str,
    reference: &Outcomes,
    subject: &Outcomes,
    known: &KnownDifferences,
) -> Vec<(String, Verdict)> {
    let only_subject = subject.order.iter().filter(|case| !reference.by_case.contains_key(*case));
    let cases = reference.order.iter().chain(only_subject);
    cases
        .map(|case| (case.clone(), verdict(driver, case, reference.outcome(case), subject.outcome(case), known)))
        .collect()
}

fn verdict(
    driver: &str,
    case: &str,
    reference: Option<String>,
    subject: Option<String>,
    known: &KnownDifferences,
) -> Verdict {
    if reference == subject {
        return Verdict::Same;
    }
    match known.find(driver, case) {
        Some(line) if line.describes(subject.as_deref()) => Verdict::Known { reason: line.reason.clone() },
        _ => Verdict::Different { reference, subject },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reference: &str, subject: &str, known: &str, expected: &[(&str, Verdict)]) {
        let known = KnownDifferences::parse(known).expect("the list is well formed");
        let verdicts = compare("d", &Outcomes::parse(reference), &Outcomes::parse(subject), &known);
        let verdicts: Vec<(&str, Verdict)> = verdicts.iter().map(|(case, v)| (case.as_str(), v.clone())).collect();
        assert_eq!(verdicts, expected);
    }

    fn different(reference: Option<&str>, subject: Option<&str>) -> Verdict {
        Verdict::Different { reference: reference.map(str::to_owned), subject: subject.map(str::to_owned) }
    }

    #[test]
    fn equal_lines_are_the_same_in_any_order_of_cases() {
        check("a = 1\nb = 2\n", "b = 2\na = 1\n", "", &[("a", Verdict::Same), ("b", Verdict::Same)]);
    }

    #[test]
    fn a_changed_a_missing_and_an_added_case_differ() {
        check(
            "a = 1\nb = 2\n",
            "a = 3\nc = 4\n",
            "",
            &[
                ("a", different(Some("1"), Some("3"))),
                ("b", different(Some("2"), None)),
                ("c", different(None, Some("4"))),
            ],
        );
    }

    #[test]
    fn lines_of_one_case_keep_their_order() {
        check("a = 1\na = 2\n", "a = 2\na = 1\n", "", &[("a", different(Some("1; 2"), Some("2; 1")))]);
    }

    #[test]
    fn a_known_difference_holds_for_exactly_what_it_names() {
        let known = "d | a | 3 | the reason\n";
        check("a = 1\n", "a = 3\n", known, &[("a", Verdict::Known { reason: "the reason".to_owned() })]);
        check("a = 1\n", "a = 4\n", known, &[("a", different(Some("1"), Some("4")))]);
    }

    #[test]
    fn what_agrees_is_the_same_whatever_the_list_says() {
        check("a = 3\n", "a = 3\n", "d | a | 3 | why\n", &[("a", Verdict::Same)]);
    }
}
