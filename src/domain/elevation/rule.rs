//! The approvals that a request needs: the demands of the record for all of its scopes.
//!
//! If several scopes are requested at once, the demand of each must be met. So the strictest wins, and no mixture of scopes is
//! easier to get than the hardest of them. Three kinds of people do not count: the requester, those who applied a version of the
//! record since the scope last widened in it, and those who enrolled the workload that asks.

use serde::{Deserialize, Serialize};

use super::terms::Narrowing;
use crate::domain::people::actor::{Person, Role, Staff};
use crate::domain::people::passkey::Signature;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::{Approvers, Eligible};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::Text;

/// The demands of a request as they were when it was made, and the people who may not meet them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// The demands. Each must be met; one person may meet several.
    pub demands: Vec<Approvers>,
    /// People who may not review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<Person>,
}

impl Rule {
    /// Tells whether this person may never review it.
    pub fn is_barred(&self, person: &Person) -> bool {
        self.barred.iter().any(|barred| barred.is(person))
    }

    /// The demands that `reviews` do not meet yet.
    pub fn open<'a>(&'a self, reviews: &[Review], asked: Timestamp) -> Vec<&'a Approvers> {
        self.demands.iter().filter(|demand| !is_met(demand, reviews, asked)).collect()
    }
}

/// Tells whether enough different people that `demand` admits have approved.
///
/// Nobody can review twice. People are counted all the same, because an entry may have been written by other means, and one true
/// signature entered twice is one person's approval.
pub(in crate::domain) fn is_met<'a>(
    demand: &Approvers,
    reviews: impl IntoIterator<Item = &'a Review>,
    asked: Timestamp,
) -> bool {
    let counts =
        |review: &&Review| review.verdict == Verdict::Approve && admits(demand, &review.by, &review.roles, asked, review.at);
    let mut people: Vec<&Person> = Vec::new();
    for review in reviews.into_iter().filter(counts) {
        if !people.iter().any(|known| known.is(&review.by)) {
            people.push(&review.by);
        }
    }
    people.len() >= usize::from(demand.count)
}

/// Tells whether `demand` admits a person with `roles` at `now`, also as a fallback by then.
pub(in crate::domain) fn admits(demand: &Approvers, person: &Person, roles: &[Role], asked: Timestamp, now: Timestamp) -> bool {
    let by_role = demand.role.is_some_and(|role| roles.contains(&role));
    let stands_in =
        demand.fallback.as_ref().is_some_and(|fallback| now >= asked.plus(fallback.after) && roles.contains(&fallback.role));
    by_role || demand.people.iter().any(|named| **named == *person.id) || stands_in
}

/// The roles that a reviewer counts for: security counts as security alone.
///
/// See docs/explanation/four-eyes.md.
pub(in crate::domain) fn carried(staff: &Staff) -> Vec<Role> {
    if staff.roles.contains(&Role::Security) { vec![Role::Security] } else { staff.roles.iter().copied().collect() }
}

/// The record's demands for all of these scopes, each once.
pub(in crate::domain) fn demands(eligible: &[&Eligible]) -> Vec<Approvers> {
    let mut demands: Vec<Approvers> = Vec::new();
    for one in eligible {
        if !demands.contains(&one.approvers) {
            demands.push(one.approvers.clone());
        }
    }
    demands
}

/// The demand after a break-glass: a review by one of security.
pub(in crate::domain) fn afterwards() -> Vec<Approvers> {
    vec![Approvers::one_of(Role::Security)]
}

/// One person's review.
#[derive(Clone, Debug)]
pub struct Review {
    /// The reviewer.
    pub by: Person,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason.
    pub reason: Text,
    /// The reviewer's roles at that moment.
    pub roles: Vec<Role>,
    /// The terms that the reviewer took away.
    pub narrowing: Narrowing,
    /// The reviewer's signature, if there is one.
    pub signature: Option<Box<Signature>>,
    /// The time.
    pub at: Timestamp,
}
