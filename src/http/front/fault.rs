//! The refusals of the front: faults of the message itself (docs/reference/http.md#refusals).
//!
//! Everybody may see them. `http/error.rs` has the refusals with a reason.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// The format in which a socket writes errors.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ErrorShape {
    /// RFC 6749 section 5.2: `{"error": …, "error_description": …}`.
    OAuth,
    /// RFC 9457: `application/problem+json`.
    Problem,
    /// RFC 7644 section 3.12: an error of SCIM, in `application/scim+json`.
    Scim,
}

/// A fault that is found before a route handles the request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The body is over the route's limit.
    TooLarge,
    /// The body did not arrive in time.
    TooSlow,
    /// The body ended early or its framing is broken.
    Broken,
    /// A content coding other than identity (ABUSE D-05).
    Encoding,
    /// No route has this path.
    NoRoute,
    /// The route does not take this method.
    Method,
    /// The host is not ours (ABUSE A-11).
    Host,
    /// Several environments have this path, and the host does not say which of them is meant.
    Environment,
    /// The environment was closed more than 30 days ago.
    Closed,
    /// A trusted proxy sent a `Client-Cert` or `Client-Cert-Chain` that cannot be parsed.
    ClientCert,
    /// A trusted proxy sent a `Forwarded` that cannot be parsed.
    Forwarded,
    /// A handler panicked.
    Panic,
    /// A handler took too long.
    Late,
    /// The node has not loaded its journal yet.
    Starting,
}

impl Fault {
    /// The response. Its words are fixed, so it shows nothing of the request and nothing internal.
    pub fn response(self, shape: ErrorShape) -> Response {
        let (status, error, description) = self.parts();
        let (media, body) = match shape {
            ErrorShape::OAuth => ("application/json", format!(r#"{{"error":"{error}","error_description":"{description}"}}"#)),
            ErrorShape::Problem => (
                "application/problem+json",
                format!(r#"{{"type":"about:blank","title":"{description}","status":{}}}"#, status.as_u16()),
            ),
            ErrorShape::Scim => (
                "application/scim+json",
                format!(
                    r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"status":"{}","detail":"{description}"}}"#,
                    status.as_u16()
                ),
            ),
        };
        let mut response = (status, [(header::CONTENT_TYPE, media)], body).into_response();
        let headers = response.headers_mut();
        if self.leaves_body_unread() {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        // A start takes about a second, and another node may be ready.
        for (fault, seconds) in [(Self::Late, "5"), (Self::Starting, "1")] {
            if self == fault {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
            }
        }
        response
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The request body is too large"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "invalid_request", "The request body did not arrive in time"),
            Self::Broken => (StatusCode::BAD_REQUEST, "invalid_request", "The request body is incomplete"),
            Self::Encoding => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request", "No content coding is accepted in requests")
            }
            Self::NoRoute => (StatusCode::NOT_FOUND, "invalid_request", "There is no such resource"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request", "The resource does not take this method"),
            Self::Host => (StatusCode::MISDIRECTED_REQUEST, "invalid_request", "This host is not served here"),
            Self::Environment => (
                StatusCode::MISDIRECTED_REQUEST,
                "invalid_request",
                "Several environments have this path, and the request's host is the issuer's of none: send that host, or give each issuer a path of its own",
            ),
            Self::Closed => (StatusCode::GONE, "invalid_request", "This environment is closed"),
            Self::ClientCert => (
                StatusCode::BAD_REQUEST,
                "invalid_request",
                "The proxy's Client-Cert is not one certificate in DER, in base64 between two colons (RFC 9440)",
            ),
            Self::Forwarded => {
                (StatusCode::BAD_REQUEST, "invalid_request", "The proxy's Forwarded does not follow RFC 7239 section 4")
            }
            Self::Panic => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", "Something went wrong inside"),
            Self::Late => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "The answer took too long"),
            Self::Starting => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "This node starts"),
        }
    }

    /// True if the connection closes after this fault: the rest of the body is not worth reading.
    fn leaves_body_unread(self) -> bool {
        matches!(
            self,
            Self::TooLarge
                | Self::TooSlow
                | Self::Broken
                | Self::Encoding
                | Self::Host
                | Self::Environment
                | Self::Closed
                | Self::ClientCert
                | Self::Forwarded
        )
    }
}
