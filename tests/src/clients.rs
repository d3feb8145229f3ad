//! The clients suite: one driver per client, run against Apache Kafka and against Weir, outcomes compared line by line.
//!
//! A driver is a program that does what its client's users do and prints one line per fact, `case = outcome`, free of ports, times and
//! random ids. It is told where the broker is by environment and never which broker it is.

mod drivers;
mod known_differences;
mod outcomes;
mod run;
mod wherever;

pub use drivers::{Brokers, DRIVERS, Driver};
pub use known_differences::{KnownDifference, KnownDifferences, KnownDifferencesError};
pub use outcomes::{Outcomes, Verdict, compare};
pub use run::{Endpoint, run_driver};
