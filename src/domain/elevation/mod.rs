//! Just-in-time elevation: a scope for a while, for a reason, because people agreed (DESIGN.md section 6).
//!
//! Three doors, all pure: [`ask`] makes an [`Elevation`] or says why it cannot be; [`Request::review`] says whether somebody's word counts;
//! [`live`] says what is elevated at this second, which the decision on a token asks at every mint. An approval is no promise: record,
//! catalogue, contract and requester are looked at again each time. Expiry is a function of `now`; nobody sweeps.
//!
//! Deliberately not here: whether integration and partner are in good standing (`grant.rs`), and how anybody is told.

mod appliers;
mod ask;
mod briefing;
mod fold;
mod live;
mod rule;

#[cfg(test)]
mod model;

use serde::{Deserialize, Serialize};

use super::actor::{Actor, Person, Role, Staff};
use super::approval::Verdict;
use super::clock::{Seconds, Timestamp};
use super::digest::Digest;
use super::endpoint::Endpoint;
use super::integration::{Approvers, Eligible};
use super::names::{ApiName, BindingName, ElevationId, EnvironmentName, IntegrationId, Ticket};
use super::passkey::{Signature, statement};
use super::reason::{self, Reason};
use super::scope::ScopeSet;
use super::state::State;
use super::text::Text;

pub use appliers::Appliers;
pub use ask::{Unfit, Wanted, Wish, ask, is_signed};
pub use briefing::{Briefing, briefing};
pub use fold::Elevations;
pub use live::{Live, live};
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

impl Review {
    /// Whether it carries a signature by a passkey that is the reviewer's still; whether that holds is not asked here.
    pub fn is_signed(&self, state: &State) -> bool {
        self.signature.as_ref().is_some_and(|signature| state.passkeys.signing(signature, &self.by).is_some())
    }
}

/// What somebody is about to say.
#[derive(Clone, Copy, Debug)]
pub struct Vote<'a> {
    /// For or against.
    pub verdict: Verdict,
    /// The version that was seen.
    pub seen: Digest,
    /// What is taken away.
    pub narrowing: &'a Narrowing,
    /// The signature, where there is one; whether it holds is not asked here.
    pub signature: Option<&'a Signature>,
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

    /// The version that a review names: it changes with everything that an approver looks at, the record and the catalogue included.
    pub fn version(&self, state: &State) -> Digest {
        let asked = &self.elevation;
        let record = state.integrations.get(&asked.integration).and_then(|integration| integration.current.as_ref());
        let api = state.apis.get(&asked.api).and_then(|api| api.current.as_ref());
        Digest::of_json(&(asked, self.terms(), record.map(|record| record.version), api.map(|api| api.version)))
    }

    /// Whether the record still asks for the approvers by whom it was asked for. Who looks at what began without anybody is no record's to
    /// say: were it, a record that changed would keep everybody from looking, and its integration stopped for good.
    fn rule_stands(&self, state: &State) -> bool {
        let asks_the_same = |eligible: Vec<&Eligible>| rule::demands(&eligible) == self.elevation.rule.demands;
        self.elevation.break_glass || ask::eligible(state, &self.elevation).is_some_and(asks_the_same)
    }

    /// Whether nobody's approval counts without a signature: the API says so as it is now.
    pub fn is_signed(&self, state: &State) -> bool {
        ask::is_signed(state, &self.elevation.api)
    }

    /// The approvals whose signatures a token rests on, each with what was signed: those that [`live`] counts. None where the API does not
    /// ask for any.
    pub fn signed(&self, state: &State) -> Vec<(&Person, &Signature, Digest)> {
        if !self.is_signed(state) {
            return Vec::new();
        }
        let approvals = self.reviews.iter().filter(|review| review.verdict == Verdict::Approve && review.is_signed(state));
        let what = |review: &'_ Review, seen| statement(&self.elevation, seen, &review.narrowing, &review.by);
        approvals
            .filter_map(|review| {
                let signature = review.signature.as_deref()?;
                Some((&review.by, signature, what(review, signature.seen)))
            })
            .collect()
    }

    /// Whether `staff` may say this now; the roles that the review carries, or why not.
    ///
    /// # Errors
    /// Own request, second vote, over, changed since seen, not among the approvers, unsigned, or more than was asked for.
    pub fn review(&self, staff: &Staff, vote: Vote<'_>, state: &State, now: Timestamp) -> Result<Vec<Role>, &'static Reason> {
        let person = &staff.person;
        if self.elevation.rule.is_barred(person) {
            return Err(&reason::APPROVAL_OWN_REQUEST);
        }
        if self.reviews.iter().any(|review| review.by.is(person)) {
            return Err(&reason::APPROVAL_SECOND_VOTE);
        }
        match self.standing(now) {
            Standing::Pending => {}
            Standing::Expired => return Err(&reason::APPROVAL_EXPIRED),
            Standing::Active | Standing::Approved | Standing::Denied | Standing::Ended | Standing::Withdrawn => {
                if !self.lacks_review() {
                    return Err(&reason::APPROVAL_DECIDED);
                }
            }
        }
        if vote.seen != self.version(state) {
            return Err(&reason::APPROVAL_STALE);
        }
        let roles = rule::carried(staff);
        if !self.rule_stands(state) {
            return Err(&reason::ELEVATION_RECORD_CHANGED);
        }
        // Also who applied a version after this was asked for.
        let asked = &self.elevation;
        if rule::appliers(state, (&asked.integration, &asked.environment), &asked.api, &asked.scopes).any(|by| by.is(person)) {
            return Err(&reason::APPROVAL_OWN_REQUEST);
        }
        let open = self.elevation.rule.open(&self.reviews, self.asked);
        if !open.iter().any(|demand| rule::admits(demand, person, &roles, self.asked, now)) {
            return Err(&reason::APPROVAL_SLOT);
        }
        if !self.terms().can(vote.narrowing) {
            return Err(&reason::ELEVATION_WIDENS);
        }
        // Who is against needs no passkey: the safe word is never harder to say.
        if vote.verdict == Verdict::Approve && self.is_signed(state) {
            let signature = vote.signature.ok_or(&reason::ELEVATION_SIGNATURE)?;
            let known = state.passkeys.signing(signature, person).filter(|_| signature.seen == vote.seen);
            known.ok_or(&reason::ELEVATION_SIGNATURE_INVALID)?;
        }
        Ok(roles)
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
    fn can(&self, narrowing: &Narrowing) -> bool {
        let scopes = narrowing.scopes.as_ref().is_none_or(|scopes| !scopes.is_empty() && scopes.is_within(&self.scopes));
        let allow = narrowing.allow.as_ref().is_none_or(|allow| {
            !allow.is_empty() && (self.allow.is_empty() || allow.iter().all(|endpoint| self.allow.contains(endpoint)))
        });
        let duration = narrowing.duration.is_none_or(|duration| Seconds::minutes(1) <= duration && duration <= self.duration);
        scopes && allow && duration
    }
}
