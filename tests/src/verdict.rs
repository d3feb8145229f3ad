//! Rules, each kept or broken, and the line that tells `tests/run` how many.

use std::process::ExitCode;

/// Broken rules that are shown of each kind.
const SHOWN: usize = 20;

/// What a suite found.
#[derive(Debug)]
pub struct Verdict {
    suite: &'static str,
    passed: u32,
    failed: u32,
}

impl Verdict {
    /// Of a suite that has found nothing yet.
    pub fn new(suite: &'static str) -> Verdict {
        Verdict { suite, passed: 0, failed: 0 }
    }

    /// The suite's name.
    pub fn suite(&self) -> &'static str {
        self.suite
    }

    /// Counts a rule, and shows how it was broken if it was.
    pub fn check(&mut self, rule: &str, broken: &[String]) {
        let suite = self.suite;
        if broken.is_empty() {
            self.passed += 1;
            return;
        }
        self.failed += 1;
        println!("{suite}: BROKEN {} times: {rule}", broken.len());
        broken.iter().take(SHOWN).for_each(|broken| println!("{suite}:   {broken}"));
    }

    /// Counts a rule that holds or does not, and shows what was found if it does not.
    pub fn holds(&mut self, rule: &str, holds: bool, found: impl FnOnce() -> String) {
        if holds {
            self.passed += 1;
        } else {
            self.failed += 1;
            println!("{}: BROKEN: {rule}: {}", self.suite, found());
        }
    }

    /// Whether a rule was broken.
    pub fn is_broken(&self) -> bool {
        self.failed > 0
    }

    /// Prints the sum.
    pub fn finish(self) -> ExitCode {
        println!("{}: {} passed, {} failed", self.suite, self.passed, self.failed);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
