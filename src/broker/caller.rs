//! Who calls: from the text of a proof to a principal. Steps 3 to 5 of a token exchange (DESIGN.md section 5), shared by
//! introspection and revocation.

use super::Broker;
use crate::authn::{Trust, UnverifiedAssertion};
use crate::domain::admission::{Place, Principal, Slot, admit};
use crate::domain::clock::Timestamp;
use crate::domain::decision::Refused;
use crate::domain::names::EnvironmentName;
use crate::domain::proof::{Assertion, Verified};
use crate::domain::reason;
use crate::domain::state::State;

/// A verified proof with the slot that it came in.
#[derive(Clone)]
pub struct Shown {
    /// The proof.
    pub assertion: Verified<Assertion>,
    /// Where in the request.
    pub slot: Slot,
}

impl Broker {
    /// Verifies the text of a proof by the keys that the bindings of `environment` name for its issuer. For an issuer that no
    /// binding names, not one packet leaves, and it takes as long as a bad signature (ABUSE K-01, O-02).
    pub(crate) async fn verify(&self, environment: &EnvironmentName, slot: Slot, text: &str) -> Result<Shown, Refused> {
        let unverified = UnverifiedAssertion::parse(text).map_err(Refused::unknown)?;
        let view = self.journal.view();
        let candidates = view.state.candidates(environment, unverified.issuer());
        let mut trust: Vec<Trust<'_>> = Vec::new();
        for candidate in candidates {
            let rule = &candidate.rule;
            if !trust.iter().any(|trust| *trust.source == rule.keys && trust.algs == rule.algs) {
                trust.push(Trust { source: &rule.keys, algs: &rule.algs });
            }
        }
        let assertion = self.verifier.verify(unverified, &trust).await.map_err(|fault| Refused::unknown(fault.reason))?;
        Ok(Shown { assertion, slot })
    }

    /// Finds the one client that a verified proof admits in `state` at `now`.
    pub(crate) fn admit(
        environment: &EnvironmentName,
        shown: &Shown,
        state: &State,
        now: Timestamp,
    ) -> Result<Principal, Refused> {
        let configured = state.environment(environment).ok_or_else(|| Refused::unknown(&reason::ISSUER_UNKNOWN))?;
        let candidates = state.candidates(environment, &shown.assertion.issuer);
        let place = Place { environment, issuer: &configured.issuer };
        admit(candidates, &shown.assertion, shown.slot, place, now)
    }
}
