//! The sockets of one network thread's connections, for somebody else to hang up when the thread cannot.
//!
//! A thread that writes to a disk that does not answer is gone until it does, and with it every connection that is pinned to it. Hung
//! up, their clients connect again and are served by another. Nothing is read or written here, and nothing closed: the socket stays the
//! connection's own.

use std::net::Shutdown;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;
use socket2::SockRef;

/// The sockets of one thread.
#[derive(Debug, Default)]
pub(super) struct OpenSockets(Mutex<Slab<RawFd>>);

/// A socket's place among its thread's. Whoever holds it drops it before the socket is closed: fields are dropped in their order, so it
/// stands before the socket there, and arguments against theirs, so it stands after the socket there.
#[derive(Debug)]
pub(super) struct OpenSocket {
    sockets: Arc<OpenSockets>,
    key: usize,
}

impl OpenSockets {
    /// `socket` is open from now on until the place is dropped.
    pub(super) fn enter(self: &Arc<Self>, socket: &impl AsRawFd) -> OpenSocket {
        let key = self.0.lock().insert(socket.as_raw_fd());
        OpenSocket { sockets: Arc::clone(self), key }
    }

    /// Ends both directions of every socket; their peers are told, and their connections when they look again. Returns how many there
    /// were.
    pub(super) fn hang_up(&self) -> usize {
        let sockets = self.0.lock();
        for (_, socket) in sockets.iter() {
            #[expect(unsafe_code, reason = "a socket that another thread owns can only be borrowed by its number")]
            // SAFETY: the descriptor is open while it is borrowed. It was open when it was entered, its place is dropped before it is
            // closed (`OpenSocket`), and dropping a place takes the lock that is held here.
            let socket = unsafe { BorrowedFd::borrow_raw(*socket) };
            // One whose peer has gone already has no more to be told.
            let _ = SockRef::from(&socket).shutdown(Shutdown::Both);
        }
        sockets.len()
    }
}

impl OpenSocket {
    /// The sockets that it is one of.
    pub(super) fn sockets(&self) -> &Arc<OpenSockets> {
        &self.sockets
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.sockets.0.lock().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_socket_that_is_hung_up_ends_for_its_peer_and_one_that_has_left_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || (TcpStream::connect(listener.local_addr().unwrap()).unwrap(), listener.accept().unwrap().0);
        let sockets = Arc::new(OpenSockets::default());
        let ((mut stays, ours), (mut left, other)) = (connect(), connect());
        let _entered = sockets.enter(&ours);
        drop(sockets.enter(&other));
        assert_eq!(sockets.hang_up(), 1);
        assert_eq!(stays.read(&mut [0]).unwrap(), 0);
        left.set_nonblocking(true).unwrap();
        assert_eq!(left.read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
