//! Folds changes of integrations.

use std::sync::Arc;

use super::effects::{Effects, Entered, Versions};
use super::integration::IntegrationState;
use super::narrowings::Whose;
use super::non_use::NonUse;
use super::opening::Opening;
use super::suspensions::{ResumeAsked, Suspended};
use super::versions::{hold, promote, version};
use super::{Held, Party, State};
use crate::domain::log::integration::IntegrationChange;
use crate::domain::record::taken_away;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::recertification::ReviewCause;
use crate::domain::value::names::{ApprovalId, ClientId, IntegrationId, PartnerName};

impl State {
    /// The integrations of a partner, by name. It costs a look-up, and what it finds.
    pub fn integrations_of<'s>(
        &'s self,
        partner: &'s PartnerName,
    ) -> impl Iterator<Item = (&'s IntegrationId, &'s IntegrationState)> {
        let from = self.integrations.range(IntegrationId::least_of(partner)..);
        from.take_while(move |(id, _)| id.partner == *partner).map(|(id, state)| (id, &**state))
    }

    /// The integrations that belong to a party: those of a partner, or the one.
    pub fn integrations_in(&self, party: &Party) -> Vec<IntegrationId> {
        match party {
            Party::Partner(partner) => self.integrations_of(partner).map(|(id, _)| id.clone()).collect(),
            Party::Integration(id) => vec![id.clone()],
        }
    }

    /// An integration to be changed. It is copied if another state shares it.
    pub(super) fn integration_mut(&mut self, id: &IntegrationId) -> Option<&mut IntegrationState> {
        self.integrations.get_mut(id).map(Arc::make_mut)
    }

    /// A record as it is kept: with the texts of the names that are known already.
    pub(super) fn kept(&mut self, record: &Integration) -> Integration {
        let mut kept = record.clone();
        kept.share(&mut self.texts);
        kept.id = self.known_id(&kept.id);
        kept
    }

    /// An id, by the text under which its integration is in the registry. What is kept of an integration has one text for it.
    pub(super) fn known_id(&self, id: &IntegrationId) -> IntegrationId {
        self.integrations.get_key_value(id).map_or(id, |(known, _)| known).clone()
    }

    /// The same for a client.
    pub(super) fn known_client(&self, client: &ClientId) -> ClientId {
        match client {
            ClientId::Integration(id) => ClientId::Integration(self.known_id(id)),
            ClientId::Api(_) => client.clone(),
        }
    }

    fn integration_or_new(&mut self, id: &IntegrationId) -> &mut IntegrationState {
        Arc::make_mut(self.integrations.entry(id.clone()).or_default())
    }

    /// Takes a draft out of the registry. It reserved nothing and was never in force, so no index knows it.
    ///
    /// A revocation of its name stays. An enrolment token would give whoever asked for it the name of a later integration.
    fn discard(&mut self, entry: Entered<'_>, id: &IntegrationId) {
        self.integrations.remove(id);
        let asked = self.certificates.enrolments().filter(|one| one.integration == *id);
        let asked: Vec<ApprovalId> = asked.map(|one| one.approval.clone()).collect();
        asked.into_iter().for_each(|approval| self.withdraw(entry.at, Some(approval)));
    }

    /// Cuts the tokens of the version before that the one in force now would not grant as they are.
    fn take_away(&mut self, entry: Entered<'_>, id: &IntegrationId, old: Option<&Integration>) {
        let current = self.integrations.get(id).and_then(|integration| integration.current.as_ref());
        let Some((old, current)) = old.zip(current) else { return };
        let places = taken_away::of_integration(old, &current.record, entry.at);
        self.narrowed(entry, places.into_iter().map(|(environment, away)| (Whose::Integration(id.clone(), environment), away)));
    }

    /// Follows a version that came into force in place of `old` without an approval of its own.
    pub(super) fn came_into_force(&mut self, entry: Entered<'_>, id: &IntegrationId, old: Option<&Arc<Integration>>) {
        let Some(state) = self.integration_mut(id) else { return };
        state.came_into_force(old.cloned());
        state.exceptions_came_into_force(old.map(AsRef::as_ref));
        state.reviews_came_into_force(entry, old.map(AsRef::as_ref), false);
        // A narrower version has the same owners, and nobody looked them up again.
        state.hold_owners(None);
        state.owned_by(entry, None, old.map(AsRef::as_ref));
        let earlier = state.held.take();
        self.take_away(entry, id, old.map(AsRef::as_ref));
        self.list_exceptions(id, old.map(AsRef::as_ref));
        self.index_integration(id);
        self.withdraw(entry.at, earlier.and_then(|held| held.approval));
    }

    pub(super) fn apply_integration(&mut self, entry: Entered<'_>, change: &IntegrationChange) -> Effects {
        let client = || ClientId::Integration(change.integration().clone());
        let party = |integration: &IntegrationId| Party::Integration(integration.clone());
        match change {
            IntegrationChange::Drafted { record, reason } => {
                let record = self.kept(record);
                let state = self.integration_or_new(&record.id);
                let held = Box::new(Held { version: version(record, entry, reason.as_ref()), approval: None });
                state.appliers.applied(entry.by);
                state.hold_owners(None);
                let earlier = state.held.replace(held);
                self.withdraw(entry.at, earlier.and_then(|held| held.approval));
                Effects::judged().moving(Versions::Waiting(client()))
            }
            IntegrationChange::Submitted { integration, approval, owners } => {
                if let Some(state) = self.integration_mut(integration) {
                    state.hold_owners(owners.as_ref());
                }
                let held = self.integration_mut(integration).and_then(|integration| integration.held.as_mut());
                let earlier = held.and_then(|held| held.approval.replace(approval.id.clone()));
                self.open(entry.at, earlier, Opening::of_version(approval));
                Effects::judged().moving(Versions::Waiting(client()))
            }
            IntegrationChange::Discarded { integration, version, reason: _ } => {
                let draft = self.integrations.get(integration).and_then(|known| known.discardable().ok());
                if draft.is_some_and(|draft| draft.version == *version) {
                    self.discard(entry, integration);
                }
                Effects::judged()
            }
            IntegrationChange::ChangeHeld { record, approval, owners } => {
                let record = self.kept(record);
                let state = self.integration_or_new(&record.id);
                let held = hold(record, entry, approval);
                state.appliers.applied(entry.by);
                state.hold_owners(owners.as_ref());
                let earlier = state.held.replace(held);
                self.open(entry.at, earlier.and_then(|held| held.approval), Opening::of_version(approval));
                Effects::judged().moving(Versions::Waiting(client()))
            }
            IntegrationChange::Activated { integration, version, owners }
            | IntegrationChange::Changed { integration, version, owners } => {
                if let Some(state) = self.integration_mut(integration) {
                    let old = state.current.as_ref().map(|current| Arc::clone(&current.record));
                    let promoted = promote(&mut state.held, &mut state.current, version);
                    if let Some(approval) = &promoted {
                        state.came_into_force(old.clone());
                        state.exceptions_came_into_force(old.as_deref());
                        // People approved it: whether it is used is counted anew.
                        state.non_use = NonUse::from(entry.at);
                        state.owned_by(entry, owners.as_ref(), old.as_deref());
                        state.owner_left = None;
                        state.reviews.approved.clone_from(approval);
                        state.reviews.replaced.clear();
                        state.reviews_came_into_force(entry, old.as_deref(), true);
                    }
                    self.take_away(entry, integration, old.as_deref());
                    self.list_exceptions(integration, old.as_deref());
                    self.index_integration(integration);
                    self.list_granted(promoted.flatten().as_ref());
                }
                Effects::judged().moving(Versions::InForce(client()))
            }
            IntegrationChange::Narrowed { record, reason } => {
                let new = self.kept(record);
                let state = self.integration_or_new(&record.id);
                let old = state.current.replace(version(new, entry, reason.as_ref()));
                state.appliers.applied(entry.by);
                let person = old.as_ref().and_then(|old| old.by.person());
                state.reviews.replaced.extend(person.cloned());
                self.came_into_force(entry, &record.id, old.map(|old| old.record).as_ref());
                Effects::judged().moving(Versions::InForce(client()))
            }
            IntegrationChange::Suspended { integration, reason, id, environments, cause } => {
                let suspended = Suspended { id: id.as_ref(), environments, reason, cause: *cause, signal: None };
                self.suspend(entry, &party(integration), suspended)
            }
            IntegrationChange::Unused { integration, environment, binding, last: _ } => {
                if let Some(state) = self.integration_mut(integration) {
                    state.non_use.warn(environment, binding.as_ref(), entry.at);
                }
                self.ask_review(entry, integration, Some(environment), ReviewCause::Unused);
                Effects::unjudged()
            }
            IntegrationChange::BindingRetired { integration, environment, binding, last: _ } => {
                if let Some(state) = self.integration_mut(integration) {
                    state.non_use.retire(environment, binding);
                }
                Effects::judged()
            }
            IntegrationChange::ResumeAsked { integration, reason, approval, suspensions } => {
                self.ask_resume(entry, &party(integration), ResumeAsked { approval, reason, named: suspensions })
            }
            IntegrationChange::Resumed { integration, suspensions } => self.resume(entry, &party(integration), suspensions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;
    use crate::domain::examples::facts;
    use crate::domain::fixture::{approval, at, state};
    use crate::domain::log::integration::IntegrationChange;
    use crate::domain::people::actor::Actor;
    use crate::domain::registry::approval::Kind;
    use crate::domain::registry::integration::Integration;
    use crate::domain::value::digest::Digest;
    use crate::domain::value::names::{IntegrationId, PartnerName};

    /// Partners whose names begin alike are neighbours, and `0` is the least label that a name can be.
    #[test]
    fn the_integrations_of_a_partner_are_all_of_its_own_and_no_other() {
        let mut state = state();
        let known = state.integrations.values().next().and_then(|known| known.current.clone()).expect("in force");
        let all = ["globe/z", "globex/0", "globex/00", "globex/order-sync", "globex/z", "globex-2/a", "globex0/a", "glof/a"];
        for id in all {
            let record = crate::domain::registry::integration::Integration {
                id: id.parse().expect("an id"),
                ..known.record.as_ref().clone()
            };
            state.apply(
                100,
                at(0),
                &IntegrationChange::Narrowed { record: Box::new(record), reason: None }.by(Actor::Operator),
            );
        }
        for partner in ["globe", "globex", "globex-2", "globex0", "glof", "glo", "initech"] {
            let partner: PartnerName = partner.parse().expect("a name");
            let found: Vec<&IntegrationId> = state.integrations_of(&partner).map(|(id, _)| id).collect();
            let expected: Vec<&IntegrationId> = state.integrations.keys().filter(|id| id.partner == partner).collect();
            assert_eq!(found, expected, "{partner}");
        }
        assert_eq!(state.integrations_of(&"globex".parse().expect("a name")).count(), 4);
    }

    /// Another version, what was submitted or is in force, and what is suspended stay as they are. A draft leaves nothing.
    #[test]
    fn only_a_draft_that_nothing_holds_is_discarded() {
        let mut state = state();
        let in_force = state.integrations.values().next().and_then(|known| known.current.clone()).expect("in force");
        let id: IntegrationId = "globex/second".parse().expect("an id");
        let record = Integration { id: id.clone(), ..in_force.record.as_ref().clone() };
        let version = Digest::of_json(&record);
        let before = facts::text(&state);
        let apply = |state: &mut State, change: IntegrationChange| state.apply(100, at(0), &change.by(Actor::Operator));
        let drafted = || IntegrationChange::Drafted { record: Box::new(record.clone()), reason: None };
        let discarded = |integration: &IntegrationId, version: Digest| {
            let integration = integration.clone();
            IntegrationChange::Discarded { integration, version, reason: "odd".into() }
        };
        apply(&mut state, drafted());
        let mut submitted = state.clone();
        let approval = approval("a1", Kind::Integration, "globex/second", version);
        apply(&mut submitted, IntegrationChange::Submitted { integration: id.clone(), approval, owners: None });
        let mut suspended = state.clone();
        apply(&mut suspended, IntegrationChange::suspended(id.clone(), "odd".into()));
        for (mut held, what) in [
            (state.clone(), discarded(&id, Digest::of(b"another version"))),
            (state.clone(), discarded(&in_force.record.id, in_force.version)),
            (submitted, discarded(&id, version)),
            (suspended, discarded(&id, version)),
        ] {
            let before = facts::text(&held);
            apply(&mut held, what);
            assert_eq!(facts::text(&held), before);
        }
        apply(&mut state, discarded(&id, version));
        assert_eq!(facts::text(&state), before);
    }
}
