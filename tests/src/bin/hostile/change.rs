//! What is done to a good frame before it is sent.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Bytes that lengths, counts and flags make the most of.
const BYTES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
/// Numbers that lengths, counts and offsets make the most of.
const NUMBERS: [i32; 8] = [-1, -2, i32::MIN, i32::MAX, 0, 1 << 20, 1 << 28, 0x0101_0101];
/// Changes to one frame, at most.
const MAX_CHANGES: u32 = 4;

/// A frame to send.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Its length in front, true or not.
    pub(crate) bytes: Vec<u8>,
    /// Whether nothing was changed.
    pub(crate) is_original: bool,
    /// Whether its length is that of what follows; otherwise the broker cannot know where the next one begins.
    pub(crate) is_framed: bool,
}

/// Makes a frame of `request`, which has no length yet, and changes it or not.
pub(crate) fn change(request: Vec<u8>, random: &mut StdRng) -> Sent {
    let original = request.clone();
    let mut body = request;
    let kind = random.random_range(0..100);
    match kind {
        0..45 => {}
        45..80 => (0..random.random_range(1..=MAX_CHANGES)).for_each(|_| change_once(&mut body, random)),
        // Nothing of the request is left but its header.
        80..85 => {
            body.truncate(8);
            body.extend((0..random.random_range(0..300)).map(|_| random.random::<u8>()));
        }
        // Another API or version, known or not, for the same bytes.
        85..92 => {
            let at = *[1, 3].choose(random).expect("two places");
            body[at] = random.random_range(0..100);
            if random.random_ratio(1, 8) {
                body[at - 1] = random.random();
            }
        }
        92..96 => body = (0..random.random_range(0..100)).map(|_| random.random()).collect(),
        _ => {}
    }
    let mut bytes = (body.len() as u32).to_be_bytes().to_vec();
    bytes.extend(&body);
    let is_framed = kind < 96;
    if !is_framed {
        unframe(&mut bytes, random);
    }
    Sent { is_original: is_framed && body == original, bytes, is_framed }
}

fn change_once(body: &mut Vec<u8>, random: &mut StdRng) {
    // The correlation id stays: by it answers are told apart.
    let first = 8.min(body.len());
    let at = random.random_range(first..=body.len());
    match random.random_range(0..6) {
        0 if at < body.len() => body[at] ^= 1 << random.random_range(0..8),
        1 if at < body.len() => body[at] = *BYTES.choose(random).expect("some bytes"),
        2 if at + 4 <= body.len() => {
            body[at..at + 4].copy_from_slice(&NUMBERS.choose(random).expect("some numbers").to_be_bytes());
        }
        3 => body.truncate(at),
        4 => {
            let noise: Vec<u8> = (0..random.random_range(1..20)).map(|_| random.random()).collect();
            body.splice(at..at, noise);
        }
        _ => {
            let again = body[at..(at + random.random_range(0..40)).min(body.len())].to_vec();
            body.splice(at..at, again);
        }
    }
}

/// Makes the length a lie, or ends before it is fulfilled.
fn unframe(bytes: &mut Vec<u8>, random: &mut StdRng) {
    let lie = match random.random_range(0..5) {
        0 => -1,
        1 => *NUMBERS.choose(random).expect("some numbers"),
        2 => random.random(),
        3 => 100_000_000,
        _ => {
            bytes.truncate(random.random_range(0..bytes.len()));
            return;
        }
    };
    bytes[..4].copy_from_slice(&i32::to_be_bytes(lie));
}
