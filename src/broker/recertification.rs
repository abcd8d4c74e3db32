//! Reviews: takes what people decide, and starts campaigns.
//!
//! The rules are in `decision::recertification`. A decision is one entry, which has the narrower version in force; that the review is
//! complete is a step that follows ([`Broker::settle`]).

use super::Broker;
use super::failure::{Failure, Fault};
use super::review::ask;
use crate::domain::decision::recertification::{self, Decided, Undecided};
use crate::domain::decision::stopped;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::people::actor::{Authorized, DecideReview, StartReviews};
use crate::domain::reason;
use crate::domain::record::{self, Located, Record};
use crate::domain::registry::approval::{Approval, Kind};
use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::{CAMPAIGN_DAYS, CampaignTerms, ItemDecision, ReviewId};
use crate::domain::state::{Party, State};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::{ApprovalId, CampaignId, EnvironmentName};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

/// A person's decision on a review.
#[derive(Clone, Debug)]
pub struct Said {
    /// The version of the review that they saw.
    pub version: Digest,
    /// The decisions.
    pub items: Vec<ItemDecision>,
    /// Why.
    pub reason: String,
}

/// A campaign that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its id.
    pub campaign: CampaignId,
    /// The approval that it waits for; none where it has started.
    pub approval: Option<ApprovalId>,
    /// The number of environments that it covers now.
    pub covers: usize,
}

impl From<Undecided> for Failure {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Refused(reason) => Self::Refused(reason),
            Undecided::Unsound(faults) => {
                let fault = |one: recertification::Unsound| Fault::invalid(one.at, one.message);
                Self::Faults(faults.into_iter().map(fault).collect())
            }
        }
    }
}

impl Broker {
    /// Takes a decision on a review. Returns what it did.
    ///
    /// # Errors
    /// It is not for this person to decide, they saw another version, or the decision is not sound.
    pub async fn decide_review(
        &self,
        by: &Authorized<DecideReview>,
        id: &ReviewId,
        said: &Said,
        request: Option<ForRequest>,
    ) -> Result<Decided, Failure> {
        if said.reason.trim().is_empty() {
            return Err(Failure::Faults(vec![Fault::invalid("reason", "expected the reason for the decision")]));
        }
        // What they saw is the card that they were shown last; who never asked for it decides on what it is now.
        let viewed = self.views.of(id, &by.staff().person);
        let seen = match viewed {
            Some(viewed) => viewed.card,
            None => Digest::of_json(&self.card(id).await?.ok_or(&reason::NOT_FOUND)?),
        };
        // To compare two records takes long: it is done at the desk, on the state that the entry follows.
        let asked = (id.clone(), by.staff().clone(), said.clone());
        let judge = move |state: &State, now: Timestamp, _: &mut Effort| {
            let (id, staff, said) = &asked;
            recertification::decide(id, staff, (said.version, &said.items), state, now)
        };
        let mut done = None;
        let party = Party::Integration(id.integration.clone());
        let decide = |state: &State, _: Timestamp, judged: &Result<Decided, Undecided>| {
            stopped::open_still(&party, state).map_err(Failure::Stopped)?;
            let decided = judged.clone()?;
            let change = RecertificationChange::Decided {
                review: id.clone(),
                word: decided.word,
                version: said.version,
                seen,
                viewed: viewed.map(|viewed| viewed.first),
                items: said.items.clone(),
                reason: Text::from(said.reason.as_str()),
                record: decided.record.clone(),
                completes: decided.completes,
            };
            done = Some(decided);
            Ok(change)
        };
        self.change_judged((by, request), &mut Effort::default(), None, judge, decide).await?;
        self.settle().await?;
        done.ok_or_else(|| (&reason::NOT_FOUND).into())
    }

    /// Starts a campaign, or asks for the approval that one whose silence suspends needs.
    ///
    /// # Errors
    /// It selects nothing that can be told, or is due too soon or too late.
    pub async fn start_reviews(
        &self,
        by: &Authorized<StartReviews>,
        terms: &CampaignTerms,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Asked, Failure> {
        let (campaign, approval): (CampaignId, ApprovalId) = (self.entropy.name(), self.entropy.name());
        let faults = unsound(terms, why, self.now());
        if !faults.is_empty() {
            return Err(Failure::Faults(faults));
        }
        let suspends = terms.on_silence == OnSilence::Suspend;
        let covers = self.journal.view().state.selected(terms).len();
        self.change_by(by, request, |state, now| {
            if let Some(partner) = &terms.select.partner
                && !state.partners.contains_key(partner)
            {
                return Err(Failure::from(&reason::NOT_FOUND));
            }
            let (campaign, reason, terms) = (campaign.clone(), Text::from(why), terms.clone());
            if !suspends {
                return Ok(RecertificationChange::CampaignStarted { campaign, terms, reason: Some(reason) });
            }
            let (subject, version) = (campaign.to_string(), terms.version());
            let asked = ask(&approval, Kind::Review, subject, version, &by.staff().actor(), Vec::new(), now);
            // Who answers after the due date would start reviews that nobody asked for any more.
            let approval = Box::new(Approval { expires: asked.expires.min(terms.due), ..asked });
            Ok(RecertificationChange::CampaignAsked { campaign, terms, reason, approval })
        })
        .await?;
        Ok(Asked { campaign, approval: suspends.then_some(approval), covers })
    }
}

pub(super) fn unsound(terms: &CampaignTerms, why: &str, now: Timestamp) -> Vec<Fault> {
    let (soonest, latest) = CAMPAIGN_DAYS;
    let mut faults = Vec::new();
    if why.trim().is_empty() {
        faults.push(Fault::invalid("reason", "expected the reason for the reviews"));
    }
    if !terms.select.is_sound() {
        faults.push(Fault::invalid("select", "expected \"all\": true, or a partner, a risk or both"));
    }
    if terms.due < now.plus(Seconds::days(soonest)) || terms.due > now.plus(Seconds::days(latest)) {
        faults.push(Fault::invalid("due", format!("expected a time {soonest} to {latest} days from now")));
    }
    faults
}

/// Tells which environments must be reviewed before a version that extends the contract comes into force.
pub(super) fn unreviewed(located: &Located, state: &State, now: Timestamp) -> Vec<record::Fault> {
    let Record::Integration(integration) = &located.record else { return Vec::new() };
    let Some(known) = state.integrations.get(&integration.id) else { return Vec::new() };
    let tell = |environment: &EnvironmentName| {
        let message = format!("it extends the contract, and waits for a review of {environment}");
        located.warning("contract.ends", &reason::REVIEW_MISSING, message)
    };
    state.unreviewed(known, integration, now).into_iter().map(tell).collect()
}
