//! One attacker: connection after connection, a few frames on each, then the end of what it has to say; what the broker says is judged.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use weir_protocol::admission;
use weir_protocol::api::{self, ApiKey};

use super::change::{self, Sent};
use super::requests;
use super::vocabulary::Vocabulary;

/// How long the broker may take to end a connection whose peer has said everything.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long answers that wait for something are waited for before the connection says that it has said everything.
const PARKED: Duration = Duration::from_millis(40);
/// Frames on one connection, at most.
const MAX_FRAMES: u64 = 4;
/// Of 100 frames, how many are for APIs that the broker says it answers.
const ADVERTISED_PERCENT: u32 = 95;
/// The last request of a connection, ApiVersions v0: once it is answered, so is everything before it.
const SENTINEL: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
/// The head of its answer: the correlation id.
const SENTINEL_ID: [u8; 4] = [0xff; 4];
/// Of 100 connections, how many are cut off without a word instead of read to their end.
const CUT_PERCENT: u32 = 10;
/// Complaints that are kept.
const MAX_COMPLAINTS: usize = 100;

/// What became of the frames.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    frames: u64,
    connections: u64,
    answers: u64,
    /// What the broker did that it must not do.
    pub(crate) complaints: Vec<String>,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: Outcome) {
        self.frames += other.frames;
        self.connections += other.connections;
        self.answers += other.answers;
        self.complaints.extend(other.complaints);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} frames on {} connections, {} answers", self.frames, self.connections, self.answers)
    }
}

/// One attacker.
pub(crate) struct Attack {
    bootstrap: String,
    words: Arc<Vocabulary>,
    random: StdRng,
    versions: Vec<(ApiKey, i16)>,
    next_correlation_id: i32,
    outcome: Outcome,
}

impl Attack {
    pub(crate) fn new(bootstrap: String, seed: u64, words: Arc<Vocabulary>) -> Attack {
        let versions = requests::every_version();
        let random = StdRng::seed_from_u64(seed);
        Attack { bootstrap, words, random, versions, next_correlation_id: 0, outcome: Outcome::default() }
    }

    /// Sends `frames` frames.
    pub(crate) fn run(mut self, frames: u64) -> Outcome {
        while self.outcome.frames < frames && self.outcome.complaints.len() < MAX_COMPLAINTS {
            let sent = self.frames(frames - self.outcome.frames);
            self.outcome.frames += sent.len() as u64;
            self.outcome.connections += 1;
            let cut = self.random.random_ratio(CUT_PERCENT, 100);
            if let Err(error) = self.connection(&sent, cut) {
                let frames: Vec<String> = sent.iter().map(|sent| hex(&sent.bytes)).collect();
                self.outcome.complaints.push(format!("{error}, after {}", frames.join(" ")));
            }
        }
        self.outcome
    }

    /// Frames for one connection; one whose length is a lie is the last.
    fn frames(&mut self, most: u64) -> Vec<Sent> {
        let mut frames = Vec::new();
        for _ in 0..self.random.random_range(1..=MAX_FRAMES.min(most)) {
            let advertised = self.random.random_ratio(ADVERTISED_PERCENT, 100);
            let versions = if advertised { &self.words.advertised } else { &self.versions };
            let api = *versions.choose(&mut self.random).expect("some APIs");
            self.next_correlation_id += 1;
            let request = requests::make(api, self.next_correlation_id, &self.words, &mut self.random);
            let sent = change::change(request, &mut self.random);
            let last = !sent.is_framed;
            frames.push(sent);
            if last {
                break;
            }
        }
        frames
    }

    fn connection(&mut self, sent: &[Sent], cut: bool) -> io::Result<()> {
        let address: SocketAddr = self.bootstrap.parse().map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let bytes = sent.iter().flat_map(|sent| &sent.bytes).chain(&SENTINEL).copied().collect::<Vec<u8>>();
        match stream.write_all(&bytes) {
            Ok(()) if cut => return Ok(()),
            Err(error) if !is_end(&error) => return Err(error),
            _ => {}
        }
        let mut answers = Vec::new();
        stream.set_read_timeout(Some(PARKED))?;
        if !read(&mut stream, &mut answers)? {
            match stream.shutdown(Shutdown::Write) {
                Err(error) if !is_end(&error) => return Err(error),
                _ => {}
            }
            stream.set_read_timeout(Some(PATIENCE))?;
            if !read_to_end(&mut stream, &mut answers)? {
                return Err(io::Error::other(format!("not closed after {PATIENCE:?}")));
            }
        }
        self.judge(sent, &answers)
    }

    /// Answers must come in the order of the requests; those to unchanged requests must have the shape of their version.
    fn judge(&mut self, sent: &[Sent], mut answers: &[u8]) -> io::Result<()> {
        let framed = sent.iter().all(|sent| sent.is_framed);
        let mut ended = false;
        let mut asked = sent.iter();
        // A connection that is closed while it is answered may lose the rest of an answer.
        while let Some((length, rest)) = answers.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((answer, rest)) = rest.split_at_checked(length) else { break };
            answers = rest;
            let Some(correlation_id) = answer.first_chunk::<4>() else {
                return Err(io::Error::other("an answer too short for a correlation id"));
            };
            if framed && *correlation_id == SENTINEL_ID {
                ended = true;
                continue;
            }
            match asked.find(|sent| sent.bytes.get(8..12) == Some(correlation_id)) {
                Some(_) if ended => return Err(io::Error::other("an answer after the last")),
                Some(request) => check_shape(request, answer)?,
                None if !framed => break,
                None => {
                    return Err(io::Error::other(format!("an answer to nothing that was asked: {correlation_id:?}")));
                }
            }
            self.outcome.answers += 1;
        }
        Ok(())
    }
}

/// Reads until the broker has answered the sentinel or nothing comes for a while, and says whether it has closed the connection.
fn read(stream: &mut TcpStream, answers: &mut Vec<u8>) -> io::Result<bool> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(true),
            Ok(bytes) => answers.extend(&buffer[..bytes]),
            Err(error) if is_end(&error) => return Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(false),
            Err(error) => return Err(error),
        }
        if has_sentinel(answers) {
            return Ok(false);
        }
    }
}

/// Reads until the broker closes the connection; false if it does not.
fn read_to_end(stream: &mut TcpStream, answers: &mut Vec<u8>) -> io::Result<bool> {
    match stream.read_to_end(answers) {
        Ok(_) => Ok(true),
        Err(error) if is_end(&error) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error),
    }
}

fn has_sentinel(mut answers: &[u8]) -> bool {
    while let Some((length, rest)) = answers.split_first_chunk::<4>() {
        let Some((answer, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize) else { return false };
        if answer.starts_with(&SENTINEL_ID) {
            return true;
        }
        answers = rest;
    }
    false
}

/// Whether the broker has closed the connection, which it may at any time.
fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected)
}

fn check_shape(request: &Sent, answer: &[u8]) -> io::Result<()> {
    if !request.is_original {
        return Ok(());
    }
    let (key, version) = (i16::from_be_bytes([request.bytes[4], request.bytes[5]]), request.bytes[7].into());
    let key = api::parses(key, version).map_err(io::Error::other)?;
    let header = if key.response_header_version(version) >= 1 { 5 } else { 4 };
    let body = answer.get(header..).unwrap_or_default();
    match admission::admit_response(key, version, body) {
        Ok(length) if length == body.len() => Ok(()),
        Ok(length) => Err(io::Error::other(format!("{} bytes after an answer to {key:?}", body.len() - length))),
        Err(error) => Err(io::Error::other(format!("an answer without the shape of {key:?} v{version}: {error}"))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
