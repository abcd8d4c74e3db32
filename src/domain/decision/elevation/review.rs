//! Whether a review of an elevation counts, and what an approver's passkey signs.

use serde::Serialize;

use super::ask;
use crate::domain::elevation::rule;
use crate::domain::elevation::{Elevation, Narrowing, Request, Review, Standing};
use crate::domain::people::actor::{Person, Role, Staff};
use crate::domain::people::passkey::Signature;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::Eligible;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

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

/// What an approver signs: everything that comes of the approval, and nothing that could be read otherwise.
#[derive(Serialize)]
struct Statement<'a> {
    statement: &'static str,
    elevation: &'a Elevation,
    seen: Digest,
    narrowing: &'a Narrowing,
    approver: (&'a str, &'a str),
}

/// The challenge of the approver's authenticator: SHA-256 of the elevation as it stands on record, of the version of it (and with it of
/// record and catalogue) that was seen, of what the approver takes away, and of who the approver is.
///
/// A member that an elevation gets one day must be absent from the JSON where it says nothing: else what was signed before counts no more.
pub fn statement(elevation: &Elevation, seen: Digest, narrowing: &Narrowing, approver: &Person) -> Digest {
    let statement = "carnet elevation approval v1";
    Digest::of_json(&Statement { statement, elevation, seen, narrowing, approver: (approver.iss.as_str(), &approver.id) })
}

impl Review {
    /// Whether it carries a signature by a passkey that is the reviewer's still; whether that holds is not asked here.
    pub fn is_signed(&self, state: &State) -> bool {
        self.signature.as_ref().is_some_and(|signature| state.passkeys.signing(signature, &self.by).is_some())
    }
}

impl Request {
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

    /// The approvals whose signatures a token rests on, each with what was signed: those that [`live`](super::live()) counts. None where the API does not
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
        if ask::appliers(state, (&asked.integration, &asked.environment), &asked.api, &asked.scopes).any(|by| by.is(person)) {
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
