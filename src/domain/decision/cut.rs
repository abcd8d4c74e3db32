//! Whether anything cut an issued token.
//!
//! Enter through [`is_cut`]. Most of it the state tells by itself. A version can also take away what rests on more than two versions of a
//! record: then the state that its entry left is asked whether it would grant the token as it is ([`would_refuse`]). So one rule decides
//! about a token that is asked for and about one that was issued. A state without the record, the binding or the API refuses.
//!
//! An entry does not have the address that the token was asked from. A guardrail that reads it fails, and so cuts; unless it was in
//! shadow when the token was issued, for then it was asked with the address. Guardrails judge the time at which the token was issued: a
//! rule about hours says when tokens may be issued, and ends none.

use super::elevation::counts;
use super::guard::{Asked, Guards, Source};
use super::rotation::{issuer_key_due, rotation_due};
use super::standing::verified_until;
use super::target::BUILT_IN_API;
use super::way::Way;
use crate::domain::credential::possession::Possession;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::log::entry::Issued;
use crate::domain::registry::api::{Api, Risk};
use crate::domain::registry::binding::{Admits, Binding};
use crate::domain::registry::guardrail::Mode;
use crate::domain::registry::integration::{Access, Integration};
use crate::domain::registry::lifecycle::Versioned;
use crate::domain::state::narrowings::{Anew, Guardrails, Narrowing};
use crate::domain::state::{State, Then};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, GuardrailName};
use crate::domain::value::scope::{Scope, ScopeSet};

/// Whether anything cut a token. `keys` are those of its provenance, which a caller may have spelled before.
pub fn is_cut(issued: &Issued, keys: &[RevocationKey], state: &State, guards: &dyn Guards) -> bool {
    state.cuts(issued, keys) || state.narrowings.about(issued).any(|one| asked(one, issued, guards))
}

/// Whether this version cut a token that was issued before and rests on it.
pub fn is_cut_by(narrowing: &Narrowing<Then>, issued: &Issued, guards: &dyn Guards) -> bool {
    issued.index < narrowing.index && (narrowing.cuts(issued) || asked(narrowing, issued, guards))
}

fn asked(narrowing: &Narrowing<Then>, issued: &Issued, guards: &dyn Guards) -> bool {
    narrowing.anew.as_ref().is_some_and(|anew| would_refuse(anew, issued, guards))
}

/// Whether the state that an entry left would not grant a token as it is.
fn would_refuse(anew: &Anew<Then>, issued: &Issued, guards: &dyn Guards) -> bool {
    let asks = &anew.asks;
    let Some(ground) = Ground::of(anew.then.state(), issued) else { return true };
    (asks.elevations && ground.lacks_elevation(issued, anew.at))
        || (asks.rotation && ground.is_late(issued))
        || asks.guardrails.as_ref().is_some_and(|which| ground.is_forbidden(issued, which, guards))
}

/// The records that a token rests on, in one state.
struct Ground<'s> {
    state: &'s State,
    current: &'s Versioned<Integration>,
    access: &'s Access,
    binding: &'s Binding,
    /// `None` of the built-in API.
    api: Option<&'s Versioned<Api>>,
    scopes: ScopeSet,
}

impl<'s> Ground<'s> {
    fn of(state: &'s State, issued: &Issued) -> Option<Self> {
        let ClientId::Integration(id) = &issued.subject else { return None };
        let current = state.integrations.get(id)?.current.as_ref()?;
        let access = current.record.environments.get(&issued.environment)?;
        let binding = access.bindings.iter().find(|binding| binding.name == issued.binding)?;
        let api = state.apis.get(&issued.api).and_then(|api| api.current.as_ref());
        let scopes = ScopeSet::parse(&issued.scope).ok()?;
        (api.is_some() || issued.api.as_str() == BUILT_IN_API).then_some(Self { state, current, access, binding, api, scopes })
    }

    /// Whether a scope neither stands nor is given, until the token ends, by an elevation that the token rests on.
    fn lacks_elevation(&self, issued: &Issued, at: Timestamp) -> bool {
        let gives = |scope: &Scope| {
            let requests = issued.elevations.iter().filter_map(|id| self.state.elevations.find(id));
            requests.filter_map(|request| counts(self.state, request, scope, at)).any(|live| issued.exp <= live.ends)
        };
        !self.scopes.iter().all(|scope| stands(issued, self.access, scope) || gives(scope))
    }

    /// Whether the key of the proof or of the certificate is due to change before the token ends.
    fn is_late(&self, issued: &Issued) -> bool {
        let (record, state) = (&self.current.record, self.state);
        let of_issuer = issuer_key_due(record, state.issuer_keys.since(&issued.proof.issuer, issued.proof.key));
        let leaf = issued.certificate.as_ref().and_then(|shown| state.certificates.leaf(&issued.environment, &shown.serial));
        let of_certificate =
            leaf.and_then(|leaf| rotation_due(record, state.certificates.key_since(&issued.environment, leaf.key)));
        of_issuer.into_iter().chain(of_certificate).any(|due| due.refuses && due.at < issued.exp)
    }

    /// Whether a guardrail forbids the token, whatever it is that the entry does not tell.
    fn is_forbidden(&self, issued: &Issued, which: &Guardrails, guards: &dyn Guards) -> bool {
        let (only, shadowed) = match which {
            Guardrails::All => (None, None),
            Guardrails::One(name, set) => (Some(name), set.as_ref().and_then(|set| self.shadowed(issued, name, *set))),
        };
        if let Some(refuses) = shadowed {
            return refuses;
        }
        let enforced = |name: &GuardrailName| {
            let known = self.state.guardrails.get(name.as_str()).and_then(|one| one.current.as_ref());
            known.is_none_or(|known| known.record.mode == Mode::Enforce)
        };
        let guard = guards.of(self.state);
        if guard.digest() != self.state.guardrails.digest() {
            return true;
        }
        self.questions(issued).iter().any(|asked| {
            let forbidden = guard.judge(asked).forbidden;
            forbidden
                .is_some_and(|by| by.by().any(|one| only.is_none_or(|only| one.guardrail == *only) && enforced(&one.guardrail)))
        })
    }

    /// What a guardrail said of the token while it was in shadow, as long as it would be asked the same today.
    fn shadowed(&self, issued: &Issued, name: &GuardrailName, set: Digest) -> Option<bool> {
        let same = issued.guardrails == Some(set)
            && self.current.version == issued.record
            && self.api.is_none_or(|api| api.at < issued.time);
        same.then(|| issued.shadow.contains(name))
    }

    /// The questions of the decision about the token, for each thing that its entry does not tell.
    fn questions(&self, issued: &'s Issued) -> Vec<Asked<'_>> {
        let until = verified_until(self.state.partners.get(&self.current.record.id.partner));
        let risk = |scope: &Scope| match self.api {
            Some(api) => api.record.scopes.get(scope).map_or(Risk::High, |entry| entry.risk),
            None => Risk::Low,
        };
        let mut all = Vec::new();
        for scope in self.scopes.iter() {
            for way in ways(issued, self.access, self.state, scope) {
                for possession in possessions(issued, self.access, self.binding) {
                    all.push(Asked {
                        integration: &self.current.record,
                        version: self.current.version,
                        verified: until.is_some_and(|until| issued.time < until),
                        environment: &issued.environment,
                        binding: self.binding,
                        api: &issued.api,
                        api_version: self.api.map(|api| api.version),
                        scope,
                        risk: risk(scope),
                        way,
                        possession,
                        source: Source::Unknown,
                        time: issued.time,
                        local: self.state.local(issued.time),
                    });
                }
            }
        }
        all
    }
}

fn stands(issued: &Issued, access: &Access, scope: &Scope) -> bool {
    access.scopes.get(&issued.api).is_some_and(|rules| rules.iter().any(|rule| rule.scope == *scope))
}

/// What a scope of an issued token can have rested on: at least one.
///
/// A scope that stands is never elevated. Of several elevations of one token that could have given it, the entry does not tell which did.
pub fn ways(issued: &Issued, access: &Access, state: &State, scope: &Scope) -> Vec<Way> {
    if stands(issued, access, scope) {
        return vec![Way::Standing];
    }
    let requests = issued.elevations.iter().filter_map(|id| state.elevations.find(id)).map(|request| &request.elevation);
    let of = requests.filter(|elevation| elevation.scopes.contains(scope));
    let mut ways: Vec<Way> = of.map(|elevation| if elevation.break_glass { Way::BreakGlass } else { Way::Elevated }).collect();
    ways.sort();
    ways.dedup();
    if ways.is_empty() { vec![Way::Standing] } else { ways }
}

/// What an issued token can be bound to: at least one.
///
/// Older entries have the certificate, and no DPoP key.
pub fn possessions(issued: &Issued, access: &Access, binding: &Binding) -> Vec<Possession> {
    may_be_bound((issued.possession, issued.certificate.is_some() || issued.beside.is_some()), access, binding)
}

/// What a token can be bound to that is known to be bound so, or of which it is known whether a certificate was shown: at least one.
pub fn may_be_bound((known, shown): (Option<Possession>, bool), access: &Access, binding: &Binding) -> Vec<Possession> {
    if let Some(known) = known {
        return vec![known];
    }
    let possible = Possession::possible(access.require, false, binding);
    let by_svid = matches!(&binding.admits, Admits::Jwt(rule) if rule.takes_svids());
    let fits = |one: &Possession| match one {
        Possession::Bearer => !shown,
        Possession::Bound => !shown || by_svid || matches!(binding.admits, Admits::Certificate),
        Possession::Dual => shown,
    };
    let found: Vec<Possession> = possible.into_iter().filter(fits).collect();
    if found.is_empty() { Possession::ALL.to_vec() } else { found }
}
