//! One node of a cluster: its configuration file, its process, and what is done to it.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::program::Program;
use crate::network::Host;
use crate::ports;
use crate::process::Process;

/// How often a node is asked whether it is ready.
const POLL: Duration = Duration::from_millis(2);
/// How long a stop may take before the node is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How long `/health` may take to answer.
const HTTP_PATIENCE: Duration = Duration::from_secs(5);

/// What a node is (`process.roles`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Broker and controller.
    Combined,
    /// A broker alone.
    Broker,
    /// A controller alone.
    Controller,
}

impl Roles {
    fn text(self) -> &'static str {
        match self {
            Roles::Combined => "broker,controller",
            Roles::Broker => "broker",
            Roles::Controller => "controller",
        }
    }

    fn is_broker(self) -> bool {
        self != Roles::Controller
    }

    fn is_controller(self) -> bool {
        self != Roles::Broker
    }
}

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// `node.id`.
    pub id: i32,
    /// `process.roles`.
    pub roles: Roles,
    /// Everything of this node: its configuration, `data/` and `weir.log`.
    pub dir: PathBuf,
    /// The port for clients and other brokers.
    pub port: u16,
    /// The port for controllers.
    pub controller_port: u16,
    /// The port of `/metrics` and `/health`.
    pub http_port: u16,
    /// Where it runs.
    pub host: Host,
    /// What it is a process of.
    pub program: Program,
    /// `broker.rack`.
    pub rack: String,
    /// `controller.quorum.voters`; where nobody is named, the settings say whom to ask.
    pub voters: String,
    /// More `key=value` lines.
    pub settings: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
}

impl NodeOptions {
    /// `count` combined nodes below `dir`, each in a zone of its own.
    pub fn combined(dir: &Path, count: usize, settings: &[String]) -> io::Result<Vec<NodeOptions>> {
        Self::of(dir, &vec![Roles::Combined; count], settings)
    }

    /// Nodes of these roles below `dir`, with ids from 1 on, each in a zone of its own; the controllers are the voters.
    pub fn of(dir: &Path, roles: &[Roles], settings: &[String]) -> io::Result<Vec<NodeOptions>> {
        Self::on(&vec![Host::loopback(); roles.len()], dir, roles, settings)
    }

    /// The same, each on a host of its own.
    pub fn on(hosts: &[Host], dir: &Path, roles: &[Roles], settings: &[String]) -> io::Result<Vec<NodeOptions>> {
        let mut nodes = Vec::new();
        // Held until all are known, so that no two nodes are given one port.
        let mut held = Vec::new();
        for (index, (roles, host)) in roles.iter().zip(hosts).enumerate() {
            let ([port, controller_port, http_port], listeners) = ports::hold_ports()?;
            held.push(listeners);
            let id = i32::try_from(index + 1).map_err(io::Error::other)?;
            nodes.push(NodeOptions {
                id,
                roles: *roles,
                dir: dir.join(format!("node-{id}")),
                port,
                controller_port,
                http_port,
                host: host.clone(),
                program: Program::Weir,
                rack: format!("zone-{id}"),
                voters: String::new(),
                settings: settings.to_vec(),
                environment: Vec::new(),
            });
        }
        let controllers = nodes.iter().filter(|node| node.roles.is_controller());
        let voters = controllers.map(|node| format!("{}@{}:{}", node.id, node.host.address, node.controller_port));
        let voters = voters.collect::<Vec<String>>().join(",");
        Ok(nodes.into_iter().map(|node| NodeOptions { voters: voters.clone(), ..node }).collect())
    }

    /// The same nodes, of Apache Kafka.
    pub fn of_apache_kafka(nodes: Vec<NodeOptions>, jvm_flags: &[&str]) -> Vec<NodeOptions> {
        let jvm_flags: Vec<String> = jvm_flags.iter().map(|flag| (*flag).to_owned()).collect();
        let of_kafka = |node| NodeOptions { program: Program::ApacheKafka { jvm_flags: jvm_flags.clone() }, ..node };
        nodes.into_iter().map(of_kafka).collect()
    }

    /// `host:port` for clients.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", self.host.address, self.port)
    }

    /// `host:port` for controllers, where it is one.
    pub fn controller(&self) -> Option<String> {
        self.roles.is_controller().then(|| format!("{}:{}", self.host.address, self.controller_port))
    }

    /// The data directory (`log.dirs`).
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The configuration file, as an operator of Apache Kafka writes it, with Weir's HTTP listener.
    fn properties(&self) -> String {
        let address = self.host.address;
        let mut listeners = Vec::new();
        if self.roles.is_broker() {
            listeners.push(format!("PLAINTEXT://{address}:{}", self.port));
        }
        if self.roles.is_controller() {
            listeners.push(format!("CONTROLLER://{address}:{}", self.controller_port));
        }
        let mut lines = vec![
            format!("process.roles={}", self.roles.text()),
            format!("node.id={}", self.id),
            "controller.listener.names=CONTROLLER".to_owned(),
            format!("listeners={}", listeners.join(",")),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            format!("log.dirs={}", self.data_dir().display()),
        ];
        if !self.voters.is_empty() {
            lines.push(format!("controller.quorum.voters={}", self.voters));
        }
        if self.program == Program::Weir {
            lines.push(format!("http.listener={address}:{}", self.http_port));
        }
        if self.roles.is_broker() {
            lines.push("inter.broker.listener.name=PLAINTEXT".to_owned());
            lines.push(format!("broker.rack={}", self.rack));
        }
        lines.extend(self.settings.iter().cloned());
        lines.join("\n") + "\n"
    }

    fn log(&self) -> PathBuf {
        self.dir.join(self.program.log_name())
    }
}

/// A node, running or not.
#[derive(Debug)]
pub struct Node {
    options: NodeOptions,
    process: Option<Process>,
}

impl Node {
    /// A node that does not run yet.
    pub fn new(options: NodeOptions) -> Node {
        Node { options, process: None }
    }

    /// What it is started with.
    pub fn options(&self) -> &NodeOptions {
        &self.options
    }

    /// The same, to be changed while it does not run.
    pub fn options_mut(&mut self) -> &mut NodeOptions {
        &mut self.options
    }

    /// The id of its process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Starts its process, unless it runs, and waits for nothing.
    pub fn spawn(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let program = &self.options.program;
        program.prepare(&self.options)?;
        let config = self.options.dir.join("server.properties");
        fs::write(&config, self.options.properties())?;
        let mut command = program.command(&self.options, &config);
        command.envs(self.options.environment.iter().map(|(name, value)| (name, value)));
        self.process = Some(Process::start(&mut command, &self.options.log())?);
        Ok(())
    }

    /// Starts it and waits until it serves; returns how long that took.
    pub fn start(&mut self, patience: Duration) -> io::Result<Duration> {
        let started = Instant::now();
        self.spawn()?;
        self.wait_until_ready(patience)?;
        Ok(started.elapsed())
    }

    /// Waits until it serves: registered, unfenced, metadata caught up (`/health/ready`), as far as its program tells that.
    pub fn wait_until_ready(&mut self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let Err(said) = self.readiness() else { return Ok(()) };
            let process = self.process.as_mut().ok_or_else(|| io::Error::other("the node does not run"))?;
            let ended = process.ended()?;
            if ended.is_some() || Instant::now() > deadline {
                let (id, log) = (self.options.id, process.log_tail(30));
                let state = ended.map_or_else(|| format!("not ready: {said}"), |status| format!("ended ({status})"));
                return Err(io::Error::other(format!("node {id}: {state}\n{log}")));
            }
            thread::sleep(POLL);
        }
    }

    /// Whether it serves now, or what it says that is wrong.
    pub fn readiness(&self) -> io::Result<()> {
        if self.options.program != Program::Weir {
            return Program::is_among_brokers(&self.options);
        }
        match self.http("/health/ready")? {
            answer if answer.starts_with("HTTP/1.1 200") => Ok(()),
            answer => Err(io::Error::other(answer.rsplit("\r\n").next().unwrap_or_default().to_owned())),
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) -> io::Result<()> {
        self.process.take().map_or(Ok(()), |mut process| process.kill().map(drop))
    }

    /// Stops it as an operator does; returns how long that took.
    pub fn stop(&mut self) -> io::Result<Duration> {
        let asked = Instant::now();
        if let Some(mut process) = self.process.take() {
            process.stop(STOP_PATIENCE)?;
        }
        Ok(asked.elapsed())
    }

    /// Freezes it (SIGSTOP).
    pub fn freeze(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        self.process.as_ref().ok_or_else(|| io::Error::other("the node does not run"))?.signal(signal)
    }

    /// Takes everything it has stored, as a lost disk does. It must not run.
    pub fn wipe(&mut self) -> io::Result<()> {
        if self.process.is_some() {
            return Err(io::Error::other("the node runs"));
        }
        fs::remove_dir_all(self.options.data_dir())
    }

    /// The sum of a metric over its labels, as `/metrics` has it.
    pub fn metric(&self, name: &str) -> io::Result<f64> {
        let text = self.http("/metrics")?;
        let of_name = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        let values = text.lines().filter(of_name).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.reduce(|sum, value| sum + value).ok_or_else(|| io::Error::other(format!("no metric is called {name}")))
    }

    fn http(&self, path: &str) -> io::Result<String> {
        let address = SocketAddr::from((self.options.host.address, self.options.http_port));
        let mut stream = TcpStream::connect_timeout(&address, HTTP_PATIENCE)?;
        stream.set_read_timeout(Some(HTTP_PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(self.options.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Lines of its log that have one of these in them, with its id in front.
    pub fn complaints(&self, not_well: &[&str]) -> io::Result<Vec<String>> {
        let text = fs::read(self.options.log())?;
        let text = String::from_utf8_lossy(&text);
        let complains = |line: &&str| not_well.iter().any(|complaint| line.contains(complaint));
        Ok(text.lines().filter(complains).map(|line| format!("node {}: {line}", self.options.id)).collect())
    }
}
