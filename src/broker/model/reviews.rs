//! Steps of reviews: campaigns, and what people decide of the integration in force.

use super::Who;
use super::steps::{Taken, World, sync};
use crate::broker::recertification::unsound;
use crate::broker::review::ask;
use crate::domain::decision::recertification::{decide, version};
use crate::domain::decision::stopped::open_still;
use crate::domain::fixture::{at, production};
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::{Actor, DecideReview, StartReviews};
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::{CampaignTerms, ItemDecision, ItemVerdict, ReviewId, Selection};
use crate::domain::state::Party;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;

impl World {
    /// The same world in which reviews count, and every scope has a high risk.
    pub(super) fn reviewed(mut self) -> Self {
        let mut configuration = self.state.configuration.clone().expect("configured");
        configuration.governance.reviews = true;
        self.fold(Actor::Operator, ConfigurationChange::Changed(configuration));
        let known = self.state.apis.values().next().and_then(|api| api.current.as_ref()).expect("in force");
        let mut record = known.record.as_ref().clone();
        record.scopes.iter_mut().for_each(|(_, entry)| entry.risk = Risk::High);
        let narrowed = crate::domain::log::api::ApiChange::Narrowed { record: Box::new(record), reason: None };
        self.fold(Actor::Operator, narrowed);
        self
    }

    /// Whether the scopes of the API have a high risk.
    pub(super) fn is_high_risk(&self) -> bool {
        let known = self.state.apis.values().next().and_then(|api| api.current.as_ref()).expect("in force");
        known.record.scopes.values().all(|entry| entry.risk == Risk::High)
    }

    /// The number of reviews of the integration in force that were completed.
    pub(super) fn completed(&self) -> usize {
        self.state.integrations[&sync()].reviews.place(&production()).map_or(0, |place| place.done.len())
    }

    /// As `Broker::start_reviews`, of everything.
    pub(super) fn start_reviews(&mut self, who: Who, on_silence: OnSilence) -> Option<Taken> {
        let by = self.admitted::<StartReviews>(who)?;
        let now = at(self.now);
        let select = Selection { all: true, ..Selection::default() };
        let terms = CampaignTerms { select, due: now.plus(Seconds::days(20)), on_silence };
        if !unsound(&terms, "why", now).is_empty() || self.state.recertification.campaigns.len() == 2 {
            return None;
        }
        let number = self.state.recertification.campaigns.len();
        let campaign = format!("campaign-{number}").parse().expect("an id");
        if on_silence == OnSilence::Report {
            let started = RecertificationChange::CampaignStarted { campaign, terms, reason: Some("why".into()) };
            self.fold(by.actor(), started);
            return Some(Taken::default());
        }
        let id = self.fresh("campaign", campaign.as_str());
        let asked = ask(&id, Kind::Review, campaign.to_string(), terms.version(), &by.actor(), Vec::new(), now);
        let approval = Box::new(Approval { expires: asked.expires.min(terms.due), ..asked });
        self.fold(by.actor(), RecertificationChange::CampaignAsked { campaign, terms, reason: "why".into(), approval });
        Some(Taken { approval: Some(id) })
    }

    /// As `Broker::decide_review`, with one decision on all scopes.
    pub(super) fn decide(&mut self, who: Who, verdict: ItemVerdict) -> Option<Taken> {
        let by = self.admitted::<DecideReview>(who)?;
        open_still(&Party::Integration(sync()), &self.state).ok()?;
        let (known, environment) = (&self.state.integrations[&sync()], production());
        let (record, access) = known.access(&environment)?;
        let number = known.reviews.place(&environment)?.number();
        let review = ReviewId { integration: sync(), environment: environment.clone(), number };
        let seen = version(&environment, record, access, &self.state);
        let item = |(api, rule): (&_, &crate::domain::registry::integration::ScopeRule)| ItemDecision {
            api: Clone::clone(api),
            scope: rule.scope.clone(),
            decision: verdict,
            allow: Vec::new(),
            reason: Some("needed".into()),
        };
        let items: Vec<ItemDecision> = access.standing().map(item).collect();
        let decided = decide(&review, &by, (seen, &items), &self.state, at(self.now)).ok()?;
        let change = RecertificationChange::Decided {
            review,
            word: decided.word,
            version: seen,
            seen: Digest::of(b"a card"),
            viewed: None,
            items,
            reason: "looked".into(),
            record: decided.record,
            completes: decided.completes,
        };
        self.fold(by.actor(), change);
        Some(Taken::default())
    }
}
