//! Ten thousand connections that say nothing: what they cost, that others are served meanwhile, and what ends them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use weir_tests::handles;
use weir_tests::usage;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::Wire;

const CONNECTIONS: u64 = 10_000;
/// Handles of this process and of the broker for anything else.
const OTHER_HANDLES: u64 = 200;
/// What one may cost the broker.
const MAX_BYTES_EACH: f64 = 10.0 * 1024.0;
/// How long a request of somebody else may take meanwhile.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// What a connection says before it falls silent: nothing, half a length, the beginning of a frame of 16 MiB.
const SAID: [&[u8]; 3] = [&[], &[0, 0], &[1, 0, 0, 0, 0, 3, 0]];

fn start(dir: &TempDir, settings: &[&str]) -> Weir {
    let options = WeirOptions::new(dir.path()).expect("free ports");
    let options = settings.iter().fold(options, |options, setting| options.with_setting(setting));
    Weir::start(options).expect("the broker starts")
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        thread::sleep(POLL);
    }
}

fn open(weir: &Weir, said: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(weir.bootstrap()).expect("connected");
    stream.write_all(said).expect("said");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Whether the broker ends the connection without a word.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(0) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
        Ok(_) => false,
    }
}

#[test]
fn ten_thousand_silent_connections_cost_little_and_others_are_served() {
    let limit = handles::raise_limit().expect("a limit on open files");
    let count = CONNECTIONS.min(limit - OTHER_HANDLES);
    if count < CONNECTIONS {
        println!("the limit on open files ({limit}) allows {count} connections instead of {CONNECTIONS}");
    }
    let dir = TempDir::new().expect("a directory");
    let mut weir = start(&dir, &[]);
    let mut other = Wire::connect(&weir.bootstrap()).expect("connected");
    // The threads' own buffers are not the connections'.
    let warm: Vec<_> = (0..100).map(|n| open(&weir, SAID[n % SAID.len()])).collect();
    until("the first connections", || weir.metric("weir_connections").expect("metrics") == 101.0);
    drop(warm);
    until("the first have gone", || weir.metric("weir_connections").expect("metrics") == 1.0);
    let pid = weir.process().pid();
    let before = usage::resident_bytes(pid).expect("memory");

    let mut silent = Vec::new();
    let mut slowest = Duration::ZERO;
    for n in 0..count as usize {
        silent.push(open(&weir, SAID[n % SAID.len()]));
        if n % 100 == 0 {
            let asked = Instant::now();
            other.api_versions().expect("others are served");
            slowest = slowest.max(asked.elapsed());
        }
    }
    until("all connections", || weir.metric("weir_connections").expect("metrics") == (count + 1) as f64);
    let asked = Instant::now();
    other.metadata().expect("others are served");
    let slowest = slowest.max(asked.elapsed());
    let each = (usage::resident_bytes(pid).expect("memory") - before) / count as f64;
    println!("{count} silent connections: {each:.0} bytes each, others waited {slowest:?} at most");
    assert!(each <= MAX_BYTES_EACH, "{each:.0} bytes each");
    assert!(slowest <= MAX_WAIT, "others waited {slowest:?}");

    let stopping = Instant::now();
    weir.stop().expect("the broker stops");
    println!("the stop took {:?}", stopping.elapsed());
    assert!(silent.iter_mut().all(is_closed), "a stop closes every connection");
}

#[test]
fn a_connection_that_says_nothing_for_connections_max_idle_ms_is_closed_and_a_busy_one_is_not() {
    let dir = TempDir::new().expect("a directory");
    let weir = start(&dir, &["connections.max.idle.ms=1000"]);
    let mut busy = Wire::connect(&weir.bootstrap()).expect("connected");
    let mut silent: Vec<_> = SAID.iter().map(|said| open(&weir, said)).collect();
    let opened = Instant::now();
    until("the silent are closed", || {
        busy.api_versions().expect("the busy connection stays");
        weir.metric("weir_connections").expect("metrics") == 1.0
    });
    assert!(opened.elapsed() >= Duration::from_millis(900), "closed early, after {:?}", opened.elapsed());
    assert!(silent.iter_mut().all(is_closed));
    busy.api_versions().expect("the busy connection stays");
}

#[test]
fn beyond_max_connections_per_ip_a_connection_is_refused_until_one_leaves() {
    let dir = TempDir::new().expect("a directory");
    let weir = start(&dir, &["max.connections.per.ip=2"]);
    // The probe of the start has gone, or counts.
    until("the first connection has gone", || weir.metric("weir_connections").expect("metrics") == 0.0);
    let connect = || Wire::connect(&weir.bootstrap()).expect("connected");
    let [mut first, mut second] = [connect(), connect()];
    first.api_versions().expect("served");
    second.api_versions().expect("served");
    connect().api_versions().expect_err("refused");
    drop(first);
    until("room comes back", || connect().api_versions().is_ok());
    second.api_versions().expect("still served");
}

#[test]
fn at_max_connections_the_next_waits_for_one_to_leave() {
    let dir = TempDir::new().expect("a directory");
    let weir = start(&dir, &["max.connections=1"]);
    until("the first connection has gone", || weir.metric("weir_connections").expect("metrics") == 0.0);
    let mut first = Wire::connect(&weir.bootstrap()).expect("connected");
    first.api_versions().expect("served");
    let mut second = Wire::connect(&weir.bootstrap()).expect("in the backlog");
    let waiting = thread::spawn(move || second.api_versions());
    first.api_versions().expect("still served");
    assert_eq!(weir.metric("weir_connections").expect("metrics"), 1.0);
    drop(first);
    waiting.join().expect("no panic").expect("served once there is room");
}
