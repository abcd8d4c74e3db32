//! Verifies DPoP proofs at our own endpoints (RFC 9449): that the caller has a key, now.
//!
//! Enter through [`verify`], with the proof from the header and the facts that it must match. Without a token, a proof must have a
//! nonce: a value that the server made within the last minutes, which no proof made ahead of time can have ([`Nonces`]). Nothing
//! is spent here. The broker spends a proof's `jti` after everything else held, so a client may correct its nonce (RFC 9449
//! section 11.1, docs/security/standards.md#nonce-before-jti).

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::domain::caller::proof::{Possession, Verified};
use crate::domain::credential::resource::normalised;
use crate::domain::reason::{self, Reason};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::jwk::Jwk;
use crate::domain::value::numeric_date;
use crate::domain::value::strict_json;

/// The longest proof that is parsed; one with an RSA-4096 key has some 1 700 bytes.
const LONGEST: usize = 4 * 1024;

/// The most JSON values in its header or claims.
const MAX_VALUES: usize = 128;

/// How far `iat` may be ahead of now, and behind it.
///
/// The nonce, if there is one, bounds the age of a proof. These bounds are for clocks that differ.
const AHEAD: Seconds = Seconds(30);
const BEHIND: Seconds = Seconds::minutes(5);

/// How long a nonce is given out; it is accepted for as long again.
const STEP: i64 = 90;

/// How long a proof's `jti` is remembered after its `iat`: as long as the proof could be taken.
pub const REMEMBERED: Seconds = Seconds::minutes(10);

/// The algorithms of proofs: those of keys that a partner makes (RS256 is for platforms).
pub const ALGORITHMS: [Alg; 4] = Alg::KEY;

/// The facts that a proof must match.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The method of the request.
    pub method: &'a str,
    /// The URLs of the endpoint, without query and fragment: one for each socket that reaches it.
    pub urls: &'a [String],
    /// The access token that comes with it, if one does.
    ///
    /// A proof beside a token must name that token in `ath` (RFC 9449 sections 4.2 and 7), and needs no nonce, which a client of an
    /// API never sees. A proof without a token must have our nonce.
    pub token: Option<&'a str>,
    /// The time now.
    pub now: Timestamp,
}

/// Makes nonces (RFC 9449 section 8), each a MAC over a step of time.
///
/// So every node with the key accepts the nonce of another, and no node has to remember one.
pub struct Nonces(hmac::Key);

impl Nonces {
    /// Makes nonces with a secret of this installation.
    pub fn new(secret: &Zeroizing<[u8; 32]>) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &**secret))
    }

    /// The nonce to give out now.
    pub fn current(&self, now: Timestamp) -> String {
        self.of(now.as_seconds() / STEP)
    }

    fn of(&self, step: i64) -> String {
        let tag = hmac::sign(&self.0, format!("dpop {step}").as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..16).unwrap_or_default())
    }

    fn takes(&self, nonce: &str, now: Timestamp) -> bool {
        let step = now.as_seconds() / STEP;
        // A nonce is not a secret: the time of this comparison tells nothing that the last answer did not.
        [step, step - 1].iter().any(|step| self.of(*step) == nonce)
    }
}

/// Verifies one proof.
///
/// # Errors
/// The first thing that does not hold, in this order: form and header, signature, request, time, nonce, token.
pub fn verify(text: &str, expected: Expected<'_>, nonces: &Nonces) -> Result<Verified<Possession>, &'static Reason> {
    if text.len() > LONGEST {
        return Err(&reason::DPOP_MALFORMED);
    }
    let mut parts = text.splitn(4, '.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(&reason::DPOP_MALFORMED);
    };
    let (alg, key) = header_of(&object(header)?)?;
    let claims = object(payload)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| &reason::DPOP_MALFORMED)?;
    let signed = text.get(..header.len() + 1 + payload.len()).unwrap_or_default();
    let public = key.public(alg).ok_or(&reason::DPOP_HEADER)?;
    if !public.verifies(signed.as_bytes(), &signature) {
        return Err(&reason::DPOP_SIGNATURE);
    }

    let id = text_of(&claims, "jti")?.parse().map_err(|_| &reason::DPOP_MALFORMED)?;
    let (method, url) = (text_of(&claims, "htm")?, text_of(&claims, "htu")?);
    let wanted = normalised(url).ok_or(&reason::DPOP_MISMATCH)?;
    let here = expected.urls.iter().any(|url| normalised(url).as_ref() == Some(&wanted));
    if method != expected.method || !here {
        return Err(&reason::DPOP_MISMATCH);
    }
    let issued = times(&claims, expected.now)?;
    match claims.get("nonce") {
        Some(Value::String(nonce)) if nonces.takes(nonce, expected.now) => {}
        Some(Value::String(_)) | None if expected.token.is_some() => {}
        Some(Value::String(_)) | None => return Err(&reason::DPOP_NONCE),
        Some(_) => return Err(&reason::DPOP_MALFORMED),
    }
    if let Some(token) = expected.token
        && text_of(&claims, "ath")? != URL_SAFE_NO_PAD.encode(Digest::of(token.as_bytes()).0)
    {
        return Err(&reason::DPOP_MISMATCH);
    }
    Ok(Verified::assertion(Possession { key: key.thumbprint, id, issued }))
}

fn object(part: &str) -> Result<Map<String, Value>, &'static Reason> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| &reason::DPOP_MALFORMED)?;
    match strict_json::parse(&bytes, MAX_VALUES) {
        Some(Value::Object(members)) => Ok(members),
        _ => Err(&reason::DPOP_MALFORMED),
    }
}

/// Reads the algorithm and the public key (RFC 9449 section 4.2).
///
/// Members that would choose another key or meaning are refused.
fn header_of(header: &Map<String, Value>) -> Result<(Alg, Jwk), &'static Reason> {
    const REFUSED: [&str; 7] = ["jku", "x5u", "x5c", "zip", "enc", "b64", "crit"];
    let typ = header.get("typ").and_then(Value::as_str);
    if typ.is_none_or(|typ| !typ.eq_ignore_ascii_case("dpop+jwt")) || REFUSED.iter().any(|name| header.contains_key(*name)) {
        return Err(&reason::DPOP_HEADER);
    }
    let alg: Alg = header.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok()).ok_or(&reason::DPOP_HEADER)?;
    let jwk = header.get("jwk").ok_or(&reason::DPOP_HEADER)?;
    if !ALGORITHMS.contains(&alg) {
        return Err(&reason::DPOP_HEADER);
    }
    Ok((alg, Jwk::read(jwk, "sig").map_err(|_| &reason::DPOP_HEADER)?))
}

fn text_of<'a>(claims: &'a Map<String, Value>, name: &str) -> Result<&'a str, &'static Reason> {
    claims.get(name).and_then(Value::as_str).ok_or(&reason::DPOP_MALFORMED)
}

/// Checks that `iat` is within the window; `exp` and `nbf` count if they are there.
fn times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, &'static Reason> {
    let time = |name: &str, read: fn(&Value) -> Option<Timestamp>| match claims.get(name) {
        None => Ok(None),
        Some(value) => read(value).map(Some).ok_or(&reason::DPOP_MALFORMED),
    };
    let (begin, end) = (numeric_date::ceiling, numeric_date::floor);
    let issued = time("iat", begin)?.ok_or(&reason::DPOP_MALFORMED)?;
    let ahead = now.plus(AHEAD);
    let fresh = issued <= ahead && now.since(issued) <= BEHIND;
    let valid = time("nbf", begin)?.is_none_or(|from| from <= ahead) && time("exp", end)?.is_none_or(|until| now < until);
    if fresh && valid { Ok(issued) } else { Err(&reason::DPOP_STALE) }
}
