//! What a TLS listener must endure: plain requests, noise, records that lie, handshakes that stop half way.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// How long the broker may take to end a connection whose peer has said everything.
const PATIENCE: Duration = Duration::from_secs(10);
/// The head of a TLS record that holds a handshake, without its length.
const HANDSHAKE_RECORD: [u8; 3] = [0x16, 3, 1];

/// Makes that many connections and gives what went wrong with them.
pub(crate) fn send(bootstrap: &str, seed: u64, connections: u64) -> io::Result<Vec<String>> {
    let address: SocketAddr = bootstrap.parse().map_err(io::Error::other)?;
    let mut random = StdRng::seed_from_u64(seed);
    let mut complaints = Vec::new();
    for _ in 0..connections {
        let garbage = garbage(&mut random);
        if let Err(error) = exchange(address, &garbage) {
            complaints.push(format!("TLS listener: {error}, after {garbage:02x?}"));
        }
    }
    Ok(complaints)
}

fn garbage(random: &mut StdRng) -> Vec<u8> {
    let noise: Vec<u8> = (0..random.random_range(0..2000)).map(|_| random.random()).collect();
    match random.random_range(0..5) {
        0 => noise,
        // ApiVersions, in plaintext.
        1 => vec![0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff],
        // A record of noise that says it is a handshake, its length true.
        2 => [&HANDSHAKE_RECORD[..], &(noise.len() as u16).to_be_bytes(), &noise].concat(),
        // The same, its length a lie.
        3 => [&HANDSHAKE_RECORD[..], &random.random::<u16>().to_be_bytes(), &noise].concat(),
        // A ClientHello that claims 16 MB, one record after the other.
        _ => {
            let hello = [&[1, 0xff, 0xff, 0xff][..], &noise].concat();
            [&HANDSHAKE_RECORD[..], &(hello.len() as u16).to_be_bytes(), &hello].concat().repeat(20)
        }
    }
}

fn exchange(address: SocketAddr, garbage: &[u8]) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let done = stream.write_all(garbage).and_then(|()| stream.shutdown(Shutdown::Write));
    match done.and_then(|()| stream.read_to_end(&mut Vec::new())) {
        Ok(_) => Ok(()),
        Err(error)
            if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected) =>
        {
            Ok(())
        }
        Err(error) => Err(io::Error::other(format!("not closed after {PATIENCE:?}: {error}"))),
    }
}
