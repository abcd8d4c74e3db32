//! How long and how much a connection may cost (ABUSE S11, D-01 … D-10, D-21).

use std::time::Duration;

use crate::domain::value::network::Cidr;

/// The bounds of one socket. `default()` is what production uses; tests shorten it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request's head to its last; and from the connection's start to its first request.
    pub head: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// From a request's head to the answer's, body included. A backstop: `http::front` answers before.
    pub handling: Duration,
    /// From the answer's head to the last of its body handed to the kernel; and how long a write may stand still.
    pub sending: Duration,
    /// How long connections may go on after the stop signal (ABUSE F-03).
    pub drain: Duration,
    /// How long a connection that we closed reads on, so that the peer sees our answer and not a reset.
    pub linger: Duration,
    /// How often a connection looks at its limits: the error of all of the above.
    pub tick: Duration,
    /// Connections in all; more wait in the kernel's queue.
    pub connections: usize,
    /// Connections per address (IPv6: per /64 network); more are closed at once.
    pub connections_per_address: usize,
    /// Networks that the limit per address does not count: proxies, trusted or asking for verdicts.
    pub uncounted: Vec<Cidr>,
}

impl Default for Settings {
    /// Eight seconds and a tick of one keep the promise of ten (ABUSE D-02, D-10).
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            head: Duration::from_secs(8),
            idle: Duration::from_secs(60),
            handling: Duration::from_secs(45),
            sending: Duration::from_secs(8),
            drain: Duration::from_secs(10),
            linger: Duration::from_secs(1),
            tick: Duration::from_secs(1),
            connections: connections_within(open_files_limit()),
            connections_per_address: 256,
            uncounted: Vec::new(),
        }
    }
}

/// Descriptors kept for stores, keys, outbound calls and the other sockets.
const RESERVED: usize = 96;

/// How many connections a socket may hold under a limit of open files: half of what is left, at most 10 000, at least 16.
fn connections_within(open_files: Option<usize>) -> usize {
    (open_files.unwrap_or(1024).saturating_sub(RESERVED) / 2).clamp(16, 10_000)
}

/// The soft limit of open files of this process, from `/proc/self/limits`; nothing where there is no such file.
pub fn open_files_limit() -> Option<usize> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    match line.split_whitespace().nth(3)? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_21_the_cap_leaves_descriptors_for_the_rest_of_the_house() {
        assert_eq!(connections_within(Some(256)), 80);
        assert_eq!(connections_within(Some(20)), 16);
        assert_eq!(connections_within(Some(usize::MAX)), 10_000);
        assert!(open_files_limit().is_some_and(|limit| limit > 16));
    }
}
