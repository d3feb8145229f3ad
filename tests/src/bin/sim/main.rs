//! The simulator: the cores of replication and of the controller, and the group coordinator, under a seeded scheduler that lets everything go wrong.
//!
//! `sim [--seeds N] [--first SEED]` runs seeds until one breaks a rule; a seed replays to the byte. `sim --planted` plants bugs, one a rule, and
//! fails if one of them is not found. The real log, the network and the Raft quorum are not in this world: they have suites of their own.

mod broker;
mod checker;
mod controller;
mod group;
mod message;
mod model_log;
mod planted;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::planted::Bug;

/// Seeds that a planted bug may take to be found.
const SEEDS_FOR_A_BUG: u64 = 300;

/// Runs the simulator.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Options {
    /// How many seeds to run; without, as many as fit in the time.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How long to go on where no number of seeds is named.
    #[arg(long, default_value_t = 45)]
    seconds: u64,
    /// Plant this bug, and say whether it is found.
    #[arg(long, value_enum)]
    plant: Option<Bug>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    // Answers of the group coordinator wait with a limit in real time: it has a clock to ask, which nobody drives.
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime without threads");
    let _entered = runtime.enter();
    let mut tally = Tally::default();
    match options.plant {
        Some(bug) => tally.count(find(bug)),
        None => {
            run_seeds(&options, &mut tally);
            tally.count(replays(options.first));
            for bug in Bug::all() {
                tally.count(find(*bug));
            }
        }
    }
    println!("sim: {} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    fn count(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(why) => {
                println!("FAILED: {why}");
                self.failed += 1;
            }
        }
    }
}

/// Many seeds are one test; each that fails is told.
fn run_seeds(options: &Options, tally: &mut Tally) {
    let ends = Instant::now() + Duration::from_secs(options.seconds);
    let (mut events, mut acknowledged, mut answered, mut faults, mut seeds) = (0, 0, 0, 0, 0);
    let failed_before = tally.failed;
    for seed in options.first.. {
        if options.seeds.map_or(Instant::now() >= ends, |most| seeds >= most) {
            break;
        }
        seeds += 1;
        match world::run(seed, None) {
            Ok(outcome) => {
                events += outcome.events;
                acknowledged += outcome.acknowledged;
                answered += outcome.answered;
                faults += outcome.faults;
            }
            Err(why) => tally.count(Err(format!("seed {seed} (sim --seeds 1 --first {seed}): {why}"))),
        }
    }
    if tally.failed == failed_before {
        tally.count(Ok(()));
    }
    println!(
        "{seeds} seeds: {faults} faults, {events} events, {acknowledged} records acknowledged and kept, {answered} answers to groups"
    );
}

/// The same seed is the same run.
fn replays(seed: u64) -> Result<(), String> {
    let (first, second) = (world::run(seed, None), world::run(seed, None));
    if first == second { Ok(()) } else { Err(format!("seed {seed} does not replay: {first:?}, {second:?}")) }
}

/// A planted bug is found within a few seeds.
fn find(bug: Bug) -> Result<(), String> {
    for seed in 1..=SEEDS_FOR_A_BUG {
        if let Err(broken) = world::run(seed, Some(bug)) {
            println!("{bug:?} is found by seed {seed}: {broken}");
            return Ok(());
        }
    }
    Err(format!("{bug:?} is not found by {SEEDS_FOR_A_BUG} seeds"))
}
