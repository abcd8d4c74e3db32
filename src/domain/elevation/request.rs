//! A requested elevation with its reviews, and where it stands at a second.

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

/// How long people have to answer, where the elevation does not start later.
pub const PATIENCE: Seconds = Seconds::hours(4);

/// How long somebody has to look at an elevation that started without them.
pub const REVIEW_WITHIN: Seconds = Seconds::hours(24);

/// The longest elevation that starts without an approval.
pub const LONGEST_BREAK_GLASS: Seconds = Seconds::hours(1);

/// What was asked for, as it stands on record. It never changes; approvers narrow what comes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Elevation {
    /// Its id.
    pub id: ElevationId,
    /// For whom.
    pub integration: IntegrationId,
    /// Where.
    pub environment: EnvironmentName,
    /// At which API.
    pub api: ApiName,
    /// The scopes.
    pub scopes: ScopeSet,
    /// Endpoint conditions; none means those of the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<Endpoint>,
    /// How long.
    pub duration: Seconds,
    /// From when; with the approval where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Timestamp>,
    /// Why.
    pub reason: Text,
    /// The ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Ticket>,
    /// It runs while the ticket is open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tied: bool,
    /// Who asked.
    pub requested_by: Actor,
    /// The binding that the workload asked through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingName>,
    /// Who must agree.
    pub rule: Rule,
    /// What nobody answers by then is denied.
    pub expires: Timestamp,
    /// It started with the request, and is looked at afterwards.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
    /// SHA-256 of the token by which the workload asks how it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Digest>,
}

/// How and when it was ended before its time.
#[derive(Clone, Debug)]
pub struct Ended {
    /// By whom.
    pub by: Actor,
    /// Why, where somebody said so.
    pub reason: Option<Text>,
    /// When.
    pub at: Timestamp,
}

/// An elevation with what became of it so far.
#[derive(Clone, Debug)]
pub struct Request {
    /// What was asked.
    pub elevation: Elevation,
    /// When.
    pub asked: Timestamp,
    /// The reviews, in order.
    pub reviews: Vec<Review>,
    /// When the last approval that was needed came; for break-glass, when it was asked.
    pub approved: Option<Timestamp>,
    /// Ended early, or withdrawn.
    pub ended: Option<Ended>,
    /// What people were told of it.
    pub noticed: Vec<Notice>,
}

/// What people are told that no change of theirs says: time has done it.
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

/// How long before the end people are told.
const ENDING: Seconds = Seconds::minutes(10);

/// Where an elevation stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It runs.
    Active,
    /// People agreed; it starts later.
    Approved,
    /// Somebody was against.
    Denied,
    /// It is over.
    Ended,
    /// Nobody answered in time.
    Expired,
    /// Waits for people.
    Pending,
    /// Taken back before anybody decided.
    Withdrawn,
}

impl Request {
    /// What it gives.
    pub fn terms(&self) -> Terms {
        let asked = &self.elevation;
        let mut terms = Terms { scopes: asked.scopes.clone(), allow: asked.allow.clone(), duration: asked.duration };
        for narrowing in self.reviews.iter().map(|review| &review.narrowing) {
            terms = terms.narrow(narrowing);
        }
        terms
    }

    /// From when to when it runs, once people agreed. A scheduled one ends when it would have, however late they did.
    pub fn period(&self) -> Option<(Timestamp, Timestamp)> {
        let approved = self.approved?;
        let duration = self.terms().duration;
        let planned = self.elevation.starts.unwrap_or(approved);
        Some((approved.max(planned), planned.plus(duration)))
    }

    /// Where it stands at `now`.
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

    /// What people are to be told now, if they were not yet.
    pub fn notice_due(&self, now: Timestamp) -> Option<Notice> {
        let due = match self.standing(now) {
            Standing::Active => self.period().and_then(|(starts, ends)| {
                // A shorter one was just begun: there is nothing to be reminded of.
                let soon = ends.since(now) <= ENDING && ends.since(starts) > ENDING;
                soon.then_some(Notice::Ending)
            }),
            Standing::Ended => self.ended.is_none().then_some(Notice::Lapsed),
            Standing::Expired => Some(Notice::Expired),
            Standing::Approved | Standing::Denied | Standing::Pending | Standing::Withdrawn => None,
        };
        due.filter(|due| !self.noticed.contains(due))
    }

    /// Whether it was decided, lapsed or is over: nothing about it can change again. A break-glass that nobody has looked at is not.
    pub fn is_closed(&self, now: Timestamp) -> bool {
        !self.lacks_review()
            && matches!(self.standing(now), Standing::Denied | Standing::Ended | Standing::Expired | Standing::Withdrawn)
    }

    /// Whether it started without anybody, and nobody has looked at it.
    pub fn lacks_review(&self) -> bool {
        self.elevation.break_glass && self.reviews.is_empty()
    }

    /// Whether the look at it is overdue: nothing is minted for its integration until somebody takes it.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.lacks_review() && now >= self.asked.plus(REVIEW_WITHIN)
    }

    /// Whose word is still wanted at `now`.
    pub fn open(&self, now: Timestamp) -> Vec<&Approvers> {
        if self.standing(now) == Standing::Pending || self.lacks_review() {
            self.elevation.rule.open(&self.reviews, self.asked)
        } else {
            Vec::new()
        }
    }
}
