//! The client's address: the connection's peer, or the client in a trusted proxy's `Forwarded`.
//!
//! RFC 7239.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

use crate::domain::value::network::Cidr;

/// The peer's address, with IPv4-mapped addresses as IPv4. `server` adds it to each request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PeerAddress(pub IpAddr);

/// A trusted proxy sent an element of `Forwarded` that does not follow RFC 7239.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unreadable;

/// The client's address: the last address, read from our side, that is not a trusted proxy.
///
/// A stranger's own `Forwarded` is left of the element that the first trusted proxy appended, so it is never reached. `None`
/// if a trusted proxy says that it does not know the client (`for=unknown`, `for=_hidden`, no `for` at all): such a client is
/// in no partner's network.
///
/// # Errors
/// An element of a trusted proxy that cannot be parsed. If we dropped it, the request would get the proxy's own address.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> Result<Option<IpAddr>, Unreadable> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    if !is_trusted(peer) {
        return Ok(Some(client));
    }
    for value in headers.get_all(header::FORWARDED).iter().collect::<Vec<_>>().into_iter().rev() {
        for element in value.to_str().map_err(|_| Unreadable)?.rsplit(',') {
            let Some(address) = for_of(element)? else { return Ok(None) };
            client = address;
            if !is_trusted(client) {
                return Ok(Some(client));
            }
        }
    }
    Ok(Some(client))
}

/// The address of `for=` in one element, if it has one.
///
/// No parameter may repeat (RFC 7239 section 4).
fn for_of(element: &str) -> Result<Option<IpAddr>, Unreadable> {
    let (mut found, mut names) = (None, Vec::new());
    for pair in element.split(';') {
        let (name, value) = pair.trim_matches([' ', '\t']).split_once('=').ok_or(Unreadable)?;
        let name = name.to_ascii_lowercase();
        let is_token =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
        if !is_token || value.is_empty() || names.contains(&name) {
            return Err(Unreadable);
        }
        let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"')).ok_or(Unreadable)?;
        if value.contains('"') {
            return Err(Unreadable);
        }
        if name == "for" {
            found = address(value)?;
        }
        names.push(name);
    }
    Ok(found)
}

/// Parses a node: an address or an obfuscated name, with an optional port (RFC 7239 section 6).
///
/// `None` for `unknown` and obfuscated names. The port may be obfuscated too.
fn address(node: &str) -> Result<Option<IpAddr>, Unreadable> {
    let (name, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (name, rest) = rest.split_once(']').ok_or(Unreadable)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(Unreadable)?) };
            (name, port)
        }
        None => node.split_once(':').map_or((node, None), |(name, port)| (name, Some(port))),
    };
    let is_hidden = |word: &str| {
        let rest = word.strip_prefix('_').unwrap_or_default();
        !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if !port.is_none_or(|port| is_hidden(port) || (!port.starts_with('+') && port.parse::<u16>().is_ok())) {
        return Err(Unreadable);
    }
    let is_v6 = node.starts_with('[');
    match name.parse::<IpAddr>() {
        Ok(address) if address.is_ipv6() == is_v6 => Ok(Some(address.to_canonical())),
        Err(_) if !is_v6 && (name == "unknown" || is_hidden(name)) => Ok(None),
        Ok(_) | Err(_) => Err(Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, forwarded: &[&str]) -> Result<Option<String>, Unreadable> {
        let trusted: Vec<Cidr> = vec!["10.0.0.0/8".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(header::FORWARDED, value.parse().expect("a value"));
        }
        let client = client_address(peer.parse().expect("an address"), &headers, &trusted)?;
        Ok(client.map(|client| client.to_string()))
    }

    #[track_caller]
    fn is(peer: &str, forwarded: &[&str], wanted: &str) {
        assert_eq!(client(peer, forwarded), Ok(Some(wanted.to_owned())), "{forwarded:?}");
    }

    #[test]
    fn a_07_only_trusted_proxies_name_a_client() {
        is("203.0.113.9", &["for=198.51.100.1"], "203.0.113.9");
        is("203.0.113.9", &["nonsense"], "203.0.113.9");
        is("10.0.0.1", &["for=198.51.100.1"], "198.51.100.1");
        is("10.0.0.1", &["for=9.9.9.9, for=198.51.100.1;proto=https, for=10.0.0.2"], "198.51.100.1");
        is("10.0.0.1", &["nonsense, for=198.51.100.1"], "198.51.100.1");
        is("10.0.0.1", &["for=9.9.9.9", "For=\"[2001:db8::1]:4711\""], "2001:db8::1");
        is("10.0.0.1", &["for=198.51.100.1:80"], "198.51.100.1");
        is("10.0.0.1", &["for=\"198.51.100.1:_port\"; by=_me"], "198.51.100.1");
        is("10.0.0.1", &["for=\"[::ffff:198.51.100.1]\""], "198.51.100.1");
        is("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn a_07_a_client_that_a_proxy_hides_has_no_address() {
        for hidden in ["for=_hidden", "for=unknown", "for=\"unknown:80\"", "for=\"_a:_b\"", "proto=https"] {
            assert_eq!(client("10.0.0.1", &[&format!("for=9.9.9.9, {hidden}")]), Ok(None), "{hidden}");
        }
    }

    #[test]
    fn a_07_what_a_trusted_proxy_says_is_never_dropped() {
        for unreadable in [
            "nonsense",
            "for=1.2.3.4;for=5.6.7.8",
            "for=\"1.2.3.4",
            "for=1.2.3",
            "for=2001:db8::1",
            "for=[1.2.3.4]",
            "for=1.2.3.4:x",
            "for=1.2.3.4:99999",
            "for=1.2.3.4:+1",
            "for=",
            "for=_",
            "",
            "for=1.2.3.4;",
            "f or=1.2.3.4",
        ] {
            assert_eq!(client("10.0.0.1", &[&format!("for=9.9.9.9, {unreadable}")]), Err(Unreadable), "{unreadable}");
        }
    }
}
