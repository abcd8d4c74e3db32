//! Origins and URLs that may be fetched: one spelling each; any other is refused, never repaired.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;

use super::address::is_public;

/// Scheme, host and port, exactly (RFC 6454 section 4).
///
/// Such as `https://idp.example` or `http://127.0.0.1:8080`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Origin(String);

/// A URL that the rules let us fetch.
///
/// Only [`Outbound::may_fetch`](super::Outbound::may_fetch) and its siblings make one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchUrl {
    pub(super) url: Url,
    pub(super) origin: Origin,
    /// True if the operator listed this exact origin.
    ///
    /// Private addresses and plain http are then allowed.
    pub(super) listed: bool,
}

/// The reason why a URL may not be fetched (ABUSE K-02, K-03).
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Forbidden {
    /// Not a URL in its one canonical spelling.
    #[error("expected a URL in its canonical form: https, lower-case host, no default port, no dot segments")]
    Form,
    /// Another scheme than https.
    #[error("plain http is taken only for an exact origin in [outbound] issuers, and no other scheme but https at all")]
    Scheme,
    /// A user, password or fragment, or a query that is not allowed.
    #[error("the URL must have no user, password or fragment, and only that of a key set may have a query")]
    Parts,
    /// A host of an internal or special address.
    #[error("the host is a private or special address; the operator may list its exact origin in [outbound] issuers")]
    Private,
}

impl Origin {
    /// The origin, as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin of a URL, which need not be fetchable.
    pub fn of(url: &str) -> Result<Self, Forbidden> {
        match parse(url)? {
            (url, _) if url.query().is_some() => Err(Forbidden::Parts),
            (_, origin) => Ok(origin),
        }
    }
}

impl FromStr for Origin {
    type Err = Forbidden;
    /// Parses an origin alone: no path, not even a slash.
    fn from_str(text: &str) -> Result<Self, Forbidden> {
        let (_, origin) = parse(text)?;
        if origin.0 == text { Ok(origin) } else { Err(Forbidden::Form) }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FetchUrl {
    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Its origin.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// True if the operator listed this exact origin.
    pub fn is_listed(&self) -> bool {
        self.listed
    }

    pub(super) fn judge(text: &str, listed: &[Origin]) -> Result<Self, Forbidden> {
        Self::judge_with_query(text, listed).and_then(|judged| match judged.url.query() {
            None => Ok(judged),
            Some(_) => Err(Forbidden::Parts),
        })
    }

    /// The same for a URL that may have a query.
    ///
    /// OpenID Connect Discovery 1.0 section 3 forbids a query in `issuer`, but not in `jwks_uri`.
    pub(super) fn judge_with_query(text: &str, listed: &[Origin]) -> Result<Self, Forbidden> {
        let (url, origin) = parse(text)?;
        // Scheme, host and port are listed together: a list of hosts would open every port (K-02).
        let listed = listed.contains(&origin);
        if !listed {
            if url.scheme() != "https" {
                return Err(Forbidden::Scheme);
            }
            if !host_may_be_public(&url) {
                return Err(Forbidden::Private);
            }
        }
        Ok(Self { url, origin, listed })
    }
}

/// Parses the canonical spelling only, so that no two programs read two URLs from one text.
///
/// A text that the WHATWG parser would have to change (`0x7f.1`, `2130706433`, `EXAMPLE`, `:443`, `/../`, `\`, tabs) is refused.
fn parse(text: &str) -> Result<(Url, Origin), Forbidden> {
    if !text.starts_with("https://") && !text.starts_with("http://") {
        return Err(Forbidden::Scheme);
    }
    if text.len() > 2048 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Forbidden::Form);
    }
    let url = Url::parse(text).map_err(|_| Forbidden::Form)?;
    let has_user = text.split('/').nth(2).is_some_and(|authority| authority.contains('@'));
    if has_user || url.query() == Some("") || url.fragment().is_some() {
        return Err(Forbidden::Parts);
    }
    let canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
    let host = url.host_str().ok_or(Forbidden::Form)?;
    let literal = host.starts_with('[');
    // A wildcard or a percent sign is not part of a host, whatever a URL parser accepts (K-10).
    let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if !canonical || host.ends_with('.') || !(literal || plain) {
        return Err(Forbidden::Form);
    }
    let origin = Origin(url.origin().ascii_serialization());
    Ok((url, origin))
}

/// True if the host may be public.
///
/// Literal addresses are judged here, names once resolved (`resolve`).
fn host_may_be_public(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) => is_public(address),
        Err(_) => {
            let inside = ["localhost", "local", "internal"];
            !host.rsplit('.').next().is_some_and(|top| inside.contains(&top))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge(url, &["http://10.1.2.3:8080".parse().expect("an origin")])
    }

    #[test]
    fn k_02_private_literals_are_forbidden_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fc00::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::127.0.0.1]",
            "localhost",
            "a.localhost",
            "metadata.google.internal",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "①②⑦.0.0.1",
            "127。0。0。1",
        ] {
            assert!(judge(&format!("https://{host}/x")).is_err(), "{host}");
            assert!(judge(&format!("https://{host}:8443/x")).is_err(), "{host}:8443");
        }
        assert_eq!(judge("https://[::ffff:7f00:1]/"), Err(Forbidden::Private));
        assert_eq!(judge("https://169.254.169.254/latest"), Err(Forbidden::Private));
    }

    #[test]
    fn k_02_the_list_is_of_exact_origins() {
        assert!(judge("http://10.1.2.3:8080/keys").expect("listed").is_listed());
        for other in ["http://10.1.2.3:8081/", "https://10.1.2.3:8080/", "http://10.1.2.3/", "http://10.1.2.4:8080/"] {
            assert!(judge(other).is_err(), "{other}");
        }
        for bad in
            ["http://10.1.2.3:8080/", "http://10.1.2.3:80", "10.1.2.3:8080", "https://Example.com", "https://a@b.example"]
        {
            assert!(bad.parse::<Origin>().is_err(), "{bad}");
        }
    }

    #[test]
    fn k_03_schemes_and_parts_are_refused() {
        for url in [
            "http://idp.example/",
            "file:///etc/passwd",
            "data:application/json,{}",
            "ftp://idp.example/",
            "unix:///run/x",
            "HTTPS://idp.example/",
            "https:idp.example",
            "https:///idp.example",
            "//idp.example/",
            "",
            "https://user@idp.example/",
            "https://u:p@idp.example/",
            "https://@idp.example/",
            "https://:@idp.example/",
            "https://idp.example/?a=1",
            "https://idp.example/?",
            "https://idp.example/#f",
            "https://idp.example/#",
            "https://idp.example:443/",
            "https://IDP.example/",
            "https://idp.example./",
            "https://idp.example/a/../b",
            "https://idp.example/\\b",
            "https://idp.example/ b",
            "https://idp.example/\tb",
            "https://idp.example/\n",
            "https://idp.éxample/",
        ] {
            assert!(judge(url).is_err(), "{url:?}");
        }
        for url in ["https://idp.example", "https://idp.example/", "https://idp.example:8443/a/b.json", "https://8.8.8.8/"] {
            let judged = judge(url).expect(url);
            assert!(!judged.is_listed());
        }
    }

    #[test]
    fn a_key_set_may_have_a_query_and_an_issuer_may_not() {
        let url = "https://idp.example/discovery/v2.0/keys?p=b2c_1_sign_in&x=%2F";
        assert_eq!(judge(url), Err(Forbidden::Parts));
        assert_eq!(Origin::of(url), Err(Forbidden::Parts));
        let keys = |url: &str| FetchUrl::judge_with_query(url, &[]);
        assert_eq!(keys(url).expect("a URL of keys").as_str(), url);
        for bad in [
            "https://idp.example/keys?",
            "https://idp.example/keys?a=b#c",
            "https://idp.example/keys?a b",
            "https://idp.example/keys?a='b'",
            "https://idp.example/keys?a=\"b\"",
            "https://user@idp.example/keys?a=b",
            "https://10.0.0.1/keys?a=b",
            "https://idp.example?a=b",
            "http://idp.example/keys?a=b",
        ] {
            assert!(keys(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn k_10_wildcards_and_embedded_urls_are_refused() {
        for url in ["https://*.example/", "https://*/", "http://x?https://a.example", "https://x,a.example/"] {
            assert!(judge(url).is_err(), "{url}");
        }
    }
}
