//! Free ports on the loopback address.
//!
//! A port is found by binding port zero and letting go of it, so another process may take it before the broker does;
//! the kernel hands out ephemeral ports in an order that makes this rare, and a broker that loses says so at start.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// As many different free ports as asked for.
pub fn free_ports<const N: usize>() -> io::Result<[u16; N]> {
    hold_ports().map(|(ports, _)| ports)
}

/// As many different free ports as asked for, free as soon as what holds them is dropped: whoever asks again before that gets others.
pub fn hold_ports<const N: usize>() -> io::Result<([u16; N], Vec<TcpListener>)> {
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..N {
        listeners.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?);
    }
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok((ports, listeners))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_asked_for_together_differ() {
        let [first, second, third] = free_ports().expect("loopback has free ports");
        assert!(first != second && second != third && first != third);
    }
}
