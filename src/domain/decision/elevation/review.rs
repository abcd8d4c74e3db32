//! Judges reviews of an elevation, and defines the statement that an approver's passkey signs.

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

/// A review that is about to be made.
#[derive(Clone, Copy, Debug)]
pub struct Vote<'a> {
    /// For or against.
    pub verdict: Verdict,
    /// The version that the reviewer saw.
    pub seen: Digest,
    /// The terms that the reviewer takes away.
    pub narrowing: &'a Narrowing,
    /// The signature, if there is one. It is not verified here.
    pub signature: Option<&'a Signature>,
}

/// The statement that an approver signs: all effects of the approval, readable in one way only.
#[derive(Serialize)]
struct Statement<'a> {
    statement: &'static str,
    elevation: &'a Elevation,
    seen: Digest,
    narrowing: &'a Narrowing,
    approver: (&'a str, &'a str),
}

/// The challenge for the approver's authenticator, a digest of all that the approval rests on.
///
/// It is SHA-256 of the elevation as recorded, the version of it that was seen (and with it the record and the catalogue), the
/// terms that the approver takes away, and the approver.
///
/// A future member of an elevation must be absent from the JSON if it is not set. Otherwise earlier signatures no longer count.
pub fn statement(elevation: &Elevation, seen: Digest, narrowing: &Narrowing, approver: &Person) -> Digest {
    let statement = "carnet elevation approval v1";
    Digest::of_json(&Statement { statement, elevation, seen, narrowing, approver: (approver.iss.as_str(), &approver.id) })
}

impl Review {
    /// Tells whether its signature names a passkey that is still the reviewer's.
    ///
    /// The signature is not verified here.
    pub fn is_signed(&self, state: &State) -> bool {
        self.signature.as_ref().is_some_and(|signature| state.passkeys.signing(signature, &self.by).is_some())
    }
}

impl Request {
    /// The version that a review names.
    ///
    /// It changes with everything that an approver looks at, the record and the catalogue included.
    pub fn version(&self, state: &State) -> Digest {
        let asked = &self.elevation;
        let record = state.integrations.get(&asked.integration).and_then(|integration| integration.current.as_ref());
        let api = state.apis.get(&asked.api).and_then(|api| api.current.as_ref());
        Digest::of_json(&(asked, self.terms(), record.map(|record| record.version), api.map(|api| api.version)))
    }

    /// Tells whether the record still demands the approvers of the request.
    ///
    /// It has no say over the review of a break-glass. If it had, a record that changed would keep everybody from reviewing, and
    /// the integration would be stopped for good.
    fn rule_stands(&self, state: &State) -> bool {
        let asks_the_same = |eligible: Vec<&Eligible>| rule::demands(&eligible) == self.elevation.rule.demands;
        self.elevation.break_glass || ask::eligible(state, &self.elevation).is_some_and(asks_the_same)
    }

    /// Tells whether only signed approvals count, by the API in force.
    pub fn is_signed(&self, state: &State) -> bool {
        ask::is_signed(state, &self.elevation.api)
    }

    /// The approvals whose signatures a token rests on, each with the digest that was signed.
    ///
    /// They are those that [`live`](super::live()) counts. The list is empty if the API does not ask for signatures.
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

    /// Judges whether `staff` may make this review now. Returns the roles that it counts for.
    ///
    /// # Errors
    /// It is an own request, a second vote, over, changed since seen, not open to this person, unsigned, or wider than the request.
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
        // People who applied a version after the request are barred too.
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
        // A denial needs no passkey: the safe verdict is never harder to give.
        if vote.verdict == Verdict::Approve && self.is_signed(state) {
            let signature = vote.signature.ok_or(&reason::ELEVATION_SIGNATURE)?;
            let known = state.passkeys.signing(signature, person).filter(|_| signature.seen == vote.seen);
            known.ok_or(&reason::ELEVATION_SIGNATURE_INVALID)?;
        }
        Ok(roles)
    }
}
