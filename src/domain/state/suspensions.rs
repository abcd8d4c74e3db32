//! Folds suspensions of partners and integrations alike, and says which tokens a suspension cuts.
//!
//! Enter through [`State::suspensions`] to look them up, [`State::cut_by_suspension`] for the cut.

use std::collections::BTreeSet;

use super::State;
use super::effects::{Effects, Entered};
use super::opening::Opening;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::signal::SignalKind;
use crate::domain::registry::suspension::{Party, Suspension, SuspensionCause, Suspensions};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, SuspensionId};
use crate::domain::value::text::Text;

/// What the entry of a suspension says of it.
pub(super) struct Suspended<'a> {
    pub id: Option<&'a SuspensionId>,
    pub environments: &'a BTreeSet<EnvironmentName>,
    pub reason: &'a Text,
    /// What a signal said, if one suspends.
    pub signal: Option<SignalKind>,
    pub cause: SuspensionCause,
}

/// What the entry of a request to resume says of it.
pub(super) struct ResumeAsked<'a> {
    pub approval: &'a Approval,
    pub reason: &'a Text,
    pub named: &'a [SuspensionId],
}

impl State {
    /// The suspensions of a partner or an integration; `None` if it is not in the registry.
    pub fn suspensions(&self, party: &Party) -> Option<&Suspensions> {
        match party {
            Party::Partner(partner) => self.partners.get(partner).map(|known| &known.suspensions),
            Party::Integration(id) => self.integrations.get(id).map(|known| &known.suspensions),
        }
    }

    fn suspensions_mut(&mut self, party: &Party) -> Option<&mut Suspensions> {
        match party {
            Party::Partner(partner) => self.partners.get_mut(partner).map(|known| &mut known.suspensions),
            Party::Integration(id) => self.integration_mut(id).map(|known| &mut known.suspensions),
        }
    }

    /// What a suspension in these environments cuts; in all, if none is named.
    ///
    /// A token names its partner, and its integration in its environment, but no partner in an environment. So a partner is cut in one
    /// environment by its integrations: every token was issued to one of them, and none that was ever active leaves the registry.
    pub fn cut_by_suspension(&self, party: &Party, environments: &BTreeSet<EnvironmentName>) -> Vec<RevocationTarget> {
        let of = |integration: &_, environment: &EnvironmentName| RevocationTarget::IntegrationEnvironment {
            integration: Clone::clone(integration),
            environment: environment.clone(),
        };
        match party {
            Party::Partner(partner) if environments.is_empty() => vec![RevocationTarget::Partner { partner: partner.clone() }],
            Party::Integration(id) if environments.is_empty() => {
                vec![RevocationTarget::Integration { integration: id.clone() }]
            }
            Party::Partner(partner) => {
                let own = self.integrations_of(partner);
                own.flat_map(|(id, _)| environments.iter().map(move |environment| of(id, environment))).collect()
            }
            Party::Integration(id) => environments.iter().map(|environment| of(id, environment)).collect(),
        }
    }

    pub(super) fn suspend(&mut self, entry: Entered<'_>, party: &Party, suspended: Suspended<'_>) -> Effects {
        let one = Suspension {
            id: suspended.id.cloned().unwrap_or_else(|| SuspensionId::of_entry(entry.index)),
            environments: suspended.environments.clone(),
            by: entry.by.clone(),
            reason: suspended.reason.clone(),
            at: entry.at,
            signal: suspended.signal,
            cause: suspended.cause,
        };
        let Some(suspensions) = self.suspensions_mut(party) else { return Effects::judged() };
        let earlier = suspensions.add(one);
        self.withdraw(entry.at, earlier);
        Effects::judged().revoking(self.cut_by_suspension(party, suspended.environments))
    }

    pub(super) fn ask_resume(&mut self, entry: Entered<'_>, party: &Party, asked: ResumeAsked<'_>) -> Effects {
        let ResumeAsked { approval, reason, named } = asked;
        let suspensions = self.suspensions_mut(party);
        let (lifts, earlier) = suspensions.map(|known| (known.named(named), known.ask(&approval.id))).unwrap_or_default();
        self.open(entry.at, earlier, Opening { approval, reason: Some(reason), lifts });
        Effects::judged()
    }

    /// Nobody could use it before.
    fn count_use_from(&mut self, at: Timestamp, party: &Party) {
        for id in self.integrations_in(party) {
            if let Some(known) = self.integration_mut(&id) {
                known.non_use.again_from(at);
            }
        }
    }

    pub(super) fn resume(&mut self, entry: Entered<'_>, party: &Party, named: &[SuspensionId]) -> Effects {
        self.count_use_from(entry.at, party);
        let asked = self.suspensions_mut(party).and_then(|known| known.lift(named));
        self.list_granted(asked.as_ref());
        Effects::judged()
    }
}
