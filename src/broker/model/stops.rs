//! The steps that stop an integration or a partner, and those that ask to let it go on: suspensions and revocations.

use super::Who;
use super::steps::{Subject, Taken, World, sync};
use crate::broker::review::ask;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::decision::stopped;
use crate::domain::fixture::at;
use crate::domain::log::change::Change;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::{Contain, Person, Submit};
use crate::domain::registry::approval::Kind;
use crate::domain::registry::suspension::{SuspensionCause, version};
use crate::domain::state::Party;
use crate::domain::value::names::RevocationId;

impl World {
    pub(super) fn suspend(&mut self, who: Who, subject: Subject) -> Option<Taken> {
        let by = self.admitted::<Contain>(who)?;
        if self.suspensions == 2 {
            return None;
        }
        self.suspensions += 1;
        let id = Some(format!("suspension-{}", self.suspensions).parse().expect("an id"));
        let (reason, environments) = ("odd".into(), std::collections::BTreeSet::new());
        let change: Change = match subject.party() {
            Party::Partner(partner) => PartnerChange::Suspended { partner, reason, id, environments }.into(),
            Party::Integration(integration) => {
                let cause = SuspensionCause::Decision;
                IntegrationChange::Suspended { integration, reason, id, environments, cause }.into()
            }
        };
        self.fold(by.actor(), change);
        Some(Taken::default())
    }

    /// As `Broker::ask_resume`, of all suspensions in force.
    pub(super) fn ask_resume(&mut self, who: Who, subject: Subject) -> Option<Taken> {
        let by = self.admitted::<Submit>(who)?;
        let party = subject.party();
        let known = self.state.suspensions(&party).filter(|known| !known.is_empty())?;
        let lifts = known.named(&[]);
        stopped::resume(&party, &lifts, &self.state).ok()?;
        let mut authors: Vec<Person> = Vec::new();
        for author in lifts.iter().filter_map(|one| one.by.person()) {
            if !authors.iter().any(|known| known.is(author)) {
                authors.push(author.clone());
            }
        }
        let (text, now) = (party.to_string(), at(self.now));
        let asked = self.fresh("resume", &text);
        let approval = ask(&asked, Kind::Resume, text.clone(), version(&text, &lifts), &by.actor(), authors, now);
        let (reason, suspensions) = ("over".into(), lifts.iter().map(|one| one.id.clone()).collect());
        let change: Change = match party {
            Party::Partner(partner) => PartnerChange::ResumeAsked { partner, reason, approval, suspensions }.into(),
            Party::Integration(integration) => {
                IntegrationChange::ResumeAsked { integration, reason, approval, suspensions }.into()
            }
        };
        self.fold(by.actor(), change);
        Some(Taken { approval: Some(asked) })
    }

    pub(super) fn revoke(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Contain>(who)?;
        if self.revocations == 1 {
            return None;
        }
        self.revocations += 1;
        let (id, reason) = ("revocation-1".parse().expect("an id"), "stolen".into());
        let target = RevocationTarget::Integration { integration: sync() };
        self.fold(by.actor(), RevocationChange::Added { id, target, tokens_only: false, reason, client: None });
        Some(Taken::default())
    }

    /// As `Broker::ask_lift`.
    pub(super) fn ask_lift(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Contain>(who)?;
        let id: RevocationId = "revocation-1".parse().expect("an id");
        let known = self.state.revocations.get(&id).filter(|known| known.target.can_be_lifted() && !known.lifted)?;
        let barred = known.by.person().cloned().into_iter().collect();
        let asked = self.fresh("lift", id.as_str());
        let approval = ask(&asked, Kind::Lift, id.to_string(), known.version(), &by.actor(), barred, at(self.now));
        self.fold(by.actor(), RevocationChange::LiftAsked { id, reason: "over".into(), approval });
        Some(Taken { approval: Some(asked) })
    }
}
