//! Responses that clients cache: an `ETag`, and 304 for a match.
//!
//! RFC 9110 sections 8.8.3, 13.1.2 and 15.4.5.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::domain::value::digest::Digest;

/// The type of a cacheable document, and how long it may be cached.
#[derive(Clone, Copy)]
pub struct Kept {
    /// `Content-Type`.
    pub media: &'static str,
    /// `Cache-Control`.
    pub control: &'static str,
}

/// Answers 200 with the document and the strong tag of its bytes, or 304.
pub fn document(headers: &HeaderMap, kept: Kept, body: impl AsRef<[u8]> + Into<Body>) -> Response {
    let tag = tag(body.as_ref());
    tagged(headers, kept, &tag, body)
}

/// The strong tag of these bytes.
pub fn tag(bytes: &[u8]) -> String {
    let digest = Digest::of(bytes).to_string();
    format!("\"{}\"", digest.get(..32).unwrap_or(&digest))
}

/// The weak tag of this content, for documents whose bytes differ each time they are rendered.
pub fn weak_tag(content: &[u8]) -> String {
    format!("W/{}", tag(content))
}

/// As [`document`], with a tag that the caller computed.
pub fn tagged(headers: &HeaderMap, kept: Kept, tag: &str, body: impl Into<Body>) -> Response {
    let mut response =
        if is_known(headers, tag) { StatusCode::NOT_MODIFIED.into_response() } else { Response::new(body.into()) };
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static(kept.media));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept.control));
    if let Ok(tag) = HeaderValue::from_str(tag) {
        fields.insert(header::ETAG, tag);
    }
    response
}

/// True if `If-None-Match` matches the tag.
///
/// A field matches if it is `*`, or a list with this tag, weak or strong. A field that cannot be parsed matches nothing.
fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let fields = headers.get_all(header::IF_NONE_MATCH).iter();
    fields.filter_map(|field| field.to_str().ok()).any(|field| field.trim() == "*" || names(field, tag).unwrap_or(false))
}

/// True if this list of entity tags has the tag; `None` if it is not a valid list.
///
/// The comparison is weak (section 8.8.3.2). A tag may contain commas.
fn names(mut list: &str, tag: &str) -> Option<bool> {
    let opaque = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).to_owned();
    let (wanted, mut found) = (opaque(tag), false);
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        if list.is_empty() {
            return Some(found);
        }
        let rest = list.strip_prefix("W/").unwrap_or(list);
        let end = rest.strip_prefix('"')?.find('"')? + 2;
        let (one, after) = rest.split_at_checked(end)?;
        found |= one == wanted;
        list = after.trim_start_matches([' ', '\t']);
        if !list.is_empty() && !list.starts_with(',') {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_08_a_tag_is_found_in_a_list_and_weakly() {
        let known = |fields: &[&str], tag: &str| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::IF_NONE_MATCH, field.parse().expect("a value"));
            }
            is_known(&headers, tag)
        };
        for tag in ["\"t\"", "W/\"t\""] {
            for good in ["\"t\"", "W/\"t\"", "*", " * ", "\"x\", \"t\"", "\"t\",", ",, W/\"t\" , \"x\"", "\"a,b\",\"t\""] {
                assert!(known(&[good], tag), "{good}");
            }
            for bad in ["", "t", "\"x\"", "\"t", "w/\"t\"", "W/ \"t\"", "\"x\" \"t\"", "\"x,\"t\"\"", "\"T\"", "**", "\"*\""] {
                assert!(!known(&[bad], tag), "{bad}");
            }
            assert!(known(&["\"x\"", "\"t\""], tag), "over several lines");
            assert!(!known(&[], tag));
        }
    }
}
