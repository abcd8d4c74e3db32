//! Authenticates a caller: from the text of a proof to a principal.
//!
//! These are steps 3 to 5 of a token exchange (docs/explanation/architecture.md#one-exchange).
//! Introspection and revocation share them.

use std::sync::Arc;

use super::Broker;
use crate::authn::{Signed, Trust, UnverifiedAssertion, certificate, svid};
use crate::domain::caller::proof::{Assertion, Verified};
use crate::domain::caller::spiffe::Svid;
use crate::domain::credential::certificate::{ClientCertificate, Der};
use crate::domain::decision::admission::{Place, Principal, Slot, admit};
use crate::domain::decision::peer::{Peer, admit_peer};
use crate::domain::reason;
use crate::domain::reason::decision::Refused;
use crate::domain::registry::binding::KeySource;
use crate::domain::state::State;
use crate::domain::state::own::{is_own_issuer, is_own_token};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::EnvironmentName;

/// The credential that a request presents.
pub enum Credential {
    /// A signed JWT.
    Assertion {
        /// The JWT as it was sent.
        text: String,
        /// The parameter that it came in.
        slot: Slot,
    },
    /// The certificate of its connection alone (RFC 8705 section 2.1).
    Certificate,
}

/// A credential that was verified.
#[derive(Clone)]
pub enum VerifiedCredential {
    /// A signed JWT.
    Assertion(VerifiedAssertion),
    /// The certificate of the connection.
    Certificate(Peer),
}

/// A verified assertion with the slot that it came in.
#[derive(Clone)]
pub struct VerifiedAssertion {
    /// The proof.
    pub assertion: Verified<Assertion>,
    /// The parameter that it came in.
    pub slot: Slot,
    /// Its text and key, to be remembered if the proof may come again.
    pub signed: Option<Arc<Signed>>,
}

impl Broker {
    /// Verifies the credential that a request presents.
    ///
    /// The certificate was verified when its connection was made. The decision says whether it counts.
    pub(crate) async fn establish(
        &self,
        environment: &EnvironmentName,
        credential: &Credential,
        certificate: Option<&Peer>,
    ) -> Result<VerifiedCredential, Refused> {
        // The clock must be believed before any date of a proof is compared with it.
        self.ensure_steady()?;
        match credential {
            Credential::Assertion { text, slot } => {
                Ok(VerifiedCredential::Assertion(self.verify(environment, *slot, text).await?))
            }
            Credential::Certificate => certificate
                .cloned()
                .map(VerifiedCredential::Certificate)
                .ok_or_else(|| Refused::unknown(&reason::CERTIFICATE_MISSING)),
        }
    }

    /// Verifies the leaf certificate of a connection by the authorities of `environment`.
    ///
    /// A certificate with a foreign name, or a name of another environment, counts as no certificate. The exact fault goes to the
    /// log and not to the caller, who is not identified yet.
    pub fn certificate(&self, environment: &EnvironmentName, leaf: &[u8]) -> Option<Verified<ClientCertificate>> {
        let view = self.journal.view();
        let trust_domain = &view.state.environment(environment)?.trust_domain;
        let authorities = view.state.certificates.authorities(environment, self.now());
        certificate::verify(leaf, trust_domain, authorities)
            .map_err(|fault| tracing::info!(%environment, %fault, "a client certificate was not taken"))
            .ok()
    }

    /// Verifies the chain of a connection, leaf first, as an X.509-SVID.
    ///
    /// Its trust domain must be one that bindings of `environment` name. Bundles are tried one by one,
    /// each by itself; no packet leaves.
    pub fn svid(&self, environment: &EnvironmentName, chain: &[Der]) -> Option<Verified<Svid>> {
        let id = svid::claimed(chain.first()?)?;
        let view = self.journal.view();
        if is_own_issuer(&view.state, &id.issuer()) {
            return None;
        }
        let issuer = id.issuer();
        let mut asked: Vec<&KeySource> = Vec::new();
        for (source, _) in view.state.candidates(environment, &issuer).trusted() {
            if !source.is_bundle() || asked.contains(&source) {
                continue;
            }
            asked.push(source);
            if let Some(verified) = self.issuers.svid(chain, source) {
                return Some(verified);
            }
        }
        None
    }

    /// Finds the one client that the credential admits in `state` at `now`.
    pub(crate) fn identify(
        environment: &EnvironmentName,
        credential: &VerifiedCredential,
        state: &State,
        now: Timestamp,
    ) -> Result<Principal, Refused> {
        match credential {
            VerifiedCredential::Assertion(shown) => Self::admit(environment, shown, state, now),
            VerifiedCredential::Certificate(certificate) => {
                let configured = state.environment(environment).ok_or_else(|| Refused::unknown(&reason::ISSUER_UNKNOWN))?;
                admit_peer(certificate, environment, &configured.trust_domain, state)
            }
        }
    }

    /// Verifies the text of a proof by the keys that bindings of `environment` name for its issuer.
    ///
    /// If no binding names the issuer, not one packet leaves, and the refusal takes as long as one for a bad
    /// signature (ABUSE K-01, O-02).
    pub(crate) async fn verify(
        &self,
        environment: &EnvironmentName,
        slot: Slot,
        text: &str,
    ) -> Result<VerifiedAssertion, Refused> {
        let mut unverified = UnverifiedAssertion::parse(text).map_err(Refused::unknown)?;
        let view = self.journal.view();
        if view.state.candidates(environment, unverified.issuer()).is_empty() {
            // A JWT-SVID belongs to its trust domain, whatever issuer it names besides (JWT-SVID section 3 knows no `iss`).
            unverified.take_trust_domain();
        }
        // Our own token is not a proof, even if a binding that is older than the environment names its issuer: no key is trusted.
        let is_own = is_own_issuer(&view.state, unverified.issuer());
        let issuer = unverified.issuer().clone();
        let trusted = view.state.candidates(environment, &issuer).trusted().filter(|_| !is_own);
        let trust: Vec<Trust<'_>> = trusted.map(|(source, algs)| Trust { source, algs }).collect();
        let verified = self.verifier.verify_signed(unverified, &trust).await;
        let (assertion, signed) = verified.map_err(|fault| Refused::unknown(fault.reason))?;
        Ok(VerifiedAssertion { assertion, slot, signed: Some(Arc::new(signed)) })
    }

    /// Spares the next verification of a proof that admitted `principal` and may be presented again until it expires.
    pub(crate) fn note_reusable(&self, principal: &Principal, shown: &VerifiedAssertion) {
        if let (None, Some(signed)) = (principal.proof().spends(), &shown.signed) {
            self.verifier.remember(signed);
        }
    }

    /// Finds the one client that a verified proof admits in `state` at `now`.
    pub(crate) fn admit(
        environment: &EnvironmentName,
        shown: &VerifiedAssertion,
        state: &State,
        now: Timestamp,
    ) -> Result<Principal, Refused> {
        let configured = state.environment(environment).ok_or_else(|| Refused::unknown(&reason::ISSUER_UNKNOWN))?;
        if is_own_token(state, &shown.assertion.issuer, shown.assertion.key) {
            return Err(Refused::unknown(&reason::ASSERTION_KEY));
        }
        let candidates = state.candidates(environment, &shown.assertion.issuer);
        let place = Place { environment, issuer: &configured.issuer, barred: &state.barred };
        admit(candidates, &shown.assertion, shown.slot, place, now)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::domain::credential::keys::SigningKey;
    use crate::domain::fixture;
    use crate::domain::log::key::KeyChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::value::alg::Alg;
    use crate::domain::value::digest::Digest;

    /// S-6: a proof that our own signing key signed is refused.
    ///
    /// It does not matter which issuer it names, or which binding takes it.
    #[test]
    fn s_6_a_proof_by_a_key_of_ours_is_no_proof() {
        let mut state = fixture::state();
        let shown = VerifiedAssertion { assertion: fixture::assertion("jti-1"), slot: Slot::SubjectToken, signed: None };
        let admitted = |state: &State| {
            let outcome = Broker::admit(&fixture::production(), &shown, state, fixture::at(0));
            outcome.map(|principal| principal.binding().to_string()).map_err(|refused| refused.reason.code)
        };
        assert_eq!(admitted(&state), Ok("ci".to_owned()), "a key of the partner's");
        let key = |kid: Digest| SigningKey {
            environment: "sandbox".parse().expect("a name"),
            kid: URL_SAFE_NO_PAD.encode(kid.0).parse().expect("an id"),
            alg: Alg::Es256,
            public: serde_json::json!({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}),
            sealed: Digest::of(b"sealed"),
            usable_from: fixture::at(-1000),
            awaits_nodes: false,
        };
        for (kid, expected) in [
            (Digest::of(b"another key"), Ok("ci".to_owned())),
            // A key of another environment counts too.
            (shown.assertion.key, Err(reason::ASSERTION_KEY.code)),
        ] {
            state.apply(100, fixture::at(-400), &KeyChange::Created(key(kid)).by(Actor::Broker));
            assert_eq!(admitted(&state), expected);
        }
    }

    /// S-6: a proof with our issuer or trust domain is refused, whichever binding names it.
    #[test]
    fn s_6_a_proof_with_an_issuer_of_ours_is_no_proof() {
        let state = fixture::state();
        for (issuer, own) in [
            (fixture::ISSUER, true),
            ("spiffe://production.sts.acme.example", true),
            (fixture::WORKLOADS, false),
            ("spiffe://sts.acme.example", false),
        ] {
            let issuer = issuer.parse().expect("an issuer");
            assert_eq!(is_own_issuer(&state, &issuer), own, "{issuer}");
            assert_eq!(is_own_token(&state, &issuer, Digest::of(b"key")), own, "{issuer}");
        }
    }
}
