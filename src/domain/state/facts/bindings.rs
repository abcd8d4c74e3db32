//! The bindings in force, and what is known of them: whether a revocation bars their proofs, and what they were.

use serde_json::{Value, json};

use super::places::{environments, issuers};
use super::written::Fact;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::registry::binding::Admits;
use crate::domain::state::{Candidate, State};
use crate::domain::value::names::Issuer;

/// The bindings in force, sorted: the index may hold them in any order.
pub struct Bindings<'a>(Vec<&'a Candidate>);

impl<'a> Bindings<'a> {
    pub fn of(state: &'a State) -> Self {
        let mut all: Vec<&Candidate> = state.candidates.all().collect();
        let key = |one: &&'a Candidate| (&one.client, &one.environment, &one.binding);
        all.sort_by(|one, other| key(one).cmp(&key(other)));
        Self(all)
    }

    fn each(&self) -> impl Iterator<Item = &'a Candidate> + use<'a> {
        self.0.clone().into_iter()
    }

    fn by_key(&self) -> impl Iterator<Item = (String, &'a Candidate)> + use<'a> {
        self.each().map(|one| (subject(one).key().to_string(), one))
    }

    pub fn candidates(&self) -> Fact<'a> {
        let shown = |one: &Candidate| json!({"binding": subject(one).key(), "rule": one.rule, "version": one.version});
        Fact::list(self.each().map(shown))
    }

    /// Which revocation bars the proofs of each binding, and the certificates of each integration.
    pub fn barred(&self, state: &'a State) -> Fact<'a> {
        let by_rule = self.by_key().map(|(name, one)| (name, Ok(one)));
        let certificates = state.integrations.keys().flat_map(|integration| {
            let named =
                move |environment| (format!("certificate of {integration} in {environment}"), Err((integration, environment)));
            environments(state).into_iter().map(named)
        });
        Fact::named(by_rule.chain(certificates), |one| match one {
            Ok(binding) => json!(state.barred.rule(&binding.environment, &binding.rule)),
            Err((integration, environment)) => json!(state.barred.certificate(integration, environment)),
        })
    }

    /// What was ever in force: of each issuer, and the last rule of each binding.
    pub fn history(&self, state: &'a State) -> Fact<'a> {
        let issuer = |issuer: Issuer| -> Value {
            json!({"known": state.history.knows_issuer(&issuer), "members": state.history.keys_of(&issuer).collect::<Vec<_>>(),
                "environments": state.history.environments_of(&issuer).collect::<Vec<_>>()})
        };
        let last = |one: &Candidate| -> Value {
            let last: Option<&Admits> = state.history.binding(&subject(one));
            json!(last)
        };
        Fact::object([
            ("issuers", Fact::named(issuers(state).into_iter().map(|issuer| (issuer.to_string(), issuer)), issuer)),
            ("bindings", Fact::named(self.by_key(), last)),
        ])
    }
}

fn subject(one: &Candidate) -> RevocationTarget {
    RevocationTarget::Binding { client: one.client.clone(), environment: one.environment.clone(), binding: one.binding.clone() }
}
