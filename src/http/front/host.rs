//! The hosts that a socket answers to; any other gets 421 (ABUSE ).
//!
//! RFC 9110 section 15.5.20.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

/// The hosts of a socket.
#[derive(Clone, Debug)]
pub enum Hosts {
    /// Any host. The routes check: each environment compares its own issuer by [`host_matches`].
    RoutesLook,
    /// These names, with or without a port, `localhost`, and every literal address.
    ///
    /// A page that rebinds its own name to our address cannot make a browser send any of them.
    Named(Vec<String>),
}

/// The host that a request names, as it was sent, with its port if it has one.
///
/// `None` if it names none, or two.
pub fn host_of<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    let mut named = headers.get_all(header::HOST).iter();
    let header = match (named.next(), named.next()) {
        (None, _) => None,
        (Some(host), None) => Some(host.to_str().ok()?),
        (Some(_), Some(_)) => return None,
    };
    match (uri.authority(), header) {
        (None, None) => None,
        (None, Some(host)) => Some(host),
        (Some(authority), None) => Some(authority.as_str()),
        (Some(authority), Some(host)) => authority.as_str().eq_ignore_ascii_case(host).then_some(host),
    }
    .filter(|host| !host.is_empty() && !host.contains('@'))
}

/// True if the host that a request names is this authority. Default ports do not matter.
pub fn host_matches(named: &str, authority: &str) -> bool {
    let bare = |text: &str| text.strip_suffix(":443").or_else(|| text.strip_suffix(":80")).unwrap_or(text).len();
    let (named, authority) = (named.get(..bare(named)), authority.get(..bare(authority)));
    matches!((named, authority), (Some(named), Some(authority)) if named.eq_ignore_ascii_case(authority))
}

impl Hosts {
    /// True if this socket answers to the request.
    pub(super) fn admit(&self, parts: &Parts) -> bool {
        match self {
            Self::RoutesLook => true,
            Self::Named(names) => host_of(&parts.uri, &parts.headers).is_some_and(|named| {
                let host = without_port(named);
                is_literal(host)
                    || host.eq_ignore_ascii_case("localhost")
                    || names.iter().any(|name| without_port(name).eq_ignore_ascii_case(host))
            }),
        }
    }
}

/// The host of an authority, without the port.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    }
}

fn is_literal(host: &str) -> bool {
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host.parse::<Ipv4Addr>().is_ok() || v6.is_some_and(|host| host.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn admitted(host: &str) -> bool {
        let hosts = Hosts::Named(vec!["carnet.acme.example:8443".to_owned()]);
        let (parts, ()) = Request::get("/metrics").header("host", host).body(()).expect("a request").into_parts();
        hosts.admit(&parts)
    }

    #[test]
    fn a_11_names_that_are_not_ours_are_refused() {
        for good in
            ["carnet.acme.example", "CARNET.acme.example:8443", "localhost:7401", "127.0.0.1:7401", "[::1]:7401", "10.0.0.7"]
        {
            assert!(admitted(good), "{good}");
        }
        for bad in ["rebound.attacker.example", "127.0.0.1.attacker.example", "carnet.acme.example.", "x@localhost", "", "[::1"]
        {
            assert!(!admitted(bad), "{bad}");
        }
    }

    #[test]
    fn a_07_two_hosts_are_none() {
        let host = |uri: &str, hosts: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for host in hosts {
                headers.append(header::HOST, (*host).parse().expect("a value"));
            }
            let uri: Uri = uri.parse().expect("a URI");
            host_of(&uri, &headers).map(str::to_owned)
        };
        assert_eq!(host("/", &["a.example"]).as_deref(), Some("a.example"));
        assert_eq!(host("/", &["a.example", "a.example"]), None);
        assert_eq!(host("http://a.example/", &["b.example"]), None);
        assert_eq!(host("http://a.example/", &["A.example"]).as_deref(), Some("A.example"));
        assert_eq!(host("/", &[]), None);
        assert!(host_matches("STS.acme.example:443", "sts.acme.example"));
        assert!(!host_matches("sts.acme.example:8443", "sts.acme.example"));
    }
}
