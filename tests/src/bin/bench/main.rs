//! The benchmark: Weir, Apache Kafka and bare loops in one run under the same load, told in one table beside what is promised.
//!
//! This program starts everything as processes: brokers through the tests' harness, and itself again as bare loop and as load client, so that
//! CPU time can be told apart. Figures come from this run alone; what could not be measured is said and has no verdict. What each figure
//! means is in `docs/benchmarks.md`.

mod child;
mod latencies;
mod load;
mod loops;
mod memory;
mod options;
mod pace;
mod report;
mod scenario;
mod subject;

use std::env;
use std::error::Error;
use std::fs;
use std::process::ExitCode;

use clap::Parser;

use crate::options::Options;
use crate::report::Sheet;
use crate::scenario::Bench;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, role, task] = arguments.as_slice()
        && first == child::CHILD
    {
        run_child(role, task)?;
        return Ok(ExitCode::SUCCESS);
    }
    run(&Options::parse())
}

fn run_child(role: &str, task: &str) -> Result<(), Box<dyn Error>> {
    match role {
        loops::SERVE => loops::serve(task),
        loops::DRIVE => loops::drive(task),
        load::ROLE => load::work(task),
        scenario::CONTROLLER => scenario::run_controller(task),
        _ => Err(format!("no child is called {role}").into()),
    }
}

/// Runs what is asked for. The exit code tells whether everything ran, not whether every bar is reached: machines differ.
fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let work_dir = match &options.work_dir {
        Some(dir) => {
            fs::create_dir_all(dir)?;
            tempfile::Builder::new().prefix("bench-").tempdir_in(dir)?
        }
        None => tempfile::Builder::new().prefix("weir-bench-").tempdir()?,
    };
    let mut sheet = Sheet::default();
    if cfg!(debug_assertions) {
        sheet.note("This is not a release build: its figures say nothing.".to_owned());
    }
    let ran = scenario::run_all(&Bench { options, work_dir: work_dir.path() }, &mut sheet);

    let table = report::table(&sheet);
    println!("\n{table}");
    fs::create_dir_all(&options.output)?;
    fs::write(options.output.join("bench.txt"), &table)?;
    fs::write(options.output.join("bench.json"), serde_json::to_string_pretty(&report::json(&sheet))?)?;
    fs::write(options.output.join("bench.svg"), report::svg(&sheet))?;
    println!("\nwritten to {}: bench.txt, bench.json, bench.svg", options.output.display());
    println!("bench: {ran} passed, {} failed", sheet.failures().len());
    Ok(if sheet.failures().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
