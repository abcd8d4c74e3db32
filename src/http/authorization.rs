//! Reads the `Authorization` header, strictly: one header, one scheme, one token.

use axum::http::{HeaderMap, header};

/// The content of `Authorization`.
pub enum Authorization {
    /// No such header.
    Absent,
    /// A token (RFC 6750 section 2.1, RFC 9449 section 7.1).
    Token {
        /// The token as the client sent it.
        text: String,
        /// True for the scheme `DPoP`, false for `Bearer`.
        as_dpop: bool,
    },
    /// Another scheme, or a value that cannot be parsed.
    Other,
    /// More than one header. We do not choose which of them counts.
    Several,
}

impl Authorization {
    /// Parses the header.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let only = match (values.next(), values.next()) {
            (None, _) => return Self::Absent,
            (Some(only), None) => only,
            (Some(_), Some(_)) => return Self::Several,
        };
        let parts = only.to_str().ok().and_then(|text| text.split_once(' ')).filter(|(_, token)| !token.is_empty());
        let Some((scheme, token)) = parts else { return Self::Other };
        let as_dpop = scheme.eq_ignore_ascii_case("DPoP");
        let taken = as_dpop || scheme.eq_ignore_ascii_case("Bearer");
        if taken { Self::Token { text: token.to_owned(), as_dpop } } else { Self::Other }
    }

    /// The token, if the scheme is `Bearer`. Endpoints that call this accept no other scheme.
    pub fn bearer(headers: &HeaderMap) -> Option<String> {
        match Self::of(headers) {
            Self::Token { text, as_dpop: false } => Some(text),
            _ => None,
        }
    }
}
