//! Uses: what was issued and what guardrails forbade, counted by day.
//!
//! Enter through [`Use::of`]. A use has everything that an answer about a token may depend on but its source and its second, so whoever
//! asks about a month asks once for each use and day, and not for each token. Counts follow the log, and decide nothing by themselves.

use serde::{Deserialize, Serialize};

use super::guard::guardrail_of;
use super::way::Way;
use crate::domain::credential::possession::Possession;
use crate::domain::log::entry::{Entry, Issued, RefusedEntry};
use crate::domain::reason;
use crate::domain::state::State;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, BindingName, ClientId, EnvironmentName, GuardrailName};
use crate::domain::value::scope::{Scope, ScopeSet};

/// How long counts are kept, whatever the retention of entries.
pub const KEPT: Seconds = Seconds::days(400);

/// What is counted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(tag = "use", rename_all = "lowercase")]
pub enum Use {
    /// Tokens.
    Issued(Box<IssuedUse>),
    /// Tokens that an API, or the proxy before it, was told are active. No entry tells of them.
    Seen(Box<SeenUse>),
    /// Requests that a guardrail refused.
    Forbidden {
        /// The guardrail.
        guardrail: GuardrailName,
    },
}

/// All that tokens have in common that an API asked about.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct SeenUse {
    /// The client.
    pub client: ClientId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The API.
    pub api: ApiName,
    /// The scopes that the API was told of, or that its proxy asked for, separated by a space.
    pub scope: String,
}

/// All that the tokens of a use have in common.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedUse {
    /// The client.
    pub client: ClientId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The API.
    pub api: ApiName,
    /// The scopes, separated by a space.
    pub scope: String,
    /// The binding.
    pub binding: BindingName,
    /// The version of the record.
    pub record: Digest,
    /// The version of the API's record; `None` of the built-in API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<Digest>,
    /// Whether the partner was verified.
    pub verified: bool,
    /// Whether a certificate was shown.
    pub certificate: bool,
    /// What it is bound to; absent in counts of entries that do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possession: Option<Possession>,
    /// The scopes that rested on an elevation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elevated: Vec<Scope>,
    /// The scopes that rested on a break-glass elevation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub break_glass: Vec<Scope>,
    /// The token had each of the several scopes of its API that stand in the record. Such a request says nothing about single scopes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub everything: bool,
    /// The set of guardrails in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Digest>,
    /// The guardrails in shadow that would have refused it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<GuardrailName>,
}

/// The count of a use on a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The time of the first.
    pub first: Timestamp,
    /// The time of the last.
    pub last: Timestamp,
    /// One more than the last entry that it counts.
    pub until: u64,
}

impl Tally {
    /// The count with one more, of the entry `index`. An entry that it counts already changes nothing.
    #[must_use]
    pub fn with(known: Option<Self>, index: u64, time: Timestamp) -> Self {
        match known {
            Some(known) if index < known.until => known,
            Some(Self { count, first, last, until: _ }) => Self {
                count: count.saturating_add(1),
                first: first.min(time),
                last: last.max(time),
                until: index.saturating_add(1),
            },
            None => Self { count: 1, first: time, last: time, until: index.saturating_add(1) },
        }
    }

    /// Both counts together, of what no entry tells.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            until: self.until.max(other.until),
        }
    }
}

impl Use {
    /// The use of an entry, in the state before it; `None` of an entry that is not counted.
    pub fn of(entry: &Entry, state: &State) -> Option<Self> {
        match entry {
            Entry::Issued(issued) => Some(Self::Issued(Box::new(IssuedUse::of(issued, state)))),
            Entry::Refused(refused) => forbidding(refused).map(|guardrail| Self::Forbidden { guardrail }),
            Entry::Counted(_) | Entry::Change(_) => None,
        }
    }

    /// Whose it is; `None` of what no client has.
    pub fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Issued(issued) => Some(&issued.client),
            Self::Seen(seen) => Some(&seen.client),
            Self::Forbidden { .. } => None,
        }
    }
}

impl IssuedUse {
    fn of(issued: &Issued, state: &State) -> Self {
        let elevations = || issued.elevations.iter().filter_map(|id| state.elevations.find(id));
        let scopes = ScopeSet::parse(&issued.scope).ok();
        let on = |break_glass: bool| -> Vec<Scope> {
            let of = |scope: &&Scope| {
                let mut all = elevations().filter(|request| request.terms().scopes.contains(scope));
                // The first counts, as in the decision.
                all.next().is_some_and(|request| request.elevation.break_glass == break_glass)
            };
            scopes.iter().flat_map(ScopeSet::iter).filter(of).cloned().collect()
        };
        let partner = match &issued.subject {
            ClientId::Integration(id) => state.partners.get(&id.partner).and_then(|partner| partner.current.as_ref()),
            ClientId::Api(_) => None,
        };
        Self {
            client: issued.subject.clone(),
            environment: issued.environment.clone(),
            api: issued.api.clone(),
            scope: issued.scope.clone(),
            binding: issued.binding.clone(),
            record: issued.record,
            api_version: state.apis.get(&issued.api).and_then(|api| Some(api.current.as_ref()?.version)),
            verified: partner.is_some_and(|partner| issued.time < partner.record.verification.expires),
            certificate: issued.certificate.is_some() || issued.beside.is_some(),
            possession: issued.possession,
            elevated: on(false),
            break_glass: on(true),
            everything: scopes.as_ref().is_some_and(|scopes| is_everything(issued, scopes, state)),
            guardrails: issued.guardrails,
            shadow: issued.shadow.clone(),
        }
    }

    /// What a scope of it rested on.
    pub fn way(&self, scope: &Scope) -> Way {
        if self.break_glass.contains(scope) {
            Way::BreakGlass
        } else if self.elevated.contains(scope) {
            Way::Elevated
        } else {
            Way::Standing
        }
    }
}

/// Whether the token had each of the several scopes of its API that stand in the record.
fn is_everything(issued: &Issued, scopes: &ScopeSet, state: &State) -> bool {
    let ClientId::Integration(id) = &issued.subject else { return false };
    let current = state.integrations.get(id).and_then(|known| known.current.as_ref());
    let access = current.filter(|current| current.version == issued.record);
    let rules = access.and_then(|current| current.record.environments.get(&issued.environment)?.scopes.get(&issued.api));
    rules.is_some_and(|rules| rules.len() > 1 && rules.iter().all(|rule| scopes.contains(&rule.scope)))
}

/// The guardrail that refused a request.
fn forbidding(refused: &RefusedEntry) -> Option<GuardrailName> {
    if *refused.reason.0 != reason::GUARDRAIL_FORBIDS && *refused.reason.0 != reason::GUARDRAIL_FAILED {
        return None;
    }
    refused.tree.iter().find(|step| !step.holds).and_then(|step| guardrail_of(&step.check))
}
