//! The container suite: the image that `docker/build` makes and the three zones of `docker/compose.yaml`, on a Docker engine of its own.
//!
//! The engine keeps everything below a temporary directory and is ended with it; nothing of another engine on this machine is touched.
//! Without root or an engine the suite says so and ends with status 77.

mod engine;

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;

use weir_tests::verdict::Verdict;

use engine::Engine;

type AnyError = Box<dyn Error + Send + Sync>;

const IMAGE: &str = "weir:container-suite";
const SERVICES: [&str; 3] = ["weir-a", "weir-b", "weir-c"];
/// Where the compose file shows the first zone to clients outside of the network.
const OUTSIDE: &str = "127.0.0.1:19092";
const NETWORK: &str = "weir-container-suite-alone";
const TOPIC: &str = "zones";
/// How long three zones may take to serve.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long writes may take to go on without one zone.
const FAILOVER_PATIENCE: Duration = Duration::from_secs(30);
/// The largest image that is still small.
const MAX_IMAGE_BYTES: u64 = 64 << 20;
/// What tells `tests/run` that the suite cannot run here.
const CANNOT_RUN: u8 = 77;

fn main() -> Result<ExitCode, AnyError> {
    let dir = TempDir::new()?;
    let engine = match Engine::start(dir.path()) {
        Ok(engine) => engine,
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            println!("container: {error}");
            return Ok(ExitCode::from(CANNOT_RUN));
        }
        Err(error) => return Err(error.into()),
    };
    let mut verdict = Verdict::new("container");
    let outcome = image(&engine, &mut verdict).and_then(|()| zones(&engine, &mut verdict));
    if outcome.is_err() || verdict.is_broken() {
        println!("{}", engine.compose(&["logs", "--tail", "30"]).unwrap_or_else(|error| error.to_string()));
    }
    engine.compose(&["down", "--volumes", "--timeout", "5"])?;
    outcome?;
    Ok(verdict.finish())
}

/// One container by itself, as `docker run` makes it.
fn image(engine: &Engine, verdict: &mut Verdict) -> Result<(), AnyError> {
    engine.build_image(IMAGE)?;
    let size: u64 = engine.docker(&["image", "inspect", "--format", "{{.Size}}", IMAGE])?.trim().parse()?;
    println!("container: the image has {:.1} MB", size as f64 / 1e6);
    verdict.holds("the image is small", size <= MAX_IMAGE_BYTES, || format!("{size} bytes"));
    engine.docker(&["network", "create", NETWORK])?;
    engine.docker(&["run", "--detach", "--name", "alone", "--network", NETWORK, IMAGE])?;
    let create = ["exec", "alone", "/usr/bin/weir", "topic", "create", TOPIC];
    let created = engine.retry(START_PATIENCE, || engine.docker(&create));
    verdict.holds("a container by itself is a broker", created.is_ok(), || format!("{created:?}"));
    engine.docker(&["restart", "--time", "10", "alone"])?;
    let list = ["exec", "alone", "/usr/bin/weir", "topic", "list"];
    let kept = engine.retry(START_PATIENCE, || engine.docker(&list));
    let is_kept = kept.as_ref().is_ok_and(|list| list.contains(TOPIC));
    verdict.holds("what it stored outlives a restart", is_kept, || format!("{kept:?}"));
    engine.docker(&["rm", "--force", "--volumes", "alone"])?;
    engine.docker(&["network", "rm", NETWORK])?;
    Ok(())
}

/// Three zones: records go in at one and come out at another, with one zone killed meanwhile.
fn zones(engine: &Engine, verdict: &mut Verdict) -> Result<(), AnyError> {
    engine.compose(&["up", "--detach"])?;
    let create = ["topic", "create", TOPIC, "--partitions", "3"];
    let created = engine.retry(START_PATIENCE, || engine.weir_in(SERVICES[0], &create, ""));
    verdict.holds("three zones form one cluster", created.is_ok(), || format!("{created:?}"));
    let described = engine.weir_in(SERVICES[1], &["cluster", "describe"], "")?;
    let has_zones = ["zone-a", "zone-b", "zone-c"].iter().all(|zone| described.contains(zone));
    verdict.holds("every zone is a broker", has_zones, || described.clone());

    let written = engine.weir_in(SERVICES[0], &["produce", TOPIC], "before\n");
    verdict.holds("a record goes in", written.is_ok(), || format!("{written:?}"));
    engine.compose(&["kill", SERVICES[2]])?;
    let written = engine.retry(FAILOVER_PATIENCE, || engine.weir_in(SERVICES[1], &["produce", TOPIC], "without\n"));
    verdict.holds("records go in without a zone", written.is_ok(), || format!("{written:?}"));
    let read = ["consume", TOPIC, "--from", "earliest", "--max", "2"];
    let found = engine.retry(FAILOVER_PATIENCE, || engine.weir_in(SERVICES[0], &read, ""));
    let has_both = found.as_ref().is_ok_and(|found| found.contains("before") && found.contains("without"));
    verdict.holds("nothing is lost with it", has_both, || format!("{found:?}"));

    engine.compose(&["start", SERVICES[2]])?;
    let came_back = engine.retry(START_PATIENCE, || engine.whole(SERVICES[1], TOPIC));
    verdict.holds("the zone comes back into every in-sync set", came_back.is_ok(), || format!("{came_back:?}"));
    let outside = engine.weir_here(&["topic", "list", "--bootstrap", OUTSIDE]);
    let is_seen = outside.as_ref().is_ok_and(|list| list.contains(TOPIC));
    verdict.holds("clients outside of the network are served", is_seen, || format!("{outside:?}"));
    Ok(())
}
