//! The clients suite: starts Apache Kafka and Weir once, runs every driver against both, compares, and ends with a totals line.
//!
//! `clients [--reference-only | --cluster] [DRIVER...]`: with `--reference-only` the reference is compared with a second one of its own kind,
//! which proves that the drivers' outcomes are deterministic; with `--cluster` both are three nodes with three replicas of everything, and
//! Weir's are restarted one after the other while the drivers run.

mod brokers;
mod restarts;

use std::collections::VecDeque;
use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use weir_tests::certificates::Certificates;
use weir_tests::clients::{
    Brokers, DRIVERS, Driver, Endpoint, KnownDifferences, Outcomes, Verdict, compare, run_driver,
};
use weir_tests::paths;

use brokers::{start_cluster, start_reference, start_reference_cluster, start_weir};

/// Drivers that run at once: they wait more than they work.
const WORKERS: usize = 3;

type AnyError = Box<dyn Error + Send + Sync>;

/// What Weir is in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// One broker.
    Weir,
    /// Three, with replicas.
    Cluster,
    /// A second reference.
    Reference,
}

fn main() -> Result<ExitCode, AnyError> {
    let (flags, names): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let subject = match flags.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Subject::Weir,
        ["--cluster"] => Subject::Cluster,
        ["--reference-only"] => Subject::Reference,
        _ => return Err(format!("no such options: {}", flags.join(" ")).into()),
    };
    let drivers = chosen(&names, subject)?;
    let known = known_differences(subject)?;

    let work = work_dir()?;
    let certificates = Certificates::make(&work.join("certificates"))?;
    let (reference, mut reference_broker) = match subject {
        Subject::Cluster => start_reference_cluster(&work, &certificates)?,
        Subject::Weir | Subject::Reference => start_reference("reference", &work, &certificates)?,
    };
    let are_several = subject == Subject::Cluster;
    let (subject, mut subject_broker) = match subject {
        Subject::Weir => start_weir(&work, &certificates)?,
        Subject::Cluster => start_cluster(&work, &certificates)?,
        Subject::Reference => start_reference("reference-again", &work, &certificates)?,
    };
    let (calm, others): (Vec<Driver>, Vec<Driver>) = drivers.iter().partition(|driver| driver.at == Brokers::Several);
    let mut results = run_all(&calm, &reference, &subject)?;
    if !others.is_empty() {
        subject_broker.restart_nodes();
        results.extend(run_all(&others, &reference, &subject)?);
    }

    let mut passed = 0;
    let mut failed = 0;
    for (driver, reference_said, subject_said) in results {
        let (reference_said, subject_said) = match are_several {
            true => (reference_said.wherever(), subject_said.wherever()),
            false => (reference_said, subject_said),
        };
        let (good, bad) = report(&driver, &reference_said, &subject_said, &known);
        passed += good;
        failed += bad;
    }
    if failed > 0 {
        println!("\noutputs are in {}", work.display());
        println!("{} said last:\n{}", reference.name, reference_broker.log_tail());
        println!("{} said last:\n{}", subject.name, subject_broker.log_tail());
    }
    reference_broker.end()?;
    subject_broker.end()?;
    println!("clients: {passed} passed, {failed} failed");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen(names: &[String], subject: Subject) -> Result<Vec<Driver>, AnyError> {
    if let Some(unknown) = names.iter().find(|name| !DRIVERS.iter().any(|driver| driver.name == name.as_str())) {
        let all: Vec<&str> = DRIVERS.iter().map(|driver| driver.name).collect();
        return Err(format!("no driver is called {unknown}; there are {}", all.join(", ")).into());
    }
    let fits = |driver: &Driver| match subject {
        Subject::Cluster => driver.at != Brokers::One,
        Subject::Weir | Subject::Reference => driver.at != Brokers::Several,
    };
    let asked = |driver: &&Driver| fits(driver) && (names.is_empty() || names.iter().any(|name| name == driver.name));
    let (ready, missing): (Vec<Driver>, Vec<Driver>) = DRIVERS.iter().filter(asked).partition(|d| d.is_installed());
    for driver in &missing {
        println!("skipped: {} needs its {:?} part installed by tests/run", driver.name, driver.toolchain);
    }
    if env::var_os("CI").is_some() && !missing.is_empty() {
        return Err("drivers are missing, and CI skips none".into());
    }
    Ok(ready)
}

/// A cluster differs where one broker does, and in what only a cluster has.
fn known_differences(subject: Subject) -> Result<KnownDifferences, AnyError> {
    let read = |name: &str| -> Result<KnownDifferences, AnyError> {
        let text = fs::read_to_string(paths::tests_dir().join("clients").join(name))?;
        Ok(KnownDifferences::parse(&text)?)
    };
    Ok(match subject {
        Subject::Reference => KnownDifferences::default(),
        Subject::Weir => read("known-differences.txt")?,
        Subject::Cluster => read("known-differences-cluster.txt")?.on_top_of(read("known-differences.txt")?),
    })
}

/// A new directory for this run below the cache. Those of earlier runs are removed, since large messages fill disks; those of runs that
/// still go on are left alone.
fn work_dir() -> Result<PathBuf, AnyError> {
    let all = paths::cache_dir().join("clients-run");
    fs::create_dir_all(&all)?;
    for entry in fs::read_dir(&all)? {
        let entry = entry?;
        if !Path::new("/proc").join(entry.file_name()).exists() {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let mine = all.join(std::process::id().to_string());
    fs::create_dir_all(&mine)?;
    Ok(mine)
}

/// Every driver against both brokers, a few at a time.
fn run_all(
    drivers: &[Driver],
    reference: &Endpoint,
    subject: &Endpoint,
) -> Result<Vec<(Driver, Outcomes, Outcomes)>, AnyError> {
    let jobs: VecDeque<(usize, &Endpoint)> =
        (0..drivers.len()).flat_map(|index| [(index, reference), (index, subject)]).collect();
    let jobs = Mutex::new(jobs);
    let done = Mutex::new(vec![(Outcomes::default(), Outcomes::default()); drivers.len()]);
    let work = || -> Result<(), AnyError> {
        loop {
            let Some((index, endpoint)) = jobs.lock().map_err(|_| "a worker died")?.pop_front() else {
                return Ok(());
            };
            let driver = &drivers[index];
            let (outcomes, took) = run_driver(driver, endpoint)?;
            println!("ran {} at {}: {} cases in {}", driver.name, endpoint.name, outcomes.len(), seconds(took));
            let mut done = done.lock().map_err(|_| "a worker died")?;
            let slot = if std::ptr::eq(endpoint, reference) { &mut done[index].0 } else { &mut done[index].1 };
            *slot = outcomes;
        }
    };
    thread::scope(|scope| -> Result<(), AnyError> {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().map_err(|_| "a worker died")??;
        }
        Ok(())
    })?;
    let done = done.into_inner().map_err(|_| "a worker died")?;
    Ok(drivers
        .iter()
        .copied()
        .zip(done)
        .map(|(driver, (at_reference, at_subject))| (driver, at_reference, at_subject))
        .collect())
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

/// Prints what differs of one driver, and counts.
fn report(driver: &Driver, reference: &Outcomes, subject: &Outcomes, known: &KnownDifferences) -> (usize, usize) {
    let mut failed = 0;
    let mut known_count = 0;
    let verdicts = compare(driver.name, reference, subject, known);
    for (case, verdict) in &verdicts {
        match verdict {
            Verdict::Same => {}
            Verdict::Known { .. } => known_count += 1,
            Verdict::Different { reference, subject } => {
                failed += 1;
                println!("\nDIFFERENT {} | {case}", driver.name);
                println!("  - {}", reference.as_deref().unwrap_or("(absent)"));
                println!("  + {}", subject.as_deref().unwrap_or("(absent)"));
            }
        }
    }
    // A driver that failed at the reference has compared nothing worth comparing.
    if reference.outcome("driver.exit").as_deref() != Some("ok") {
        failed += 1;
        println!("\nFAILED {} did not finish at the reference: {:?}", driver.name, reference.outcome("driver.exit"));
    }
    let differing = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Same).map(|(case, _)| case.clone());
    for line in known.unused(driver.name, &differing.collect::<Vec<_>>()) {
        failed += 1;
        println!("\nSTALE {} | {}: no difference any more", driver.name, line.case);
    }
    println!("{}: {} cases, {known_count} known differences, {failed} failed", driver.name, verdicts.len());
    (verdicts.len().saturating_sub(failed), failed)
}
