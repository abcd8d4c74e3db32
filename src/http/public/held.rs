//! The one `DPoP` proof of a request, and the method and URL it must be for (RFC 9449 section 4.3).

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;

use super::Here;
use crate::authn::dpop::{self, Expected};
use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::reason::{self, Reason};

/// The header with a DPoP proof (RFC 9449 section 4.1).
pub const DPOP: HeaderName = HeaderName::from_static("dpop");

const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Sends the next nonce to a client that sent a proof (RFC 9449 section 8.2).
pub fn tell_nonce(here: &Here, headers: &HeaderMap, response: &mut Response) {
    if headers.contains_key(DPOP)
        && let Ok(nonce) = HeaderValue::from_str(&here.broker.nonces.current(here.broker.now()))
    {
        response.headers_mut().insert(DPOP_NONCE, nonce);
    }
}

/// Verifies the proof in the one `DPoP` header, if there is one.
pub fn proof(
    here: &Here,
    headers: &HeaderMap,
    expected: impl FnOnce() -> Result<(String, Vec<String>), &'static Reason>,
    token: Option<&str>,
) -> Result<Option<Verified<Possession>>, &'static Reason> {
    let mut proofs = headers.get_all(DPOP).iter();
    let text = match (proofs.next(), proofs.next()) {
        (None, _) => return Ok(None),
        (Some(only), None) => only.to_str().map_err(|_| &reason::DPOP_MALFORMED)?,
        (Some(_), Some(_)) => return Err(&reason::DPOP_MALFORMED),
    };
    let (method, urls) = expected()?;
    dpop::verify(text, Expected { method: &method, urls: &urls, token, now: here.broker.now() }, &here.broker.nonces).map(Some)
}

/// The method and URLs that a proof for our own endpoint must name: `POST`, on either socket.
pub fn own_endpoint(here: &Here, suffix: &str) -> (String, Vec<String>) {
    let issuer = here.issuer.as_str();
    let alias = here.mtls_base().map(|base| format!("{base}{suffix}"));
    ("POST".to_owned(), std::iter::once(format!("{issuer}{suffix}")).chain(alias).collect())
}
