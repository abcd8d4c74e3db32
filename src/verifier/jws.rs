//! Parses a compact JWS (RFC 7515). Nothing of it is trusted before its signature is verified.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::value::alg::Alg;
use crate::domain::value::jwk::Jwk;
use crate::domain::value::p256;

/// The longest token or proof, in bytes.
const LONGEST: usize = 16 * 1024;

/// The three parts of a JWS.
pub(super) struct Compact<'a> {
    pub(super) header: Header,
    pub(super) payload: Vec<u8>,
    signed: &'a str,
    signature: Vec<u8>,
}

/// The members of a header that count.
///
/// A member that repeats, or has another type, is refused by serde.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) typ: Option<String>,
    pub(super) kid: Option<String>,
    pub(super) jwk: Option<Value>,
    // Members that would choose keys or meanings for the verifier. They are refused, whatever their value.
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

/// A member that is present, even as null, which serde takes for absent.
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

    /// True if this key made the signature, by exactly the algorithm that the header names.
    pub(super) fn is_signed_by(&self, key: &Jwk) -> bool {
        let public = self.header.alg.parse().ok().and_then(|alg| key.public(alg));
        public.is_some_and(|public| public.verifies(self.signed.as_bytes(), &self.signature))
    }

    /// True if the signature has the one form that the broker releases.
    ///
    /// JWS also accepts the other form of ES256. So this is checked for tokens, but not for proofs, which clients sign.
    pub(super) fn is_of_one_form(&self) -> bool {
        self.header.alg != Alg::Es256.name() || p256::is_low(&self.signature)
    }
}
