//! Folds changes of people in the directory, and tells when an integration ends whose owner left.

use super::State;
use super::effects::{Effects, Entered};
use super::narrowings::Whose;
use super::owners::{Both, Gone, Hold, OwnerEnd};
use crate::domain::credential::claims::LONGEST_LIFE;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::people::owners::Bound;
use crate::domain::record::TakenAway;
use crate::domain::registry::environment::{Governance, Source};
use crate::domain::registry::recertification::ReviewCause;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{IntegrationId, PersonId};

impl State {
    /// The people directory, where one is configured.
    pub fn directory(&self) -> Option<&Source> {
        self.configuration.as_ref()?.directory.as_ref()
    }

    /// How long an integration lasts without its owner.
    pub fn owner_grace(&self) -> Seconds {
        self.configuration.as_ref().map_or(Governance::OWNER_GRACE, |configuration| configuration.governance.owner_grace)
    }

    /// The end of an integration whose owner left: that of the owner whose time is over first.
    pub fn owner_end(&self, id: &IntegrationId) -> Option<OwnerEnd> {
        let known = self.integrations.get(id)?;
        let said = known.owner_left.map(|left| OwnerEnd { person: None, left, at: left.plus(self.owner_grace()) });
        if self.owners.gone.is_empty() {
            return said;
        }
        let end = |bound: &Bound| {
            let left = self.owners.gone(&bound.person)?.since;
            Some(OwnerEnd { person: Some(bound.person.clone()), left, at: left.max(bound.since).plus(self.owner_grace()) })
        };
        known.owners.all().filter_map(end).chain(said).min_by_key(|end| end.at)
    }

    /// The owners of an integration before a change.
    pub(super) fn owners_of(&self, id: &IntegrationId) -> Both {
        let Some(known) = self.integrations.get(id) else { return Both::default() };
        Both { in_force: known.owners.ids(), waiting: known.held_owners() }
    }

    /// Brings the index of owners up to date after a change of an integration.
    pub(super) fn index_owners(&mut self, id: &IntegrationId, before: &Both) {
        let after = self.owners_of(id);
        let known = self.integrations.get(id);
        // A draft has no owners of record: it is resolved when it is submitted.
        let is_unresolved = known.is_some_and(|known| {
            let waits = known.held.as_ref().is_some_and(|held| held.approval.is_some());
            (known.current.is_some() && !after.in_force.is_complete()) || (waits && !after.waiting.is_complete())
        });
        self.owners.index(&self.known_id(id), before, &after, is_unresolved);
    }

    pub(super) fn apply_directory(&mut self, entry: Entered<'_>, change: &DirectoryChange) -> Effects {
        match change {
            DirectoryChange::Left { person } => {
                let counted = self.owners.of(person).is_some_and(|own| !own.in_force.is_empty());
                self.leave(entry, person, counted);
                Effects::judged()
            }
            DirectoryChange::Returned { person } => {
                self.owners.gone.remove(person);
                self.owners.release(person);
                Effects::judged()
            }
            DirectoryChange::Resolved { in_force, waiting } => {
                for (id, ids) in in_force {
                    let before = self.owners_of(id);
                    if let Some(known) = self.integration_mut(id).filter(|known| known.current.is_some()) {
                        known.owners.add(ids, entry.at);
                    }
                    self.index_owners(id, &before);
                    self.cut_past_owner(entry, id);
                }
                for (id, ids) in waiting {
                    let before = self.owners_of(id);
                    if let Some(known) = self.integration_mut(id).filter(|known| known.held.is_some()) {
                        known.hold_owners(Some(&known.held_owners().or(ids)));
                    }
                    self.index_owners(id, &before);
                }
                Effects::judged()
            }
            DirectoryChange::Held { id, people } => {
                let people = people.iter().filter(|person| self.owners.gone(person).is_none()).cloned().collect();
                self.owners.holds.insert(id.clone(), Hold { at: entry.at, people });
                Effects::judged()
            }
            DirectoryChange::Confirmed { id, people: _, reason: _ } => {
                let hold = self.owners.holds.get(id).cloned();
                for person in hold.iter().flat_map(|hold| &hold.people) {
                    self.leave(entry, person, false);
                }
                self.owners.holds.remove(id);
                Effects::judged()
            }
            DirectoryChange::Imported { .. } | DirectoryChange::Heard {} => {
                self.owners.heard = Some(entry.at);
                Effects::unjudged()
            }
            DirectoryChange::Silent { since: _ } => {
                self.owners.told_silent = Some(entry.at);
                Effects::judged()
            }
        }
    }

    /// Knows that a person left. Somebody who is gone already stays gone since then.
    fn leave(&mut self, entry: Entered<'_>, person: &PersonId, counted: bool) {
        self.owners.release(person);
        if self.owners.gone.contains_key(person) {
            return;
        }
        self.owners.gone.insert(person.clone(), Gone { since: entry.at, counted });
        let own = self.owners.of(person).map(|own| own.in_force.clone()).unwrap_or_default();
        own.iter().for_each(|id| self.ask_review(entry, id, None, ReviewCause::OwnerChange));
        self.cut_past_owners(entry, person);
    }

    /// Cuts what outlives the grace of everybody who is gone: for a shorter grace.
    pub(super) fn cut_past_all_owners(&mut self, entry: Entered<'_>) {
        let gone: Vec<PersonId> = self.owners.gone.keys().cloned().collect();
        gone.iter().for_each(|person| self.cut_past_owners(entry, person));
    }

    fn cut_past_owners(&mut self, entry: Entered<'_>, person: &PersonId) {
        let own: Vec<IntegrationId> = self.owners.of(person).iter().flat_map(|own| own.in_force.iter().cloned()).collect();
        own.iter().for_each(|id| self.cut_past_owner(entry, id));
    }

    /// Cuts the tokens of an integration that live beyond the end that its owner's leaving gives it.
    pub(super) fn cut_past_owner(&mut self, entry: Entered<'_>, id: &IntegrationId) {
        // No token lives longer, so nothing is cut by any usual grace.
        let Some(end) = self.owner_end(id).filter(|end| end.at < entry.at.plus(LONGEST_LIFE)) else { return };
        let current = self.integrations.get(id).and_then(|known| known.current.as_ref());
        let Some(record) = current.map(|current| std::sync::Arc::clone(&current.record)) else { return };
        let away = || TakenAway { ends: Some(end.at), ..TakenAway::default() };
        let places: Vec<_> = record.environments.iter().map(|(environment, _)| environment.clone()).collect();
        self.narrowed(entry, places.into_iter().map(|environment| (Whose::Integration(id.clone(), environment), away())));
    }
}
