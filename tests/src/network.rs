//! Several hosts on one machine: a network namespace each, on a switch that is a namespace too, so that links can be cut, bent and narrowed
//! while whoever tests reaches every host.
//!
//! ```text
//!  whoever tests ── uplink ──┐
//!                            switch ── port1 ══ eth0  host 1
//!                              ├────── port2 ══ eth0  host 2
//!                              └────── port3 ══ eth0  host 3
//! ```
//!
//! Made with `ip` and `tc`, which need root. Dropping a network takes everything away that it made, and nothing else.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{self, Command};

use crate::process::output_of;

/// The part of 10.0.0.0/8 in which a network takes a subnet of its own.
const FIRST_SUBNET: u32 = 200 << 8;
const SUBNETS: u32 = 50 << 8;
/// The address of whoever tests.
const UPLINK: u8 = 254;

/// Where a process runs and is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its network namespace, where that is not everybody's.
    namespace: Option<String>,
}

impl Host {
    /// This machine.
    pub fn loopback() -> Host {
        Host { address: Ipv4Addr::LOCALHOST, namespace: None }
    }

    /// A command that starts `program` there; its process is the program's own.
    pub fn command(&self, program: &Path) -> Command {
        match &self.namespace {
            None => Command::new(program),
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(program);
                command
            }
        }
    }
}

/// Some hosts and the switch between them.
#[derive(Debug)]
pub struct Network {
    tag: String,
    subnet: u32,
    hosts: Vec<Host>,
}

impl Network {
    /// Makes `count` hosts that reach each other, and are reached from here.
    pub fn new(count: u8) -> io::Result<Network> {
        let pid = process::id();
        let mut network =
            Network { tag: format!("weir{pid}"), subnet: FIRST_SUBNET + pid % SUBNETS, hosts: Vec::new() };
        let (switch, uplink) = (network.switch(), network.tag.clone());
        run(&["ip", "netns", "add", &switch])?;
        run(&["ip", "link", "add", &uplink, "type", "veth", "peer", "name", "uplink", "netns", &switch])?;
        run(&["ip", "-n", &switch, "link", "add", "bridge", "type", "bridge"])?;
        run(&["ip", "-n", &switch, "link", "set", "bridge", "up"])?;
        run(&["ip", "-n", &switch, "link", "set", "uplink", "master", "bridge", "up"])?;
        run(&["ip", "address", "add", &network.with_prefix(UPLINK), "dev", &uplink])?;
        run(&["ip", "link", "set", &uplink, "up"])?;
        for number in 1..=count {
            network.add_host(number)?;
        }
        Ok(network)
    }

    fn add_host(&mut self, number: u8) -> io::Result<()> {
        let (switch, namespace, port) = (self.switch(), format!("{}-{number}", self.tag), format!("port{number}"));
        run(&["ip", "netns", "add", &namespace])?;
        self.hosts.push(Host { address: self.address(number), namespace: Some(namespace.clone()) });
        run(&["ip", "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
        run(&["ip", "-n", &switch, "link", "set", &port, "master", "bridge", "up"])?;
        run(&["ip", "-n", &namespace, "address", "add", &self.with_prefix(number), "dev", "eth0"])?;
        run(&["ip", "-n", &namespace, "link", "set", "lo", "up"])?;
        run(&["ip", "-n", &namespace, "link", "set", "eth0", "up"])
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.tag)
    }

    fn address(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::from((10 << 24) | (self.subnet << 8) | u32::from(number))
    }

    fn with_prefix(&self, number: u8) -> String {
        format!("{}/24", self.address(number))
    }

    /// The hosts, by their place.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// Takes the cable out of a host, or puts it in again: its link is down, and it sees that.
    pub fn set_cable(&self, host: usize, is_in: bool) -> io::Result<()> {
        let state = if is_in { "up" } else { "down" };
        run(&["ip", "-n", &self.switch(), "link", "set", &port_of(host), state])
    }

    /// Has the switch lose everything from and to a host without a word, or no more.
    pub fn set_port(&self, host: usize, forwards: bool) -> io::Result<()> {
        let (switch, port) = (self.switch(), port_of(host));
        let master: &[&str] = if forwards { &["master", "bridge"] } else { &["nomaster"] };
        run(&[&["ip", "-n", &switch, "link", "set", &port], master].concat())
    }

    /// Has nothing that `from` sends arrive at `to`, or lets it arrive again; what `to` sends arrives.
    pub fn set_route(&self, from: usize, to: usize, arrives: bool) -> io::Result<()> {
        let (namespace, to) = (self.namespace(from)?, format!("{}/32", self.hosts[to].address));
        let change = if arrives { "del" } else { "add" };
        run(&["ip", "-n", namespace, "route", change, "blackhole", &to])
    }

    /// Lets a host send only so much, or as much as it likes.
    pub fn set_rate(&self, host: usize, bits_per_second: Option<u64>) -> io::Result<()> {
        let namespace = self.namespace(host)?;
        match bits_per_second {
            None => run(&["tc", "-n", namespace, "qdisc", "del", "dev", "eth0", "root"]),
            Some(rate) => {
                let (rate, limits) = (format!("{rate}bit"), ["burst", "16kb", "latency", "50ms"]);
                let add = ["tc", "-n", namespace, "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", &rate];
                run(&[&add[..], &limits].concat())
            }
        }
    }

    fn namespace(&self, host: usize) -> io::Result<&str> {
        let namespace = self.hosts.get(host).and_then(|host| host.namespace.as_deref());
        namespace.ok_or_else(|| io::Error::other(format!("there is no host {host}")))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The links go with the namespaces at their ends. What was not made cannot be taken away.
        for namespace in self.hosts.iter().filter_map(|host| host.namespace.clone()).chain([self.switch()]) {
            let _ = run(&["ip", "netns", "del", &namespace]);
        }
    }
}

fn port_of(host: usize) -> String {
    format!("port{}", host + 1)
}

fn run(command: &[&str]) -> io::Result<()> {
    let (program, arguments) = command.split_first().ok_or_else(|| io::Error::other("no command"))?;
    output_of(Command::new(program).args(arguments)).map(drop)
}
