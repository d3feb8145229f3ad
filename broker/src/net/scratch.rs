//! Buffers that a thread's connections share while one of them is running, so that an idle connection needs none.

use std::cell::RefCell;

/// Where small frames are received.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Where TLS records are received and decrypted: many at once, and more than the largest handshake message.
const CIPHERTEXT_IN_BYTES: usize = 160 * 1024;
/// What is encrypted at once.
pub(super) const PLAINTEXT_OUT_BYTES: usize = 64 * 1024;
/// What that becomes: at most five records, each with header, nonce, content type and tag.
const CIPHERTEXT_OUT_BYTES: usize = PLAINTEXT_OUT_BYTES + 16 * MAX_RECORD_OVERHEAD_BYTES;
/// More than any TLS record adds to its content.
pub(super) const MAX_RECORD_OVERHEAD_BYTES: usize = 64;

thread_local! {
    static RECEIVE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static CIPHERTEXT_IN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static PLAINTEXT_OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static CIPHERTEXT_OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn with<R>(
    buffer: &'static std::thread::LocalKey<RefCell<Vec<u8>>>,
    size: usize,
    use_it: impl FnOnce(&mut [u8]) -> R,
) -> R {
    buffer.with_borrow_mut(|buffer| {
        if buffer.is_empty() {
            *buffer = vec![0; size];
        }
        use_it(buffer)
    })
}

/// For small frames as they arrive.
pub(super) fn receive<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&RECEIVE, RECEIVE_BYTES, use_it)
}

/// For TLS records as they arrive.
pub(super) fn ciphertext_in<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&CIPHERTEXT_IN, CIPHERTEXT_IN_BYTES, use_it)
}

/// For file contents to be encrypted.
pub(super) fn plaintext_out<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&PLAINTEXT_OUT, PLAINTEXT_OUT_BYTES, use_it)
}

/// For what encryption made, until it is sent.
pub(super) fn ciphertext_out<R>(use_it: impl FnOnce(&mut [u8]) -> R) -> R {
    with(&CIPHERTEXT_OUT, CIPHERTEXT_OUT_BYTES, use_it)
}
