//! One public key with one algorithm: josekit's verifier trait over aws-lc-rs.
//!
//! aws-lc-rs computes (DEPENDENCIES.md A.3: OpenSSL 3.0 builds a verifier in 100 µs; here a key is parsed once, when its set is
//! loaded). ECDSA signatures are of the fixed-length form alone, so DER and wrong lengths fail (ABUSE J-08).

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents,
};
use josekit::JoseError;
use josekit::jws::{JwsAlgorithm, JwsVerifier};

use crate::domain::alg::Alg;

/// A parsed public key that verifies one algorithm.
#[derive(Clone)]
pub(super) struct PublicKey {
    name: AlgName,
    key: ParsedPublicKey,
}

/// An algorithm as josekit asks for it: by its exact JOSE name.
#[derive(Clone, Copy, Debug)]
struct AlgName(Alg);

impl PublicKey {
    /// A P-256 point for ES256, or nothing if it is not on the curve (checked by aws-lc, RFC 7518 section 6.2.1).
    pub(super) fn p256(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        let mut point = [4; 65];
        point[1..33].copy_from_slice(x);
        point[33..].copy_from_slice(y);
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self { name: AlgName(Alg::Es256), key })
    }

    /// An Ed25519 key under one of its two names.
    pub(super) fn ed25519(alg: Alg, x: &[u8; 32]) -> Option<Self> {
        let key = ParsedPublicKey::new(&ED25519, x).ok()?;
        Some(Self { name: AlgName(alg), key })
    }

    /// An RSA key; size and exponent are the caller's to judge.
    pub(super) fn rsa(alg: Alg, n: &[u8], e: &[u8]) -> Option<Self> {
        let parameters: &'static RsaParameters = match alg {
            Alg::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Alg::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Alg::Es256 | Alg::EdDsa | Alg::Ed25519 => return None,
        };
        let key = RsaPublicKeyComponents { n, e }.to_parsed_public_key(parameters).ok()?;
        Some(Self { name: AlgName(alg), key })
    }

    /// The one algorithm that it verifies.
    pub(super) fn alg(&self) -> Alg {
        self.name.0
    }
}

impl JwsAlgorithm for AlgName {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn box_clone(&self) -> Box<dyn JwsAlgorithm> {
        Box::new(*self)
    }
}

impl JwsVerifier for PublicKey {
    fn algorithm(&self) -> &dyn JwsAlgorithm {
        &self.name
    }

    /// None: the key was selected by source, kid and algorithm before josekit is asked.
    fn key_id(&self) -> Option<&str> {
        None
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), JoseError> {
        self.key
            .verify_sig(message, signature)
            .map_err(|_| JoseError::InvalidSignature(anyhow::anyhow!("the signature does not verify")))
    }

    fn box_clone(&self) -> Box<dyn JwsVerifier> {
        Box::new(self.clone())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.name.0)
    }
}
