//! The URLs of the configuration: issuers, origins, and our own public names.
//!
//! They are compared byte for byte, so only one spelling of each is accepted: lower-case host, no default port, no user, no
//! query, no fragment, no trailing slash.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::domain::value::names::Issuer;

/// `https://host[:port]`: exactly one origin.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin(String);

impl Origin {
    /// The origin as written: scheme, host, and the port if it is not the scheme's.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host and port, in the form of a `Host` header.
    pub fn authority(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, authority)| authority)
    }
}

impl FromStr for Origin {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        origin(text)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The parts of a valid URL.
pub(super) struct Parts<'u> {
    pub(super) is_https: bool,
    pub(super) authority: &'u str,
    /// Empty, or `/` and segments.
    pub(super) path: &'u str,
}

/// Splits `scheme://authority/path`, and refuses every second spelling.
pub(super) fn split(url: &str) -> Result<Parts<'_>, String> {
    let (is_https, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err("it is no https:// or http:// URL".to_owned()),
    };
    if url.len() > 255 {
        return Err("it is longer than 255 characters".to_owned());
    }
    if rest.contains(['?', '#']) {
        return Err("it has a query or a fragment".to_owned());
    }
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    check_authority(is_https, authority)?;
    if path.ends_with('/') {
        return Err("it ends with a slash".to_owned());
    }
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..") && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    if !path.is_empty() && !path.split('/').skip(1).all(is_segment) {
        return Err("its path has characters or segments that can be spelt in two ways".to_owned());
    }
    Ok(Parts { is_https, authority, path })
}

fn check_authority(is_https: bool, authority: &str) -> Result<(), String> {
    let (host, port) = host_and_port(authority);
    let is_name = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
        && host.split('.').all(|label| !label.is_empty() && label.len() <= 63);
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if !is_name && !v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_string() == v6)) {
        return Err("its host is not a lower-case name or an address".to_owned());
    }
    match port {
        None => Ok(()),
        Some(port) if port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port) => {
            let default = if is_https { "443" } else { "80" };
            if port == default { Err("it names its scheme's own port".to_owned()) } else { Ok(()) }
        }
        Some(_) => Err("its port is not a number from 1 to 65535".to_owned()),
    }
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// True if the authority is this machine itself.
pub(super) fn is_loopback(authority: &str) -> bool {
    let (host, _) = host_and_port(authority);
    let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    host == "localhost"
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
        || v6.is_some_and(|v6| v6.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback()))
}

/// Parses an exact origin, https or http.
pub(super) fn origin(text: &str) -> Result<Origin, String> {
    let parts = split(text)?;
    if parts.path.is_empty() { Ok(Origin(text.to_owned())) } else { Err("it has a path".to_owned()) }
}

/// Parses an origin of ours: https, or http on a loopback host.
pub(super) fn own_origin(text: &str) -> Result<Origin, String> {
    safe(&split(text)?)?;
    origin(text)
}

/// Parses an environment's issuer: https, or http on a loopback host; a path is allowed.
///
/// docs/reference/configuration.md, RFC 8414 section 2.
pub(super) fn environment_issuer(text: &str) -> Result<Issuer, String> {
    safe(&split(text)?)?;
    text.parse::<Issuer>().map_err(|error| error.to_string())
}

fn safe(parts: &Parts<'_>) -> Result<(), String> {
    if parts.is_https || is_loopback(parts.authority) {
        Ok(())
    } else {
        Err("it is plain http on a host that is not loopback".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_of_each_issuer() {
        for good in [
            "https://sts.acme.example",
            "https://sts.acme.example/sandbox",
            "http://127.0.0.1:7400/a",
            "http://[::1]:7400",
            "http://localhost:1",
        ] {
            assert!(environment_issuer(good).is_ok(), "{good}");
        }
        for bad in [
            "http://sts.acme.example",
            "https://sts.acme.example/",
            "https://STS.acme.example",
            "https://sts.acme.example:443",
            "https://sts.acme.example:0443",
            "https://sts.acme.example:",
            "https://u@sts.acme.example",
            "https://a/?x",
            "https://a#x",
            "https://",
            "https:///x",
            "https://a//b",
            "https://a/../b",
            "https://a/%41",
            "ftp://a",
            "",
            "https://a..b",
            "https://[::0001]",
            "http://127.0.0.1.attacker.example",
            "https://a\\b",
            "https://a:99999",
        ] {
            assert!(environment_issuer(bad).is_err(), "{bad}");
        }
    }
}
