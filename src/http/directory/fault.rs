//! What this listener refuses, in SCIM's own form (RFC 7644 section 3.12).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::domain::people::directory::Clash;

/// The media type of every answer (RFC 7644 section 8.1).
pub const MEDIA: &str = "application/scim+json";

/// A refusal. Its words are fixed, so it repeats nothing that somebody sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// No bearer token, or none of ours.
    Token,
    /// No such user, or no such kind of resource.
    NotFound,
    /// The body is of another media type.
    Media,
    /// The body is not the JSON that was expected; this says what was.
    Syntax(&'static str),
    /// An attribute has a value that it cannot have; this says which was expected.
    Value(&'static str),
    /// An attribute that must be there would be taken away.
    Mutability,
    /// An operation that removes something does not say what.
    Target,
    /// A filter that is not read here.
    Filter,
    /// Another user has this name or id.
    Uniqueness,
    /// There is no room for another user.
    Full,
    /// The store is away.
    Away,
    /// What lies in the store is not what this server wrote.
    Unsound,
}

impl Fault {
    /// Status, `scimType` (RFC 7644 table 9) and words.
    fn parts(self) -> (StatusCode, Option<&'static str>, &'static str) {
        match self {
            Self::Token => (StatusCode::UNAUTHORIZED, None, "A bearer token of [directory] token_files is needed"),
            Self::NotFound => (StatusCode::NOT_FOUND, None, "There is no such resource"),
            Self::Media => {
                let words = "The body must be application/scim+json or application/json";
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, None, words)
            }
            Self::Syntax(words) => (StatusCode::BAD_REQUEST, Some("invalidSyntax"), words),
            Self::Value(words) => (StatusCode::BAD_REQUEST, Some("invalidValue"), words),
            Self::Mutability => {
                (StatusCode::BAD_REQUEST, Some("mutability"), "userName and active can be replaced, and not removed")
            }
            Self::Target => (StatusCode::BAD_REQUEST, Some("noTarget"), "An operation that removes needs a path"),
            Self::Filter => {
                let words = "Expected the filter userName eq \"NAME\" or externalId eq \"ID\"";
                (StatusCode::BAD_REQUEST, Some("invalidFilter"), words)
            }
            Self::Uniqueness => (StatusCode::CONFLICT, Some("uniqueness"), "Another user has this userName or externalId"),
            Self::Full => (StatusCode::FORBIDDEN, None, "The directory has as many users as it can have"),
            Self::Away => (StatusCode::SERVICE_UNAVAILABLE, None, "The store is away"),
            Self::Unsound => {
                (StatusCode::SERVICE_UNAVAILABLE, None, "The directory is not as this server left it: see its log")
            }
        }
    }
}

impl From<Clash> for Fault {
    fn from(clash: Clash) -> Self {
        match clash {
            Clash::Id | Clash::UserName | Clash::ExternalId => Self::Uniqueness,
            Clash::Full => Self::Full,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, kind, detail) = self.parts();
        let mut body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            // A text, as RFC 7644 section 3.12 has it.
            "status": status.as_u16().to_string(),
            "detail": detail,
        });
        if let (Some(kind), Some(body)) = (kind, body.as_object_mut()) {
            body.insert("scimType".to_owned(), json!(kind));
        }
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA)], body.to_string()).into_response();
        let headers = response.headers_mut();
        if self == Self::Token {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if matches!(self, Self::Away | Self::Unsound) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}
