//! The guardrails: the versions in force, what waits, and the digest of the set.
//!
//! Enter through [`Guardrails::digest`]: it names the set that decides, and every issued entry has it. A guardrail that was removed
//! leaves the map: its versions stay in the journal.

use imbl::OrdMap;
use serde::Serialize;

use crate::domain::people::actor::Person;
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::registry::lifecycle::{Held, Versioned};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, GuardrailName};

/// How long the person who enforced a guardrail may put it back to shadow alone.
pub const PUT_BACK_WITHIN: Seconds = Seconds::hours(24);

/// All guardrails, by name.
#[derive(Clone, Debug, Default)]
pub struct Guardrails {
    pub(super) all: OrdMap<GuardrailName, GuardrailState>,
    digest: Option<Digest>,
}

/// A guardrail.
#[derive(Clone, Debug, Default)]
pub struct GuardrailState {
    /// In force, in its mode.
    pub current: Option<Versioned<Guardrail>>,
    /// Waiting.
    pub held: Option<Box<Held<Guardrail>>>,
    /// The approval of its removal.
    pub removal: Option<ApprovalId>,
    /// The person who put the version in force to `enforce` at once, and when.
    pub enforced: Option<(Person, Timestamp)>,
    /// When its text was first put to `enforce` at once; a text that is put back to shadow keeps it.
    pub begun: Option<Timestamp>,
}

impl Guardrails {
    /// SHA-256 of the names and versions in force; `None` where no guardrail is in force.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The versions in force, by name.
    pub fn in_force(&self) -> impl Iterator<Item = &Versioned<Guardrail>> {
        self.all.values().filter_map(|one| one.current.as_ref())
    }

    /// All of them, also those that only wait.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = (&GuardrailName, &GuardrailState)> {
        self.all.iter()
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&GuardrailState> {
        self.all.get(name)
    }

    pub(super) fn at(&mut self, name: &GuardrailName) -> &mut GuardrailState {
        self.all.entry(name.clone()).or_default()
    }

    pub(super) fn seal(&mut self) {
        self.digest = digest(self.in_force().map(|one| (&one.record.name, one.version)));
    }
}

/// The name of a set: SHA-256 of its guardrails and their versions, ordered by name; `None` of an empty set.
pub fn digest<'a>(set: impl Iterator<Item = (&'a GuardrailName, Digest)>) -> Option<Digest> {
    #[derive(Serialize)]
    struct Member<'a> {
        name: &'a GuardrailName,
        version: Digest,
    }
    let mut members: Vec<_> = set.map(|(name, version)| Member { name, version }).collect();
    members.sort_by_key(|member| member.name);
    (!members.is_empty()).then(|| Digest::of_json(&members))
}

impl GuardrailState {
    /// What an approval of its removal names as its version: the version that would go.
    pub fn removal_version(&self) -> Option<Digest> {
        #[derive(Serialize)]
        struct Removal {
            removes: Digest,
        }
        self.current.as_ref().map(|current| Digest::of_json(&Removal { removes: current.version }))
    }

    /// Whether `person` may put it back to shadow at `now` alone.
    pub fn may_put_back(&self, person: &Person, now: Timestamp) -> bool {
        let by = self.enforced.as_ref().is_some_and(|(by, _)| by.is(person));
        by && self.begun.is_some_and(|begun| now < begun.plus(PUT_BACK_WITHIN))
    }

    /// The approval that waits for it: of a version, or of its removal.
    pub fn asked(&self) -> Option<&ApprovalId> {
        self.removal.as_ref().or_else(|| self.held.as_ref()?.approval.as_ref())
    }

    /// Takes what waits, whose approval is then withdrawn.
    pub(super) fn take_waiting(&mut self) -> Option<ApprovalId> {
        let held = self.held.take().and_then(|held| held.approval);
        self.removal.take().or(held)
    }
}
