//! One private key with one algorithm: josekit's signer trait over aws-lc-rs.
//!
//! josekit frames, aws-lc-rs computes (docs/security/stack.md#josekit). A [`PrivateKey`] is unsealed once, when the ring is
//! loaded. Its `Debug` shows nothing secret, and it has no serialisation.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsSigner};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::domain::value::alg::Alg;
use crate::domain::value::digest::Digest;
use crate::domain::value::jwk::{Jwk, Public};
use crate::domain::value::names::KeyId;
use crate::domain::value::p256;

/// A private signing key in use.
#[derive(Clone)]
pub struct PrivateKey {
    alg: AlgName,
    kid: KeyId,
    pair: Arc<Pair>,
    public: Value,
    verifier: Arc<Public>,
}

enum Pair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(Box<RsaKeyPair>),
}

/// The key could not be made or read. The fault says nothing about the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the private key is not usable")]
pub struct UnusableKey;

#[derive(Clone, Copy, Debug)]
struct AlgName(Alg);

impl PrivateKey {
    /// Makes a key for `alg`, and returns it with its PKCS#8 form for the sealed keyring.
    ///
    /// The PKCS#8 form goes nowhere else.
    ///
    /// RSA keys have 3072 bits. PS256 is an algorithm for verification only, so there is no key for it. One thumbprint in 64
    /// begins with a hyphen, which a command line takes for an option: such a key is made again.
    pub fn generate(alg: Alg) -> Result<(Self, Zeroizing<Vec<u8>>), UnusableKey> {
        loop {
            let made = Self::draw(alg)?;
            if !made.0.kid.as_str().starts_with('-') {
                return Ok(made);
            }
        }
    }

    fn draw(alg: Alg) -> Result<(Self, Zeroizing<Vec<u8>>), UnusableKey> {
        let document = match alg {
            Alg::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).and_then(|pair| pair.to_pkcs8v1()),
            Alg::EdDsa | Alg::Ed25519 => Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()),
            Alg::Rs256 => {
                use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
                let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(|_| UnusableKey)?;
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| UnusableKey)?;
                let der = Zeroizing::new(der.as_ref().to_vec());
                return Ok((Self::from_pkcs8(alg, &der)?, der));
            }
            Alg::Ps256 => return Err(UnusableKey),
        };
        let der = Zeroizing::new(document.map_err(|_| UnusableKey)?.as_ref().to_vec());
        Ok((Self::from_pkcs8(alg, &der)?, der))
    }

    /// Parses the PKCS#8 form of a key for `alg`.
    pub fn from_pkcs8(alg: Alg, der: &[u8]) -> Result<Self, UnusableKey> {
        let (pair, members) = match alg {
            Alg::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map_err(|_| UnusableKey)?;
                // SEC 1 section 2.3.3: 4, then x and y of 32 bytes each.
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..33).zip(point.get(33..65)).ok_or(UnusableKey)?;
                let members = json!({"crv": "P-256", "kty": "EC", "x": b64(x), "y": b64(y)});
                (Pair::Ecdsa(pair), members)
            }
            Alg::EdDsa | Alg::Ed25519 => {
                let pair = Ed25519KeyPair::from_pkcs8(der).map_err(|_| UnusableKey)?;
                let members = json!({"crv": "Ed25519", "kty": "OKP", "x": b64(pair.public_key().as_ref())});
                (Pair::Ed25519(pair), members)
            }
            Alg::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| UnusableKey)?;
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                let members = json!({"e": b64(e.big_endian_without_leading_zero()), "kty": "RSA", "n": b64(n.big_endian_without_leading_zero())});
                (Pair::Rsa(Box::new(pair)), members)
            }
            Alg::Ps256 => return Err(UnusableKey),
        };
        // RFC 7638 section 3: the required members in lexicographic order, without white space. serde_json's map has that order.
        let thumbprint = Digest::of(members.to_string().as_bytes());
        let kid: KeyId = b64(&thumbprint.0).parse().map_err(|_| UnusableKey)?;
        let mut public = members;
        public["alg"] = alg.name().into();
        public["kid"] = kid.as_str().into();
        public["use"] = "sig".into();
        let verifier = Arc::new(verifier(alg, &public).ok_or(UnusableKey)?);
        Ok(Self { alg: AlgName(alg), kid, pair: Arc::new(pair), public, verifier })
    }

    /// The key id, which is the RFC 7638 thumbprint.
    pub fn kid(&self) -> &KeyId {
        &self.kid
    }

    /// The algorithm that it signs with.
    pub fn alg(&self) -> Alg {
        self.alg.0
    }

    /// Tells whether this key made `signature` over `message`, and would release it ([`is_ours`]).
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        is_ours(self.alg.0, signature) && self.verifier.verifies(message, signature)
    }

    /// The public JWK with `use`, `alg` and `kid`, as published.
    pub fn public(&self) -> &Value {
        &self.public
    }
}

fn b64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl JwsAlgorithm for AlgName {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

impl JwsSigner for PrivateKey {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.alg
    }

    fn key_id(&self) -> Option<&str> {
        Some(self.kid.as_str())
    }

    fn signature_len(&self) -> usize {
        match self.pair.as_ref() {
            Pair::Ecdsa(_) | Pair::Ed25519(_) => 64,
            Pair::Rsa(pair) => pair.public_modulus_len(),
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, JoseError> {
        let failed = || JoseError::InvalidSignature(anyhow::anyhow!("signing failed"));
        match self.pair.as_ref() {
            Pair::Ecdsa(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| failed())?;
                p256::lower(signature.as_ref()).map(Vec::from).ok_or_else(failed)
            }
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).map_err(|_| failed())?;
                Ok(signature)
            }
        }
    }

    fn box_clone(&self) -> Box<dyn JwsSigner> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({}, {})", self.alg.0, self.kid)
    }
}

/// Verifies a signature of ours by a published JWK.
pub(super) fn verify(alg: Alg, public: &Value, message: &[u8], signature: &[u8]) -> bool {
    is_ours(alg, signature) && verifier(alg, public).is_some_and(|verifier| verifier.verifies(message, signature))
}

fn verifier(alg: Alg, public: &Value) -> Option<Public> {
    Jwk::read(public, "sig").ok()?.public(alg).cloned()
}

/// Anybody can compute the twin of an ES256 signature; only the one that we release is accepted.
fn is_ours(alg: Alg, signature: &[u8]) -> bool {
    alg != Alg::Es256 || p256::is_low(signature)
}

#[cfg(test)]
mod tests {
    use super::*;
    use josekit::jws::{self, JwsHeader, JwsVerifier};

    fn stock_verifier(alg: Alg, jwk: &Value) -> Box<dyn JwsVerifier> {
        let mut map = jwk.as_object().expect("a jwk").clone();
        map.remove("use");
        if alg == Alg::Ed25519 {
            map.insert("alg".into(), "EdDSA".into());
        }
        let jwk = josekit::jwk::Jwk::from_map(map).expect("a jwk");
        match alg {
            Alg::Es256 => Box::new(jws::ES256.verifier_from_jwk(&jwk).expect("a verifier")),
            Alg::Rs256 => Box::new(jws::RS256.verifier_from_jwk(&jwk).expect("a verifier")),
            _ => Box::new(jws::EdDSA.verifier_from_jwk(&jwk).expect("a verifier")),
        }
    }

    /// Stock josekit (OpenSSL) and this module verify what we sign; a changed byte fails.
    #[test]
    fn stock_josekit_verifies_what_we_sign() {
        for alg in [Alg::Es256, Alg::EdDsa, Alg::Rs256] {
            let (key, der) = PrivateKey::generate(alg).expect("a key");
            let again = PrivateKey::from_pkcs8(alg, &der).expect("the same key");
            assert_eq!(key.kid(), again.kid());
            let text = jws::serialize_compact(b"{\"a\":1}", &JwsHeader::new(), &again).expect("signed");
            let stock = stock_verifier(alg, key.public());
            let (payload, _) = jws::deserialize_compact(&text, stock.as_ref()).expect("verifies");
            assert_eq!(payload, b"{\"a\":1}");
            let ours = |text: &str| {
                let (message, signature) = text.rsplit_once('.').expect("three parts");
                let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
                let held = again.verifies(message.as_bytes(), &signature);
                assert_eq!(held, verify(alg, key.public(), message.as_bytes(), &signature));
                held
            };
            assert!(ours(&text));
            let broken = text.replacen("eyJhIjox", "eyJhIjoy", 1);
            assert_ne!(broken, text);
            assert!(!ours(&broken));
            assert!(jws::deserialize_compact(&broken, stock.as_ref()).is_err());
        }
    }

    /// The signer releases the low one of the two signatures that verify, so no token has a twin.
    ///
    /// `verify` accepts only that one.
    #[test]
    fn only_the_low_signature_is_ours() {
        let (key, _) = PrivateKey::generate(Alg::Es256).expect("a key");
        let stock = stock_verifier(Alg::Es256, key.public());
        for n in 0..32 {
            let text = jws::serialize_compact(format!("{{\"n\":{n}}}").as_bytes(), &JwsHeader::new(), &key).expect("signed");
            let (input, signature) = text.rsplit_once('.').expect("three parts");
            let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
            let ours = |signature: &[u8]| {
                let held = key.verifies(input.as_bytes(), signature);
                assert_eq!(held, verify(Alg::Es256, key.public(), input.as_bytes(), signature));
                held
            };
            assert!(p256::is_low(&signature) && ours(&signature));
            let twin = p256::twin(&signature);
            let text = format!("{input}.{}", b64(&twin));
            jws::deserialize_compact(&text, stock.as_ref()).expect("any other verifier takes the twin");
            assert!(!ours(&twin), "the twin of signature {n}");
        }
    }

    /// A `kid` must be usable on a command line, in the hour when the key has to be tainted.
    #[test]
    fn no_kid_begins_with_a_hyphen() {
        for _ in 0..600 {
            let (key, _) = PrivateKey::generate(Alg::Ed25519).expect("a key");
            assert!(!key.kid().as_str().starts_with('-'), "{}", key.kid());
        }
    }

    /// RFC 7638 section 3.1: the thumbprint of the example key, by the same canonical form.
    #[test]
    fn thumbprints_are_those_of_rfc_7638() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let members = json!({"e": "AQAB", "kty": "RSA", "n": n});
        assert_eq!(b64(&Digest::of(members.to_string().as_bytes()).0), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn a_private_key_does_not_print_itself() {
        let (key, _) = PrivateKey::generate(Alg::Es256).expect("a key");
        assert_eq!(format!("{key:?}"), format!("PrivateKey(ES256, {})", key.kid()));
        assert!(key.public().get("d").is_none());
    }
}
