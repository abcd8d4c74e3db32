//! Our own issuers, trust domains and signing keys, in whatever spelling somebody names them.
//!
//! A record that names one of them as a partner's would take our own tokens for proofs, and make chains of them. Enter through
//! [`Ours::of`]. Spellings are compared where a record is judged; a proof is compared byte for byte, as every issuer is.

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::domain::registry::environment::Environment;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::EnvironmentName;
use crate::domain::value::percent::decoded;

/// The environments with issuers and trust domains, and the thumbprints of their signing keys.
#[derive(Clone, Debug, Default)]
pub struct Ours {
    places: Vec<(EnvironmentName, Place)>,
    keys: Vec<String>,
}

/// A URL as far as it says where something is. The scheme is left out: a `Host` header does not tell it.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Place {
    authority: String,
    path: Vec<String>,
}

impl Ours {
    /// These environments.
    pub fn named<'a>(environments: impl Iterator<Item = (&'a EnvironmentName, &'a Environment)>) -> Self {
        let places = environments.flat_map(|(name, environment)| {
            let issuer = Place::of(environment.issuer.as_str());
            let domain = Place::of(&format!("spiffe://{}", environment.trust_domain));
            issuer.into_iter().chain(domain).map(|place| (name.clone(), place))
        });
        Self { places: places.collect(), keys: Vec::new() }
    }

    /// The same environments, with the thumbprints of our signing keys.
    pub(super) fn with_keys(self, keys: Vec<String>) -> Self {
        Self { keys, ..self }
    }

    /// The same keys, and these environments in place of the recorded ones.
    pub fn with_environments<'a>(self, environments: impl Iterator<Item = (&'a EnvironmentName, &'a Environment)>) -> Self {
        Self { keys: self.keys, ..Self::named(environments) }
    }

    /// The environment whose issuer or trust domain `text` is, or lies below (its token endpoint, its key set).
    pub fn environment_of(&self, text: &str) -> Option<&EnvironmentName> {
        let asked = Place::of(text)?;
        self.places.iter().find(|(_, place)| asked.is_at_or_below(place)).map(|(name, _)| name)
    }

    /// The first key of a JWK Set, as JSON text, that is a signing key of ours.
    pub fn key_among(&self, set: &str) -> Option<String> {
        let set: Value = serde_json::from_str(set).ok()?;
        let mut thumbprints = set.get("keys")?.as_array()?.iter().filter_map(thumbprint);
        thumbprints.find(|thumbprint| self.keys.contains(thumbprint))
    }
}

impl Place {
    /// As RFC 3986 section 6.2 makes spellings the same: case of scheme and host, the scheme's own port, escapes, dot segments; and
    /// empty segments, which servers leave out. Nothing for what is no URL with a host.
    fn of(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let at = rest.find(['/', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        let authority = authority.rsplit('@').next().unwrap_or_default();
        let authority = decoded(authority).to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "https" => Some("443"),
            "http" => Some("80"),
            _ => None,
        };
        let (host, port) = host_and_port(&authority);
        if host.is_empty() {
            return None;
        }
        let host = plain_host(host);
        let port = port.map(|port| port.trim_start_matches('0')).filter(|port| !port.is_empty() && Some(*port) != own_port);
        let authority = port.map_or_else(|| host.clone(), |port| format!("{host}:{port}"));
        let mut segments: Vec<String> = Vec::new();
        for segment in decoded(path).split(['/', '\\']) {
            match segment {
                "" | "." => {}
                ".." => drop(segments.pop()),
                segment => segments.push(segment.to_owned()),
            }
        }
        Some(Self { authority, path: segments })
    }

    fn is_at_or_below(&self, other: &Self) -> bool {
        self.authority == other.authority && self.path.starts_with(&other.path)
    }
}

fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of an IPv6 address stand within brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// One spelling of a host: no dot at its end, an address in its shortest form.
fn plain_host(host: &str) -> String {
    let host = host.trim_end_matches('.');
    if let Some(v6) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return v6.parse::<Ipv6Addr>().map_or_else(|_| host.to_owned(), |address| format!("[{address}]"));
    }
    v4(host).map_or_else(|| host.to_owned(), |address| address.to_string())
}

/// An IPv4 address as URLs may write it: one to four numbers, each decimal, octal or hexadecimal, the last one filling what is left
/// (WHATWG URL, "IPv4 parser").
fn v4(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3 || first.iter().any(|part| *part > 255) || *last >= 1 << (8 * (4 - first.len())) {
        return None;
    }
    let high = first.iter().enumerate().map(|(at, part)| part << (8 * (3 - at))).sum::<u64>();
    u32::try_from(high + last).ok().map(Ipv4Addr::from)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some("") => Some(0),
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok(),
        None => text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten(),
    }
}

/// RFC 7638 section 3, of the key itself and not of its spelling: a modulus with leading zeros is the same key.
fn thumbprint(key: &Value) -> Option<String> {
    let text = |member| key.get(member).and_then(Value::as_str);
    let value = |member| {
        let bytes = URL_SAFE_NO_PAD.decode(text(member)?).ok()?;
        let zeros = if text("kty") == Some("RSA") { bytes.iter().take_while(|byte| **byte == 0).count() } else { 0 };
        Some(URL_SAFE_NO_PAD.encode(bytes.get(zeros..)?))
    };
    let members = match text("kty")? {
        "EC" => format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, value("x")?, value("y")?),
        "OKP" => format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, value("x")?),
        "RSA" => format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, value("e")?, value("n")?),
        _ => return None,
    };
    Some(URL_SAFE_NO_PAD.encode(Digest::of(members.as_bytes()).0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::clock::Seconds;

    fn ours(issuers: &[(&str, &str)]) -> Ours {
        let environments: Vec<(EnvironmentName, Environment)> = issuers
            .iter()
            .map(|(name, issuer)| {
                let trust_domain = format!("{name}.partners.acme.example").parse().expect("a trust domain");
                let issuer = issuer.parse().expect("an issuer");
                (
                    name.parse().expect("a name"),
                    Environment { issuer, max_ttl: Seconds::minutes(10), trust_domain, production: None },
                )
            })
            .collect();
        Ours::named(environments.iter().map(|(name, environment)| (name, environment)))
    }

    /// S-6: each spelling of one place is that place, and nothing else is.
    #[test]
    fn every_spelling_of_our_issuer_is_ours() {
        let ours = ours(&[("sandbox", "https://sts.acme.example/sandbox"), ("production", "https://sts.acme.example:8443/p")]);
        for spelling in [
            "https://sts.acme.example/sandbox",
            "https://sts.acme.example/sandbox/",
            "https://sts.acme.example//sandbox",
            "https://sts.acme.example:443/sandbox",
            "https://sts.acme.example:0443/sandbox",
            "https://sts.acme.example:/sandbox",
            "http://sts.acme.example:80/sandbox",
            "HTTPS://STS.Acme.Example/sandbox",
            "https://sts.acme.example./sandbox",
            "https://u:p@sts.acme.example/sandbox",
            "https://sts.acme.example/s%61ndbox",
            "https://sts.acme.example/%73andbox/token",
            "https://sts.acme.example/x/../sandbox",
            "https://sts.acme.example/x/%2e%2E/./sandbox",
            "https://sts.acme.example/sandbox%2Fjwks",
            "https://sts.acme.example/sandbox?x=1",
            "https://sts.acme.example\\sandbox",
            "spiffe://sandbox.partners.acme.example",
            "spiffe://Sandbox.partners.acme.example/x",
        ] {
            assert_eq!(ours.environment_of(spelling).map(EnvironmentName::as_str), Some("sandbox"), "{spelling}");
        }
        assert_eq!(
            ours.environment_of("https://STS.acme.example:8443/p/jwks").map(EnvironmentName::as_str),
            Some("production")
        );
        for other in [
            "https://sts.acme.example",
            "https://sts.acme.example/sandboxes",
            "https://sts.acme.example/Sandbox",
            "https://sts.acme.example/sandbox/../other",
            "https://sts.acme.example:8443/sandbox",
            "https://sts.acme.example.evil.example/sandbox",
            "https://other.example/sandbox",
            "spiffe://partners.acme.example",
            "globex/order-sync",
            "sandbox",
            "://",
            "https://",
            "",
        ] {
            assert_eq!(ours.environment_of(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_have_many_spellings_too() {
        let ours = ours(&[("sandbox", "http://127.0.0.1:7400/sandbox"), ("six", "http://[::1]:7400/six")]);
        for spelling in ["127.1:7400", "0x7f.0.0.1:7400", "2130706433:7400", "0177.0.0.01:7400", "127.0.1:07400"] {
            let url = format!("http://{spelling}/sandbox");
            assert_eq!(ours.environment_of(&url).map(EnvironmentName::as_str), Some("sandbox"), "{url}");
        }
        assert!(ours.environment_of("http://[0:0:0:0:0:0:0:1]:7400/six").is_some());
        for other in ["127.0.0.2:7400", "127.0.0.1:7401", "127.0.0.1", "128.1:7400", "1.2.3.4.5:7400", "0x:7400"] {
            assert_eq!(ours.environment_of(&format!("http://{other}/sandbox")), None, "{other}");
        }
    }

    /// S-6: a key is ours by what it is, not by how it is written.
    #[test]
    fn a_key_of_ours_is_found_in_any_set() {
        let x = URL_SAFE_NO_PAD.encode([7; 32]);
        let n = [vec![0xc1; 255], vec![1]].concat();
        let rsa = |n: &[u8]| serde_json::json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode(n), "e": "AQAB", "kid": "any"});
        let edwards = serde_json::json!({"x": x, "crv": "Ed25519", "kty": "OKP", "alg": "EdDSA"});
        let keys = [&edwards, &rsa(&n)].map(|key| thumbprint(key).expect("a thumbprint"));
        let ours = Ours { keys: keys.to_vec(), ..Ours::default() };
        let among = |key: &Value| ours.key_among(&serde_json::json!({"keys": [{"kty": "oct"}, key]}).to_string());
        assert_eq!(among(&edwards), Some(keys[0].clone()));
        assert_eq!(among(&rsa(&n)), Some(keys[1].clone()));
        assert_eq!(among(&rsa(&[vec![0, 0], n.clone()].concat())), Some(keys[1].clone()));
        assert_eq!(among(&rsa(&[n, vec![1]].concat())), None);
        assert_eq!(ours.key_among("no JSON"), None);
    }
}
