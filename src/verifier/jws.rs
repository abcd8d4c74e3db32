//! A compact JWS, before anything of it is believed (RFC 7515).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::value::alg::Alg;
use crate::domain::value::jwk::Jwk;
use crate::domain::value::p256;

/// The longest token or proof that is looked at.
const LONGEST: usize = 16 * 1024;

/// The three parts of a JWS.
pub(super) struct Compact<'a> {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

/// The members of a header that count. Twice the same one is no header: serde refuses it, as it refuses another type.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) jwk: Option<Value>,
    // Members that would choose keys or meanings for the verifier: refused whatever they hold.
    #[serde(default, deserialize_with = "present")]
    jku: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    x5u: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    x5c: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    crit: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    zip: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    enc: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    b64: Option<Value>,
}

/// A member that is there, also where it is null: serde takes null for absent.
pub(super) fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl<'a> Compact<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut parts = text.splitn(4, '.');
        let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let signed = text.get(..header.len() + 1 + payload.len())?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Header = serde_json::from_slice(&decode(header)?).ok()?;
        let refused = [&header.jku, &header.x5u, &header.x5c, &header.crit, &header.zip, &header.enc, &header.b64];
        if refused.iter().any(|member| member.is_some()) {
            return None;
        }
        Some(Self { header, payload: decode(payload)?, signed, signature: decode(signature)? })
    }

    /// Whether this key made the signature, by the algorithm that the header names and no other.
    pub(super) fn is_signed_by(&self, key: &Jwk) -> bool {
        let public = self.header.alg.parse().ok().and_then(|alg| key.public(alg));
        public.is_some_and(|public| public.verifies(self.signed.as_bytes(), &self.signature))
    }

    /// Whether the signature has the one form that the broker releases. JWS takes the other one of ES256 as well, so this is asked of tokens
    /// and not of proofs, which clients sign.
    pub(super) fn is_of_one_form(&self) -> bool {
        self.header.alg != Alg::Es256.name() || p256::is_low(&self.signature)
    }
}
