//! What connections that say nothing cost. Alone in its process, since it measures the process.

mod net_support;

use std::io::Write;

use net_support::{Server, read_frame, request, resident_bytes};

/// Silent connections measured.
const CONNECTIONS: usize = 1000;
/// What one may cost, the test's own end of it included.
const MAX_BYTES_EACH: u64 = 10 * 1024;

#[test]
fn silent_connections_cost_little_and_others_are_served() {
    let server = Server::start();
    let mut first = server.connect();
    first.write_all(&request("echo warm")).unwrap();
    assert_eq!(read_frame(&mut first), b"warm");
    for (what, said) in [
        ("say nothing", &b""[..]),
        ("stop in the length", &[0, 0]),
        ("claim a frame of 16 MiB and stop in it", &[1, 0, 0, 0, 9, 9, 9]),
    ] {
        let before = resident_bytes();
        let mut silent = Vec::with_capacity(CONNECTIONS);
        for _ in 0..CONNECTIONS {
            let mut client = server.connect();
            client.write_all(said).unwrap();
            silent.push(client);
        }
        server.connections(CONNECTIONS as u64 + 1);
        first.write_all(&request("echo still here")).unwrap();
        assert_eq!(read_frame(&mut first), b"still here");
        let each = resident_bytes().saturating_sub(before) / CONNECTIONS as u64;
        println!("connections that {what}: {each} bytes each");
        assert!(each <= MAX_BYTES_EACH, "connections that {what}: {each} bytes each");
        drop(silent);
        server.connections(1);
    }
}
