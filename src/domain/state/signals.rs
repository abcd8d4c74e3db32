//! Folds signals from outside, and finds what their senders did before.

use std::collections::BTreeSet;

use super::effects::{Effects, Entered};
use super::signal::{Decided, Signal, SignalStanding};
use super::suspensions::Suspended;
use super::{Party, Phase, State};
use crate::domain::log::signal::SignalChange;
use crate::domain::people::actor::Actor;
use crate::domain::registry::recertification::ReviewCause;
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::registry::suspension::SuspensionCause;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::names::{IntegrationId, SignalId, SuspensionId};
use crate::domain::value::text::Text;

impl State {
    /// The signal that says the same, if there is one that still counts.
    ///
    /// With a reference it counts for good. Without one it counts while what it did still stands, or while it waits.
    pub fn said_before(&self, by: &Actor, says: SignalKind, about: &SignalSubject, reference: Option<&str>) -> Option<&Signal> {
        let known = self.signals.said(by, says, about, reference)?;
        let counts = reference.is_some()
            || match known.standing() {
                SignalStanding::Acted => self.stands(known),
                SignalStanding::Held => true,
                SignalStanding::Dismissed => false,
            };
        counts.then_some(known)
    }

    /// The signal of this sender about this subject that is in force.
    pub fn says_already(&self, by: &Actor, about: &SignalSubject) -> Option<&Signal> {
        self.signals.since(by, Timestamp::default()).find(|signal| signal.about == *about && self.stands(signal))
    }

    /// Whether what a signal did is in force.
    fn stands(&self, signal: &Signal) -> bool {
        if !signal.says.suspends() {
            let left = |id: &IntegrationId| self.integrations.get(id).and_then(|known| known.owner_left);
            return self.touched(&signal.about).iter().any(|id| left(id) == Some(signal.at));
        }
        let (party, _) = Party::of_signal(&signal.about);
        let in_force = self.suspensions(&party).into_iter().flat_map(|known| known.iter());
        signal.suspension.as_ref().is_some_and(|made| in_force.into_iter().any(|one| one.id == *made))
    }

    /// The active integrations that a signal about `subject` ends.
    pub fn touched(&self, subject: &SignalSubject) -> BTreeSet<IntegrationId> {
        let active = |id: &IntegrationId| self.integrations.get(id).is_some_and(|known| known.phase() == Phase::Active);
        match subject {
            SignalSubject::Partner(partner) => {
                self.integrations_of(partner).map(|(id, _)| id.clone()).filter(|id| active(id)).collect()
            }
            SignalSubject::Integration(id) | SignalSubject::Environment(id, _) => {
                std::iter::once(id.clone()).filter(|id| active(id)).collect()
            }
        }
    }

    /// Whether one sender would end more integrations within a day than one may: three, or a tenth of the active ones.
    pub fn beyond_a_days_share(&self, by: &Actor, about: &SignalSubject, now: Timestamp) -> bool {
        let lately = self.signals.since(by, now.minus(Seconds::days(1)));
        // What a person confirmed is that person's word.
        let acted = lately.filter(|signal| signal.standing() == SignalStanding::Acted && signal.decided.is_none());
        let mut touched = self.touched(about);
        touched.extend(acted.flat_map(|signal| self.touched(&signal.about)));
        let active = self.integrations.values().filter(|known| known.phase() == Phase::Active).count();
        touched.len() > (active / 10).max(3)
    }

    pub(super) fn apply_signal(&mut self, entry: Entered<'_>, change: &SignalChange) -> Effects {
        match change {
            SignalChange::Received { signal, says, about, reason, reference } => {
                let suspension = Some(SuspensionId::of_entry(entry.index));
                self.receive(entry, (signal, *says, about, reason, reference.as_ref()), suspension);
                self.stop(entry, *says, about, reason)
            }
            SignalChange::Held { signal, says, about, reason, reference } => {
                self.receive(entry, (signal, *says, about, reason, reference.as_ref()), None);
                Effects::unjudged()
            }
            SignalChange::Confirmed { signal, about, reason } => {
                let suspension = Some(SuspensionId::of_entry(entry.index));
                match self.signals.decide(signal, decided(entry, reason), suspension) {
                    Some((says, said)) => self.stop(entry, says, about, &said),
                    None => Effects::unjudged(),
                }
            }
            SignalChange::Dismissed { signal, about: _, reason } => {
                self.signals.decide(signal, decided(entry, reason), None);
                Effects::unjudged()
            }
        }
    }

    fn receive(
        &mut self,
        entry: Entered<'_>,
        (id, says, about, reason, reference): (&SignalId, SignalKind, &SignalSubject, &Text, Option<&String>),
        suspension: Option<SuspensionId>,
    ) {
        self.signals.receive(Signal {
            id: id.clone(),
            says,
            about: about.clone(),
            reason: reason.clone(),
            reference: reference.cloned(),
            by: entry.by.clone(),
            at: entry.at,
            acted: suspension.is_some(),
            suspension: suspension.filter(|_| says.suspends()),
            decided: None,
        });
    }

    /// Suspends the subject of a signal, or begins the grace of what has an owner no more.
    fn stop(&mut self, entry: Entered<'_>, says: SignalKind, about: &SignalSubject, reason: &Text) -> Effects {
        if !says.suspends() {
            for id in self.touched(about) {
                if let Some(known) = self.integration_mut(&id) {
                    known.owner_left.get_or_insert(entry.at);
                }
                self.cut_past_owner(entry, &id);
            }
            self.ask_review_of(entry, about, ReviewCause::OwnerChange);
            return Effects::judged();
        }
        self.ask_review_of(entry, about, ReviewCause::Incident);
        let (party, environment) = Party::of_signal(about);
        let environments = environment.into_iter().cloned().collect();
        self.suspend(
            entry,
            &party,
            Suspended { id: None, environments: &environments, reason, cause: SuspensionCause::Decision, signal: Some(says) },
        )
    }
}

fn decided(entry: Entered<'_>, reason: &Text) -> Decided {
    Decided { by: entry.by.clone(), reason: reason.clone(), at: entry.at }
}
