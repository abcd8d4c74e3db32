//! Asks guardrails about tokens of which the record does not say everything: neither the address, nor each second, nor always the key.
//!
//! Enter through [`answers`] for one question, and [`Answering`] for the guardrails in force. A token is forbidden for sure if it is whatever
//! those were.

use std::cell::Cell;

use crate::domain::credential::possession::Possession;
use crate::domain::decision::cut::may_be_bound;
use crate::domain::decision::guard::{Asked, Guard as _, Source};
use crate::domain::decision::guard_check::FreeValues;
use crate::domain::decision::refusals::Request;
use crate::domain::decision::uses::{IssuedUse, Tally};
use crate::domain::decision::way::Way;
use crate::domain::log::entry::RefusedEntry;
use crate::domain::registry::api::{Api, Risk};
use crate::domain::registry::binding::Binding;
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::registry::lifecycle::Versioned;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ClientId, EnvironmentName, GuardrailName};
use crate::domain::value::scope::{Scope, ScopeSet};
use crate::policy::{Set, set_of};

/// The most questions: of all beyond them it says that it does not know. Guardrails that read the time ask many.
pub(super) const MOST_QUESTIONS: usize = 500_000;

/// What guardrails say of tokens that are alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// None of them is forbidden.
    Allows,
    /// Each of them is.
    Forbids,
    /// It hangs on what is not known.
    Depends,
}

/// A token, as far as it is known.
pub(super) struct Question<'a> {
    pub integration: &'a Integration,
    pub version: Digest,
    pub verified: bool,
    pub environment: &'a EnvironmentName,
    pub access: &'a Access,
    pub binding: &'a Binding,
    pub api: &'a ApiName,
    /// The version of its record; `None` of the built-in API.
    pub record: Option<(Digest, &'a Api)>,
    pub scopes: &'a ScopeSet,
    /// What it can be bound to.
    pub possessions: Vec<Possession>,
}

/// The guardrails that refuse a token at `time`, for each combination of what is not known. `state` knows the zone.
pub(super) fn answers(
    set: &Set,
    token: &Question<'_>,
    way: impl Fn(&Scope) -> Way,
    (time, state): (Timestamp, &State),
) -> Vec<Vec<GuardrailName>> {
    let mut answers = Vec::new();
    for possession in &token.possessions {
        for source in sources(set.free_values(), token.access) {
            let mut refusing = Vec::new();
            for scope in token.scopes.iter() {
                let risk = |(_, api): (Digest, &Api)| api.scopes.get(scope).map_or(Risk::High, |entry| entry.risk);
                let asked = Asked {
                    integration: token.integration,
                    version: token.version,
                    verified: token.verified,
                    environment: token.environment,
                    binding: token.binding,
                    api: token.api,
                    api_version: token.record.map(|(version, _)| version),
                    scope,
                    risk: token.record.map_or(Risk::Low, risk),
                    way: way(scope),
                    possession: *possession,
                    source,
                    time,
                    local: state.local(time),
                };
                let forbidden = set.judge(&asked).forbidden;
                refusing.extend(forbidden.iter().flat_map(|by| by.by().map(|one| one.guardrail.clone())));
            }
            answers.push(refusing);
        }
    }
    answers
}

/// Whether guardrails read the time.
pub(super) fn is_timed(free: &FreeValues) -> bool {
    free.reads_time || free.reads_weekday || free.reads_minute
}

/// Times of a day to try: the first, the last, and between them those at which an answer may change.
pub(super) fn times(free: &FreeValues, state: &State, tally: &Tally) -> Vec<Timestamp> {
    let Tally { first, last, .. } = *tally;
    if !is_timed(free) {
        return vec![last];
    }
    let mut times = vec![first, last];
    times.extend(free.times.iter().copied());
    for (near, local) in [first, last].into_iter().filter_map(|near| Some((near, state.local(near)?))) {
        // Midnight, and the guardrail's own minutes, on either side of this time.
        for minute in [0, 1439].into_iter().chain(free.minutes.iter().copied()) {
            let behind = (i64::from(local.minute) - i64::from(minute)).rem_euclid(1440);
            let at = near.as_seconds() - near.as_seconds().rem_euclid(60) - behind * 60;
            times.extend([at, at + 59, at + 86_400, at + 86_459].into_iter().filter_map(Timestamp::from_seconds));
        }
    }
    times.retain(|time| (first..=last).contains(time));
    times.sort_unstable();
    times.dedup();
    times
}

/// Addresses to try: nobody recorded them.
fn sources(free: &FreeValues, access: &Access) -> Vec<Source> {
    if !free.reads_source {
        return vec![Source::Supposed];
    }
    let networks = &access.limits.source_cidrs;
    let own = networks.iter().map(|network| network.bounds().0);
    let inside = |address: &std::net::IpAddr| networks.is_empty() || networks.iter().any(|one| one.contains(*address));
    // An address that no guardrail names stands for all others.
    let other = std::net::IpAddr::from([192, 0, 2, 1]);
    free.sources.iter().copied().chain([other]).filter(inside).chain(own).map(Source::Known).collect()
}

/// The guardrails in force, to be asked about the records of a state.
pub(super) struct Answering {
    /// `None` if they cannot be compiled.
    set: Option<Set>,
    budget: Cell<usize>,
}

impl Answering {
    /// Those of `state`; `None` if there are none.
    pub fn of(state: &State) -> Option<Self> {
        state.guardrails.digest()?;
        let all: Vec<Guardrail> = state.guardrails.in_force().map(|one| one.record.as_ref().clone()).collect();
        Some(Self { set: set_of(&all), budget: Cell::new(MOST_QUESTIONS) })
    }

    /// What they say of the tokens of a use, if they were asked for under the records of `state`.
    pub fn issued(&self, issued: &IssuedUse, tally: &Tally, state: &State) -> Verdict {
        let ask = || {
            let (set, scopes) = (self.set.as_ref()?, ScopeSet::parse(&issued.scope).ok()?);
            let place = (&issued.client, &issued.environment);
            let named = |binding: &&Binding| binding.name == issued.binding;
            let token = question(place, named, &issued.api, &scopes, (tally.last, state))?;
            let possessions = may_be_bound((issued.possession, issued.certificate), token.access, token.binding);
            let (token, way) = (Question { possessions, ..token }, |scope: &Scope| issued.way(scope));
            let times = times(set.free_values(), state, tally);
            let all: Vec<_> = times.into_iter().flat_map(|time| answers(set, &token, way, (time, state))).collect();
            self.spend(all.len())?;
            Some(all)
        };
        verdict(ask())
    }

    /// What they say of a request that was refused, if it were made under the records of `state`.
    pub fn refused(&self, refused: &RefusedEntry, request: Option<&Request>, state: &State) -> Verdict {
        let ask = || {
            let (set, request) = (self.set.as_ref()?, request?);
            let (scopes, api) = (request.scopes.as_ref()?, request.api(&refused.environment, state)?);
            let place = (&refused.subject, &refused.environment);
            let named = |binding: &&Binding| binding.name == request.binding;
            let token = question(place, named, &api, scopes, (refused.time, state))?;
            let bound = token.record.is_some_and(|(_, api)| api.token.require_bound);
            let possessions = Possession::possible(token.access.require, bound, token.binding);
            let rules = token.access.scopes.get(&api);
            let stands = |scope: &Scope| rules.is_some_and(|rules| rules.iter().any(|rule| rule.scope == *scope));
            let way = |scope: &Scope| if stands(scope) { Way::Standing } else { Way::Elevated };
            let all = answers(set, &Question { possessions, ..token }, way, (refused.time, state));
            self.spend(all.len())?;
            Some(all)
        };
        verdict(ask())
    }

    fn spend(&self, questions: usize) -> Option<()> {
        self.budget.set(self.budget.get().checked_sub(questions)?);
        Some(())
    }
}

fn verdict(answers: Option<Vec<Vec<GuardrailName>>>) -> Verdict {
    let Some(answers) = answers.filter(|answers| !answers.is_empty()) else { return Verdict::Depends };
    match answers.iter().filter(|refusing| !refusing.is_empty()).count() {
        0 => Verdict::Allows,
        all if all == answers.len() => Verdict::Forbids,
        _ => Verdict::Depends,
    }
}

/// A token under the records in force in `state`, bound to nothing yet.
fn question<'a>(
    (client, environment): (&ClientId, &'a EnvironmentName),
    named: impl Fn(&&Binding) -> bool,
    api: &'a ApiName,
    scopes: &'a ScopeSet,
    (time, state): (Timestamp, &'a State),
) -> Option<Question<'a>> {
    let ClientId::Integration(id) = client else { return None };
    let current: &Versioned<Integration> = state.integrations.get(id)?.current.as_ref()?;
    let access = current.record.environments.get(environment)?;
    let record = state.apis.get(api).and_then(|api| api.current.as_ref());
    Some(Question {
        integration: &current.record,
        version: current.version,
        verified: state.partners.get(&id.partner).is_some_and(|partner| partner.is_verified(time)),
        environment,
        access,
        binding: access.bindings.iter().find(named)?,
        api,
        record: record.map(|current| (current.version, current.record.as_ref())),
        scopes,
        possessions: Vec::new(),
    })
}
