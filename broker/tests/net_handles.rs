//! What happens when file handles run out. Alone in its process, since it lowers the process's limit.

mod net_support;

use std::io::Write;
use std::net::TcpStream;

use net_support::{Server, read_frame, request};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

#[test]
fn without_handles_connections_wait_quietly_and_are_served_once_there_are_some() {
    let server = Server::start();
    let mut first = server.connect();
    first.write_all(&request("echo warm")).unwrap();
    assert_eq!(read_frame(&mut first), b"warm");
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    let mut limit = getrlimit(Resource::Nofile);
    // Room for the clients' ends, and for the broker's end of half of them.
    limit.current = Some(open + 30);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut clients: Vec<TcpStream> = Vec::new();
    while clients.len() < 40 {
        match TcpStream::connect(server.address()) {
            Ok(client) => clients.push(client),
            Err(_) => break,
        }
    }
    assert!(clients.len() > 10);
    // Who is connected is served, and the acceptor does not spin.
    let before = cpu_ms();
    for _ in 0..200 {
        first.write_all(&request("echo served")).unwrap();
        assert_eq!(read_frame(&mut first), b"served");
    }
    server.handler.arrived(201);
    assert!(cpu_ms() - before < 1000, "{} ms", cpu_ms() - before);
    // The last has been waiting in the backlog; handles become free and it is served.
    let mut last = clients.pop().unwrap();
    last.write_all(&request("echo at last")).unwrap();
    drop(clients);
    assert_eq!(read_frame(&mut last), b"at last");
}

fn cpu_ms() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1000 + time.tv_nsec / 1_000_000
}
