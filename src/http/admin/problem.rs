//! The only mapping from reasons to the statuses of the admin API: `application/problem+json` (RFC 9457), never on an OAuth endpoint.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::broker::revocation::{Failure, Fault};
use crate::domain::reason::{Class, Reason};
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::RequestId;

/// Why a request of the admin API was not done.
#[derive(Clone, Debug)]
pub struct Problem {
    reason: &'static Reason,
    faults: Vec<Fault>,
    request: Option<RequestId>,
    status: Option<StatusCode>,
    retry_after: Option<Seconds>,
    /// What happened in this case, where the reason alone says too little.
    detail: Option<String>,
    /// The text that names nothing.
    called: Option<String>,
    /// Whoever asks is not known, and told nothing but that.
    to_stranger: bool,
}

impl Problem {
    /// For one reason.
    pub fn of(reason: &'static Reason) -> Self {
        Self {
            reason,
            faults: Vec::new(),
            request: None,
            status: None,
            retry_after: None,
            detail: None,
            called: None,
            to_stranger: false,
        }
    }

    /// Something that was named is not there: `integration globex/nope`.
    pub fn missing(what: impl std::fmt::Display) -> Self {
        Self::of(&crate::domain::reason::NOT_FOUND).saying(format!("There is no {what}."))
    }

    /// A text that is no name: the path says what it would name, or else the text alone is told.
    pub fn unnamed(text: &str) -> Self {
        let called = Some(text.chars().take(200).collect());
        Self { called, ..Self::of(&crate::domain::reason::NOT_FOUND) }
    }

    /// With what happened in this case.
    pub fn saying(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }

    /// With every fault of the content.
    pub fn faults(faults: Vec<Fault>) -> Self {
        let reason = faults.first().map_or(&crate::domain::reason::REQUEST_INVALID, |fault| fault.reason);
        Self { faults, ..Self::of(reason) }
    }

    /// Of another media type than the route takes (ABUSE A-23).
    pub fn media_type() -> Self {
        Self { status: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), ..Self::of(&crate::domain::reason::REQUEST_MALFORMED) }
    }

    /// For a caller of the public socket who is not known: the same whatever was wrong (docs/reference/http.md#refusals).
    pub fn to_stranger() -> Self {
        let status = Some(StatusCode::UNAUTHORIZED);
        Self { status, to_stranger: true, ..Self::of(&crate::domain::reason::CLIENT_MISSING) }
    }

    /// For a caller of the public socket who is known: a proof that is not enough is 403 there.
    pub fn known(mut self) -> Self {
        if matches!(self.reason.class, Class::Proof | Class::Client | Class::Possession | Class::Nonce) {
            self.status = Some(StatusCode::FORBIDDEN);
        }
        self
    }

    /// With the time after which to try again.
    pub fn after(mut self, seconds: Option<Seconds>) -> Self {
        self.retry_after = seconds;
        self
    }

    /// In the answer to this request.
    pub fn at(mut self, request: &RequestId) -> Self {
        self.request = Some(request.clone());
        self
    }

    /// For who writes it in another form: its status, its reason, and every fault of the content.
    pub fn parts(&self) -> (StatusCode, &'static Reason, &[Fault]) {
        (self.status(), self.reason, &self.faults)
    }

    fn status(&self) -> StatusCode {
        self.status.unwrap_or(match self.reason.class {
            Class::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Class::Conflict => StatusCode::CONFLICT,
            Class::Forbidden => StatusCode::FORBIDDEN,
            Class::Form => StatusCode::BAD_REQUEST,
            Class::Missing => StatusCode::NOT_FOUND,
            Class::Quota => StatusCode::TOO_MANY_REQUESTS,
            Class::Stale => StatusCode::PRECONDITION_FAILED,
            Class::Unauthenticated => StatusCode::UNAUTHORIZED,
            Class::Access
            | Class::Client
            | Class::Details
            | Class::GrantType
            | Class::Invalid
            | Class::Nonce
            | Class::Possession
            | Class::Proof
            | Class::Scope
            | Class::Token
            | Class::Target => StatusCode::UNPROCESSABLE_ENTITY,
        })
    }
}

/// Beside an answer that does not say what was not found: the path of the request does ([`super::missing`]).
#[derive(Clone)]
pub struct Unnamed(pub Problem);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(reason) => Self::of(reason),
            // The reason is one of exchanges; here it says that the state of the thing forbids it.
            Failure::Stopped(reason) => {
                Self { status: (reason.class != Class::Busy).then_some(StatusCode::CONFLICT), ..Self::of(reason) }
            }
            Failure::Faults(faults) => Self::faults(faults),
            Failure::Collides(faults) => Self { faults, ..Self::of(&crate::domain::reason::APPROVAL_COLLIDES) },
        }
    }
}

impl From<crate::broker::exchange::Denied> for Problem {
    fn from(denied: crate::broker::exchange::Denied) -> Self {
        Self::of(denied.refused.reason).after(denied.retry_after)
    }
}

impl From<crate::journal::Unavailable> for Problem {
    fn from(fault: crate::journal::Unavailable) -> Self {
        Self::of(fault.reason())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let called = self.called.as_ref().map(|text| format!("There is nothing called {text}."));
        let mut body = json!({
            "type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(), "detail": self.detail.as_deref().or(called.as_deref()).unwrap_or(self.reason.what),
        });
        if self.to_stranger {
            body["detail"] = "The request shows no proof that is taken here.".into();
        } else {
            body["reason"] = self.reason.code.into();
            body["request_id"] = json!(self.request);
        }
        if !self.faults.is_empty() {
            let fault = |fault: &Fault| json!({"at": fault.at, "reason": fault.reason.code, "message": fault.message});
            body["errors"] = self.faults.iter().map(fault).collect();
        }
        let mut response = (status, axum::Json(body)).into_response();
        if *self.reason == crate::domain::reason::NOT_FOUND && self.detail.is_none() && !self.to_stranger {
            response.extensions_mut().insert(Unnamed(self.clone()));
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(Ok(seconds)) = self.retry_after.map(|seconds| HeaderValue::from_str(&seconds.0.to_string())) {
            headers.insert(header::RETRY_AFTER, seconds);
        }
        match self.reason.class {
            Class::Busy if self.retry_after.is_none() => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ if status == StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            _ => {}
        }
        response
    }
}
