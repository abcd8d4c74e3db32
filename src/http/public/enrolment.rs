//! Enrolment over the mTLS socket (RFC 7030, RFC 8951), revocation lists, and OCSP.
//!
//! `cacerts` and `simpleenroll` answer without a certificate; `simplereenroll` needs the certificate in use. The first
//! enrolment authenticates by HTTP Basic, with the integration as the user name and a one-time token as the password.

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Here;
use crate::broker::enrolment::EnrolmentCredential;
use crate::domain::credential::certificate::Der;
use crate::domain::decision::peer::Peer;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Class, Reason};
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ClientId, IntegrationId};
use crate::http::cached::{self, Kept};
use crate::http::media;
use crate::issuance::authority::certificates_only;

/// The operations of EST that are served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Operation {
    /// Gets the authority's certificates.
    CaCerts,
    /// Issues a first certificate, by token.
    Enroll,
    /// Issues the next certificate, by the certificate in use.
    Reenroll,
}

/// `GET cacerts`.
pub fn authorities(here: &Here) -> Response {
    let certificates = here.broker.authority_certificates(&here.environment);
    if certificates.is_empty() {
        return refuse(here, None, &reason::AUTHORITY_AWAY);
    }
    message(&certificates)
}

/// `POST simpleenroll` and `simplereenroll`.
pub async fn enrol(here: Here, operation: Operation, headers: HeaderMap, body: Bytes) -> Response {
    let shown = match operation {
        Operation::Reenroll => here
            .certificate
            .as_ref()
            .and_then(Peer::own)
            .cloned()
            .map(EnrolmentCredential::Certificate)
            .ok_or(&reason::CERTIFICATE_MISSING),
        Operation::CaCerts | Operation::Enroll => basic(&headers),
    };
    let shown = match shown {
        Ok(shown) => shown,
        Err(reason) => return refuse(&here, None, reason),
    };
    // The integration, once a certificate is verified. The name beside a token is only a claim.
    let known = match &shown {
        EnrolmentCredential::Certificate(shown) => Some(shown.leaf.integration.clone()),
        EnrolmentCredential::Token { .. } => None,
    };
    let Some(request) = request(&headers, &body) else {
        return refuse(&here, known, &reason::ENROLMENT_REQUEST);
    };
    match here.broker.enrol(&here.environment, &shown, &request, &here.request).await {
        // Exactly the certificate that was issued (RFC 7030 section 4.2.3); the rest of its chain comes from `cacerts`.
        Ok(chain) => message(&[chain.leaf]),
        Err(not) => refuse_until(&here, known, not.reason, not.retry_after),
    }
}

/// `GET I/crl`, and `GET I/crl/KID` for each issuing key: the revocation list in DER.
///
/// RFC 5280 section 5. It is valid for [`LIST_LIFE`](crate::issuance::authority::LIST_LIFE).
pub fn revocation_list(here: &Here, kid: Option<&str>, headers: &HeaderMap) -> Response {
    match here.broker.revocation_list(&here.environment, kid) {
        // Cached for a minute, not hours: the reader wants to know about revocations of now.
        Ok(list) => {
            let kept = Kept { media: "application/pkix-crl", control: "public, max-age=60" };
            cached::tagged(headers, kept, &cached::weak_tag(list.says.as_bytes()), list.der.0)
        }
        Err(reason) => refuse(here, None, reason),
    }
}

/// `POST I/ocsp`, and `GET I/ocsp/BASE64` (RFC 6960 appendix A.1).
///
/// The answer is signed and states its own validity. A client that sends a nonce wants a fresh answer, so nothing is cached.
pub async fn certificate_status(here: &Here, request: &[u8]) -> Response {
    let answer = here.broker.certificate_status(&here.environment, request).await;
    let mut response = answer.unwrap_or_else(|unsigned| unsigned.der()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/ocsp-response"));
    response
}

/// The media type of an OCSP request (RFC 6960 appendix C.1).
pub const OCSP_REQUEST: &str = "application/ocsp-request";

/// The OCSP request in the path of a GET: base64 of its DER.
///
/// Any octet may be escaped (RFC 6960 appendix A.1, RFC 3986 section 2.1).
pub fn asked_in_path(encoded: &str) -> Option<Vec<u8>> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let (mut text, mut rest) = (Vec::with_capacity(encoded.len()), encoded.bytes());
    while let Some(byte) = rest.next() {
        text.push(match byte {
            b'%' => {
                let (high, low) = (digit(rest.next())?, digit(rest.next())?);
                u8::try_from(high << 4 | low).ok()?
            }
            byte => byte,
        });
    }
    STANDARD.decode(text).ok()
}

/// User name and password of HTTP Basic (RFC 7617), from exactly one header.
fn basic(headers: &HeaderMap) -> Result<EnrolmentCredential, &'static Reason> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(only), None) = (fields.next(), fields.next()) else { return Err(&reason::ENROLMENT_REFUSED) };
    let shown = || {
        let (scheme, credentials) = only.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let pair = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
        let (integration, token) = pair.split_once(':')?;
        Some(EnrolmentCredential::Token { integration: integration.parse().ok()?, token: token.to_owned() })
    };
    shown().ok_or(&reason::ENROLMENT_REFUSED)
}

/// The DER of a certificate request: its base64, with line ends anywhere (RFC 8951 section 3.1).
///
/// `Content-Transfer-Encoding` is ignored.
fn request(headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    if !media::is(headers, "application/pkcs10") {
        return None;
    }
    let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

/// A certs-only message in base64 lines, with the header that says so.
///
/// RFC 7030 sections 4.1.3 and 4.2.3. RFC 8951 made that header optional, but older clients look for it.
fn message(certificates: &[Der]) -> Response {
    let text = STANDARD.encode(certificates_only(certificates));
    let lines: Vec<String> = text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let mut response = (lines.join("\n") + "\n").into_response();
    let kind = HeaderValue::from_static("application/pkcs7-mime; smime-type=certs-only");
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, kind);
    fields.insert("content-transfer-encoding", HeaderValue::from_static("base64"));
    response
}

/// Refuses in words (RFC 7030 section 4.2.3): the reason, its meaning, and the fix.
///
/// The refusal is recorded like any other.
fn refuse(here: &Here, known: Option<IntegrationId>, reason: &'static Reason) -> Response {
    refuse_until(here, known, reason, None)
}

/// The same, with the time after which to try again.
fn refuse_until(here: &Here, known: Option<IntegrationId>, reason: &'static Reason, wait: Option<Seconds>) -> Response {
    let refused = Refused { known: known.map(ClientId::Integration), ..Refused::unknown(reason) };
    here.broker.note(&here.environment, &here.request, &refused);
    here.metrics.refused(reason);
    let status = match reason.class {
        Class::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Class::Unauthenticated => StatusCode::UNAUTHORIZED,
        Class::Proof | Class::Client => StatusCode::FORBIDDEN,
        Class::Missing => StatusCode::NOT_FOUND,
        Class::Quota => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_REQUEST,
    };
    let text = format!("{}: {}\n{}\nrequest {}\n", reason.code, reason.what, reason.fix, here.request);
    let mut response = (status, text).into_response();
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::UNAUTHORIZED {
        fields.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"carnet\""));
    }
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        fields.insert(header::RETRY_AFTER, HeaderValue::from(wait.map_or(5, |wait| wait.0.max(1))));
    }
    response
}
