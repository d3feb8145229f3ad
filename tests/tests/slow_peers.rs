//! Peers that do not keep up, by weakness or on purpose: what they ask for and do not take, or begin and do not end, costs the broker
//! little, and others are served.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest};
use tempfile::TempDir;
use weir_protocol::compression::Codec;
use weir_protocol::records::BatchBuilder;
use weir_tests::usage;
use weir_tests::weir::{Weir, WeirOptions};
use weir_tests::wire::{self, NewTopic, Wire};

const MIB: f64 = 1024.0 * 1024.0;
const TOPIC: &str = "large";
/// What lies in the topic, for readers who do not read.
const BATCHES: usize = 48;
const BATCH_BYTES: usize = 1_000_000;
/// Peers of one kind.
const PEERS: usize = 100;
/// How long a request of somebody else may take meanwhile.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// How long a stop may take with all of them connected: the bar of 300 ms, and what other tests on the machine add.
const MAX_STOP: Duration = Duration::from_millis(600);
/// How long a test waits for what must happen.
const PATIENCE: Duration = Duration::from_secs(60);

struct Ground {
    weir: Weir,
    _dir: TempDir,
}

impl Ground {
    fn prepare() -> Ground {
        let dir = TempDir::new().expect("a directory");
        let weir = Weir::start(WeirOptions::new(dir.path()).expect("free ports")).expect("the broker starts");
        Ground { weir, _dir: dir }
    }

    fn with_large_topic() -> Ground {
        let ground = Ground::prepare();
        let mut wire = ground.wire();
        wire.create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] }]).expect("created");
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(1_700_000_000_000, None, Some(&vec![7; BATCH_BYTES]), &[]).expect("a record");
        let batch = batch.build().expect("a batch").freeze();
        for _ in 0..BATCHES {
            assert_eq!(wire.produce(TOPIC, 0, batch.clone()).expect("an answer").error_code, 0);
        }
        ground
    }

    fn wire(&self) -> Wire {
        Wire::connect(&self.weir.bootstrap()).expect("connected")
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.weir.bootstrap()).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }

    fn resident_bytes(&mut self) -> f64 {
        usage::resident_bytes(self.weir.process().pid()).expect("memory")
    }

    /// The most that was ever resident, beyond `before`.
    fn peak_growth(&mut self, before: f64) -> f64 {
        usage::peak_resident_bytes(self.weir.process().pid()).expect("memory") - before
    }

    /// Somebody else asks, and waits no longer than it must.
    fn others_are_served(&self) {
        let mut wire = self.wire();
        let asked = Instant::now();
        wire.metadata().expect("an answer");
        assert!(asked.elapsed() <= MAX_WAIT, "somebody else waited {:?}", asked.elapsed());
    }

    fn stops_in_time(self) {
        let stopping = Instant::now();
        self.weir.stop().expect("the broker stops");
        let took = stopping.elapsed();
        println!("the stop took {took:?}");
        assert!(took <= MAX_STOP, "the stop took {took:?}");
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Writes as much of `bytes` again and again as the broker takes, at most `most` bytes, and gives how many it took.
fn write_until_full(stream: &mut TcpStream, bytes: &[u8], most: usize) -> usize {
    stream.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let mut written = 0;
    while written < most {
        let at = written % bytes.len();
        match stream.write(&bytes[at..bytes.len().min(at + most - written)]) {
            Ok(taken) => written += taken,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    written
}

#[test]
fn readers_that_never_read_cost_little_and_delay_nobody_not_even_the_stop() {
    /// For all of them together: answers are slices of files until the socket takes them.
    const MAX_GROWTH: f64 = 24.0 * MIB;
    let mut ground = Ground::with_large_topic();
    ground.others_are_served();
    let before = ground.resident_bytes();
    let fetch = wire::fetch_request(TOPIC, 0, 0, i32::MAX);
    let fetch = wire::encode(&fetch, wire::FETCH, 7).expect("a frame");
    let mut deaf: Vec<_> = (0..PEERS).map(|_| ground.connect()).collect();
    for stream in &mut deaf {
        (0..10).for_each(|_| stream.write_all(&fetch).expect("asked"));
    }
    // Each has been heard when its first bytes are there to be read.
    for stream in &mut deaf {
        assert_eq!(stream.peek(&mut [0]).expect("an answer begins"), 1);
    }
    ground.others_are_served();
    let grown = ground.peak_growth(before);
    println!("{PEERS} deaf readers: {:.1} MiB", grown / MIB);
    assert!(grown <= MAX_GROWTH, "{:.1} MiB for {PEERS} deaf readers", grown / MIB);
    ground.stops_in_time();
}

#[test]
fn a_reader_of_one_byte_at_a_time_gets_every_byte_and_delays_nobody() {
    /// Bytes that are read singly; the rest comes in one piece.
    const SINGLE: usize = 20_000;
    let ground = Ground::with_large_topic();
    let mut slow = ground.connect();
    let fetch = wire::fetch_request(TOPIC, 0, 0, 3 * BATCH_BYTES as i32);
    slow.write_all(&wire::encode(&fetch, wire::FETCH, 7).expect("a frame")).expect("asked");
    let mut length = [0; 4];
    slow.read_exact(&mut length).expect("an answer");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    assert!(answer.len() > 2 * BATCH_BYTES);
    for (n, byte) in answer[..SINGLE].chunks_mut(1).enumerate() {
        slow.read_exact(byte).expect("a byte");
        if n % 5000 == 0 {
            ground.others_are_served();
        }
    }
    slow.read_exact(&mut answer[SINGLE..]).expect("the rest");
    assert!(answer[answer.len() - BATCH_BYTES / 2..][..1000].iter().all(|&byte| byte == 7));
    ground.stops_in_time();
}

#[test]
fn writers_that_claim_much_and_send_little_get_memory_for_what_they_sent() {
    /// For each of them: it claims 100 MB and sends a few dozen bytes.
    const MAX_BYTES_EACH: f64 = 10.0 * 1024.0;
    const PIECES: usize = 30;
    /// So many that the broker's own comings and goings do not count.
    const WRITERS: usize = 500;
    let mut ground = Ground::prepare();
    ground.wire().create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] }]).expect("created");
    // The threads' own buffers are nobody's.
    drop((0..PEERS).map(|_| ground.wire().api_versions()).collect::<Vec<_>>());
    ground.others_are_served();
    let before = ground.resident_bytes();
    let mut slow: Vec<_> = (0..WRITERS).map(|_| ground.connect()).collect();
    for stream in &mut slow {
        stream.set_nodelay(true).expect("small packets");
        stream.write_all(&100_000_000_u32.to_be_bytes()).expect("claimed");
    }
    for _ in 0..PIECES {
        slow.iter_mut().for_each(|stream| stream.write_all(&[0]).expect("one byte"));
        ground.others_are_served();
    }
    let sent = (WRITERS * (4 + PIECES)) as f64;
    until("the bytes arrive", || ground.weir.metric("weir_network_received_bytes_total").expect("metrics") >= sent);
    let each = (ground.resident_bytes() - before) / WRITERS as f64;
    println!("{WRITERS} slow writers: {each:.0} bytes each");
    assert!(each <= MAX_BYTES_EACH, "{each:.0} bytes each");
    ground.stops_in_time();
}

#[test]
fn a_large_request_that_arrives_in_single_bytes_is_answered() {
    let ground = Ground::prepare();
    let mut wire = ground.wire();
    wire.create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] }]).expect("created");
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(1_700_000_000_000, None, Some(&[7; 20_000]), &[]).expect("a record");
    let request = wire::produce_request(TOPIC, 0, batch.build().expect("a batch").freeze());
    let frame = wire::encode(&request, wire::PRODUCE, 7).expect("a frame");
    wire.stream().set_nodelay(true).expect("small packets");
    for byte in &frame[..] {
        wire.stream().write_all(&[*byte]).expect("one byte");
    }
    assert_eq!(wire.read_answer().expect("an answer")[..4], 7_i32.to_be_bytes());
}

#[test]
fn ten_thousand_requests_without_a_read_are_bounded_and_then_all_answered() {
    /// What one connection may make the broker hold: the answers it left unread, and its unanswered requests.
    const MAX_GROWTH: f64 = 16.0 * MIB;
    const REQUESTS: usize = 10_000;
    let mut ground = Ground::prepare();
    let topics: Vec<_> = (0..200)
        .map(|n| NewTopic { name: format!("topic-with-a-name-of-some-length-{n}"), partitions: 4, configs: &[] })
        .collect();
    ground.wire().create_topics(&topics).expect("created");
    let answer_bytes = {
        let mut wire = ground.wire();
        wire.send(&MetadataRequest::default().with_topics(None), 9).expect("asked");
        wire.read_answer().expect("an answer").len()
    };
    let before = ground.resident_bytes();
    let mut deaf = ground.connect();
    let all = MetadataRequest::default().with_topics(None);
    let requests: Vec<u8> =
        (0..REQUESTS as i32).flat_map(|n| wire::encode(&all, 9, n).expect("a frame").to_vec()).collect();
    let written = write_until_full(&mut deaf, &requests, requests.len());
    ground.others_are_served();
    let grown = ground.peak_growth(before);
    println!(
        "{written} of {} bytes of requests were taken, {:.1} MiB for answers of {:.1} MiB",
        requests.len(),
        grown / MIB,
        (answer_bytes * REQUESTS) as f64 / MIB
    );
    assert!(grown <= MAX_GROWTH, "{:.1} MiB", grown / MIB);
    // It reads at last: all are answered, in order.
    let mut writer = deaf.try_clone().expect("a handle");
    let rest = requests[written..].to_vec();
    writer.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    let writing = thread::spawn(move || writer.write_all(&rest));
    for n in 0..REQUESTS as i32 {
        let answer = wire::read_frame(&mut deaf).expect("an answer");
        assert_eq!(answer[..4], n.to_be_bytes(), "answers come in the order of the requests");
    }
    writing.join().expect("no panic").expect("the rest is taken");
}

#[test]
fn parked_requests_of_one_connection_are_bounded_and_nobody_waits_for_them() {
    /// Fetches that wait for what never comes.
    const REQUESTS: usize = 10_000;
    const MAX_GROWTH: f64 = 16.0 * MIB;
    let mut ground = Ground::prepare();
    ground.wire().create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] }]).expect("created");
    ground.others_are_served();
    let before = ground.resident_bytes();
    let mut patient = ground.connect();
    let fetch = wire::fetch_request(TOPIC, 0, 0, 1000).with_min_bytes(1).with_max_wait_ms(60_000);
    let fetch = wire::encode(&fetch, wire::FETCH, 7).expect("a frame");
    write_until_full(&mut patient, &fetch, fetch.len() * REQUESTS);
    ground.others_are_served();
    let watched = ground.weir.metric("weir_purgatory_watched").expect("metrics");
    println!("{watched} fetches wait");
    assert!((1.0..=128.0).contains(&watched), "{watched} fetches wait");
    let grown = ground.peak_growth(before);
    assert!(grown <= MAX_GROWTH, "{:.1} MiB", grown / MIB);
    ground.stops_in_time();
}

#[test]
fn a_peer_that_is_gone_is_missed_although_the_most_of_its_requests_wait() {
    /// More than may be in flight, and so few that their bytes, and the end after them, fit the kernel's buffers.
    const REQUESTS: usize = 300;
    let ground = Ground::prepare();
    ground.wire().create_topics(&[NewTopic { name: TOPIC.to_owned(), partitions: 1, configs: &[] }]).expect("created");
    let mut doomed = ground.connect();
    let fetch = wire::fetch_request(TOPIC, 0, 0, 1000).with_min_bytes(1).with_max_wait_ms(600_000);
    let fetch = wire::encode(&fetch, wire::FETCH, 7).expect("a frame");
    doomed.write_all(&fetch.repeat(REQUESTS)).expect("asked");
    let watched = || ground.weir.metric("weir_purgatory_watched").expect("metrics");
    until("the most wait", || watched() == 128.0);
    drop(doomed);
    until("they are dropped", || watched() == 0.0);
}

#[test]
fn half_a_frame_followed_by_the_end_is_forgotten() {
    let ground = Ground::prepare();
    let frame = wire::encode(&ApiVersionsRequest::default(), 0, 7).expect("a frame");
    for length in 0..frame.len() {
        let mut stream = ground.connect();
        stream.write_all(&frame[..length]).expect("written");
        stream.shutdown(std::net::Shutdown::Write).expect("said");
        assert_eq!(stream.read(&mut [0]).expect("the end"), 0, "after {length} bytes");
    }
    ground.wire().api_versions().expect("others are served");
}
