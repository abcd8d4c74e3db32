//! Changes of reviews: a campaign that starts at once and one that waits, and what people decide.

use super::changes::{Story, configuration};
use super::records::rule;
use super::{Examples, parsed};
use crate::domain::fixture::at;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::evidence::EvidenceChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::{Actor, Role};
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::{Kind, Verdict};
use crate::domain::registry::environment::Governance;
use crate::domain::registry::evidence::{Evidence, Listed};
use crate::domain::registry::framework::Framework;
use crate::domain::registry::integration::{Integration, OnSilence};
use crate::domain::registry::recertification::{CampaignTerms, ItemDecision, ItemVerdict, ReviewId, Selection, Word};
use crate::domain::value::digest::Digest;

fn review(number: u32) -> ReviewId {
    parsed(&format!("rev_umbrella.audit.production.{number}"))
}

fn terms(select: Selection, on_silence: OnSilence) -> CampaignTerms {
    CampaignTerms { select, due: at(40 * 86_400), on_silence }
}

fn item(scope: &str, decision: ItemVerdict) -> ItemDecision {
    ItemDecision { api: parsed("stock-api"), scope: parsed(scope), decision, allow: Vec::new(), reason: None }
}

impl Examples {
    /// Evidence that was given, of each kind.
    pub(super) fn evidence(&self, story: &mut Story<'_>) {
        let (from, to) = (at(-30 * 86_400), at(0));
        let missing = |more| Some(Listed { asked: 7, missing: vec!["production partner:globex".to_owned()], more });
        let frameworks = [None].into_iter().chain(Framework::ALL.map(Some));
        let all = frameworks.flat_map(|framework| {
            [None, Some(Listed::default()), missing(2)].map(|listed| Evidence::Controls { framework, from, to, listed })
        });
        for about in all.chain([Evidence::Reviews { from, to }]) {
            story.say(&self.security(), EvidenceChange::Given { about, until: 90, manifest: Digest::of(b"a manifest") });
        }
    }

    pub(super) fn reviews(&self, story: &mut Story<'_>) {
        let governance = Governance { reviews: true, ..Governance::default() };
        story.say(&Actor::Operator, ConfigurationChange::Changed(configuration(None, governance)));
        let record = self.under_review(story);
        self.campaigns(story);
        let (otto, security) = (Actor::Staff(self.named("otto")), self.security());
        let mut narrower = record.clone();
        let access = narrower.environments.get_mut("production").expect("production");
        let kept = rule("stock:read", &["GET /v1/stock"]);
        access.scopes.insert(parsed("stock-api"), vec![kept.clone()]);
        let narrowed = ItemDecision {
            allow: kept.allow,
            reason: Some(self.text("the daily copy reads it")),
            ..item("stock:read", ItemVerdict::Narrow)
        };
        let decided = |number: u32, word: Word, items: Vec<ItemDecision>| RecertificationChange::Decided {
            review: review(number),
            word,
            version: Digest::of(b"a version"),
            seen: Digest::of(b"a card"),
            viewed: None,
            items,
            reason: self.text("asked the team"),
            record: None,
            completes: word == Word::Second,
        };
        let first = decided(1, Word::First, vec![narrowed.clone(), item("stock:write", ItemVerdict::Remove)]);
        if let RecertificationChange::Decided { review, word, version, seen, items, reason, .. } = first {
            let (record, viewed) = (Some(Box::new(narrower.clone())), Some(at(-60)));
            let completes = false;
            story.say(
                &otto,
                RecertificationChange::Decided { review, word, version, seen, viewed, items, reason, record, completes },
            );
        }
        story.say(&security, decided(1, Word::Second, vec![item("stock:read", ItemVerdict::Keep)]));
        let completed =
            |number: u32| RecertificationChange::Completed { review: review(number), version: Digest::of_json(&narrower) };
        story.say(&Actor::Broker, completed(1));
        story.say(&otto, decided(2, Word::First, vec![item("stock:read", ItemVerdict::Elevation)]));
    }

    /// An integration in force, with two scopes.
    fn under_review(&self, story: &mut Story<'_>) -> Integration {
        let owner = self.owner();
        let mut record = Integration { id: parsed("umbrella/audit"), ..self.small_integration() };
        let access = record.environments.get_mut("production").expect("production");
        access.scopes.insert(parsed("stock-api"), vec![rule("stock:read", &[]), rule("stock:write", &[])]);
        story.say(&owner, IntegrationChange::Drafted { record: Box::new(record.clone()), reason: None });
        let (integration, version) = (record.id.clone(), Digest::of_json(&record));
        let approval = self.approval("approval-reviewed-1", Kind::Integration, ("umbrella/audit", version));
        let submitted = IntegrationChange::Submitted { integration: integration.clone(), approval, owners: None };
        story.say(&owner, submitted);
        story.say(&Actor::Broker, IntegrationChange::Activated { integration, version, owners: None });
        record
    }

    fn campaigns(&self, story: &mut Story<'_>) {
        let security = self.security();
        let all = Selection { all: true, ..Selection::default() };
        story.say(
            &security,
            RecertificationChange::CampaignStarted {
                campaign: parsed("campaign-1"),
                terms: terms(all, OnSilence::Report),
                reason: Some(self.text("the yearly look at everything")),
            },
        );
        let select = Selection { partner: Some(parsed("umbrella")), risk: Some(Risk::High), all: false };
        let terms = terms(select, OnSilence::Suspend);
        let approval = self.approval("approval-campaign", Kind::Review, ("campaign-2", terms.version()));
        story.say(
            &security,
            RecertificationChange::CampaignAsked {
                campaign: parsed("campaign-2"),
                terms: terms.clone(),
                reason: self.text("after the incident"),
                approval: Box::new(approval),
            },
        );
        let sara = Actor::Staff(self.named("sara"));
        self.reviewed(story, &sara, "approval-campaign", Verdict::Approve, vec![Role::Security]);
        let started = RecertificationChange::CampaignStarted { campaign: parsed("campaign-2"), terms, reason: None };
        story.say(&Actor::Broker, started);
    }
}
