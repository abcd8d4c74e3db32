//! The limits of a connection: times, and numbers of connections (ABUSE S11, D-01 … D-10, D-21).

use std::time::Duration;

use crate::domain::value::network::Cidr;

/// The limits of one socket. Production uses `default()`; tests shorten it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first to the last byte of a request's head.
    ///
    /// Also from the connection's start to its first request.
    pub head: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// From a request's head to the answer's, body included.
    ///
    /// A backstop: `http::front` answers before.
    pub handling: Duration,
    /// From the answer's head until the kernel has its whole body.
    ///
    /// Also the longest time that a write may stall.
    pub sending: Duration,
    /// The time that connections may go on after the stop signal (ABUSE F-03).
    pub drain: Duration,
    /// The time that a connection we closed still reads.
    ///
    /// So the peer sees our answer and not a reset.
    pub linger: Duration,
    /// The interval at which a connection checks its limits: the error of all the times above.
    pub tick: Duration,
    /// The most connections in all; more wait in the kernel's queue.
    pub connections: usize,
    /// The most connections per address (IPv6: per /64 network); more are closed at once.
    pub connections_per_address: usize,
    /// Networks without the limit per address: proxies, both trusted and asking for verdicts.
    pub uncounted: Vec<Cidr>,
}

impl Default for Settings {
    /// Eight seconds and a tick of one stay within the promised ten (ABUSE D-02, D-10).
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

/// Descriptors reserved for stores, keys, outbound calls and the other sockets.
const RESERVED: usize = 96;

/// The most connections of a socket under a limit of open files.
///
/// Half of what is left, at most 10 000, at least 16.
fn connections_within(open_files: Option<usize>) -> usize {
    (open_files.unwrap_or(1024).saturating_sub(RESERVED) / 2).clamp(16, 10_000)
}

/// This process's soft limit of open files, from `/proc/self/limits`.
///
/// `None` if there is no such file.
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
