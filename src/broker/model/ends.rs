//! The steps of an offboarding: it is started, given up, or everything of it is over and it is signed off.

use super::Who;
use super::steps::{Taken, World, sync};
use crate::broker::offboarding::ensure_can_end;
use crate::broker::review::ask;
use crate::domain::decision::offboarding::{abort_version, signed_off};
use crate::domain::fixture::at;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::people::actor::{Actor, Depend, Offboard};
use crate::domain::registry::approval::Kind;
use crate::domain::registry::offboarding::Run;
use crate::domain::state::Party;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::OffboardingId;

impl World {
    /// As `Broker::offboard`.
    pub(super) fn offboard(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Offboard>(who)?;
        let about = Party::Integration(sync());
        ensure_can_end(&about, &self.state).ok()?;
        let number = self.state.offboardings.all().count();
        let offboarding: OffboardingId = format!("case-{number}").parse().expect("an id");
        self.fold(by.actor(), OffboardingChange::Started { offboarding, about, reason: "over".into() });
        Some(Taken::default())
    }

    /// As `Broker::ask_abort`.
    pub(super) fn ask_abort(&mut self, who: Who) -> Option<Taken> {
        let by = self.admitted::<Depend>(who)?;
        let case = self.state.offboardings.open().next()?;
        let (id, barred) = (case.id.clone(), case.by.person().cloned().into_iter().collect());
        let asked = self.fresh("abort", id.as_str());
        let approval = ask(&asked, Kind::Abort, id.to_string(), abort_version(&id), &by.actor(), barred, at(self.now));
        let (reason, approval) = ("renewed".into(), Box::new(approval));
        self.fold(by.actor(), OffboardingChange::AbortAsked { offboarding: id, reason, approval });
        Some(Taken { approval: Some(asked) })
    }

    /// Nothing is left of the case but people's words: no token was issued, and the tests pass.
    pub(super) fn over(&mut self) -> Option<Taken> {
        let case = self.state.offboardings.open().next().filter(|case| case.found.is_none())?;
        let id = case.id.clone();
        let offboarding = || id.clone();
        let found =
            OffboardingChange::DependenciesFound { offboarding: offboarding(), found: Vec::new(), living: 0, last: None };
        self.fold(Actor::Broker, found);
        for run in [Run::First, Run::Again] {
            self.fold(Actor::Broker, OffboardingChange::Tested { offboarding: offboarding(), run, tests: Vec::new() });
        }
        Some(Taken::default())
    }

    /// As the broker closes a case that was signed off.
    pub(super) fn close_signed(&mut self) {
        let open = self.state.offboardings.open().next();
        let Some(case) = open.filter(|case| signed_off(case, &self.state, at(self.now)).is_some()) else { return };
        let (offboarding, manifest) = (case.id.clone(), Digest::of(b"a manifest"));
        self.fold(Actor::Broker, OffboardingChange::Closed { offboarding, manifest, until: 0 });
    }
}
