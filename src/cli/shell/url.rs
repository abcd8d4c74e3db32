//! Splits URLs, and encodes text for them.

/// Splits a URL into `https://host:port` and `/path?query`.
pub fn split(url: &str) -> Option<(&str, &str)> {
    let host = url.find("://")? + 3;
    let rest = url.get(host..)?;
    match rest.find(['/', '?']) {
        Some(end) => url.split_at_checked(host + end),
        None => Some((url, "/")),
    }
}

/// Encodes text for a query, a form or one segment of a path (RFC 3986 section 2.3).
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            other => encoded += &format!("%{other:02X}"),
        }
    }
    encoded
}

/// Encodes a form, or the query of a URL.
pub fn form(pairs: &[(&str, &str)]) -> String {
    pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// A path below `/v1` from segments that somebody typed. No segment can change the others.
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold("/v1".to_owned(), |path, segment| path + "/" + &encode(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_text_is_put_in() {
        assert_eq!(split("http://127.0.0.1:7402/a/b?c=d"), Some(("http://127.0.0.1:7402", "/a/b?c=d")));
        assert_eq!(split("https://a.example"), Some(("https://a.example", "/")));
        assert_eq!(split("https://a.example?x"), Some(("https://a.example", "?x")));
        assert_eq!(split("a.example/x"), None);
        assert_eq!(path(&["partners", "../keys?x"]), "/v1/partners/..%2Fkeys%3Fx");
        assert_eq!(form(&[("a b", "c&d=é")]), "a%20b=c%26d%3D%C3%A9");
    }
}
