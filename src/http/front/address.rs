//! Whose request it is, by address: the peer of the connection, or whom a trusted proxy names in `Forwarded` (RFC 7239).

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};

use crate::domain::network::Cidr;

/// The other end of the connection, IPv4-mapped addresses as IPv4. Put on each request by `server`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerAddress(pub IpAddr);

/// The client of a request: the last address, read from our side, that is not a trusted proxy. What a stranger writes into
/// `Forwarded` stands left of what the first trusted proxy appended, and is never reached. An element that cannot be read ends
/// the walk at the proxy that sent it: a proxy's own address opens no source network of a partner.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    if !is_trusted(peer) {
        return client;
    }
    for value in headers.get_all(header::FORWARDED).iter().collect::<Vec<_>>().into_iter().rev() {
        let Ok(value) = value.to_str() else { break };
        for element in value.rsplit(',') {
            let Some(address) = for_of(element) else { return client };
            client = address;
            if !is_trusted(client) {
                return client;
            }
        }
    }
    client
}

/// The address of `for=` in one element; exactly one, no obfuscated identifiers.
fn for_of(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(';') {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") {
            let value = value.trim();
            let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
            if found.replace(address(value)?).is_some() {
                return None;
            }
        }
    }
    found
}

fn address(node: &str) -> Option<IpAddr> {
    let bare = node.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parsed = match bare {
        Some(v6) => v6.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6),
        None => node.parse::<SocketAddr>().map(|socket| socket.ip()).ok().or_else(|| node.parse().ok().filter(IpAddr::is_ipv4)),
    };
    parsed.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_07_only_trusted_proxies_name_a_client() {
        let trusted: Vec<Cidr> = vec!["10.0.0.0/8".parse().expect("a network")];
        let client = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in forwarded {
                headers.append(header::FORWARDED, value.parse().expect("a value"));
            }
            client_address(peer.parse().expect("an address"), &headers, &trusted).to_string()
        };
        assert_eq!(client("203.0.113.9", &["for=198.51.100.1"]), "203.0.113.9", "a stranger says nothing");
        assert_eq!(client("10.0.0.1", &["for=198.51.100.1"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["for=9.9.9.9, for=198.51.100.1;proto=https, for=10.0.0.2"]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &["for=9.9.9.9", "For=\"[2001:db8::1]:4711\""]), "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["for=198.51.100.1:80"]), "198.51.100.1");
        for unreadable in
            ["for=_hidden", "for=unknown", "nonsense", "for=1.2.3.4;for=5.6.7.8", "for=\"1.2.3.4", "proto=https", ""]
        {
            assert_eq!(client("10.0.0.1", &[&format!("for=9.9.9.9, {unreadable}")]), "10.0.0.1", "{unreadable}");
        }
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }
}
