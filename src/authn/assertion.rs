//! The form of a partner's JWT, before anything in it can be believed.
//!
//! Enter through [`UnverifiedAssertion::parse`]. Other modules see only its `issuer()`, to look up whose keys could verify it.
//! `verify` judges the signature, and `domain::decision::admission` the times, audience, life, `typ` and conditions.

use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::domain::caller::spiffe::WorkloadId;
use crate::domain::reason::{self, ASSERTION_ALGORITHM, ASSERTION_HEADER, ASSERTION_MALFORMED, Reason};
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{Issuer, ProofId, Subject};
use crate::domain::value::numeric_date;
use crate::domain::value::p256;
use crate::domain::value::strict_json;

/// The longest assertion that is parsed.
///
/// Real ones have 1 to 4 KiB; a longer one of a stranger costs nothing more (ABUSE J-31, I-21).
pub const MAX_ASSERTION: usize = 16 * 1024;

/// The most JSON values in a header or in claims; real tokens have some dozens.
const MAX_VALUES: usize = 2048;

/// Header members that are refused whatever they hold (docs/reference/records.md).
///
/// They choose keys or meanings for the verifier.
const REFUSED: [&str; 8] = ["jwk", "jku", "x5u", "x5c", "zip", "enc", "b64", "crit"];

/// A compact JWS with strict claims and an unverified signature.
///
/// It has no `Debug`, because it is somebody's credential.
pub struct UnverifiedAssertion {
    /// The text as it came. Header and claims, joined by a dot, are what is signed.
    pub(super) text: String,
    signed: usize,
    pub(super) signature: Vec<u8>,
    pub(super) header: Header,
    pub(super) claims: Claims,
}

/// The header members that are read.
pub(super) struct Header {
    pub(super) alg: Alg,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
}

/// The claims, each with its type.
pub(super) struct Claims {
    pub(super) issuer: Issuer,
    pub(super) subject: Subject,
    pub(super) audience: Vec<String>,
    pub(super) expires: Timestamp,
    pub(super) issued: Option<Timestamp>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) id: Option<ProofId>,
    pub(super) all: Value,
}

impl UnverifiedAssertion {
    /// Reads the compact serialisation (RFC 7515 section 7.1): no JWE, no JSON form, no padding.
    ///
    /// Size and number of parts are judged before anything is decoded (ABUSE J-28 to J-31).
    pub fn parse(text: &str) -> Result<Self, &'static Reason> {
        if text.len() > MAX_ASSERTION {
            return Err(&ASSERTION_MALFORMED);
        }
        let mut parts = text.splitn(4, '.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(&ASSERTION_MALFORMED);
        };
        let signed = header.len() + 1 + payload.len();
        let header = Header::parse(&decode(header)?)?;
        let claims = Claims::parse(&decode(payload)?)?;
        Ok(Self { text: text.to_owned(), signed, signature: decode(signature)?, header, claims })
    }

    /// The bytes that the signature covers (RFC 7515 section 5.2).
    pub(super) fn signing_input(&self) -> &[u8] {
        // Invariant: `parse` split the text there.
        self.text.as_bytes().get(..self.signed).unwrap_or_default()
    }

    /// The issuer that it claims, only for looking up whose keys could verify it.
    pub fn issuer(&self) -> &Issuer {
        &self.claims.issuer
    }

    /// Tells whether its ES256 signature is the high-S twin, which verifies too.
    ///
    /// A token of ours never has it; a partner's may.
    pub fn is_twin(&self) -> bool {
        self.header.alg == Alg::Es256 && !p256::is_low(&self.signature)
    }

    /// Makes the trust domain of its subject its issuer, if it has one. Returns whether it did.
    pub fn take_trust_domain(&mut self) -> bool {
        let domain = trust_domain(&self.claims.subject);
        domain.is_some_and(|domain| {
            self.claims.issuer = domain;
            true
        })
    }
}

/// Decodes strict base64url, so that one token has one text.
///
/// It takes no padding, no white space, no other alphabet, no non-zero tail bits (ABUSE J-32).
fn decode(part: &str) -> Result<Vec<u8>, &'static Reason> {
    if part.is_empty() {
        return Err(&ASSERTION_MALFORMED);
    }
    URL_SAFE_NO_PAD.decode(part).map_err(|_| &ASSERTION_MALFORMED)
}

impl Header {
    fn parse(bytes: &[u8]) -> Result<Self, &'static Reason> {
        let Some(Value::Object(members)) = strict_json::parse(bytes, MAX_VALUES) else { return Err(&ASSERTION_MALFORMED) };
        // The members are iterated once: each look-up would hash its name.
        let (mut alg, mut kid, mut typ) = (None, None, None);
        for (name, value) in members {
            match name.as_str() {
                "alg" => alg = Some(value),
                "kid" => kid = Some(value),
                "typ" => typ = Some(value),
                name if REFUSED.contains(&name) => return Err(&ASSERTION_HEADER),
                _ => {}
            }
        }
        let alg = match alg {
            Some(Value::String(name)) => name.parse().map_err(|_| &ASSERTION_ALGORITHM)?,
            _ => return Err(&ASSERTION_ALGORITHM),
        };
        Ok(Self { alg, kid: text_member(kid)?, typ: text_member(typ)? })
    }
}

fn text_member(value: Option<Value>) -> Result<Option<String>, &'static Reason> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() && text.len() <= 255 => Ok(Some(text)),
        Some(_) => Err(&ASSERTION_HEADER),
    }
}

/// The registered claims, as they were written.
#[derive(Default)]
struct Registered<'a> {
    iss: Option<&'a Value>,
    sub: Option<&'a Value>,
    aud: Option<&'a Value>,
    exp: Option<&'a Value>,
    iat: Option<&'a Value>,
    nbf: Option<&'a Value>,
    jti: Option<&'a Value>,
}

impl<'a> Registered<'a> {
    fn of(claims: &'a Map<String, Value>) -> Self {
        let mut found = Self::default();
        for (name, value) in claims {
            let place = match name.as_str() {
                "iss" => &mut found.iss,
                "sub" => &mut found.sub,
                "aud" => &mut found.aud,
                "exp" => &mut found.exp,
                "iat" => &mut found.iat,
                "nbf" => &mut found.nbf,
                "jti" => &mut found.jti,
                _ => continue,
            };
            *place = Some(value);
        }
        found
    }
}

impl Claims {
    /// Reads the claims. A claim of the wrong type is refused, and never treated as absent.
    ///
    /// An absent claim is `None` (ABUSE S1, J-10). The reason names the claim that is wrong.
    fn parse(bytes: &[u8]) -> Result<Self, &'static Reason> {
        let all = strict_json::parse(bytes, MAX_VALUES).ok_or(&ASSERTION_MALFORMED)?;
        let claims = Registered::of(all.as_object().ok_or(&ASSERTION_MALFORMED)?);
        let subject: Subject = name(claims.sub).ok_or(&reason::ASSERTION_CLAIM_SUB)?;
        let issuer = match claims.iss {
            Some(_) => name(claims.iss),
            None => trust_domain(&subject),
        };
        Ok(Self {
            issuer: issuer.ok_or(&reason::ASSERTION_CLAIM_ISS)?,
            subject,
            audience: claims.aud.and_then(audience).ok_or(&reason::ASSERTION_CLAIM_AUD)?,
            expires: claims.exp.and_then(numeric_date::floor).ok_or(&reason::ASSERTION_CLAIM_EXP)?,
            issued: optional(claims.iat, numeric_date::ceiling).ok_or(&reason::ASSERTION_CLAIM_IAT)?,
            not_before: optional(claims.nbf, numeric_date::ceiling).ok_or(&reason::ASSERTION_CLAIM_NBF)?,
            id: optional(claims.jti, |id| name(Some(id))).ok_or(&reason::ASSERTION_CLAIM_JTI)?,
            all,
        })
    }
}

/// Parses a claim that is a text.
fn name<N: FromStr>(claim: Option<&Value>) -> Option<N> {
    claim?.as_str()?.parse().ok()
}

/// Reads a claim that may be absent; `None` if it is there and not of its form.
fn optional<T>(claim: Option<&Value>, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
    match claim {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

/// The trust domain of a SPIFFE ID, which issues every JWT-SVID (JWT-SVID section 3.1).
///
/// A JWT without `iss` must have such a subject.
fn trust_domain(subject: &Subject) -> Option<Issuer> {
    subject.as_str().parse::<WorkloadId>().ok().map(|id| id.issuer())
}

/// Reads a string or an array of strings, none empty (RFC 7519 section 4.1.3).
fn audience(value: &Value) -> Option<Vec<String>> {
    let values = match value {
        Value::String(one) => vec![one.clone()],
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()?,
        _ => return None,
    };
    (!values.is_empty() && values.iter().all(|one| !one.is_empty())).then_some(values)
}
