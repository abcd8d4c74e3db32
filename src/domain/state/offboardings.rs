//! Folds offboardings: what one freezes and cuts as it begins, what comes back when it is given up, and what stays when it is closed.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::State;
use super::effects::{Effects, Entered};
use super::offboarding::{Acknowledged, Case, Outcome, Registered, Tested, TokensFound};
use super::opening::Opening;
use super::suspensions::Suspended;
use super::taken::Holder;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::Ended;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::people::owners::InForce;
use crate::domain::registry::binding::Admits;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::offboarding::Ending;
use crate::domain::registry::suspension::{Party, SuspensionCause};
use crate::domain::value::names::{ApprovalId, ClientId, IntegrationId, OffboardingId};
use crate::domain::value::text::Text;

impl State {
    /// The end of an integration's partner or of itself, whichever counts.
    pub fn ending_of(&self, id: &IntegrationId) -> Option<&Ending> {
        let partner = self.partners.get(&id.partner).and_then(|known| known.ending.as_deref());
        partner.or_else(|| self.integrations.get(id)?.ending.as_deref())
    }

    /// The end of a partner or an integration.
    pub fn ending(&self, party: &Party) -> Option<&Ending> {
        match party {
            Party::Partner(partner) => self.partners.get(partner)?.ending.as_deref(),
            Party::Integration(id) => self.ending_of(id),
        }
    }

    /// The integrations whose dates and owners an entry about a case may move.
    pub(super) fn ending_with(&self, change: &OffboardingChange) -> Vec<IntegrationId> {
        if let OffboardingChange::Started { about, .. } = change {
            return self.ends_with(about);
        }
        let moves = matches!(change, OffboardingChange::Aborted { .. } | OffboardingChange::Closed { .. });
        let case = change.offboarding().filter(|_| moves).and_then(|id| self.offboardings.find(id.as_str()));
        case.map(|case| case.integrations.to_vec()).unwrap_or_default()
    }

    /// The integrations that end with a party: all that have not ended.
    fn ends_with(&self, about: &Party) -> Vec<IntegrationId> {
        match about {
            Party::Integration(id) => vec![id.clone()],
            Party::Partner(partner) => {
                let own = self.integrations_of(partner).filter(|(_, known)| known.ending.is_none());
                own.map(|(id, _)| id.clone()).collect()
            }
        }
    }

    pub(super) fn apply_offboarding(&mut self, entry: Entered<'_>, change: &OffboardingChange) -> Effects {
        match change {
            OffboardingChange::Started { offboarding, about, reason } => self.freeze(entry, offboarding, about, reason),
            OffboardingChange::DependenciesFound { offboarding, found, living, last } => {
                let found = TokensFound { found: found.clone(), living: *living, last: *last, at: entry.at };
                self.in_case(offboarding, |case| case.found = Some(found))
            }
            OffboardingChange::Acknowledged { offboarding, on, removed, evidence } => {
                let (removed, evidence) = (removed.clone(), evidence.clone());
                let word = Acknowledged { by: entry.by.clone(), removed, evidence, at: entry.at };
                self.in_case(offboarding, |case| drop(case.acknowledged.insert(on.clone(), word)))
            }
            OffboardingChange::Tested { offboarding, run, tests } => {
                let tested = Tested { tests: tests.clone(), at: entry.at };
                self.in_case(offboarding, |case| drop(case.tested.insert(*run, tested)))
            }
            OffboardingChange::Waiting { offboarding, days, missing: _ } => self.in_case(offboarding, |case| case.told = *days),
            OffboardingChange::SignOffAsked { offboarding, approval } => {
                let mut earlier = None;
                self.offboardings.note(offboarding, |case| earlier = case.sign_off.replace(approval.id.clone()));
                self.open(entry.at, earlier, Opening { approval, reason: None, lifts: Vec::new() });
                Effects::judged()
            }
            OffboardingChange::AbortAsked { offboarding, reason, approval } => {
                let (asked, mut earlier) = ((approval.id.clone(), reason.clone()), None);
                self.offboardings.note(offboarding, |case| earlier = case.abort.replace(asked));
                let earlier = earlier.map(|(approval, _)| approval);
                self.open(entry.at, earlier, Opening { approval, reason: Some(reason), lifts: Vec::new() });
                Effects::judged()
            }
            OffboardingChange::Aborted { offboarding } => self.give_up(entry, offboarding),
            OffboardingChange::Closed { offboarding, manifest, until } => {
                let (at, index, manifest, until) = (entry.at, entry.index, *manifest, *until);
                self.end(entry, offboarding, Outcome::Closed { at, index, manifest, until })
            }
            OffboardingChange::Registered { integration, on, what } => {
                let known = Registered { what: what.clone(), by: entry.by.clone(), at: entry.at };
                self.offboardings.register(integration, on, known);
                Effects::judged()
            }
        }
    }

    fn in_case(&mut self, id: &OffboardingId, note: impl FnOnce(&mut Case)) -> Effects {
        self.offboardings.note(id, note);
        Effects::judged()
    }

    /// Freezes a party: nothing is to be had any more, and everything that it had is cut.
    fn freeze(&mut self, entry: Entered<'_>, id: &OffboardingId, about: &Party, reason: &Text) -> Effects {
        let integrations = self.ends_with(about);
        let ending = || Some(Box::new(Ending { offboarding: id.clone(), since: entry.at, over: None }));
        let mut void: Vec<ApprovalId> = Vec::new();
        if let Party::Partner(partner) = about
            && let Some(known) = self.partners.get_mut(partner)
        {
            known.ending = ending();
            void.extend(known.held.take().and_then(|held| held.approval));
            void.extend(known.suspensions.withdraw_resume());
        }
        let ended = Ended { by: entry.by.clone(), reason: Some(reason.clone()), at: entry.at };
        let elevations = self.elevations.end_of(&integrations, &ended);
        let certificates = self.certificates.end_of(&integrations, entry.at);
        let is_own = |id: &IntegrationId| integrations.binary_search(id).is_ok();
        let enrolments = self.certificates.enrolments().filter(|one| is_own(&one.integration));
        void.extend(enrolments.map(|one| one.approval.clone()));
        for integration in &integrations {
            let client = ClientId::Integration(integration.clone());
            if let Some(known) = self.integration_mut(integration) {
                known.ending = ending();
                known.hold_owners(None);
                void.extend(known.held.take().and_then(|held| held.approval));
                void.extend(known.suspensions.withdraw_resume());
            }
            self.in_force.replace(&client, None);
            self.waiting.replace(&client, None);
            let admitted = self.ever_admitted(integration);
            self.offboardings.closing.replace(&client, admitted.as_ref().map(Holder::Integration));
        }
        void.extend(self.lifts_of(about));
        void.into_iter().for_each(|approval| self.withdraw(entry.at, Some(approval)));
        let case = Case {
            id: id.clone(),
            about: about.clone(),
            integrations: integrations.into(),
            by: entry.by.clone(),
            reason: reason.clone(),
            at: entry.at,
            index: entry.index,
            elevations,
            certificates,
            found: None,
            acknowledged: BTreeMap::new(),
            tested: BTreeMap::new(),
            told: 0,
            sign_off: None,
            abort: None,
            outcome: None,
        };
        self.offboardings.begin(case);
        let target = match about.clone() {
            Party::Partner(partner) => RevocationTarget::Partner { partner },
            Party::Integration(integration) => RevocationTarget::Integration { integration },
        };
        Effects::judged().revoking([target])
    }

    /// What an integration ever admitted, as a record: every rule that any of its bindings ever had, in each environment.
    ///
    /// A workload chooses the audience of its proofs. So what it could show in one environment it could show in every other one, and an
    /// audience that a rule takes besides the issuer keeps nothing apart. `None` if the integration was never in force.
    pub(in crate::domain) fn ever_admitted(&self, id: &IntegrationId) -> Option<Integration> {
        let current = self.integrations.get(id)?.current.as_ref()?;
        let mut record = current.record.as_ref().clone();
        let mut access = record.environments.values().next()?.clone();
        let all = self.history.admitted_by(&ClientId::Integration(id.clone())).into_iter().map(|(_, mut binding)| {
            if let Admits::Jwt(rule) = &mut binding.admits {
                Arc::make_mut(rule).audience = None;
            }
            binding
        });
        access.bindings = all.collect();
        record.environments = self.environments().map(|environment| (environment.clone(), access.clone())).collect();
        Some(record)
    }

    /// Bars what open cases admitted in every environment that is configured now.
    pub(super) fn close_everywhere(&mut self) {
        let open: Vec<IntegrationId> = self.offboardings.open().flat_map(|case| case.integrations.iter().cloned()).collect();
        for id in open {
            let admitted = self.ever_admitted(&id);
            self.offboardings.closing.replace(&ClientId::Integration(id), admitted.as_ref().map(Holder::Integration));
        }
    }

    /// The approvals that would lift a revocation of a party or of something of it.
    fn lifts_of(&self, about: &Party) -> Vec<ApprovalId> {
        let of = |id: &IntegrationId| match about {
            Party::Partner(partner) => id.partner == *partner,
            Party::Integration(own) => id == own,
        };
        let is_own = |target: &RevocationTarget| match target {
            RevocationTarget::Partner { partner } => *about == Party::Partner(partner.clone()),
            RevocationTarget::Integration { integration }
            | RevocationTarget::IntegrationEnvironment { integration, .. }
            | RevocationTarget::Binding { client: ClientId::Integration(integration), .. } => of(integration),
            RevocationTarget::Binding { client: ClientId::Api(_), .. }
            | RevocationTarget::Token { .. }
            | RevocationTarget::Api { .. }
            | RevocationTarget::Elevation { .. }
            | RevocationTarget::Environment { .. }
            | RevocationTarget::Issuer { .. }
            | RevocationTarget::Certificate { .. }
            | RevocationTarget::Authority { .. }
            | RevocationTarget::Key { .. } => false,
        };
        let asked = self.revocations.values().filter(|one| !one.lifted && is_own(&one.target));
        asked.filter_map(|one| one.lift.clone()).collect()
    }

    /// Gives a case up: its subject comes back suspended.
    fn give_up(&mut self, entry: Entered<'_>, id: &OffboardingId) -> Effects {
        let Some(case) = self.offboardings.find(id.as_str()).filter(|case| case.is_open()) else { return Effects::judged() };
        let (about, integrations) = (case.about.clone(), case.integrations.clone());
        let (approval, why) = case.abort.clone().unzip();
        let sign_off = case.sign_off.clone();
        if let Party::Partner(partner) = &about
            && let Some(known) = self.partners.get_mut(partner)
        {
            known.ending = None;
        }
        for integration in &integrations {
            let client = ClientId::Integration(integration.clone());
            let Some(known) = self.integration_mut(integration) else { continue };
            known.ending = None;
            self.offboardings.give_up(integration, entry.at);
            let Some(known) = self.integrations.get(integration) else { continue };
            let current = known.current.as_ref().map(|current| Arc::clone(&current.record));
            self.in_force.replace(&client, current.as_deref().map(Holder::Integration));
            self.offboardings.closing.replace(&client, None);
        }
        self.offboardings.note(id, |case| case.outcome = Some(Outcome::Aborted { at: entry.at }));
        self.withdraw(entry.at, sign_off);
        self.list_granted(approval.as_ref());
        let reason = why.unwrap_or_else(|| Text::from(""));
        let cause = SuspensionCause::Decision;
        self.suspend(entry, &about, Suspended { id: None, environments: &[].into(), reason: &reason, signal: None, cause })
    }

    /// Ends a subject for good.
    fn end(&mut self, entry: Entered<'_>, id: &OffboardingId, outcome: Outcome) -> Effects {
        let Some(case) = self.offboardings.find(id.as_str()).filter(|case| case.is_open()) else { return Effects::judged() };
        let (about, integrations) = (case.about.clone(), case.integrations.clone());
        let (signed, abort) = (case.sign_off.clone(), case.abort.clone());
        if let Party::Partner(partner) = &about
            && let Some(ending) = self.partners.get_mut(partner).and_then(|known| known.ending.as_mut())
        {
            ending.over = Some(entry.at);
        }
        for integration in &integrations {
            let client = ClientId::Integration(integration.clone());
            if let Some(known) = self.integration_mut(integration) {
                known.owners = InForce::default();
                known.ending.iter_mut().for_each(|ending| ending.over = Some(entry.at));
            }
            self.offboardings.closing.replace(&client, None);
            let admitted = self.ever_admitted(integration);
            self.offboardings.ended.replace(&client, admitted.as_ref().map(Holder::Integration));
        }
        self.offboardings.note(id, |case| case.outcome = Some(outcome));
        self.withdraw(entry.at, abort.map(|(approval, _)| approval));
        self.list_granted(signed.as_ref());
        Effects::judged()
    }

    /// Takes the bindings of closed cases out of the way of a record that admits what they admitted. Their callers are strangers then.
    pub(super) fn take_over(&mut self, record: Holder<'_>) {
        for client in self.offboardings.ended().overlapping(record) {
            self.candidates.take_out(&client);
        }
    }
}
