//! Guardrails in the decision: what must never be granted, whatever a record allows (docs/explanation/guardrails.md).
//!
//! Enter through [`Guard`], which the decision asks about each scope that it would grant. The decision stays a function of values:
//! a guard is a set of guardrails that was compiled before, and one that is not of the set in force refuses everything. A guard
//! never widens. Compiling them is for `policy`.

use std::net::IpAddr;
use std::sync::Arc;

use super::admission::Principal;
use super::ask::Context;
use super::entitlement::{Entitled, Place};
use super::possession::confirmation;
use super::standing::{record, verified_until};
use super::target::{Catalogue, Chosen};
use super::way::Way;
use crate::domain::credential::possession::Possession;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::api::Risk;
use crate::domain::registry::binding::{Admits, Binding};
use crate::domain::registry::integration::{Integration, Require};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, EnvironmentName, GuardrailName};
use crate::domain::value::scope::Scope;
use crate::domain::value::zone::Local;

/// A compiled set of guardrails.
pub trait Guard: Send + Sync {
    /// Names the set: see [`Guardrails::digest`](crate::domain::state::guardrail::Guardrails::digest).
    fn digest(&self) -> Option<Digest>;

    /// Judges one scope of a token.
    fn judge(&self, asked: &Asked<'_>) -> Judgement;
}

/// The guards of states, made before they are asked.
pub trait Guards: Send + Sync {
    /// The guard of the guardrails in force in `state`.
    ///
    /// One that is not at hand, or that cannot be made, is of no set: it refuses.
    fn of(&self, state: &State) -> Arc<dyn Guard>;
}

/// The guards of states without guardrails; those of all others refuse.
impl Guards for NoGuardrails {
    fn of(&self, _: &State) -> Arc<dyn Guard> {
        Arc::new(Self)
    }
}

/// The guard of a state without guardrails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoGuardrails;

impl Guard for NoGuardrails {
    fn digest(&self) -> Option<Digest> {
        None
    }

    fn judge(&self, _: &Asked<'_>) -> Judgement {
        Judgement::default()
    }
}

/// The state that a decision rests on, and the guard of it.
#[derive(Clone, Copy)]
pub struct Guarded<'a> {
    /// The state.
    pub state: &'a State,
    /// The guard. The decision refuses if it is not of the guardrails of the state.
    pub guard: &'a dyn Guard,
}

impl<'a> Guarded<'a> {
    /// A state that has no guardrails; a decision on one that has some refuses.
    pub fn without(state: &'a State) -> Self {
        Self { state, guard: &NoGuardrails }
    }

    /// Refuses unless the guard is of the guardrails in force.
    pub(in crate::domain) fn ensure_current(&self) -> Result<(), &'static Reason> {
        if self.guard.digest() == self.state.guardrails.digest() { Ok(()) } else { Err(&reason::GUARDRAIL_UNAVAILABLE) }
    }
}

/// What a guard says about one scope.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// The guardrails that refuse it; `None` if none does.
    pub forbidden: Option<Arc<Forbidden>>,
    /// The guardrails in shadow that would refuse it.
    pub shadow: Vec<GuardrailName>,
}

/// The guardrails that refuse a scope, ordered by name; at least one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forbidden {
    /// The first.
    pub first: Forbidding,
    /// The others.
    pub others: Vec<Forbidding>,
}

/// A guardrail that refuses.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Forbidding {
    /// Its name.
    pub guardrail: GuardrailName,
    /// What it forbids, in plain words.
    pub meaning: String,
    /// What went wrong while it was evaluated, if that is why it refuses.
    pub failed: Option<String>,
}

impl Forbidden {
    /// All of them; `None` of an empty list.
    pub fn of(mut by: Vec<Forbidding>) -> Option<Self> {
        by.sort_by(|a, b| a.guardrail.cmp(&b.guardrail));
        let mut by = by.into_iter();
        Some(Self { first: by.next()?, others: by.collect() })
    }

    /// Each guardrail that refuses.
    pub fn by(&self) -> impl Iterator<Item = &Forbidding> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The one that the caller is told: one that forbids, else the first that failed.
    pub fn told(&self) -> &Forbidding {
        self.by().find(|one| one.failed.is_none()).unwrap_or(&self.first)
    }
}

/// One scope of a token that would be granted, with all that a guardrail may read.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The record of the integration.
    pub integration: &'a Integration,
    /// Its version.
    pub version: Digest,
    /// Whether its partner is verified.
    pub verified: bool,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The binding that admitted the proof.
    pub binding: &'a Binding,
    /// The API.
    pub api: &'a ApiName,
    /// The version of its record; `None` of the built-in API.
    pub api_version: Option<Digest>,
    /// The scope.
    pub scope: &'a Scope,
    /// Its risk.
    pub risk: Risk,
    /// What the scope rests on.
    pub way: Way,
    /// What the token would be bound to.
    pub possession: Possession,
    /// The address that the request comes from.
    pub source: Source,
    /// The time of the decision.
    pub time: Timestamp,
    /// The same in the zone of the configuration; `None` if it cannot be told.
    pub local: Option<Local>,
}

impl Possession {
    /// What a request shows.
    pub(in crate::domain) fn of(principal: &Principal, context: &Context) -> Self {
        if context.certificate.is_some() && !principal.is_by_certificate() {
            Self::Dual
        } else if confirmation(context).is_some() {
            Self::Bound
        } else {
            Self::Bearer
        }
    }

    /// Those that a token can have, where record and API demand `require` and `bound`, and `binding` admits.
    pub fn possible(require: Require, bound: bool, binding: &Binding) -> Vec<Self> {
        let by_certificate = matches!(binding.admits, Admits::Certificate);
        let may = |one: &Self| match one {
            Self::Bearer => require < Require::Bound && !bound && !by_certificate,
            Self::Bound => require < Require::Dual,
            Self::Dual => !by_certificate,
        };
        Self::ALL.into_iter().filter(may).collect()
    }
}

/// The address that a request comes from, as far as it is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// This one.
    Known(IpAddr),
    /// A real request, whose address is not known: a guardrail that reads it refuses.
    Unknown,
    /// A supposed request: guardrails that read the address are not asked.
    Supposed,
}

/// What one step of the decision needs.
pub(in crate::domain) struct Judging<'a> {
    pub(in crate::domain) principal: &'a Principal,
    pub(in crate::domain) place: &'a Place<'a>,
    pub(in crate::domain) target: &'a Chosen<'a>,
    pub(in crate::domain) entitled: &'a Entitled,
    pub(in crate::domain) source: Source,
    /// What the token may be bound to: one for a real request. A supposed one is refused if each of them is.
    pub(in crate::domain) possessions: Vec<Possession>,
}

/// Asks the guardrails about each scope. Returns those in shadow that would have refused.
///
/// A state without guardrails costs nothing here.
pub(in crate::domain) fn guarded(
    judging: &Judging<'_>,
    guarded: Guarded<'_>,
    trace: &mut Trace,
) -> Result<Vec<GuardrailName>, &'static Reason> {
    guarded.ensure_current()?;
    if guarded.state.guardrails.digest().is_none() {
        return Ok(Vec::new());
    }
    let Judging { principal, place, target, entitled, source, possessions } = judging;
    let record = record(place.id, place.state).ok_or(&reason::BINDING_NO_MATCH)?;
    let named = |binding: &&Binding| binding.name == *principal.binding();
    let binding = place.access.bindings.iter().find(named).ok_or(&reason::BINDING_NO_MATCH)?;
    let verified = verified_until(place.state.partners.get(&place.id.partner));
    let mut shadow: Vec<GuardrailName> = Vec::new();
    for scope in entitled.scopes.iter() {
        let ask = |possession: Possession| Asked {
            integration: record,
            version: principal.version(),
            verified: verified.is_some_and(|until| place.now < until),
            environment: place.environment,
            binding,
            api: &target.api,
            api_version: place.state.apis.get(&target.api).and_then(|api| Some(api.current.as_ref()?.version)),
            scope,
            risk: target.catalogue.risk(scope),
            way: entitled.way(scope),
            possession,
            source: *source,
            time: place.now,
            local: place.state.local(place.now),
        };
        let mut forbidden = None;
        for possession in possessions {
            let judgement = guarded.guard.judge(&ask(*possession));
            forbidden = judgement.forbidden.map(|by| (by, *possession));
            if forbidden.is_none() {
                shadow.extend(judgement.shadow);
                break;
            }
        }
        let reason = forbidden.as_ref().map_or(&reason::GUARDRAIL_FORBIDS, |(by, _)| by.told().reason());
        let check = forbidden.as_ref().map_or_else(|| "guardrails".to_owned(), |(by, _)| step_of(&by.told().guardrail));
        trace.ensure(check, forbidden.is_none(), reason, || match &forbidden {
            None => ("no guardrail that forbids it".into(), format!("no guardrail forbids {scope}")),
            Some((by, possession)) => by.told().texts(&ask(*possession)),
        })?;
    }
    shadow.sort();
    shadow.dedup();
    Ok(shadow)
}

/// The check of the decision at which a guardrail refuses, in the tree of the refusal.
pub fn step_of(guardrail: &GuardrailName) -> String {
    format!("{STEP}{guardrail}")
}

/// What begins the step of a guardrail.
const STEP: &str = "guardrail ";

/// The guardrail of a step; `None` of a step of another check.
pub fn guardrail_of(step: &str) -> Option<GuardrailName> {
    step.strip_prefix(STEP)?.parse().ok()
}

impl Forbidding {
    fn reason(&self) -> &'static Reason {
        if self.failed.is_some() { &reason::GUARDRAIL_FAILED } else { &reason::GUARDRAIL_FORBIDS }
    }

    /// What it wants and what was seen, in words.
    fn texts(&self, asked: &Asked<'_>) -> (String, String) {
        let Self { guardrail: _, meaning, failed } = self;
        let facts = format!("{} {} in {}, {}", asked.scope, asked.way.name(), asked.environment, asked.possession.name());
        let seen = match failed {
            None => facts,
            Some(fault) => format!("{facts}; it could not be evaluated: {fault}"),
        };
        (meaning.clone(), seen)
    }
}

impl Catalogue<'_> {
    /// The risk of a scope. Those of the built-in API are low.
    pub(in crate::domain) fn risk(&self, scope: &Scope) -> Risk {
        match self {
            Self::Record(api) => api.scopes.get(scope).map_or(Risk::High, |entry| entry.risk),
            Self::BuiltIn => Risk::Low,
        }
    }
}

impl Entitled {
    fn way(&self, scope: &Scope) -> Way {
        self.ways.iter().find(|(known, _)| known == scope).map_or(Way::Standing, |(_, way)| *way)
    }
}
