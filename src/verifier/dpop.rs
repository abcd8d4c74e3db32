//! Checks DPoP proofs beside a token (RFC 9449 section 7): for this request and token, fresh, once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::jws::Compact;
use super::refusal::ALGORITHMS;
use super::refusal::Refusal;
use super::shown::Shown;
use crate::domain::credential::resource::normalised;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::jwk::Jwk;
use crate::domain::value::numeric_date::{self, deserialize_ceiling};

const AHEAD: Seconds = Seconds(30);
const BEHIND: Seconds = Seconds::minutes(5);

/// The most proofs that are remembered.
///
/// Above it the API is flooded, and refuses rather than forgets.
const MOST: usize = 200_000;

/// A valid proof.
pub(super) struct Proof {
    /// The thumbprint of its key.
    pub(super) key: Digest,
    /// SHA-256 of key and `jti`, by which it is remembered.
    name: Digest,
    until: Timestamp,
}

#[derive(Deserialize)]
struct Claims {
    jti: String,
    htm: String,
    htu: String,
    #[serde(deserialize_with = "deserialize_ceiling")]
    iat: Timestamp,
    ath: String,
    exp: Option<Value>,
    nbf: Option<Value>,
}

/// The proof of the request, if it has one.
pub(super) fn proof(shown: &Shown<'_>, token: &str, now: Timestamp) -> Result<Option<Proof>, Refusal> {
    match shown.proofs.as_slice() {
        [] => Ok(None),
        [only] => judge(only, shown, token, now).map(Some),
        _ => Err(Refusal::Proof("there is more than one")),
    }
}

fn judge(text: &str, shown: &Shown<'_>, token: &str, now: Timestamp) -> Result<Proof, Refusal> {
    let fault = Refusal::Proof;
    let proof = Compact::parse(text).ok_or(fault("it is not a compact JWS"))?;
    let typ = proof.header.typ.as_deref().unwrap_or_default();
    let listed = ALGORITHMS.split(' ').any(|alg| alg == proof.header.alg);
    if !typ.eq_ignore_ascii_case("dpop+jwt") || !listed {
        return Err(fault("its typ or alg is another"));
    }
    let jwk = proof.header.jwk.as_ref().ok_or(fault("it has no key"))?;
    let key = Jwk::read(jwk, "sig").map_err(|_| fault("its key is not one that is taken"))?;
    if !proof.is_signed_by(&key) {
        return Err(fault("its key did not sign it"));
    }
    let claims: Claims = serde_json::from_slice(&proof.payload).map_err(|_| fault("a claim is missing or of another type"))?;
    let here = shown.origin.and_then(|origin| normalised(&format!("{origin}{}", shown.path)));
    if claims.htm != shown.method || here.is_none() || normalised(&claims.htu) != here {
        return Err(fault("it is for another request"));
    }
    if claims.ath != URL_SAFE_NO_PAD.encode(Digest::of(token.as_bytes()).0) {
        return Err(fault("it is for another token"));
    }
    let (issued, ahead) = (claims.iat, now.plus(AHEAD));
    let time = |time: Option<Timestamp>| time.ok_or(fault("a time is none"));
    let over = claims.exp.map(|exp| time(numeric_date::floor(&exp))).transpose()?.is_some_and(|until| now >= until);
    let early = claims.nbf.map(|nbf| time(numeric_date::ceiling(&nbf))).transpose()?.is_some_and(|from| from > ahead);
    if issued > ahead || now.since(issued) > BEHIND || over || early {
        return Err(fault("it is not fresh"));
    }
    if claims.jti.is_empty() || claims.jti.len() > 255 {
        return Err(fault("its jti is none"));
    }
    let name = Digest::of_parts(&[&key.thumbprint.0, claims.jti.as_bytes()]);
    Ok(Proof { key: key.thumbprint, name, until: issued.plus(Seconds(BEHIND.0 + AHEAD.0)) })
}

/// The proofs that were used, as long as they would be fresh.
///
/// Each node has its own: with several nodes a proof works once on each, within its minutes.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<Digest, Timestamp>>);

impl Seen {
    /// Marks the proof as used; false if it was used before, or if no more can be remembered.
    pub(super) fn spend(&self, proof: &Proof, now: Timestamp) -> bool {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.retain(|_, until| now <= *until);
        }
        seen.len() < MOST && seen.insert(proof.name, proof.until).is_none()
    }
}
