//! The only mapping from reasons to statuses of the admin API (RFC 9457).
//!
//! No OAuth endpoint uses it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::failure::{Failure, Fault};
use crate::broker::replayed::{Replayed, Row};
use crate::domain::reason::{Class, Reason};
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::RequestId;

/// A refusal of the admin API.
#[derive(Clone, Debug)]
pub struct Problem {
    reason: &'static Reason,
    faults: Vec<Fault>,
    request: Option<RequestId>,
    status: Option<StatusCode>,
    retry_after: Option<Seconds>,
    /// The case in words, if the reason alone says too little.
    detail: Option<String>,
    /// The text that is not a valid name.
    called: Option<String>,
    /// The number of tokens that guardrails would have refused.
    refuses: Option<u64>,
    /// The number of tokens of which that is unknown.
    unknown: Option<u64>,
    /// True if the caller is unknown. The answer then says nothing else.
    to_stranger: bool,
}

impl Problem {
    /// A refusal for one reason.
    pub fn of(reason: &'static Reason) -> Self {
        Self {
            reason,
            faults: Vec::new(),
            request: None,
            status: None,
            // Whoever does it needs no longer, as a rule.
            retry_after: (reason == &crate::domain::reason::IDEMPOTENCY_BEGUN).then_some(Seconds(1)),
            detail: None,
            called: None,
            refuses: None,
            unknown: None,
            to_stranger: false,
        }
    }

    /// A refusal because the named thing does not exist, such as `integration globex/nope`.
    pub fn missing(what: impl std::fmt::Display) -> Self {
        Self::of(&crate::domain::reason::NOT_FOUND).saying(format!("There is no {what}."))
    }

    /// A refusal of a text that is not a valid name.
    ///
    /// The route's path says which kind of thing it would name; otherwise the answer repeats the text alone.
    pub fn unnamed(text: &str) -> Self {
        let called = Some(text.chars().take(200).collect());
        Self { called, ..Self::of(&crate::domain::reason::NOT_FOUND) }
    }

    /// Adds a sentence about this case.
    pub fn saying(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }

    /// A refusal with every fault of the content.
    pub fn faults(faults: Vec<Fault>) -> Self {
        let reason = faults.first().map_or(&crate::domain::reason::REQUEST_INVALID, |fault| fault.reason);
        Self { faults, ..Self::of(reason) }
    }

    /// A refusal of guardrails whose effect the request does not tell.
    fn refusing(replayed: &Replayed) -> Self {
        let reason = &crate::domain::reason::GUARDRAIL_REFUSES;
        let (tokens, unknown) = (replayed.refuses, replayed.unknown);
        let detail = format!(
            "The guardrails would have refused {tokens} tokens of the last 30 days, and of {unknown} more tokens the journal does not \
             know enough; the request does not say these numbers."
        );
        let fault = |row: &Row| {
            let Row { guardrail, client, environment, api, scope, tokens, between: (first, last) } = row;
            let message =
                format!("guardrail {guardrail} would have refused {tokens} tokens for {api} {scope}, from {first} to {last}");
            Fault { at: format!("{client} {environment}"), reason, message }
        };
        let faults = replayed.rows.iter().map(fault).collect();
        Self { faults, refuses: Some(tokens), unknown: Some(unknown), ..Self::of(reason) }.saying(detail)
    }

    /// A refusal of a media type that the route does not take (ABUSE A-23).
    pub fn media_type() -> Self {
        Self { status: Some(StatusCode::UNSUPPORTED_MEDIA_TYPE), ..Self::of(&crate::domain::reason::REQUEST_MALFORMED) }
    }

    /// The refusal of an unknown caller of the public socket, the same for every cause.
    ///
    /// See docs/reference/http.md#refusals.
    pub fn to_stranger() -> Self {
        let status = Some(StatusCode::UNAUTHORIZED);
        Self { status, to_stranger: true, ..Self::of(&crate::domain::reason::CLIENT_MISSING) }
    }

    /// Adapts the status for a known caller of the public socket.
    ///
    /// An insufficient proof is 403 there.
    pub fn known(mut self) -> Self {
        if matches!(self.reason.class, Class::Proof | Class::Client | Class::Possession | Class::Nonce) {
            self.status = Some(StatusCode::FORBIDDEN);
        }
        self
    }

    /// Adds the time after which to try again.
    pub fn after(mut self, seconds: Option<Seconds>) -> Self {
        self.retry_after = seconds.or(self.retry_after);
        self
    }

    /// Adds the id of the request.
    pub fn at(mut self, request: &RequestId) -> Self {
        self.request = Some(request.clone());
        self
    }

    /// Its status, its reason, and every fault of the content.
    ///
    /// For callers that render it in another form.
    pub fn parts(&self) -> (StatusCode, &'static Reason, &[Fault]) {
        (self.status(), self.reason, &self.faults)
    }

    /// The id of the request, if it is set.
    pub fn request(&self) -> Option<&RequestId> {
        self.request.as_ref()
    }

    /// True if it has a sentence about this case.
    pub fn has_detail(&self) -> bool {
        self.detail.is_some()
    }

    fn view(&self) -> ProblemView {
        let called = self.called.as_ref().map(|text| format!("There is nothing called {text}."));
        let detail = self.detail.clone().or(called).unwrap_or_else(|| self.reason.what.to_owned());
        let stranger = || "The request shows no proof that is taken here.".to_owned();
        ProblemView {
            kind: "about:blank",
            title: self.status().canonical_reason(),
            status: self.status().as_u16(),
            detail: if self.to_stranger { stranger() } else { detail },
            reason: Some(self.reason.code).filter(|_| !self.to_stranger),
            request_id: Some(self.request.clone()).filter(|_| !self.to_stranger),
            refuses: self.refuses,
            unknown: self.unknown,
            errors: self.faults.iter().map(FaultView::of).collect(),
        }
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

/// A problem as the answer shows it (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemView {
    /// Always `about:blank`: `reason` says more.
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(required, value_type = String)]
    title: Option<&'static str>,
    status: u16,
    /// The case in words; absent if the request did not reach a route.
    #[schema(required = false)]
    detail: String,
    /// A stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    reason: Option<&'static str>,
    /// Null if the request had no id yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<RequestId>)]
    request_id: Option<Option<RequestId>>,
    /// The tokens of the last 30 days that the guardrails would have refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    refuses: Option<u64>,
    /// The tokens of the last 30 days of which that is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    unknown: Option<u64>,
    /// Every fault of the content.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FaultView>,
}

/// One fault of what was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct FaultView {
    /// The place of the fault.
    pub at: String,
    /// A stable code.
    pub reason: &'static str,
    /// The fault in words.
    pub message: String,
}

impl FaultView {
    fn of(fault: &Fault) -> Self {
        Self { at: fault.at.clone(), reason: fault.reason.code, message: fault.message.clone() }
    }
}

/// Marks an answer without its request's id or the name of a thing; [`super::missing`] adds them.
#[derive(Clone)]
pub struct Unfinished(pub Problem);

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(reason) => Self::of(reason),
            // The reason is one of exchanges. Here it means that the state of the thing forbids the request.
            Failure::Stopped(reason) => {
                Self { status: (reason.class != Class::Busy).then_some(StatusCode::CONFLICT), ..Self::of(reason) }
            }
            Failure::State(seen) => Self::of(&crate::domain::reason::LIFECYCLE_STATE).saying(seen),
            Failure::Faults(faults) => Self::faults(faults),
            Failure::Collides(faults) => Self { faults, ..Self::of(&crate::domain::reason::APPROVAL_COLLIDES) },
            Failure::Refuses(replayed) => Self::refusing(&replayed),
        }
    }
}

impl From<crate::broker::failure::Denied> for Problem {
    fn from(denied: crate::broker::failure::Denied) -> Self {
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
        let mut response = (status, axum::Json(self.view())).into_response();
        let is_unnamed = *self.reason == crate::domain::reason::NOT_FOUND && self.detail.is_none();
        if (is_unnamed || self.request.is_none()) && !self.to_stranger {
            response.extensions_mut().insert(Unfinished(self.clone()));
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
