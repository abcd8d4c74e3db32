//! Just-in-time elevation: a scope for a while, for a reason, because people agreed (DESIGN.md section 6).
//!
//! What stands on record and what follows from it alone: the [`Elevation`] that was asked for, its [`Request`] with the reviews, and where
//! it stands at a second. Expiry is a function of `now`; nobody sweeps.
//!
//! `decision::elevation` judges: whether it can be asked for, whether a review counts, and what is elevated at this second, which the
//! decision on a token asks at every mint. An approval is no promise: record, catalogue, contract and requester are looked at again each
//! time.

mod appliers;
pub(in crate::domain) mod rule;

use serde::{Deserialize, Serialize};

use super::people::actor::{Actor, Person, Role};
use super::people::approval::Verdict;
use super::people::passkey::Signature;
use super::registry::integration::Approvers;
use super::value::clock::{Seconds, Timestamp};
use super::value::digest::Digest;
use super::value::endpoint::Endpoint;
use super::value::names::{ApiName, BindingName, ElevationId, EnvironmentName, IntegrationId, Ticket};
use super::value::scope::ScopeSet;
use super::value::text::Text;

pub use appliers::Appliers;
pub use rule::Rule;

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

/// What an approver takes away: less, for a shorter time. There is nothing that an approver could add.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Narrowing {
    /// Only these scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<ScopeSet>,
    /// Only these endpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<Endpoint>>,
    /// Only so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Seconds>,
}

/// One person's word.
#[derive(Clone, Debug)]
pub struct Review {
    /// Who.
    pub by: Person,
    /// For or against.
    pub verdict: Verdict,
    /// Why.
    pub reason: Text,
    /// What the reviewer was at that moment.
    pub roles: Vec<Role>,
    /// What is taken away.
    pub narrowing: Narrowing,
    /// The reviewer's signature, where there is one.
    pub signature: Option<Box<Signature>>,
    /// When.
    pub at: Timestamp,
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

/// What it gives, after everything that approvers took away.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Terms {
    /// The scopes.
    pub scopes: ScopeSet,
    /// Endpoint conditions; none means those of the record.
    pub allow: Vec<Endpoint>,
    /// How long.
    pub duration: Seconds,
}

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

impl Terms {
    /// What is left after `narrowing`: whatever it names, there is never more.
    #[must_use]
    fn narrow(self, narrowing: &Narrowing) -> Self {
        Self {
            scopes: narrowing.scopes.as_ref().map_or_else(|| self.scopes.clone(), |scopes| self.scopes.narrow(scopes)),
            allow: match &narrowing.allow {
                Some(allow) if self.allow.is_empty() => allow.clone(),
                Some(allow) => self.allow.iter().filter(|endpoint| allow.contains(endpoint)).cloned().collect(),
                None => self.allow.clone(),
            },
            duration: narrowing.duration.map_or(self.duration, |duration| self.duration.min(duration)),
        }
    }

    /// Whether `narrowing` names nothing that these terms do not have, and leaves something.
    pub(in crate::domain) fn can(&self, narrowing: &Narrowing) -> bool {
        let scopes = narrowing.scopes.as_ref().is_none_or(|scopes| !scopes.is_empty() && scopes.is_within(&self.scopes));
        let allow = narrowing.allow.as_ref().is_none_or(|allow| {
            !allow.is_empty() && (self.allow.is_empty() || allow.iter().all(|endpoint| self.allow.contains(endpoint)))
        });
        let duration = narrowing.duration.is_none_or(|duration| Seconds::minutes(1) <= duration && duration <= self.duration);
        scopes && allow && duration
    }
}
