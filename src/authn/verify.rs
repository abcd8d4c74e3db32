//! Verifies a partner's JWT: first the key, then the signature.
//!
//! Enter through [`Verifier::verify`]. A [`Verified`] assertion says that one key of a source that the caller trusts for this
//! issuer signed these claims, with one algorithm. It does not say that they are in their time, nor that they admit anybody.
//! `domain::decision::admission` judges times, audience, life, age, `typ` and conditions at each decision, because a known caller
//! is told which of them failed (docs/reference/http.md#refusals). None of them is judged without a good signature (ABUSE J-34).
//!
//! aws-lc-rs computes, with the keys of `domain::value::jwk`. josekit is for signing alone: its claims validator takes a token
//! without `exp` or `aud`, its getters panic on `exp: 1e300`, and its framing reads the header a second time, last member wins, and
//! refuses members that we ignore, such as an odd `x5t` (ABUSE S1, S3, docs/security/stack.md#josekit).

use std::fmt;
use std::hint::black_box;
use std::sync::{Arc, Mutex, PoisonError};

use super::assertion::UnverifiedAssertion;
use super::jwks::KeySet;
use super::keys::{IssuerKeys, Missing};
use crate::domain::caller::proof::{Assertion, Verified};
use crate::domain::reason::{
    ASSERTION_ALGORITHM, ASSERTION_KEY, ASSERTION_SIGNATURE, ISSUER_UNAVAILABLE, ISSUER_UNKNOWN, Reason,
};
use crate::domain::registry::binding::KeySource;
use crate::domain::value::alg::Alg;
use crate::domain::value::bounded::Bounded;
use crate::domain::value::digest::Digest;
use crate::domain::value::jwk::{Jwk, Public};

/// The keys and algorithms that may verify an assertion, by a binding that names its issuer.
#[derive(Clone, Copy, Debug)]
pub struct Trust<'a> {
    /// The source of the keys.
    pub source: &'a KeySource,
    /// The algorithms that the binding takes.
    pub algs: &'a [Alg],
}

/// The reason why an assertion was not verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct VerifyFault {
    /// Its class is `Proof`, or `Busy` if the issuer's keys cannot be had.
    pub reason: &'static Reason,
}

/// Verifies assertions with the keys of their issuers.
pub struct Verifier {
    keys: IssuerKeys,
    decoys: KeySet,
    /// The keys that signed texts which may come again ([`Verifier::remember`]).
    signed: Mutex<Bounded<Digest, Digest>>,
}

/// The most signatures in memory: of a busy installation's workloads, some 2 MB.
const MOST_SIGNED: usize = 16_384;

/// A text and the key that signed it, as [`Verifier::verify_signed`] established.
///
/// It has no `Debug`, because the text is somebody's credential.
pub struct Signed {
    text: String,
    key: Digest,
}

/// Faults in rising order of how much they say. With several sources the highest counts.
///
/// An issuer that is away may have had the right key, so the caller is told to try again rather than that it is wrong.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd)]
enum Fault {
    Issuer,
    Algorithm,
    Key,
    Signature,
    Unavailable,
}

impl Verifier {
    /// Makes a verifier with these keys.
    pub fn new(keys: IssuerKeys) -> Self {
        // Invariant: the text below is a well-formed set of public keys (test `the_decoys_cover_every_algorithm`).
        let decoys = KeySet::parse(DECOYS.as_bytes()).expect("the decoy keys parse");
        Self { keys, decoys, signed: Mutex::new(Bounded::new(MOST_SIGNED, usize::MAX)) }
    }

    /// Verifies key and signature of `unverified`.
    ///
    /// `trust` has one entry for each binding with this exact issuer. If it is empty no packet leaves, and one verification with a
    /// fixed key takes the same time (ABUSE K-01, O-02).
    pub async fn verify(
        &self,
        unverified: UnverifiedAssertion,
        trust: &[Trust<'_>],
    ) -> Result<Verified<Assertion>, VerifyFault> {
        self.verify_signed(unverified, trust).await.map(|(assertion, _)| assertion)
    }

    /// As [`verify`](Self::verify), with what [`remember`](Self::remember) takes.
    pub async fn verify_signed(
        &self,
        unverified: UnverifiedAssertion,
        trust: &[Trust<'_>],
    ) -> Result<(Verified<Assertion>, Signed), VerifyFault> {
        match self.signing_key(&unverified, trust).await {
            Ok((source, key)) => Ok(assertion(unverified, source.clone(), &key)),
            Err(fault) => Err(VerifyFault { reason: fault.reason() }),
        }
    }

    /// Remembers a signature, for a proof that its holder may present again.
    ///
    /// Kept is one fact, which can never change: this key signed this text. That the key is still one of a trusted source is looked
    /// up at each verification, and everything that the text says is judged at each decision. The text is kept as its digest.
    pub fn remember(&self, signed: &Signed) {
        let text = Digest::of(signed.text.as_bytes());
        // Each change of the map is complete, so a poisoned lock is still good.
        let forgotten = self.signed.lock().unwrap_or_else(PoisonError::into_inner).remember(text, signed.key, 0);
        drop(forgotten);
    }

    /// The key that signed this very text, if it is remembered.
    pub(crate) fn remembered(&self, unverified: &UnverifiedAssertion) -> Option<Digest> {
        let is_empty = self.signed.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if is_empty {
            return None;
        }
        let text = Digest::of(unverified.text.as_bytes());
        self.signed.lock().unwrap_or_else(PoisonError::into_inner).look(&text)
    }

    /// Finds the trusted source and key that made the signature.
    ///
    /// Each source is asked once, and at most one key of it is tried.
    async fn signing_key<'a>(
        &self,
        unverified: &UnverifiedAssertion,
        trust: &[Trust<'a>],
    ) -> Result<(&'a KeySource, Arc<Jwk>), Fault> {
        let (alg, kid) = (unverified.header.alg, unverified.header.kid.as_deref());
        let mut fault = if trust.is_empty() { Fault::Issuer } else { Fault::Algorithm };
        let remembered = self.remembered(unverified);
        let mut tried = false;
        let mut asked: Vec<&KeySource> = Vec::new();
        for Trust { source, algs } in trust {
            if !algs.contains(&alg) || asked.contains(source) {
                continue;
            }
            asked.push(source);
            fault = fault.max(match self.keys.find(source, kid, alg).await {
                Ok(key) => {
                    tried = true;
                    let is_signed = |public| remembered == Some(key.thumbprint) || is_signed_by(unverified, public);
                    if key.public(alg).is_some_and(is_signed) {
                        return Ok((source, key));
                    }
                    Fault::Signature
                }
                Err(Missing::Unknown) => Fault::Key,
                Err(Missing::Unavailable) => Fault::Unavailable,
            });
        }
        if !tried {
            self.spend_as_long(unverified);
        }
        Err(fault)
    }

    /// Does the work of one verification for nothing.
    ///
    /// So the time of a refusal does not tell its cause (ABUSE O-02).
    fn spend_as_long(&self, unverified: &UnverifiedAssertion) {
        let alg = unverified.header.alg;
        let decoy = self.decoys.select(None, alg);
        black_box(decoy.as_deref().and_then(|key| key.public(alg)).map(|public| is_signed_by(unverified, public)));
    }
}

/// Tells whether `key` signed the very text that was parsed (RFC 7515 section 5.2).
fn is_signed_by(unverified: &UnverifiedAssertion, key: &Public) -> bool {
    key.verifies(unverified.signing_input(), &unverified.signature)
}

fn assertion(unverified: UnverifiedAssertion, source: KeySource, key: &Jwk) -> (Verified<Assertion>, Signed) {
    let UnverifiedAssertion { text, header, claims, .. } = unverified;
    let assertion = Verified::assertion(Assertion {
        issuer: claims.issuer,
        subject: claims.subject,
        audience: claims.audience,
        expires: claims.expires,
        issued: claims.issued,
        not_before: claims.not_before,
        id: claims.id,
        claims: claims.all,
        alg: header.alg,
        typ: header.typ,
        source,
        key: key.thumbprint,
    });
    (assertion, Signed { text, key: key.thumbprint })
}

impl Fault {
    fn reason(self) -> &'static Reason {
        match self {
            Self::Issuer => &ISSUER_UNKNOWN,
            Self::Algorithm => &ASSERTION_ALGORITHM,
            Self::Key => &ASSERTION_KEY,
            Self::Signature => &ASSERTION_SIGNATURE,
            Self::Unavailable => &ISSUER_UNAVAILABLE,
        }
    }
}

impl fmt::Display for VerifyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason.code)
    }
}

impl std::error::Error for VerifyFault {}

/// Published example keys (RFC 7515 A.2 and A.3, RFC 8037 A.2), which admit nobody.
///
/// They are for work whose result is discarded.
pub(super) const DECOYS: &str = concat!(
    r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","#,
    r#""y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"},"#,
    r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},"#,
    r#"{"kty":"RSA","alg":"RS256","e":"AQAB","n":""#,
    decoy_modulus!(),
    r#""},"#,
    r#"{"kty":"RSA","alg":"PS256","e":"AQAB","n":""#,
    decoy_modulus!(),
    r#""}]}"#,
);

macro_rules! decoy_modulus {
    () => {
        concat!(
            "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMs",
            "D1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdV",
            "MTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
        )
    };
}
use decoy_modulus;

#[cfg(test)]
mod tests {
    use super::super::tests::fixtures::{Signer, TestClock, claims, keys};
    use super::*;

    const ISSUER: &str = "https://idp.example";

    async fn code(verifier: &Verifier, source: &KeySource, token: &str) -> &'static str {
        let unverified = UnverifiedAssertion::parse(token).expect("a token");
        let outcome = verifier.verify(unverified, &[Trust { source, algs: &Alg::WORKLOAD }]).await;
        outcome.map_or_else(|fault| fault.reason.code, |_| "ok")
    }

    /// A remembered signature stands for a verification of exactly this text by exactly this key.
    #[tokio::test]
    async fn k_15_a_remembered_signature_is_of_one_text_and_one_key() {
        let signer = Signer::new(Alg::Es256, "k1");
        let verifier = Verifier::new(keys(&TestClock::new(), &[]));
        let token = signer.token(&claims(ISSUER));
        // Forged, so it is good by memory alone.
        let forged = format!("{}.{}", token.rsplit_once('.').expect("parts").0, "A".repeat(86));
        assert_eq!(code(&verifier, &signer.inline(), &forged).await, "assertion.signature");
        let key = KeySet::parse(serde_json::json!({"keys": [signer.jwk()]}).to_string().as_bytes())
            .expect("a set")
            .select(Some("k1"), Alg::Es256)
            .expect("a key");
        verifier.remember(&Signed { text: forged.clone(), key: key.thumbprint });
        assert_eq!(code(&verifier, &signer.inline(), &forged).await, "ok", "memory answers");
        // The issuer publishes another key under the same id.
        let other = Signer::new(Alg::Es256, "k1");
        assert_eq!(code(&verifier, &other.inline(), &forged).await, "assertion.signature");
        assert_eq!(
            code(&verifier, &Signer::new(Alg::Es256, "k2").inline(), &forged).await,
            "assertion.key",
            "or under another"
        );
        let bent = forged.replace(&"A".repeat(86), &format!("B{}", "A".repeat(85)));
        assert_ne!(code(&verifier, &signer.inline(), &bent).await, "ok");
        assert_eq!(code(&verifier, &signer.inline(), &token).await, "ok", "by its own signature");
    }
}
