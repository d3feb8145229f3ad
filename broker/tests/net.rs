//! The network over real sockets, with a toy handler: what any handler may rely on.

mod net_support;

use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use net_support::{FILE_BYTES, Server, frame, is_closed, read_frame, request};
use weir_broker::net::{ConnectionLimits, NetworkConfig, SHUTDOWN_BOUND};

#[test]
fn answers_leave_in_request_order_although_they_ripen_out_of_order() {
    let server = Server::start();
    let mut client = server.connect();
    let stream = [request("wait a"), request("wait b"), request("echo c"), request("none"), request("echo d")].concat();
    client.write_all(&stream).unwrap();
    server.handler.arrived(5);
    server.handler.release("b");
    server.handler.release("a");
    for expected in ["a", "b", "c", "d"] {
        assert_eq!(read_frame(&mut client), expected.as_bytes());
    }
}

#[test]
fn the_ordered_stage_of_later_requests_runs_while_the_first_waits() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(&[request("wait a"), request("echo b")].concat()).unwrap();
    server.handler.arrived(2);
    assert_eq!(server.handler.seen(), ["wait a", "echo b"]);
    server.handler.release("a");
    assert_eq!([read_frame(&mut client), read_frame(&mut client)], [b"a", b"b"]);
}

#[test]
fn requests_in_flight_are_bounded_and_flow_again() {
    let server = Server::start();
    let mut client = server.connect();
    let requests: Vec<u8> = (0..1000).flat_map(|n| request(&format!("wait {n}"))).collect();
    let mut writer = client.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(&requests).unwrap());
    for n in 0..1000 {
        server.handler.arrived(n + 1);
        assert!(server.handler.seen().len() <= n + 128, "at most 128 are dispatched and unanswered");
        server.handler.release(&n.to_string());
        assert_eq!(read_frame(&mut client), n.to_string().as_bytes());
    }
    writing.join().unwrap();
}

#[test]
fn a_request_in_many_pieces_is_one_request() {
    let server = Server::start();
    let mut client = server.connect();
    for byte in request("echo in pieces") {
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_frame(&mut client), b"in pieces");
}

#[test]
fn frames_of_every_size_come_back_whole() {
    let server = Server::start();
    let mut client = server.connect();
    let mut writer = client.try_clone().unwrap();
    let sizes = [1, 100, 8_187, 8_188, 65_536, 65_537, 10, 262_144, 262_200, 1_000_000, 7, 9_000_000, 3, 70_000];
    let bodies: Vec<Vec<u8>> = sizes.iter().map(|&size| (0..size).map(|n| (n * 31 + size) as u8).collect()).collect();
    let stream: Vec<u8> = bodies.iter().flat_map(|body| frame(&[b"echo ", &body[..]].concat())).collect();
    let writing = std::thread::spawn(move || writer.write_all(&stream).unwrap());
    for body in &bodies {
        assert!(read_frame(&mut client) == *body, "a frame of {} bytes", body.len());
    }
    writing.join().unwrap();
}

#[test]
fn a_frame_can_be_patched_in_place_while_it_is_handled() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(&frame(&[&b"patch "[..], &[b'x'; 100_000]].concat())).unwrap();
    let answer = read_frame(&mut client);
    assert!(answer.len() == 100_000 && answer.iter().all(|&byte| byte == b'y'));
}

#[test]
fn impossible_lengths_close_the_connection_after_the_answers_before_them() {
    let server = Server::start();
    for length in [-1i32, i32::MIN, i32::MAX, 104_857_601] {
        let mut client = server.connect();
        client.write_all(&[&request("echo before")[..], &length.to_be_bytes()].concat()).unwrap();
        assert_eq!(read_frame(&mut client), b"before");
        assert!(is_closed(&mut client), "length {length}");
    }
    let mut client = server.connect();
    client.write_all(&request("echo others are served")).unwrap();
    assert_eq!(read_frame(&mut client), b"others are served");
}

#[test]
fn a_handler_may_close_after_the_answers_before_it() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(&[request("wait a"), request("close"), request("echo never")].concat()).unwrap();
    server.handler.arrived(2);
    server.handler.release("a");
    assert_eq!(read_frame(&mut client), b"a");
    assert!(is_closed(&mut client));
}

#[test]
fn a_parked_answer_is_dropped_when_its_client_is_gone() {
    let server = Server::start();
    for _ in 0..3 {
        let mut client = server.connect();
        client.write_all(&request("wait forever")).unwrap();
        server.handler.parked(1);
        drop(client);
        server.handler.parked(0);
    }
}

#[test]
fn a_client_that_is_gone_is_noticed_although_no_more_of_its_requests_can_be_received() {
    let server = Server::start();
    for cut in [false, true] {
        let mut client = server.connect();
        let requests: Vec<u8> = (0..300).flat_map(|n| request(&format!("wait {n}"))).collect();
        client.write_all(&requests).unwrap();
        server.handler.parked(128);
        if cut {
            // Closing with this set sends a reset instead of an end.
            socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
        }
        drop(client);
        server.handler.parked(0);
    }
}

#[test]
fn a_client_that_reads_nothing_is_not_received_from_for_ever() {
    let server = Server::start();
    let mut client = server.connect();
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let block = frame(&[&b"echo "[..], &[7; 10_000]].concat());
    let mut written = 0;
    // The kernel's buffers and the broker's bound fill up, then writing stops.
    let error = loop {
        match client.write(&block[written % block.len()..]) {
            Ok(bytes) => written += bytes,
            Err(error) => break error,
        }
        assert!(written < 1 << 28, "the broker takes requests without end");
    };
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    // Others are served, and so is this client once it reads.
    let mut other = server.connect();
    other.write_all(&request("echo other")).unwrap();
    assert_eq!(read_frame(&mut other), b"other");
    for _ in 0..written / block.len() {
        assert_eq!(read_frame(&mut client).len(), 10_000);
    }
}

#[test]
fn a_client_that_leaves_answers_unread_too_long_is_closed() {
    let server = Server::start_with(NetworkConfig {
        write_stall_timeout: Duration::from_millis(50),
        ..NetworkConfig::default()
    });
    let mut client = server.connect();
    client.write_all(&request("file 0 8000000")).unwrap();
    server.handler.disconnected(1);
}

#[test]
fn an_idle_connection_is_closed_and_a_parked_one_is_not() {
    let idle = Some(Duration::from_millis(50));
    let server = Server::start_with(NetworkConfig { connections_max_idle: idle, ..NetworkConfig::default() });
    let mut parked = server.connect();
    parked.write_all(&request("wait a")).unwrap();
    server.handler.parked(1);
    assert!(is_closed(&mut server.connect()));
    assert!(is_closed(&mut server.connect()));
    server.handler.release("a");
    assert_eq!(read_frame(&mut parked), b"a");
    assert!(is_closed(&mut parked));
}

#[test]
fn records_leave_as_they_lie_in_the_file() {
    let server = Server::start();
    let mut client = server.connect();
    let slices = [(0u64, 1u32), (1, 10), (4096, 65_536), (5, 3_000_000), (7_999_999, 1), (100_000, 300_000)];
    let requests: Vec<u8> = slices.iter().flat_map(|(at, length)| request(&format!("file {at} {length}"))).collect();
    for _ in 0..5 {
        client.write_all(&requests).unwrap();
    }
    for (at, length) in slices.iter().cycle().take(5 * slices.len()) {
        assert!(read_frame(&mut client) == server.handler.file_content(*at, *length), "{length} bytes at {at}");
    }
}

#[test]
fn headers_and_records_alternate_and_slow_readers_get_every_byte() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(&request("mixed 40 150000")).unwrap();
    let expected = server.handler.mixed_content(40, 150_000);
    let mut length = [0; 4];
    client.read_exact(&mut length).unwrap();
    let mut received = vec![0; u32::from_be_bytes(length) as usize];
    // Small reads keep the socket full, so that every send is a partial one.
    for part in received.chunks_mut(5000) {
        client.read_exact(part).unwrap();
    }
    assert!(received == expected);
}

#[test]
fn a_file_that_ends_before_its_slice_closes_the_connection() {
    let server = Server::start();
    // Copied, and sent by the kernel: whatever is still there leaves, and no more.
    for (there, asked) in [(1000, 2000), (100_000, 200_000)] {
        let mut client = server.connect();
        client.write_all(&request(&format!("file {} {asked}", FILE_BYTES - there))).unwrap();
        let mut received = Vec::new();
        let _ = client.read_to_end(&mut received);
        assert_eq!(received.len(), 4 + there);
    }
}

fn limited(connection_limits: ConnectionLimits) -> NetworkConfig {
    NetworkConfig { connection_limits, ..NetworkConfig::default() }
}

#[test]
fn too_many_connections_from_an_address_are_refused_and_room_comes_back() {
    let server = Server::start_with(limited(ConnectionLimits { max_per_ip: 2, ..ConnectionLimits::default() }));
    let [first, _second] = [server.connect(), server.connect()];
    server.connections(2);
    assert!(is_closed(&mut server.connect()));
    drop(first);
    server.connections(1);
    let mut third = server.connect();
    third.write_all(&request("echo in")).unwrap();
    assert_eq!(read_frame(&mut third), b"in");
}

#[test]
fn at_max_connections_the_next_waits_until_one_leaves() {
    let server = Server::start_with(limited(ConnectionLimits { max: 1, ..ConnectionLimits::default() }));
    let first = server.connect();
    server.connections(1);
    let mut second = server.connect();
    second.write_all(&request("echo in")).unwrap();
    drop(first);
    assert_eq!(read_frame(&mut second), b"in");
}

#[test]
fn stopping_answers_what_waits_and_takes_no_longer_than_its_bound() {
    let mut server = Server::start();
    let mut parked = server.connect();
    let mut idle = server.connect();
    parked.write_all(&[request("wait a"), request("echo b")].concat()).unwrap();
    server.handler.arrived(2);
    let took = server.stop();
    assert!(took < SHUTDOWN_BOUND, "{took:?}");
    assert_eq!([read_frame(&mut parked), read_frame(&mut parked)], [b"a", b"b"]);
    assert!(is_closed(&mut parked) && is_closed(&mut idle));
}

#[test]
fn stopping_cuts_off_who_does_not_read_and_who_is_never_answered() {
    let mut server = Server::start();
    let mut deaf = server.connect();
    deaf.write_all(&request("file 0 8000000")).unwrap();
    let mut stubborn = server.connect();
    stubborn.write_all(&request("stubborn")).unwrap();
    server.handler.arrived(2);
    let took = server.stop();
    assert!(took < SHUTDOWN_BOUND + Duration::from_millis(100), "{took:?}");
    assert!(is_closed(&mut stubborn));
}

#[test]
fn counters_count_and_return_to_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(&[request("wait a"), request("echo b")].concat()).unwrap();
    server.handler.parked(1);
    server.handler.release("a");
    assert_eq!([read_frame(&mut client), read_frame(&mut client)], [b"a", b"b"]);
    drop(client);
    server.connections(0);
    let metrics = server.metrics();
    assert_eq!(metrics.total(|thread| &thread.requests), 2);
    assert_eq!(metrics.total(|thread| &thread.bytes_in), (request("wait a").len() + request("echo b").len()) as u64);
    assert_eq!(metrics.total(|thread| &thread.bytes_out), 10);
    assert_eq!(metrics.total(|thread| &thread.requests_in_flight), 0);
    assert_eq!(metrics.listeners[0].accepted.load(Ordering::Relaxed), 1);
}

#[test]
fn a_tls_client_on_a_plaintext_listener_is_closed_at_once() {
    let server = Server::start();
    let mut client = server.connect();
    client.write_all(&[0x16, 0x03, 0x01, 0x02]).unwrap();
    assert!(is_closed(&mut client));
}

#[test]
fn requests_that_together_exceed_the_memory_for_requests_are_answered_one_after_another() {
    let server = Server::start_with(NetworkConfig { queued_max_request_bytes: 400_000, ..NetworkConfig::default() });
    let big = frame(&[&b"echo "[..], &[5; 1_000_000]].concat());
    let mut clients: Vec<_> = (0..5).map(|_| server.connect()).collect();
    // Each has begun before any can end.
    for client in &mut clients {
        client.write_all(&big[..60_000]).unwrap();
    }
    server.received(300_000);
    let mut small = server.connect();
    small.write_all(&request("echo small")).unwrap();
    assert_eq!(read_frame(&mut small), b"small");
    let writing: Vec<_> = clients
        .iter()
        .map(|client| {
            let (mut client, rest) = (client.try_clone().unwrap(), big[60_000..].to_vec());
            std::thread::spawn(move || client.write_all(&rest).unwrap())
        })
        .collect();
    for client in &mut clients {
        assert_eq!(read_frame(client).len(), 1_000_000);
    }
    writing.into_iter().for_each(|thread| thread.join().unwrap());
}
