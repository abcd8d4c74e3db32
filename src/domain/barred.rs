//! Barred proofs: those that a revoked binding would admit, whichever other binding admits them besides.
//!
//! A revocation of a binding is a word against the workload or key that it admits, not against a name in a record. So it refuses the
//! proof also where the record has a second binding that takes it, and after the revoked binding was renamed, narrowed or removed.
//! Enter through [`Barred::jwt`] and its siblings, one for each kind of proof.

use std::collections::HashMap;

use super::binding::{Admits, JwtKind, JwtRule, Preset};
use super::conditions::conditions;
use super::names::{ClientId, EnvironmentName, IntegrationId, Issuer};
use super::proof::Assertion;
use super::revocation::Subject;
use super::spiffe::Svid;

/// The rules of revoked bindings, by where a proof is shown and by whom it is.
#[derive(Clone, Debug, Default)]
pub struct Barred {
    jwt: HashMap<EnvironmentName, HashMap<Issuer, Vec<(JwtRule, String)>>>,
    certificate: HashMap<(IntegrationId, EnvironmentName), String>,
}

impl Barred {
    /// Adds what a revoked binding admits.
    pub(super) fn add(&mut self, subject: &Subject, admits: &Admits) {
        let Subject::Binding { client, environment, .. } = subject else { return };
        match (admits, client) {
            (Admits::Jwt(rule), _) => {
                let rules = self.jwt.entry(environment.clone()).or_default().entry(rule.issuer.clone()).or_default();
                rules.push((rule.as_ref().clone(), subject.member()));
            }
            (Admits::Certificate, ClientId::Integration(integration)) => {
                self.certificate.insert((integration.clone(), environment.clone()), subject.member());
            }
            // Our authority names integrations only.
            (Admits::Certificate, ClientId::Api(_)) => {}
        }
    }

    /// The revoked bindings of `environment` that name `issuer`: their rules.
    pub fn rules(&self, environment: &EnvironmentName, issuer: &Issuer) -> impl Iterator<Item = &JwtRule> {
        self.of(environment, issuer).map(|(rule, _)| rule)
    }

    /// The revocation that bars `assertion` in `environment`: its member.
    ///
    /// Issuer and claims decide; for a `key` binding its keys, because all of a client's `key` bindings share one `iss` and `sub`. Slot,
    /// audience, algorithm, times and `jti` do not: the holder of a revoked identity can choose them, or wait until the proof is older
    /// than the revoked binding takes it. Nor does the key source of an issuer: its claims mean the same workload.
    pub(super) fn jwt(&self, environment: &EnvironmentName, assertion: &Assertion) -> Option<&str> {
        let bars = |rule: &JwtRule| match rule.kind {
            JwtKind::Key => rule.keys == assertion.source,
            JwtKind::Oidc => conditions(rule, &assertion.claims).all(|result| result.holds),
        };
        self.of(environment, &assertion.issuer).find(|(rule, _)| bars(rule)).map(|(_, member)| member.as_str())
    }

    /// The revocation that bars an X.509-SVID in `environment`: its member.
    pub(super) fn svid(&self, environment: &EnvironmentName, shown: &Svid) -> Option<&str> {
        let claims = serde_json::json!({"sub": shown.id.as_str()});
        let bars = |rule: &JwtRule| rule.preset == Some(Preset::Spiffe) && conditions(rule, &claims).all(|result| result.holds);
        self.of(environment, &shown.id.issuer()).find(|(rule, _)| bars(rule)).map(|(_, member)| member.as_str())
    }

    /// The revocation that bars the certificates of `integration` in `environment`: its member.
    pub(super) fn certificate(&self, integration: &IntegrationId, environment: &EnvironmentName) -> Option<&str> {
        if self.certificate.is_empty() {
            return None;
        }
        self.certificate.get(&(integration.clone(), environment.clone())).map(String::as_str)
    }

    fn of(&self, environment: &EnvironmentName, issuer: &Issuer) -> impl Iterator<Item = &(JwtRule, String)> {
        self.jwt.get(environment).and_then(|issuers| issuers.get(issuer)).into_iter().flatten()
    }
}
