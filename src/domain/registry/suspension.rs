//! Suspensions of partners and integrations: a set, of which each is lifted on its own.
//!
//! Enter through [`Suspensions`]. A suspension refuses in the environments that it covers, and in no other. Another one is always taken;
//! it withdraws the request to resume that waits, because its approvers have not seen the newcomer.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::signal::{SignalKind, SignalSubject};
use crate::domain::people::actor::Actor;
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, EnvironmentName, IntegrationId, InvalidName, PartnerName, SuspensionId};
use crate::domain::value::text::Text;

/// The target of a suspension.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Party {
    /// A partner, with everything that belongs to it.
    Partner(PartnerName),
    /// One integration.
    Integration(IntegrationId),
}

impl Party {
    /// The target of the suspension that a signal makes, and the environment that it covers; all if there is none.
    pub fn of_signal(subject: &SignalSubject) -> (Self, Option<&EnvironmentName>) {
        match subject {
            SignalSubject::Partner(partner) => (Self::Partner(partner.clone()), None),
            SignalSubject::Integration(id) => (Self::Integration(id.clone()), None),
            SignalSubject::Environment(id, environment) => (Self::Integration(id.clone()), Some(environment)),
        }
    }

    /// The one that comes before all others: `0` is the least label.
    pub fn least() -> Self {
        // Invariant: it is a label.
        Self::Partner("0".parse().expect("a label"))
    }

    /// The target of a `resume`, by the subject of its approval: that of a partner has no slash.
    pub fn of_subject(subject: &str) -> Option<Self> {
        let integration = subject.parse().map(Self::Integration);
        integration.or_else(|_| subject.parse().map(Self::Partner)).ok()
    }
}

impl TryFrom<String> for Party {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::of_subject(&text).ok_or(InvalidName("expected PARTNER or PARTNER/INTEGRATION"))
    }
}

impl From<Party> for String {
    fn from(party: Party) -> Self {
        party.to_string()
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Partner(partner) => partner.fmt(f),
            Self::Integration(id) => id.fmt(f),
        }
    }
}

/// A suspension, with its author, time and reason.
#[derive(Clone, Debug, Serialize)]
pub struct Suspension {
    /// Its id.
    pub id: SuspensionId,
    /// The environments that it covers; empty for all, later ones included.
    pub environments: BTreeSet<EnvironmentName>,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
    /// What a signal said, if one made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<SignalKind>,
    /// Why it refuses, if no signal made it.
    #[serde(default, skip_serializing_if = "SuspensionCause::is_decision")]
    pub cause: SuspensionCause,
}

/// Why something is suspended, for whom it refuses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum SuspensionCause {
    /// Somebody decided it.
    #[default]
    #[serde(rename = "decision")]
    Decision,
    /// Nobody used it for long.
    #[serde(rename = "integration.unused")]
    Unused,
}

impl SuspensionCause {
    /// Whether somebody decided it.
    pub fn is_decision(&self) -> bool {
        *self == Self::Decision
    }
}

impl Suspension {
    /// The reason that an exchange is told: that of the signal that made it or of non-use, else `otherwise`.
    pub fn told(&self, otherwise: &'static Reason) -> &'static Reason {
        match (self.signal, self.cause) {
            (Some(says), _) => says.reason(),
            (None, SuspensionCause::Unused) => &reason::INTEGRATION_UNUSED,
            (None, SuspensionCause::Decision) => otherwise,
        }
    }

    /// Whether it covers every environment.
    pub fn covers_all(&self) -> bool {
        self.environments.is_empty()
    }

    /// Whether it covers this environment.
    pub fn covers(&self, environment: &EnvironmentName) -> bool {
        self.covers_all() || self.environments.contains(environment)
    }
}

/// The version of an approval that lifts these suspensions from `subject`. Another set has another version.
pub fn version(subject: &str, named: &[Suspension]) -> Digest {
    let mut named: Vec<&Suspension> = named.iter().collect();
    named.sort_by_key(|one| &one.id);
    Digest::of_json(&("suspensions", subject, named))
}

/// The suspensions in force of a partner or an integration, in the order in which they came.
///
/// Nearly always there is none, and then it takes the room of a pointer.
#[derive(Clone, Debug, Default)]
pub struct Suspensions(Option<Box<Set>>);

/// At least one suspension.
#[derive(Clone, Debug)]
struct Set {
    in_force: Vec<Suspension>,
    /// The approval that would lift some of them.
    resume: Option<ApprovalId>,
}

impl Suspensions {
    /// Those in force, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Suspension> {
        self.0.iter().flat_map(|set| &set.in_force)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Those that cover an environment, the oldest first.
    pub fn covering(&self, environment: &EnvironmentName) -> impl Iterator<Item = &Suspension> {
        self.iter().filter(move |one| one.covers(environment))
    }

    /// The oldest that covers an environment.
    pub fn first_in(&self, environment: &EnvironmentName) -> Option<&Suspension> {
        self.covering(environment).next()
    }

    /// The oldest that covers every environment.
    pub fn first_of_all(&self) -> Option<&Suspension> {
        self.iter().find(|one| one.covers_all())
    }

    /// Whether they refuse wherever `other` does.
    pub fn cover(&self, other: &Suspension) -> bool {
        self.first_of_all().is_some()
            || (!other.covers_all() && other.environments.iter().all(|environment| self.first_in(environment).is_some()))
    }

    /// Those with these ids; all of them if no id is given.
    pub fn named(&self, ids: &[SuspensionId]) -> Vec<Suspension> {
        self.iter().filter(|one| ids.is_empty() || ids.contains(&one.id)).cloned().collect()
    }

    /// The approval that would lift some of them.
    pub fn resume(&self) -> Option<&ApprovalId> {
        self.0.as_ref()?.resume.as_ref()
    }

    /// Adds one. Returns the approval that waited to lift others, and that lifts nothing any more.
    pub fn add(&mut self, one: Suspension) -> Option<ApprovalId> {
        let set = self.0.get_or_insert_with(|| Box::new(Set { in_force: Vec::new(), resume: None }));
        set.in_force.push(one);
        set.resume.take()
    }

    /// Notes the approval that would lift some of them. Returns the one in whose place it comes.
    pub fn ask(&mut self, approval: &ApprovalId) -> Option<ApprovalId> {
        self.0.as_mut()?.resume.replace(approval.clone())
    }

    /// Withdraws the request to lift some of them. Returns its approval.
    pub fn withdraw_resume(&mut self) -> Option<ApprovalId> {
        self.0.as_mut()?.resume.take()
    }

    /// Lifts those with these ids, all of them if no id is given. Returns the approval that waited for it.
    pub fn lift(&mut self, ids: &[SuspensionId]) -> Option<ApprovalId> {
        let set = self.0.as_mut()?;
        let resume = set.resume.take();
        set.in_force.retain(|one| !ids.is_empty() && !ids.contains(&one.id));
        if set.in_force.is_empty() {
            self.0 = None;
        }
        resume
    }
}
