//! A requested elevation with its reviews, and its state at a second.

use serde::{Deserialize, Serialize};

use super::rule::{Review, Rule};
use super::terms::Terms;
use crate::domain::people::actor::Actor;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::Approvers;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, BindingName, ElevationId, EnvironmentName, IntegrationId, Ticket};
use crate::domain::value::scope::ScopeSet;
use crate::domain::value::text::Text;

/// How long people have to answer, unless the elevation starts later.
pub const PATIENCE: Seconds = Seconds::hours(4);

/// How long security has to review an elevation that started without an approval.
pub const REVIEW_WITHIN: Seconds = Seconds::hours(24);

/// The longest elevation that starts without an approval.
pub const LONGEST_BREAK_GLASS: Seconds = Seconds::hours(1);

/// An elevation as it was requested. It never changes; approvers narrow its terms.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Elevation {
    /// Its id.
    pub id: ElevationId,
    /// The integration that it is for.
    pub integration: IntegrationId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The API.
    pub api: ApiName,
    /// The scopes.
    pub scopes: ScopeSet,
    /// Endpoint conditions; empty means those of the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Endpoint>,
    /// The duration.
    pub duration: Seconds,
    /// The start; `None` means at the approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// The reason.
    pub reason: Text,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// True if it runs only while the ticket is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
    /// The requester.
    pub requested_by: Actor,
    /// The binding that the workload asked through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingName>,
    /// The people who must approve.
    pub rule: Rule,
    /// When the request expires if nobody decided.
    pub expires: Timestamp,
    /// True if it started with the request, and is reviewed afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// SHA-256 of the token by which the workload polls its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Digest>,
}

/// The early end of an elevation, or the withdrawal of its request.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The person or cause that ended it.
    pub by: Actor,
    /// The reason, if one was given.
    pub reason: Option<Text>,
    /// The time.
    pub at: Timestamp,
}

/// An elevation with everything that happened to it so far.
#[derive(Clone, Debug)]
pub struct Request {
    /// The elevation as requested.
    pub elevation: Elevation,
    /// When it was requested.
    pub asked: Timestamp,
    /// The reviews, in order.
    pub reviews: Vec<Review>,
    /// When the last required approval came; for a break-glass, when it was requested.
    pub approved: Option<Timestamp>,
    /// Its early end, or its withdrawal.
    pub ended: Option<Ended>,
    /// The notices that people got.
    pub noticed: Vec<Notice>,
}

/// A notice to people of an effect of time alone, which no change of theirs tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notice {
    /// It ends soon.
    Ending,
    /// Nobody answered.
    Expired,
    /// Its time is over.
    Lapsed,
}

/// How long before the end of an elevation people get a notice.
const ENDING: Seconds = Seconds::minutes(10);

/// The state of an elevation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It runs.
    Active,
    /// It is approved, and starts later.
    Approved,
    /// Somebody denied it.
    Denied,
    /// It is over.
    Ended,
    /// Nobody answered in time.
    Expired,
    /// It waits for people.
    Pending,
    /// It was withdrawn before anybody decided.
    Withdrawn,
}

impl Request {
    /// The terms that are left after all reviews.
    pub fn terms(&self) -> Terms {
        let asked = &self.elevation;
        let mut terms = Terms { scopes: asked.scopes.clone(), allow: asked.allow.clone(), duration: asked.duration };
        for narrowing in self.reviews.iter().map(|review| &review.narrowing) {
            terms = terms.narrow(narrowing);
        }
        terms
    }

    /// The time in which it runs, once it is approved.
    ///
    /// A scheduled one ends at its planned end, however late the approval came.
    pub fn period(&self) -> Option<(Timestamp, Timestamp)> {
        let approved = self.approved?;
        let duration = self.terms().duration;
        let planned = self.elevation.starts.unwrap_or(approved);
        Some((approved.max(planned), planned.plus(duration)))
    }

    /// The state at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.ended.is_some() {
            return if self.approved.is_some() { Standing::Ended } else { Standing::Withdrawn };
        }
        match self.period() {
            Some((starts, _)) if now < starts => Standing::Approved,
            Some((_, ends)) if now < ends => Standing::Active,
            Some(_) => Standing::Ended,
            None if self.reviews.iter().any(|review| review.verdict == Verdict::Deny) => Standing::Denied,
            None if now >= self.elevation.expires => Standing::Expired,
            None => Standing::Pending,
        }
    }

    /// The notice that is due at `now`, if it was not given yet.
    pub fn notice_due(&self, now: Timestamp) -> Option<Notice> {
        let due = match self.standing(now) {
            Standing::Active => self.period().and_then(|(starts, ends)| {
                // A short one has just begun, so a reminder says nothing.
                let soon = ends.since(now) <= ENDING && ends.since(starts) > ENDING;
                soon.then_some(Notice::Ending)
            }),
            Standing::Ended => self.ended.is_none().then_some(Notice::Lapsed),
            Standing::Expired => Some(Notice::Expired),
            Standing::Approved | Standing::Denied | Standing::Pending | Standing::Withdrawn => None,
        };
        due.filter(|due| !self.noticed.contains(due))
    }

    /// Tells whether it is over, so that nothing about it can change again.
    ///
    /// A break-glass without its review is not closed.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        !self.lacks_review()
            && matches!(self.standing(now), Standing::Denied | Standing::Ended | Standing::Expired | Standing::Withdrawn)
    }

    /// Tells whether it started without an approval, and nobody has reviewed it.
    pub fn lacks_review(&self) -> bool {
        self.elevation.break_glass && self.reviews.is_empty()
    }

    /// Tells whether its review is overdue. Until it comes, nothing is minted for its integration.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.lacks_review() && now >= self.review_due()
    }

    /// When the review of a break-glass elevation is due.
    pub fn review_due(&self) -> Timestamp {
        self.asked.plus(REVIEW_WITHIN)
    }

    /// The demands that are still open at `now`.
    pub fn open(&self, now: Timestamp) -> Vec<&Approvers> {
        if self.standing(now) == Standing::Pending || self.lacks_review() {
            self.elevation.rule.open(&self.reviews, self.asked)
        } else {
            Vec::new()
        }
    }
}
