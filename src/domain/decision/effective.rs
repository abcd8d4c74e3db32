//! Tells whether an exchange would be granted now, and if not, everything that refuses it.
//!
//! Enter through [`effective`] for an integration (docs/how-to/govern/explain.md), [`of_partner`] for the partner itself. The
//! decision of an exchange is run for a supposed binding and one scope, and goes on after each check that fails. So the causes here
//! are those that a workload is told. Not here: the proof itself, a certificate or DPoP proof beside it, and quotas.

use serde::Serialize;

use super::ask::{Ask, Target};
use super::grant::{Beside, suppose};
use super::guard::Guarded;
use super::life::Life;
use super::rehearsal::supposed;
use super::rotation::issuer_key_due;
use super::standing::{keys, own_keys, partner_stands, standing, verified_until};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::elevation::Request;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason, ReasonCode};
use crate::domain::registry::integration::Access;
use crate::domain::registry::offboarding::Ending;
use crate::domain::state::{PartnerState, Phase, State, Suspension, Suspensions};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, BindingName, EnvironmentName, IntegrationId, Issuer, PartnerName};
use crate::domain::value::scope::{Scope, ScopeSet};

/// The effective state of an integration or partner in one environment.
#[derive(Clone, Debug, Serialize)]
pub struct Effective {
    /// `granting` or `refusing`.
    pub state: &'static str,
    /// The causes of a refusal, in the order of the checks; empty if `granting`.
    pub causes: Vec<Cause>,
}

/// One cause of a refusal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The reason that an exchange would be told.
    pub reason: ReasonCode,
    /// The revoked target, such as `partner:globex`, if the cause is a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When the refusal began; null if that is not on record.
    pub since: Option<Timestamp>,
    /// When the cause ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The step that lifts it; absent if it cannot be lifted, or ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted_by: Option<LiftedBy>,
}

/// The step that lifts a cause, and the role that takes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct LiftedBy {
    /// The step, such as `resume`.
    pub action: &'static str,
    /// The role; `partner` if the partner itself takes the step.
    pub role: &'static str,
}

impl Effective {
    fn of(causes: Vec<Cause>) -> Self {
        Self { state: if causes.is_empty() { "granting" } else { "refusing" }, causes }
    }
}

/// Tells whether an exchange of `id` in `environment` would be granted.
///
/// It is granted if some binding gets some scope. If none does, the causes are those of the binding and scope with the fewest.
pub fn effective(id: &IntegrationId, environment: &EnvironmentName, on: Guarded<'_>, now: Timestamp) -> Effective {
    effective_by(id, environment, &By::Any, on, now)
}

/// The ways through which an exchange is supposed to be asked for.
#[derive(Clone, Debug)]
pub enum By<'a> {
    /// Any binding, for any scope.
    Any,
    /// One binding.
    Binding(&'a BindingName),
    /// Any binding, for one of these scopes alone.
    Scopes(&'a ApiName, &'a ScopeSet),
}

impl By<'_> {
    fn takes(&self, binding: &BindingName) -> bool {
        match self {
            Self::Any | Self::Scopes(..) => true,
            Self::Binding(own) => *own == binding,
        }
    }
}

/// The same, through some of its ways alone.
pub fn effective_by(
    id: &IntegrationId,
    environment: &EnvironmentName,
    by: &By<'_>,
    on: Guarded<'_>,
    now: Timestamp,
) -> Effective {
    let state = on.state;
    let mut trace = Trace::survey();
    let ended = standing(id, environment, state, now, &mut trace, &mut Life::new()).err();
    let stands = all(trace, ended);
    let current = state.integrations.get(id).and_then(|integration| integration.current.as_ref());
    let access = current.and_then(|current| current.record.environments.get(environment));
    let asks = match by {
        By::Any | By::Binding(_) => access.map(asks).unwrap_or_default(),
        By::Scopes(api, scopes) => scopes.iter().map(|scope| ask(api, scope)).collect(),
    };
    // A cause that refuses the whole integration refuses every scope alike, so one scope is enough.
    let asks = if stands.is_empty() { &asks[..] } else { asks.get(..1).unwrap_or_default() };
    let mut fewest: Option<Vec<Cause>> = None;
    for principal in supposed(id, environment, state).filter(|principal| by.takes(principal.binding())) {
        let mut own = own_keys(&principal);
        own.extend(principal.barred().cloned().filter(|key| !own.contains(key)));
        for ask in asks {
            let (refused, trace) = suppose(&principal, ask, Beside::Supposed, on, now, Trace::survey());
            let reasons = all(trace, refused);
            if reasons.is_empty() {
                return Effective::of(Vec::new());
            }
            let place = Place { id, environment, issuer: Some(&principal.proof().issuer), keys: &own, state, now };
            let causes: Vec<Cause> = reasons.iter().flat_map(|reason| place.causes(reason)).collect();
            if fewest.as_ref().is_none_or(|known| causes.len() < known.len()) {
                fewest = Some(causes);
            }
        }
    }
    let own = keys(id, environment);
    let place = Place { id, environment, issuer: None, keys: &own, state, now };
    Effective::of(fewest.unwrap_or_else(|| {
        let nothing = [&reason::BINDING_NO_MATCH];
        let reasons = if stands.is_empty() { &nothing[..] } else { &stands[..] };
        reasons.iter().flat_map(|reason| place.causes(reason)).collect()
    }))
}

/// Finds what refuses a partner itself in `environment`. Its integrations have their own causes.
pub fn of_partner(name: &PartnerName, environment: &EnvironmentName, state: &State, now: Timestamp) -> Effective {
    let mut trace = Trace::survey();
    let ended = partner_stands(name, environment, state, now, &mut trace, &mut Life::new()).err();
    let partner = state.partners.get(name);
    let own = [RevocationKey::environment(environment), RevocationKey::partner(name)];
    let behind = |reason: &'static Reason| {
        if *reason == reason::ENVIRONMENT_CLOSED {
            vec![closed(environment, state)]
        } else {
            of_partners(reason, partner, environment)
        }
    };
    let causes = all(trace, ended).into_iter().flat_map(behind);
    Effective::of(causes.chain(revoked(&own, state)).collect())
}

/// The reasons that a survey found, each once.
pub(in crate::domain) fn all(trace: Trace, ended: Option<&'static Reason>) -> Vec<&'static Reason> {
    let mut reasons = trace.into_causes();
    reasons.extend(ended);
    let mut seen = Vec::new();
    reasons.retain(|reason| {
        !seen.contains(reason) && {
            seen.push(*reason);
            true
        }
    });
    reasons
}

/// One request for each scope of the record.
///
/// If the record has no scope without an elevation, one for each scope that takes one.
fn asks(access: &Access) -> Vec<Ask> {
    let mut pairs: Vec<_> = access.standing().map(|(api, rule)| (api, &rule.scope)).collect();
    if pairs.is_empty() {
        pairs.extend(access.elevation.iter().map(|eligible| (&eligible.api, &eligible.scope)));
    }
    pairs.into_iter().map(|(api, scope)| ask(api, scope)).collect()
}

fn ask(api: &ApiName, scope: &Scope) -> Ask {
    Ask { target: Some(Target::Name(api.to_string())), scope: Some(scope.to_string()), client: None }
}

/// The place whose causes are looked up.
struct Place<'a> {
    id: &'a IntegrationId,
    environment: &'a EnvironmentName,
    issuer: Option<&'a Issuer>,
    keys: &'a [RevocationKey],
    state: &'a State,
    now: Timestamp,
}

impl Place<'_> {
    /// The causes behind a reason: one, or each suspension or revocation.
    fn causes(&self, reason: &'static Reason) -> Vec<Cause> {
        let found = if *reason == reason::REVOKED {
            revoked(self.keys, self.state).collect()
        } else {
            let integration = self.state.integrations.get(self.id).map(|known| &known.suspensions);
            let partner = self.state.partners.get(&self.id.partner);
            let mut found = of_partners(reason, partner, self.environment);
            found.extend(suspended(reason, &reason::INTEGRATION_SUSPENDED, integration, self.environment));
            found
        };
        if found.is_empty() { vec![self.cause(reason)] } else { found }
    }

    fn cause(&self, reason: &'static Reason) -> Cause {
        let (id, state, now) = (self.id, self.state, self.now);
        let integration = state.integrations.get(id);
        let current = integration.and_then(|integration| integration.current.as_ref());
        let contract = current.map(|current| &current.record.contract);
        let cause = Cause { reason: ReasonCode(reason), subject: None, since: None, until: None, lifted_by: None };
        let lifted = |action, role| Some(LiftedBy { action, role });
        if *reason == reason::INTEGRATION_NOT_ACTIVE {
            let submitted = integration.is_some_and(|integration| integration.phase() == Phase::Submitted);
            return Cause { lifted_by: lifted(if submitted { "approve" } else { "submit" }, "owner"), ..cause };
        }
        if *reason == reason::INTEGRATION_OFFBOARDING || *reason == reason::INTEGRATION_ENDED {
            return ending(reason, integration.and_then(|known| known.ending.as_deref()));
        }
        if *reason == reason::CONTRACT_NOT_STARTED {
            return Cause { until: contract.map(|contract| contract.starts), lifted_by: lifted("apply", "owner"), ..cause };
        }
        if *reason == reason::ENVIRONMENT_CLOSED {
            return closed(self.environment, state);
        }
        if *reason == reason::ENVIRONMENT_ENDED {
            let access = current.and_then(|current| current.record.environments.get(self.environment));
            return Cause { since: access.and_then(|access| access.ends), lifted_by: lifted("apply", "owner"), ..cause };
        }
        if *reason == reason::EXCEPTION_PAST_DUE {
            let since = integration.and_then(|integration| integration.first_due()).map(|secret| secret.ends);
            return Cause { since, lifted_by: lifted("close", "owner"), ..cause };
        }
        if *reason == reason::REVIEW_OVERDUE {
            let since = state.review_end(id, self.environment);
            return Cause { since, lifted_by: lifted("review", "owner"), ..cause };
        }
        if *reason == reason::OWNER_GONE {
            let since = state.owner_end(id).map(|end| end.at);
            return Cause { since, lifted_by: lifted("apply", "owner"), ..cause };
        }
        if *reason == reason::CONTRACT_ENDED {
            return Cause { since: contract.map(|contract| contract.ends), lifted_by: lifted("apply", "owner"), ..cause };
        }
        if *reason == reason::ELEVATION_UNREVIEWED {
            let overdue = state.elevations.unreviewed_of(id).find(|request| request.is_overdue(now));
            let since = overdue.map(Request::review_due);
            return Cause { since, lifted_by: lifted("review", "security"), ..cause };
        }
        if *reason == reason::ASSERTION_KEY_LATE {
            let newest = self.issuer.and_then(|issuer| state.issuer_keys.newest(issuer)).map(|(_, since)| since);
            let due = current.and_then(|current| issuer_key_due(&current.record, newest));
            return Cause { since: due.map(|due| due.at), lifted_by: lifted("change-key", "partner"), ..cause };
        }
        if *reason == reason::JOURNAL_REOPENED {
            return Cause { until: Some(state.mints_from), ..cause };
        }
        if *reason == reason::KEY_UNAVAILABLE {
            return Cause { lifted_by: lifted("rotate", "administrator"), ..cause };
        }
        if *reason == reason::GUARDRAIL_FORBIDS || *reason == reason::GUARDRAIL_FAILED {
            return Cause { lifted_by: lifted("apply", "security"), ..cause };
        }
        if *reason == reason::SCOPE_NEEDS_ELEVATION {
            return Cause { lifted_by: lifted("elevate", "security"), ..cause };
        }
        let of_record =
            [&reason::BINDING_NO_MATCH, &reason::BINDING_UNUSED, &reason::SCOPE_NOT_CONTRACTED, &reason::TARGET_UNKNOWN];
        if of_record.contains(&reason) { Cause { lifted_by: lifted("apply", "owner"), ..cause } } else { cause }
    }
}

/// The cause that nothing lifts.
fn closed(environment: &EnvironmentName, state: &State) -> Cause {
    let since = state.closures.of(environment).map(|closed| closed.at);
    Cause { reason: ReasonCode(&reason::ENVIRONMENT_CLOSED), subject: None, since, until: None, lifted_by: None }
}

/// The cause of an offboarding. It can be given up until it is signed off.
fn ending(reason: &'static Reason, ending: Option<&Ending>) -> Cause {
    let lifted_by = ending.filter(|ending| !ending.is_over()).map(|_| LiftedBy { action: "abort", role: "security" });
    let since = ending.map(|ending| ending.over.unwrap_or(ending.since));
    Cause { reason: ReasonCode(reason), subject: None, since, until: None, lifted_by }
}

/// The causes behind a reason that is the partner's own.
fn of_partners(reason: &'static Reason, partner: Option<&PartnerState>, environment: &EnvironmentName) -> Vec<Cause> {
    if *reason == reason::PARTNER_OFFBOARDING || *reason == reason::PARTNER_ENDED {
        return vec![ending(reason, partner.and_then(|known| known.ending.as_deref()))];
    }
    if *reason != reason::PARTNER_UNVERIFIED {
        return suspended(reason, &reason::PARTNER_SUSPENDED, partner.map(|known| &known.suspensions), environment);
    }
    let lifted_by = Some(LiftedBy { action: "verify", role: "security" });
    vec![Cause { reason: ReasonCode(reason), subject: None, since: verified_until(partner), until: None, lifted_by }]
}

/// A cause for each suspension that covers the environment, the oldest first: each is lifted on its own.
///
/// Nothing if `reason` is not what the oldest of them tells, which is `plain` unless a signal made it.
fn suspended(
    reason: &'static Reason,
    plain: &'static Reason,
    known: Option<&Suspensions>,
    environment: &EnvironmentName,
) -> Vec<Cause> {
    let oldest = known.and_then(|known| known.first_in(environment));
    if oldest.is_none_or(|oldest| oldest.told(plain) != reason) {
        return Vec::new();
    }
    let cause = |one: &Suspension| Cause {
        reason: ReasonCode(one.told(plain)),
        subject: None,
        since: Some(one.at),
        until: None,
        lifted_by: Some(LiftedBy { action: "resume", role: "security" }),
    };
    known.into_iter().flat_map(|known| known.covering(environment)).map(cause).collect()
}

/// A cause for each revoked key among `keys`.
fn revoked<'a>(keys: &'a [RevocationKey], state: &'a State) -> impl Iterator<Item = Cause> + 'a {
    keys.iter().filter(|key| state.is_refused(key)).map(|key| {
        let refusing = state.revocations_of(key).filter(|one| one.refuses());
        let first = refusing.min_by_key(|one| one.at);
        let lifted_by = first.filter(|one| one.target.can_be_lifted());
        Cause {
            reason: ReasonCode(&reason::REVOKED),
            subject: Some(key.to_string()),
            since: first.map(|one| one.at),
            until: None,
            lifted_by: lifted_by.map(|_| LiftedBy { action: "lift", role: "security" }),
        }
    })
}
