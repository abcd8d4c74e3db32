//! Rehearsal: what an exchange would come to now, if a good proof came (`carnet can-i`).
//!
//! Enter through [`rehearse`]. It runs the very decision of an exchange for each binding of the integration and keeps only its tree:
//! no grant leaves, so nothing can be recorded or signed. Not rehearsed: the proof itself and quotas.

use std::net::IpAddr;

use super::admission::Principal;
use super::clock::Timestamp;
use super::decision::Step;
use super::grant::{Ask, Context, Target, explain};
use super::names::{ApiName, BindingName, ClientId, EnvironmentName, IntegrationId};
use super::reason::{self, Reason};
use super::state::{Phase, State};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who would ask.
    pub integration: IntegrationId,
    /// Where.
    pub environment: EnvironmentName,
    /// For what.
    pub api: ApiName,
    /// How much of it.
    pub scope: String,
    /// From where, if that matters.
    pub source: Option<IpAddr>,
}

/// What would come of it by one binding.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// The binding; none where no binding is in force.
    pub binding: Option<BindingName>,
    /// Why not; nothing where there would be a token.
    pub reason: Option<&'static Reason>,
    /// The checks.
    pub tree: Vec<Step>,
}

/// The outcome by the binding that gets furthest: one that gets a token, else the one whose tree is longest.
pub fn rehearse(question: &Question, state: &State, now: Timestamp) -> Rehearsed {
    let client = ClientId::Integration(question.integration.clone());
    let own = state.candidates.all().filter(|one| one.client == client && one.environment == question.environment);
    let mut outcomes: Vec<Rehearsed> = own
        .filter_map(|candidate| {
            let principal = Principal::supposed(candidate, "rehearsal".parse().ok()?);
            let ask =
                Ask { target: Some(Target::Name(question.api.to_string())), scope: Some(question.scope.clone()), client: None };
            let context = Context {
                request: "rehearsal".parse().ok()?,
                token: "rehearsal".parse().ok()?,
                source: question.source,
                certificate: None,
                possession: None,
            };
            let (outcome, tree) = explain(&principal, &ask, &context, state, now);
            Some(Rehearsed { binding: Some(candidate.binding.clone()), reason: outcome.err(), tree })
        })
        .collect();
    outcomes.sort_by_key(|one| (one.reason.is_some(), std::cmp::Reverse(one.tree.len()), one.binding.clone()));
    outcomes.into_iter().next().unwrap_or_else(|| Rehearsed {
        binding: None,
        reason: Some(without_binding(&question.integration, state)),
        tree: Vec::new(),
    })
}

/// Why an integration has no binding here.
fn without_binding(id: &IntegrationId, state: &State) -> &'static Reason {
    match state.integrations.get(id).map(super::state::IntegrationState::phase) {
        Some(Phase::Suspended) => &reason::INTEGRATION_SUSPENDED,
        Some(Phase::Active) => &reason::BINDING_NO_MATCH,
        _ => &reason::INTEGRATION_NOT_ACTIVE,
    }
}
