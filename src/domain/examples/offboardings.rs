//! Changes of offboardings: an integration whose case is closed, and a partner whose case is given up.

use super::changes::{Story, configuration};
use super::{Examples, parsed};
use crate::domain::fixture::at;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::offboarding::OffboardingChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::{Actor, Role};
use crate::domain::registry::approval::{Kind, Verdict};
use crate::domain::registry::environment::Governance;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::offboarding::{Dependency, Found, Run, Test, TestName};
use crate::domain::registry::suspension::Party;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::OffboardingId;

fn on(api: &str) -> Dependency {
    Dependency { api: parsed(api), environment: parsed("production") }
}

/// A test of each name, of which the first may fail.
fn tests(fails: bool) -> Vec<Test> {
    let test = |name: TestName| Test {
        name,
        environment: parsed("production"),
        tried: 1,
        expected: "integration.offboarding".to_owned(),
        seen: "integration.offboarding".to_owned(),
        failed: None,
    };
    let mut tests: Vec<Test> = TestName::ALL.into_iter().map(test).collect();
    if let Some(first) = tests.first_mut().filter(|_| fails) {
        first.seen = "granted".to_owned();
        first.failed = Some("hooli/stock/ci".to_owned());
    }
    tests
}

impl Examples {
    pub(super) fn offboardings(&self, story: &mut Story<'_>) {
        let governance = Governance { reviews: true, offboarding: true, ..Governance::default() };
        story.say(&Actor::Operator, ConfigurationChange::Changed(configuration(None, governance)));
        let (owner, security) = (self.owner(), self.security());
        let partner = self.partner("hooli");
        let approval = self.approval("approval-hooli", Kind::Partner, ("hooli", Digest::of_json(&partner)));
        story.say(&owner, PartnerChange::Submitted { record: Box::new(partner), approval });
        for id in ["hooli/stock", "hooli/orders"] {
            let record = Integration { id: parsed(id), ..self.small_integration() };
            story.say(&owner, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
        }
        let (integration, what) = (parsed("hooli/stock"), self.text("a line of the allow list"));
        story.say(&owner, OffboardingChange::Registered { integration, on: on("stock-api"), what });
        self.closed(story, &parsed("offboarding-1"));
        self.given_up(story, &parsed("offboarding-2"));
        let (offboarding, about) = (parsed("offboarding-3"), Party::Integration(parsed("hooli/orders")));
        let reason = self.text("the contract has ended");
        story.say(&security, OffboardingChange::Started { offboarding, about, reason });
    }

    /// A case that two people sign off in the end.
    fn closed(&self, story: &mut Story<'_>, id: &OffboardingId) {
        let (owner, security) = (self.owner(), self.security());
        let about = Party::Integration(parsed("hooli/stock"));
        let (offboarding, reason) = (id.clone(), self.text("the contract is over"));
        story.say(&security, OffboardingChange::Started { offboarding, about, reason });
        let found = vec![Found { on: on("orders-api"), tokens: 812, last: at(-60) }];
        let (offboarding, last) = (id.clone(), Some(at(600)));
        story.say(&Actor::Broker, OffboardingChange::DependenciesFound { offboarding, found, living: 3, last });
        let (offboarding, missing) = (id.clone(), vec![on("orders-api"), on("stock-api")]);
        story.say(&Actor::Broker, OffboardingChange::Waiting { offboarding, days: 7, missing });
        let removed = vec![self.text("the client of the allow list"), self.text("a cached key")];
        let (offboarding, api) = (id.clone(), Actor::Api(parsed("orders-api")));
        story.say(&api, OffboardingChange::Acknowledged { offboarding, on: on("orders-api"), removed, evidence: None });
        let (offboarding, evidence) = (id.clone(), Some(self.text("CHG-17")));
        let (on, removed) = (on("stock-api"), Vec::new());
        story.say(&owner, OffboardingChange::Acknowledged { offboarding, on, removed, evidence });
        for (run, fails) in [(Run::First, true), (Run::First, false), (Run::Again, false)] {
            story.say(&Actor::Broker, OffboardingChange::Tested { offboarding: id.clone(), run, tests: tests(fails) });
        }
        let approval = self.approval("approval-sign-off", Kind::Offboarding, (id.as_str(), Digest::of(b"a case")));
        let asked = OffboardingChange::SignOffAsked { offboarding: id.clone(), approval: Box::new(approval) };
        story.say(&Actor::Broker, asked);
        let (olga, sara) = (Actor::Staff(self.named("olga")), Actor::Staff(self.named("sara")));
        self.reviewed(story, &olga, "approval-sign-off", Verdict::Approve, vec![Role::Owner]);
        self.reviewed(story, &sara, "approval-sign-off", Verdict::Approve, vec![Role::Security]);
        let manifest = Digest::of(b"a manifest");
        story.say(&Actor::Broker, OffboardingChange::Closed { offboarding: id.clone(), manifest, until: 400 });
    }

    /// A partner's case. Nothing of it lived, and it is given up.
    fn given_up(&self, story: &mut Story<'_>, id: &OffboardingId) {
        let security = self.security();
        let (offboarding, about) = (id.clone(), Party::Partner(parsed("hooli")));
        let reason = self.text("they go out of business");
        story.say(&security, OffboardingChange::Started { offboarding, about, reason });
        let (offboarding, found) = (id.clone(), Vec::new());
        story.say(&Actor::Broker, OffboardingChange::DependenciesFound { offboarding, found, living: 0, last: None });
        let approval = self.approval("approval-abort", Kind::Abort, (id.as_str(), Digest::of(b"abort")));
        let (offboarding, reason) = (id.clone(), self.text("somebody bought them"));
        let approval = Box::new(approval);
        story.say(&security, OffboardingChange::AbortAsked { offboarding, reason, approval });
        story.say(&Actor::Broker, OffboardingChange::Aborted { offboarding: id.clone() });
    }
}
