//! Who must agree: what the record demands for each scope of a request, all of it together.
//!
//! Where several scopes are asked for at once, each one's demand is to be met; so the strictest wins, and no mixture of scopes is easier
//! to get than the hardest of them. Nobody counts who asked, who applied a version of the record since the scope last
//! widened in it, or who enrolled the workload that asks.

use serde::{Deserialize, Serialize};

use super::terms::Narrowing;
use crate::domain::people::actor::{Person, Role, Staff};
use crate::domain::people::passkey::Signature;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::{Approvers, Eligible};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::Text;

/// The demands of a request as they stood when it was made, and who may not meet them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Each is to be met; one person may meet several.
    pub demands: Vec<Approvers>,
    /// People who may not review.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<Person>,
}

impl Rule {
    /// Whether this person may never review it.
    pub fn is_barred(&self, person: &Person) -> bool {
        self.barred.iter().any(|barred| barred.is(person))
    }

    /// The demands that `reviews` do not meet yet.
    pub fn open<'a>(&'a self, reviews: &[Review], asked: Timestamp) -> Vec<&'a Approvers> {
        self.demands.iter().filter(|demand| !is_met(demand, reviews, asked)).collect()
    }
}

/// Whether enough different people of those that `demand` admits approved. Nobody votes twice by a review; people are counted all the same,
/// because what is folded may have been written by other means, and one true signature entered twice is one person's word.
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

/// Whether a person who carries `roles` is one of those whom `demand` admits at `now`, or of those who stand in for them by then.
pub(in crate::domain) fn admits(demand: &Approvers, person: &Person, roles: &[Role], asked: Timestamp, now: Timestamp) -> bool {
    let by_role = demand.role.is_some_and(|role| roles.contains(&role));
    let stands_in =
        demand.fallback.as_ref().is_some_and(|fallback| now >= asked.plus(fallback.after) && roles.contains(&fallback.role));
    by_role || demand.people.contains(&person.id) || stands_in
}

/// The roles that a reviewer carries: security counts as security alone (docs/explanation/four-eyes.md).
pub(in crate::domain) fn carried(staff: &Staff) -> Vec<Role> {
    if staff.roles.contains(&Role::Security) { vec![Role::Security] } else { staff.roles.iter().copied().collect() }
}

/// What the record demands for all of these scopes, each demand once.
pub(in crate::domain) fn demands(eligible: &[&Eligible]) -> Vec<Approvers> {
    let mut demands: Vec<Approvers> = Vec::new();
    for one in eligible {
        if !demands.contains(&one.approvers) {
            demands.push(one.approvers.clone());
        }
    }
    demands
}

/// Who looks at what started without anybody: one of security.
pub(in crate::domain) fn afterwards() -> Vec<Approvers> {
    vec![Approvers::one_of(Role::Security)]
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
