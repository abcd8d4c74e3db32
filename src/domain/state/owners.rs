//! The owners of records as people of the directory: who owns what, who left since when, and whom the brake holds.
//!
//! [`State::owner_end`](super::State::owner_end) is all that a decision asks. The rest is for the rules in `decision::owners`, and
//! `departures` folds the changes.
//!
//! People who left stay here after their records name others: a later version cannot name them. Deliberately not here: names and
//! addresses, which no decision reads.

use imbl::{OrdMap, OrdSet};

use crate::domain::people::owners::OwnerIds;
use crate::domain::registry::environment::Source;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{HoldId, IntegrationId, PersonId};

/// Owners of records, as people of the directory.
#[derive(Clone, Debug, Default)]
pub struct Owners {
    /// What each person owns.
    own: OrdMap<PersonId, Own>,
    /// Integrations with an owner whom the directory did not know yet.
    unresolved: OrdSet<IntegrationId>,
    pub(super) gone: OrdMap<PersonId, Gone>,
    pub(super) holds: OrdMap<HoldId, Hold>,
    since: Option<Timestamp>,
    pub(super) heard: Option<Timestamp>,
    pub(super) told_silent: Option<Timestamp>,
}

/// What one person owns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Own {
    /// By versions in force.
    pub in_force: OrdSet<IntegrationId>,
    /// By versions that wait.
    pub waiting: OrdSet<IntegrationId>,
}

/// Somebody who left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gone {
    /// Since when.
    pub since: Timestamp,
    /// Whether the brake counts it: an owner of a version in force who left by the directory's word alone.
    pub counted: bool,
}

/// People whom the brake holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hold {
    /// Since when.
    pub at: Timestamp,
    /// The people.
    pub people: OrdSet<PersonId>,
}

/// The end of an integration whose owner left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OwnerEnd {
    /// The owner.
    pub person: Option<PersonId>,
    /// When the owner left.
    pub left: Timestamp,
    /// From then on there is no token.
    pub at: Timestamp,
}

/// The owners of an integration, of both versions.
#[derive(Default)]
pub(super) struct Both {
    pub(super) in_force: OwnerIds,
    pub(super) waiting: OwnerIds,
}

impl Owners {
    /// Everybody who owns something, and what.
    pub fn all(&self) -> impl Iterator<Item = (&PersonId, &Own)> {
        self.own.iter()
    }

    /// What a person owns.
    pub fn of(&self, person: &PersonId) -> Option<&Own> {
        self.own.get(person)
    }

    /// The number of people who own an integration in force.
    pub fn count(&self) -> usize {
        self.own.values().filter(|own| !own.in_force.is_empty()).count()
    }

    /// Integrations with an owner whom the directory did not know yet.
    pub fn unresolved(&self) -> impl Iterator<Item = &IntegrationId> {
        self.unresolved.iter()
    }

    /// Since when a person is gone.
    pub fn gone(&self, person: &PersonId) -> Option<&Gone> {
        self.gone.get(person)
    }

    /// Everybody who is gone.
    pub fn all_gone(&self) -> impl Iterator<Item = (&PersonId, &Gone)> {
        self.gone.iter()
    }

    /// The holds of the brake.
    pub fn holds(&self) -> impl Iterator<Item = (&HoldId, &Hold)> {
        self.holds.iter()
    }

    /// One hold.
    pub fn hold(&self, id: &HoldId) -> Option<&Hold> {
        self.holds.get(id)
    }

    /// Whether the brake holds a person.
    pub fn is_held(&self, person: &PersonId) -> bool {
        self.holds.values().any(|hold| hold.people.contains(person))
    }

    /// The last word of the source that is on record.
    pub fn heard(&self) -> Option<Timestamp> {
        self.heard
    }

    /// When the silence was last told.
    pub fn told_silent(&self) -> Option<Timestamp> {
        self.told_silent
    }

    /// The time from which on a silence counts: the last word, or the day on which the directory was configured.
    pub fn quiet_since(&self) -> Option<Timestamp> {
        self.since.map(|since| self.heard.map_or(since, |heard| heard.max(since)))
    }

    pub(super) fn release(&mut self, person: &PersonId) {
        let holding: Vec<HoldId> =
            self.holds.iter().filter(|(_, hold)| hold.people.contains(person)).map(|(id, _)| id.clone()).collect();
        for id in holding {
            let left = self.holds.get_mut(&id).map(|hold| {
                hold.people.remove(person);
                hold.people.len()
            });
            if left == Some(0) {
                self.holds.remove(&id);
            }
        }
    }

    /// Knows that the directory is configured from `at` on, or not any more.
    pub(super) fn configure(&mut self, source: Option<&Source>, at: Timestamp) {
        self.since = source.map(|_| self.since.unwrap_or(at));
    }

    /// Replaces what is known of an integration.
    pub(super) fn index(&mut self, id: &IntegrationId, before: &Both, after: &Both, is_unresolved: bool) {
        for person in before.in_force.people().chain(before.waiting.people()) {
            let left = self.own.get_mut(person).map(|own| {
                own.in_force.remove(id);
                own.waiting.remove(id);
                *own == Own::default()
            });
            if left == Some(true) {
                self.own.remove(person);
            }
        }
        for person in after.in_force.people() {
            self.own.entry(person.clone()).or_default().in_force.insert(id.clone());
        }
        for person in after.waiting.people() {
            self.own.entry(person.clone()).or_default().waiting.insert(id.clone());
        }
        if is_unresolved {
            self.unresolved.insert(id.clone());
        } else {
            self.unresolved.remove(id);
        }
    }
}
