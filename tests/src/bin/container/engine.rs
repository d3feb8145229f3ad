//! A Docker engine of its own: started below a directory, asked through its client, ended by its own id.

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use weir_tests::paths;
use weir_tests::process::Process;

/// How long the engine may take to answer.
const START_PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
/// Between one try and the next.
const POLL: Duration = Duration::from_millis(200);
const PROJECT: &str = "weir-container-suite";
const IMAGE_VARIABLE: &str = "WEIR_IMAGE";

/// A running engine.
pub(super) struct Engine {
    socket: PathBuf,
    image: String,
    process: Process,
}

impl Engine {
    /// Starts one. `Unsupported` where this machine has none, or this user may not.
    pub(super) fn start(dir: &Path) -> io::Result<Engine> {
        let unsupported = |why: &str| io::Error::new(io::ErrorKind::Unsupported, why);
        if !rustix::process::geteuid().is_root() {
            return Err(unsupported("only root can start a Docker engine"));
        }
        for program in ["dockerd", "docker"] {
            let found = env::var_os("PATH").is_some_and(|path| {
                env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|dir| dir.join(program).is_file())
            });
            if !found {
                return Err(unsupported("there is no Docker engine: install docker.io"));
            }
        }
        compose_command()?;
        let socket = dir.join("docker.sock");
        let mut command = Command::new("dockerd");
        command.env("PATH", with_system_programs());
        command.arg("--data-root").arg(dir.join("data")).arg("--exec-root").arg(dir.join("exec"));
        command.arg("--pidfile").arg(dir.join("pid")).arg("-H").arg(format!("unix://{}", socket.display()));
        // No rule of this machine's firewall is touched, and no network beside those that the suite makes.
        command.args(["--iptables=false", "--ip-masq=false", "--bridge=none"]);
        let process = Process::start(&mut command, &dir.join("dockerd.log"))?;
        let mut engine = Engine { socket, image: String::new(), process };
        let deadline = Instant::now() + START_PATIENCE;
        while let Err(error) = engine.docker(&["version"]) {
            if engine.process.ended()?.is_some() || Instant::now() > deadline {
                return Err(io::Error::other(format!("{error}\n{}", engine.process.log_tail(20))));
            }
            thread::sleep(POLL);
        }
        engine.image = super::IMAGE.to_owned();
        Ok(engine)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket.display()));
        // The builder that needs nothing but the engine.
        command.env("DOCKER_BUILDKIT", "0").env(IMAGE_VARIABLE, &self.image);
        command
    }

    /// Runs the engine's client, and gives what it said.
    pub(super) fn docker(&self, arguments: &[&str]) -> io::Result<String> {
        output(self.command("docker").args(arguments), "")
    }

    /// Builds the image as a user does, from the binary under test.
    pub(super) fn build_image(&self, tag: &str) -> io::Result<()> {
        let mut command = self.command("bash");
        command.arg(paths::tests_dir().join("../docker/build")).arg(tag).env("WEIR_BINARY", paths::weir_binary());
        output(&mut command, "").map(drop)
    }

    /// Does something to the compose file's services.
    pub(super) fn compose(&self, arguments: &[&str]) -> io::Result<String> {
        let (program, first) = compose_command()?;
        let mut command = self.command(program);
        command.args(first).args(["--project-name", PROJECT, "--file"]);
        command.arg(paths::tests_dir().join("../docker/compose.yaml")).args(arguments);
        output(&mut command, "")
    }

    /// Runs `weir` in a service's container, with something to read.
    pub(super) fn weir_in(&self, service: &str, arguments: &[&str], input: &str) -> io::Result<String> {
        let container = self.compose(&["ps", "--quiet", service])?;
        let mut command = self.command("docker");
        command.args(["exec", "--interactive", container.trim(), "/usr/bin/weir"]).args(arguments);
        output(&mut command, input)
    }

    /// Runs `weir` on this machine.
    pub(super) fn weir_here(&self, arguments: &[&str]) -> io::Result<String> {
        output(Command::new(paths::weir_binary()).args(arguments), "")
    }

    /// An error unless every partition of `topic` has all its replicas in sync.
    pub(super) fn whole(&self, service: &str, topic: &str) -> io::Result<()> {
        let described = self.weir_in(service, &["topic", "describe", topic, "--output", "json"], "")?;
        let described: serde_json::Value = serde_json::from_str(&described)?;
        let partitions = described[0]["partitions"].as_array().cloned().unwrap_or_default();
        let count = |partition: &serde_json::Value, key: &str| partition[key].as_array().map(Vec::len);
        let whole = partitions.iter().all(|partition| {
            count(partition, "replicas").is_some_and(|replicas| Some(replicas) == count(partition, "isr"))
        });
        match whole && !partitions.is_empty() {
            true => Ok(()),
            false => Err(io::Error::other(described.to_string())),
        }
    }

    /// Tries until it succeeds or the patience is over.
    pub(super) fn retry<T>(&self, patience: Duration, mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let deadline = Instant::now() + patience;
        loop {
            match attempt() {
                Err(_) if Instant::now() < deadline => thread::sleep(POLL),
                outcome => return outcome,
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // What it leaves behind is below the suite's directory; a kill follows where it does not end by itself.
        let _ = self.process.stop(STOP_PATIENCE);
    }
}

/// The compose tool that is there: the engine client's plugin, or the program of its own.
fn compose_command() -> io::Result<(&'static str, &'static [&'static str])> {
    let candidates: [(&str, &[&str]); 2] = [("docker", &["compose"]), ("docker-compose", &[])];
    let works = |candidate: &(&'static str, &'static [&'static str])| {
        let mut command = Command::new(candidate.0);
        output(command.args(candidate.1).arg("version"), "").is_ok()
    };
    let none = || io::Error::new(io::ErrorKind::Unsupported, "there is no compose tool: install docker-compose");
    candidates.into_iter().find(works).ok_or_else(none)
}

fn with_system_programs() -> String {
    format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default())
}

/// Runs a command with something to read; an error has everything it said.
fn output(command: &mut Command, input: &str) -> io::Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that reads nothing has its own say below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}: {said}{complaint}", output.status)))
}
