//! Where a request comes from: the socket's peer, or what a trusted proxy says of it (RFC 7239).
//!
//! Only a peer in `trusted_proxies` is believed, and only the last hop of its `Forwarded`; `X-Forwarded-For` and the like never
//! are (ABUSE P-25).

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;

use crate::domain::network::Cidr;

/// The address that a request counts as coming from.
pub fn source(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    if !trusted.iter().any(|network| network.contains(peer)) {
        return peer;
    }
    last_hop(headers).unwrap_or(peer)
}

/// The `for` of the last element of the last `Forwarded` field.
fn last_hop(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("forwarded").iter().next_back()?.to_str().ok()?;
    let element = last.rsplit(',').next()?;
    let node = element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then(|| value.trim_matches('"').to_owned())
    })?;
    let bare = node.trim_start_matches('[').trim_end_matches(']');
    bare.parse().ok().or_else(|| node.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-25: a stranger's header says nothing; a proxy's last hop counts.
    #[test]
    fn p_25_only_a_trusted_proxy_names_the_source() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let trusted: Vec<Cidr> = vec!["10.0.0.0/8".parse().expect("a network")];
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.1.1.1".parse().expect("a header"));
        assert_eq!(source(ip("10.0.0.1"), &headers, &trusted), ip("10.0.0.1"));
        headers.insert("forwarded", "for=9.9.9.9, for=\"[2001:db8::1]:47\";proto=https".parse().expect("a header"));
        assert_eq!(source(ip("10.0.0.1"), &headers, &trusted), ip("2001:db8::1"));
        assert_eq!(source(ip("192.0.2.1"), &headers, &trusted), ip("192.0.2.1"));
    }
}
