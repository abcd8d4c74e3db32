//! The owners of a record as people of the directory, by our own ids.
//!
//! An entry holds these ids, and never an address: an address is a text that people may ask us to forget, and the directory may give it to
//! somebody else. A changed address is the same person.

use serde::{Deserialize, Serialize};

use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PersonId;

/// The two owners of a version, as far as the directory knows them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnerIds {
    /// The person who answers for the business with the partner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub business: Option<PersonId>,
    /// The person who answers for the application.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<PersonId>,
}

/// An owner of a version in force.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bound {
    /// The person.
    pub person: PersonId,
    /// When that became known. The grace for somebody who was gone already begins then.
    pub since: Timestamp,
}

/// The owners of a version in force.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct InForce {
    business: Option<Bound>,
    application: Option<Bound>,
}

impl OwnerIds {
    /// The people, each once.
    pub fn people(&self) -> impl Iterator<Item = &PersonId> {
        let other = self.application.as_ref().filter(|id| self.business.as_ref() != Some(*id));
        self.business.iter().chain(other)
    }

    /// Whether both are known.
    pub fn is_complete(&self) -> bool {
        self.business.is_some() && self.application.is_some()
    }

    /// Whether one person is both.
    pub fn is_one_person(&self) -> bool {
        self.business.is_some() && self.business == self.application
    }

    /// These, and those of `other` where one is not known.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        Self {
            business: self.business.or_else(|| other.business.clone()),
            application: self.application.or_else(|| other.application.clone()),
        }
    }
}

impl InForce {
    /// These people, known since `at`.
    pub fn of(ids: &OwnerIds, at: Timestamp) -> Self {
        let bound = |id: &Option<PersonId>| id.clone().map(|person| Bound { person, since: at });
        Self { business: bound(&ids.business), application: bound(&ids.application) }
    }

    /// Their ids.
    pub fn ids(&self) -> OwnerIds {
        let id = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.person.clone());
        OwnerIds { business: id(&self.business), application: id(&self.application) }
    }

    /// Those who are known.
    pub fn all(&self) -> impl Iterator<Item = &Bound> {
        self.business.iter().chain(&self.application)
    }

    /// Adds those who are not known yet.
    pub fn add(&mut self, ids: &OwnerIds, at: Timestamp) {
        let Self { business, application } = Self::of(ids, at);
        self.business = self.business.take().or(business);
        self.application = self.application.take().or(application);
    }
}
