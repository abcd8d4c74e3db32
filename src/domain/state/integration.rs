//! An integration: the version in force, the version that waits, and what suspends it.

use super::appliers::Appliers;
use super::effects::Entered;
use super::exception::Exceptions;
use super::non_use::NonUse;
use super::recertification::Reviews;
use crate::domain::people::owners::{InForce, OwnerIds};
use crate::domain::registry::integration::Integration;
use crate::domain::registry::lifecycle::{Held, Versioned};
use crate::domain::registry::offboarding::Ending;
use crate::domain::registry::phase::Phase;
use crate::domain::registry::suspension::Suspensions;
use crate::domain::value::clock::Timestamp;
use std::sync::Arc;

/// An integration.
#[derive(Clone, Debug, Default)]
pub struct IntegrationState {
    /// In force since its activation.
    pub current: Option<Versioned<Integration>>,
    /// The draft, or a held change.
    pub held: Option<Box<Held<Integration>>>,
    /// What is known of its static secrets besides its record.
    pub exceptions: Exceptions,
    /// When a signal said that one of its owners left, if no version was approved since.
    pub owner_left: Option<Timestamp>,
    /// The owners of the version in force, as people of the directory.
    pub owners: InForce,
    /// The owners of the version that was submitted, as people of the directory. Nearly always there is none.
    held_owners: Option<Box<OwnerIds>>,
    /// What suspends it.
    pub suspensions: Suspensions,
    /// The people who applied versions, as far as it bars them from approving elevations.
    pub appliers: Appliers,
    /// What is known of it being used by nobody.
    pub non_use: NonUse,
    /// Its reviews.
    pub reviews: Reviews,
    /// Its end, if it is being offboarded or was.
    pub ending: Option<Box<Ending>>,
}

/// Why an integration cannot be discarded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// It is no draft.
    Phase(Phase),
    /// It is a draft, and suspended.
    Suspended,
}

impl IntegrationState {
    /// The phase of its life. A suspension does not change it.
    pub fn phase(&self) -> Phase {
        if let Some(ending) = &self.ending {
            return if ending.is_over() { Phase::Ended } else { Phase::Offboarding };
        }
        match (&self.current, &self.held) {
            (Some(_), _) => Phase::Active,
            (None, Some(held)) if held.approval.is_some() => Phase::Submitted,
            (None, _) => Phase::Draft,
        }
    }

    /// The draft, where it can be discarded and nothing is left of the integration.
    ///
    /// # Errors
    /// It was submitted or active; or it is suspended, and a new draft of its name would be free of that.
    pub fn discardable(&self) -> Result<&Versioned<Integration>, Kept> {
        let phase = self.phase();
        let draft = self.held.as_ref().filter(|_| phase == Phase::Draft).ok_or(Kept::Phase(phase))?;
        if self.suspensions.is_empty() { Ok(&draft.version) } else { Err(Kept::Suspended) }
    }

    /// Notes that the current version came into force in place of `old`.
    pub(super) fn came_into_force(&mut self, old: Option<Arc<Integration>>) {
        if let Some(current) = &self.current {
            self.appliers.came_into_force(old.as_deref(), &current.record);
        }
    }

    /// The owners of the version that was submitted, as people of the directory.
    pub fn held_owners(&self) -> OwnerIds {
        self.held_owners.as_deref().cloned().unwrap_or_default()
    }

    /// Notes the owners of the version that was submitted.
    pub(super) fn hold_owners(&mut self, owners: Option<&OwnerIds>) {
        self.held_owners = owners.filter(|owners| **owners != OwnerIds::default()).map(|owners| Box::new(owners.clone()));
    }

    /// Notes the owners of a version that came into force in place of `old`: those of its entry, else those that it waited with.
    ///
    /// An entry that names nobody was written without a directory. Then the same owners are the same people: one who is gone stays gone.
    pub(super) fn owned_by(&mut self, entry: Entered<'_>, named: Option<&OwnerIds>, old: Option<&Integration>) {
        let waited = self.held_owners.take().map(|waited| *waited);
        let named = named.cloned().or(waited).unwrap_or_default();
        let same = old.zip(self.current.as_ref()).is_some_and(|(old, current)| old.owners == current.record.owners);
        if named != OwnerIds::default() {
            self.owners = InForce::of(&named, entry.at);
        } else if !same {
            self.owners = InForce::default();
        }
    }

    /// The version that people look at: the one in force, else the draft.
    pub fn shown(&self) -> Option<&Versioned<Integration>> {
        self.current.as_ref().or(self.held.as_ref().map(|held| &held.version))
    }
}
