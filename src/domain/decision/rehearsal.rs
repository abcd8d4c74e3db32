//! Rehearsal: the outcome that an exchange would have now with a good proof (`carnet can-i`).
//!
//! Enter through [`rehearse`]. It runs the very decision of an exchange for each binding of the integration and keeps
//! only its tree. No grant leaves, so nothing can be recorded or signed. Not rehearsed: the proof itself, a certificate
//! or DPoP proof beside it, and quotas.

use std::net::IpAddr;

use super::admission::Principal;
use super::ask::{Ask, Target};
use super::grant::{Beside, suppose};
use super::guard::Guarded;
use super::life::Life;
use super::standing::standing;
use crate::domain::reason::decision::{Step, Trace};
use crate::domain::reason::{self, Reason};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, IntegrationId};

/// The exchange to rehearse.
#[derive(Clone, Debug)]
pub struct Question {
    /// The integration that would ask.
    pub integration: IntegrationId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The API.
    pub api: ApiName,
    /// The scopes.
    pub scope: String,
    /// The address that the request would come from, if that matters.
    pub source: Option<IpAddr>,
}

/// The outcome with one binding.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// The binding; `None` if no binding is in force.
    pub binding: Option<BindingName>,
    /// The reason of the refusal; `None` if there would be a token.
    pub reason: Option<&'static Reason>,
    /// The checks.
    pub tree: Vec<Step>,
}

/// Returns the outcome of the binding that gets furthest.
///
/// It is a binding that gets a token, else the one with the longest tree.
pub fn rehearse(question: &Question, on: Guarded<'_>, now: Timestamp) -> Rehearsed {
    let state = on.state;
    let (id, environment) = (&question.integration, &question.environment);
    let ask = Ask { target: Some(Target::Name(question.api.to_string())), scope: Some(question.scope.clone()), client: None };
    let outcome = |principal: Principal| {
        let (reason, trace) = suppose(&principal, &ask, Beside::From(question.source), on, now, Trace::on());
        Rehearsed { binding: Some(principal.binding().clone()), reason, tree: trace.into_steps() }
    };
    let mut outcomes: Vec<Rehearsed> = supposed(id, environment, state).map(outcome).collect();
    outcomes.sort_by_key(|one| (one.reason.is_some(), std::cmp::Reverse(one.tree.len()), one.binding.clone()));
    outcomes.into_iter().next().unwrap_or_else(|| without_binding(question, state, now))
}

/// The principals that the bindings in force would admit, each with a good proof.
pub(in crate::domain) fn supposed(
    id: &IntegrationId,
    environment: &EnvironmentName,
    state: &State,
) -> impl Iterator<Item = Principal> {
    let current = state.integrations.get(id).and_then(|integration| integration.current.as_ref());
    let access = current.and_then(|current| current.record.environments.get(environment));
    let bindings = access.map_or(&[][..], |access| &access.bindings);
    bindings.iter().filter_map(|binding| Principal::supposed(id, environment, binding, state))
}

/// The outcome for an integration without a binding in this environment.
fn without_binding(question: &Question, state: &State, now: Timestamp) -> Rehearsed {
    let mut trace = Trace::on();
    let stands = standing(&question.integration, &question.environment, state, now, &mut trace, &mut Life::new());
    if stands.is_ok() {
        let want = format!("a binding in {}", question.environment);
        trace.check("binding", false, || (want, "no binding in force there".into()));
    }
    Rehearsed { binding: None, reason: Some(stands.err().unwrap_or(&reason::BINDING_NO_MATCH)), tree: trace.into_steps() }
}
