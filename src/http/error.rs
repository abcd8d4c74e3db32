//! The only mapping from reasons to OAuth errors (docs/reference/http.md#refusals).
//!
//! Until the caller is known, a grant type has one answer for every cause: same status, body and headers (ABUSE O-01). Once
//! the caller is known, the answer also has `reason`, `request_id`, and the wanted and the seen value. Internal text never
//! reaches an answer.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::authn::dpop;
use crate::broker::failure::Denied;
use crate::domain::reason::{self, Class, Reason};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::RequestId;

/// The endpoint or grant that refuses.
///
/// The same bad JWT is a different error in each slot (docs/security/standards.md#one-jwt-three-errors).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slotted {
    /// `client_credentials`: RFC 7523 section 3.2 says `invalid_client`.
    ClientCredentials,
    /// Introspection and revocation: a caller that fails to authenticate gets 401.
    Endpoint,
    /// The jwt-bearer grant: `invalid_grant`.
    JwtBearer,
    /// The token exchange: `invalid_request` (RFC 8693 section 2.2.2).
    TokenExchange,
}

/// The reason of a refusal, beside its answer: for the log, also where the answer keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Because(pub &'static Reason);

#[derive(Serialize)]
struct Body<'a> {
    error: &'static str,
    error_description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
}

/// The answer to a request that was refused.
pub fn refuse(denied: &Denied, slot: Slotted, request: &RequestId) -> Response {
    let refused = &denied.refused;
    let (status, error, text) = wire(refused.reason, slot);
    let known = refused.known.is_some();
    let detail = refused.detail().filter(|_| known);
    let told = detail.map_or_else(|| text.to_owned(), |detail| format!("{text}: {}", printable(&detail)));
    let class = refused.reason.class;
    // These classes say nothing about the proof, so everybody may see the reason.
    let told_to_all = matches!(class, Class::Form | Class::GrantType | Class::Details | Class::Possession | Class::Nonce);
    let reason = (known || told_to_all).then_some(refused.reason.code);
    let body = Body { error, error_description: &told, reason, request_id: reason.map(|_| request.as_str()) };
    let mut response = answer(status, &body, retry_after(class, denied.retry_after));
    response.extensions_mut().insert(Because(refused.reason));
    response
}

/// The answer of an API's guard to a request whose token must not count.
///
/// RFC 6750 section 3, RFC 9449 section 7.1, docs/security/standards.md#challenges. `scope` is the scope that the request needs.
pub fn challenge(reason: &'static Reason, scope: Option<&str>, request: &RequestId) -> Response {
    let (status, error) = match reason.class {
        Class::Access => (StatusCode::FORBIDDEN, "insufficient_scope"),
        Class::Possession => (StatusCode::UNAUTHORIZED, "invalid_dpop_proof"),
        _ => (StatusCode::UNAUTHORIZED, "invalid_token"),
    };
    let body = Body { error, error_description: reason.what, reason: Some(reason.code), request_id: Some(request.as_str()) };
    let mut response = answer(status, &body, None);
    response.extensions_mut().insert(Because(reason));
    // RFC 6750 section 3.1: a request without credentials gets a challenge without an error.
    let fault = if *reason == reason::TOKEN_MISSING { String::new() } else { format!(" error=\"{error}\",") };
    let needed = scope.filter(|_| reason.class == Class::Access).map(|scope| format!(" scope=\"{scope}\","));
    let parameters = format!("{fault}{}", needed.unwrap_or_default());
    let algs = dpop::ALGORITHMS.map(Alg::name).join(" ");
    let challenges = [format!("Bearer{}", parameters.trim_end_matches(',')), format!("DPoP{parameters} algs=\"{algs}\"")];
    for text in challenges.iter().skip(usize::from(reason.class == Class::Possession)) {
        // Invariant: scopes, codes and algorithm names are visible ASCII without quotes.
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().append(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}

fn retry_after(class: Class, told: Option<Seconds>) -> Option<Seconds> {
    match class {
        Class::Busy => Some(told.unwrap_or(Seconds(1))),
        Class::Quota => Some(told.unwrap_or(Seconds(60))),
        _ => None,
    }
}

/// Status, `error` and fixed text for a reason in a slot.
///
/// The texts are those of the examples (C2, D2, D3), where the examples have one.
fn wire(reason: &Reason, slot: Slotted) -> (StatusCode, &'static str, &'static str) {
    let bad = StatusCode::BAD_REQUEST;
    match reason.class {
        Class::Form => (bad, "invalid_request", reason.what),
        // Here the client presents a proof beside a token, as at a resource server (RFC 9449 section 7.1).
        Class::Possession if slot == Slotted::Endpoint => (StatusCode::UNAUTHORIZED, "invalid_dpop_proof", reason.what),
        Class::Possession => (bad, "invalid_dpop_proof", reason.what),
        Class::Token => (StatusCode::UNAUTHORIZED, "invalid_token", reason.what),
        Class::Nonce => (bad, "use_dpop_nonce", reason.what),
        Class::GrantType => (bad, "unsupported_grant_type", reason.what),
        Class::Details => (bad, "invalid_authorization_details", reason.what),
        Class::Proof => match slot {
            Slotted::TokenExchange => (bad, "invalid_request", "The subject token was not acceptable"),
            Slotted::JwtBearer => (bad, "invalid_grant", "Assertion rejected"),
            Slotted::ClientCredentials => (bad, "invalid_client", "Client authentication failed"),
            Slotted::Endpoint => (StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed"),
        },
        Class::Client => match slot {
            Slotted::Endpoint => (StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed"),
            _ => (bad, "invalid_client", "Client authentication failed"),
        },
        Class::Target => (bad, "invalid_target", "No token can be issued for the requested resource"),
        Class::Scope => (bad, "invalid_scope", "The requested scope cannot be granted"),
        Class::Quota => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable", "Too many requests"),
        // No other class can come from the caller here. It is our fault, and the answer must not blame the caller.
        _ => (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "Try again later"),
    }
}

fn answer(status: StatusCode, body: &Body<'_>, retry_after: Option<Seconds>) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    no_store(headers);
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.0.max(1)));
    }
    response
}

/// Forbids caching, as RFC 6749 section 5.1 requires on every response of these endpoints.
pub fn no_store(headers: &mut axum::http::HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// Makes a text fit for a description: at most 400 characters (ABUSE O-08).
///
/// Each character that RFC 6749 section 5.2 forbids becomes `?`.
fn printable(text: &str) -> String {
    let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    text.chars().take(400).map(|c| if allowed(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reason;
    use crate::domain::reason::decision::{Refused, Step};

    /// O-08: a description has only characters that RFC 6749 section 5.2 allows, whatever was seen.
    #[test]
    fn o_08_descriptions_hold_only_legal_characters() {
        let hostile: String = (0..=0x2fff).filter_map(char::from_u32).collect();
        let legal = |c: char| matches!(u32::from(c), 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(printable(&hostile).chars().all(legal));
        for reason in Reason::all() {
            assert!(reason.what.chars().all(legal), "{}", reason.code);
        }
    }

    /// O-01: an unknown caller gets one answer, whatever the cause.
    #[tokio::test]
    async fn o_01_strangers_are_told_one_thing_per_grant() {
        let request: RequestId = "r1".parse().expect("a name");
        for slot in [Slotted::TokenExchange, Slotted::JwtBearer, Slotted::ClientCredentials, Slotted::Endpoint] {
            let mut seen = std::collections::BTreeSet::new();
            for reason in Reason::all().into_iter().filter(|reason| reason.class == Class::Proof) {
                let step = Step { check: "x".into(), want: "a".into(), seen: "b".into(), holds: false };
                let refused = Refused { reason, known: None, tree: vec![step] };
                let response = refuse(&refused.into(), slot, &request);
                let (parts, body) = response.into_parts();
                let body = axum::body::to_bytes(body, 10_000).await.expect("a body");
                seen.insert(format!("{} {:?} {body:?}", parts.status, parts.headers));
            }
            assert_eq!(seen.len(), 1, "{seen:?}");
        }
        assert_eq!(reason::SCOPE_MISSING.class, Class::Scope);
    }
}
