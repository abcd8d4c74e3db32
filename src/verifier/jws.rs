//! A compact JWS, before anything of it is believed, and keys that verify one (RFC 7515).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::domain::alg::Alg;
use crate::domain::digest::Digest;
use crate::domain::p256;

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

    /// Whether the signature has the one form that the broker releases. JWS takes the other one of ES256 as well, so this is asked of tokens
    /// and not of proofs, which clients sign.
    pub(super) fn is_of_one_form(&self) -> bool {
        self.header.alg != Alg::Es256.name() || p256::is_low(&self.signature)
    }
}

/// A public key for one algorithm.
pub(super) struct Key {
    pub(super) kid: Option<String>,
    pub(super) alg: Alg,
    /// RFC 7638, SHA-256.
    pub(super) thumbprint: Digest,
    key: ParsedPublicKey,
}

/// The members of a JWK that count.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    #[serde(default, deserialize_with = "present")]
    d: Option<Value>,
    #[serde(default, deserialize_with = "present")]
    k: Option<Value>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
}

impl Key {
    /// Whether this key signed the token, by its own algorithm and no other.
    pub(super) fn signed(&self, token: &Compact<'_>) -> bool {
        token.header.alg == self.alg.name() && self.key.verify_sig(token.signed.as_bytes(), &token.signature).is_ok()
    }

    /// A usable key, for the algorithm that it names or that it can only be for; else nothing. One key of an unknown kind blinds nobody.
    /// `header` is the algorithm of a proof, whose RSA key may leave its own out.
    pub(super) fn read(entry: &Value, header: Option<&str>) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(entry.clone()).ok()?;
        if jwk.d.is_some() || jwk.k.is_some() || jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let exactly = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok().filter(|bytes| bytes.len() == 32);
        let named = jwk.alg.as_deref().or(header);
        let (alg, key, canonical) = match (jwk.kty.as_str(), jwk.crv.as_deref(), named) {
            ("EC", Some("P-256"), None | Some("ES256")) => {
                let point = [&[4][..], &exactly(&jwk.x)?, &exactly(&jwk.y)?].concat();
                let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{}","y":"{}"}}"#, jwk.x.as_deref()?, jwk.y.as_deref()?);
                (Alg::Es256, ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?, text)
            }
            ("OKP", Some("Ed25519"), Some(name @ ("EdDSA" | "Ed25519"))) => {
                let text = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, jwk.x.as_deref()?);
                (name.parse().ok()?, ParsedPublicKey::new(&ED25519, exactly(&jwk.x)?).ok()?, text)
            }
            ("RSA", _, Some(name @ ("RS256" | "PS256"))) => {
                let (n, e) = (jwk.n.as_deref()?, jwk.e.as_deref()?);
                let components =
                    RsaPublicKeyComponents { n: URL_SAFE_NO_PAD.decode(n).ok()?, e: URL_SAFE_NO_PAD.decode(e).ok()? };
                if !(256..=512).contains(&components.n.len()) || components.e != [1, 0, 1] {
                    return None;
                }
                let parameters = if name == "RS256" { &RSA_PKCS1_2048_8192_SHA256 } else { &RSA_PSS_2048_8192_SHA256 };
                let text = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
                (name.parse().ok()?, components.to_parsed_public_key(parameters).ok()?, text)
            }
            _ => return None,
        };
        Some(Self { kid: jwk.kid, alg, thumbprint: Digest::of(canonical.as_bytes()), key })
    }
}
