//! Changes that suspend and resume: without ids, as before there could be several suspensions, and with them. A draft is discarded.

use std::collections::BTreeSet;

use serde_json::json;

use super::changes::Story;
use super::{Examples, parsed};
use crate::domain::fixture::at;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::people::actor::Actor;
use crate::domain::registry::approval::Kind;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::suspension::SuspensionCause;
use crate::domain::value::digest::Digest;

impl Examples {
    pub(super) fn stops(&self, story: &mut Story<'_>) {
        let security = self.security();
        let integration = || parsed("globex/order-sync");
        let version = |subject: &str| {
            let stop = json!({"by": &security, "reason": self.text("strange calls"), "at": at(0)});
            Digest::of_json(&("suspended", subject, stop))
        };
        let reason = self.text("strange calls");
        story.say(&security, IntegrationChange::suspended(integration(), reason.clone()));
        for id in ["approval-resume-1", "approval-resume-2"] {
            let approval = self.approval(id, Kind::Resume, ("globex/order-sync", version("globex/order-sync")));
            let approval = if id == "approval-resume-1" { self.full_approval(approval) } else { approval };
            let reason = self.text("it was a test");
            story.say(
                &security,
                IntegrationChange::ResumeAsked { integration: integration(), reason, approval, suspensions: Vec::new() },
            );
        }
        story.say(&Actor::Broker, IntegrationChange::Resumed { integration: integration(), suspensions: Vec::new() });
        let partner = || parsed("initech");
        story.say(&security, PartnerChange::suspended(partner(), reason));
        let approval = self.approval("approval-resume-3", Kind::Resume, ("initech", version("initech")));
        let reason = self.text("they called back");
        story.say(&security, PartnerChange::ResumeAsked { partner: partner(), reason, approval, suspensions: Vec::new() });
        story.say(&Actor::Broker, PartnerChange::Resumed { partner: partner(), suspensions: Vec::new() });
    }

    /// Several suspensions beside each other, each with an id, of one environment and of all; one is lifted and the other stays.
    pub(super) fn suspensions(&self, story: &mut Story<'_>) {
        let (owner, security) = (self.owner(), self.security());
        let partner = self.partner("umbrella");
        let (version, approval) = (Digest::of_json(&partner), "approval-partner-3");
        let approval = self.approval(approval, Kind::Partner, ("umbrella", version));
        story.say(&owner, PartnerChange::Submitted { record: Box::new(partner), approval });
        let record = Integration { id: parsed("umbrella/stock"), ..self.small_integration() };
        story.say(&owner, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
        let reason = || self.text("strange calls");
        let sandbox = || BTreeSet::from([parsed("sandbox")]);
        let (integration, partner) = (|| parsed("umbrella/stock"), || parsed("umbrella"));
        for (id, environments) in [("suspension-1", sandbox()), ("suspension-2", BTreeSet::new())] {
            let (id, reason, environments) = (Some(parsed(id)), reason(), environments);
            let (integration, cause) = (integration(), SuspensionCause::Decision);
            story.say(&security, IntegrationChange::Suspended { integration, reason, id, environments, cause });
        }
        for (id, environments) in [("suspension-3", BTreeSet::new()), ("suspension-4", sandbox())] {
            let (id, reason, environments) = (Some(parsed(id)), reason(), environments);
            story.say(&security, PartnerChange::Suspended { partner: partner(), reason, id, environments });
        }
        let lifts = |id: &str| vec![parsed(id)];
        let approval = |id: &str, subject: &str| self.approval(id, Kind::Resume, (subject, Digest::of(subject.as_bytes())));
        let (approval, other) = (approval("approval-resume-4", "umbrella/stock"), approval("approval-resume-5", "umbrella"));
        let (suspensions, why) = (lifts("suspension-2"), reason());
        let asked = IntegrationChange::ResumeAsked { integration: integration(), reason: why, approval, suspensions };
        story.say(&security, asked);
        story
            .say(&Actor::Broker, IntegrationChange::Resumed { integration: integration(), suspensions: lifts("suspension-2") });
        let (suspensions, why) = (lifts("suspension-4"), reason());
        story.say(&security, PartnerChange::ResumeAsked { partner: partner(), reason: why, approval: other, suspensions });
        story.say(&Actor::Broker, PartnerChange::Resumed { partner: partner(), suspensions: lifts("suspension-4") });
    }

    /// Nobody uses an integration, then one of its bindings; people are told, and later both end.
    pub(super) fn unused(&self, story: &mut Story<'_>) {
        let (integration, environment) = (|| parsed("umbrella/stock"), || parsed("sandbox"));
        for (binding, last) in [(None, None), (Some(parsed("key")), Some(at(3)))] {
            let (integration, environment) = (integration(), environment());
            story.say(&Actor::Broker, IntegrationChange::Unused { integration, environment, binding, last });
        }
        for (binding, last) in [("key", None), ("other", Some(at(3)))] {
            let (integration, environment, binding) = (integration(), environment(), parsed(binding));
            story.say(&Actor::Broker, IntegrationChange::BindingRetired { integration, environment, binding, last });
        }
        let (environments, reason, cause) = (BTreeSet::from([environment()]), self.text("not used"), SuspensionCause::Unused);
        let (integration, id) = (integration(), None);
        story.say(&Actor::Broker, IntegrationChange::Suspended { integration, reason, id, environments, cause });
    }

    /// A draft that was never active.
    pub(super) fn discarded(&self, story: &mut Story<'_>) {
        let owner = self.owner();
        let record = Integration { id: parsed("umbrella/returns"), ..self.small_integration() };
        let (integration, version) = (record.id.clone(), Digest::of_json(&record));
        story.say(&owner, IntegrationChange::Drafted { record: Box::new(record), reason: None });
        let reason = self.text("never needed");
        story.say(&owner, IntegrationChange::Discarded { integration, version, reason });
    }
}
