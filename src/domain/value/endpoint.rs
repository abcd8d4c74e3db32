//! Endpoint conditions: a method and a path template, as `GET /v1/orders/{id}`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

/// One method on one path template. `{name}` stands for exactly one path segment.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint {
    text: Arc<str>,
}

impl Endpoint {
    /// As the record has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a request is one of those that this condition names. `path` is as it stands in the request line, without the query. It is
    /// compared segment by segment and never normalised: what an API might read as another path is no match.
    pub fn admits(&self, method: &str, path: &str) -> bool {
        let Some((wanted, template)) = self.text.split_once(' ') else { return false };
        let (mut template, mut path) = (template.split('/'), path.split('/'));
        let same = |(wanted, seen): (Option<&str>, Option<&str>)| match (wanted, seen) {
            (Some(wanted), Some(seen)) if wanted.starts_with('{') => is_one_segment(seen),
            (wanted, seen) => wanted == seen,
        };
        loop {
            let pair = (template.next(), path.next());
            match pair {
                (None, None) => return wanted == method,
                pair if !same(pair) => return false,
                _ => {}
            }
        }
    }
}

/// Whether `segment` is one path segment whoever reads it (RFC 3986 section 3.3): no dot segment, and no character, escaped or not,
/// that some server or framework takes as a separator, a parameter or an end: `/ \ ; ? # %`, controls, and dots in disguise.
fn is_one_segment(segment: &str) -> bool {
    if matches!(segment, "" | "." | "..") {
        return false;
    }
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let plain = |b: u8| unreserved(b) || b"!$&'()*+,=:@".contains(&b);
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let taken = if byte == b'%' {
            let digit = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
            let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else { return false };
            let escaped = high * 16 + low;
            // Escapes of what needs none are another spelling of the same name (RFC 3986 section 6.2.2.2).
            escaped >= 0x20 && escaped != 0x7f && !u8::try_from(escaped).is_ok_and(|b| unreserved(b) || b"/\\;?#%".contains(&b))
        } else {
            plain(byte)
        };
        if !taken {
            return false;
        }
    }
    true
}

const METHODS: [&str; 6] = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

impl FromStr for Endpoint {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected METHOD /path, with {name} for one segment";
        let (method, path) = text.split_once(' ').ok_or(EXPECTED)?;
        if !METHODS.contains(&method) || text.len() > 512 {
            return Err(EXPECTED);
        }
        let segment = |segment: &str| match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
            None => {
                !matches!(segment, "" | "." | "..")
                    && segment.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&b))
            }
        };
        let segments = path.strip_prefix('/').ok_or(EXPECTED)?;
        if segments.is_empty() || segments.split('/').all(segment) { Ok(Self { text: Arc::from(text) }) } else { Err(EXPECTED) }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn admits(condition: &str, method: &str, path: &str) -> bool {
        condition.parse::<Endpoint>().expect("a condition").admits(method, path)
    }

    #[test]
    fn a_placeholder_is_one_segment_and_the_rest_is_literal() {
        assert!(admits("GET /v1/orders", "GET", "/v1/orders"));
        assert!(admits("GET /v1/orders/{id}", "GET", "/v1/orders/42"));
        assert!(admits("GET /v1/orders/{id}/lines/{line}", "GET", "/v1/orders/a-b_c~d.e/lines/x%20y"));
        assert!(admits("GET /v1/orders/{id}", "GET", "/v1/orders/M%C3%BCller:1%3A@x"));
        assert!(admits("GET /", "GET", "/"));
        for (method, path) in [("POST", "/v1/orders/42"), ("get", "/v1/orders/42"), ("HEAD", "/v1/orders/42")] {
            assert!(!admits("GET /v1/orders/{id}", method, path), "{method} {path}");
        }
        for path in
            ["/v1/orders", "/v1/orders/", "/v1/orders/1/2", "/V1/orders/1", "/v1/orders/1/", "//v1/orders/1", "v1/orders/1", ""]
        {
            assert!(!admits("GET /v1/orders/{id}", "GET", path), "{path}");
        }
        assert!(!admits("GET /v1/orders", "GET", "/v1/%6frders"));
    }

    #[test]
    fn what_an_api_might_read_as_another_path_is_no_match() {
        for id in [
            ".",
            "..",
            "%2e%2e",
            "%2E",
            "1%2f2",
            "1%2F..%2F2",
            "1\\2",
            "1%5c2",
            "1;admin",
            "1%3bx",
            "1%00",
            "1%0a",
            "1%",
            "1%4",
            "1%zz",
            "1%253f",
            "1?x",
            "1#x",
            "1%3f",
            "1%23",
            "1%31",
            "a b",
            "\u{e9}",
            "1%7f",
            "%+1",
        ] {
            assert!(!admits("GET /v1/orders/{id}", "GET", &format!("/v1/orders/{id}")), "{id}");
        }
    }
}
