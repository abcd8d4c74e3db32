//! Approvals of governance: what must be approved, by whom, and what a review does. Elevations have their own.
//!
//! The rules (docs/explanation/four-eyes.md): nobody approves what they applied or submitted; each person counts once; one person fills
//! one slot; one denial decides; what nobody answers in time is denied. `expired` is a function of `now`.

use serde::{Deserialize, Serialize};

use super::suspension::Suspension;
use crate::domain::people::actor::{Actor, Person, Role, Staff};
use crate::domain::people::roles::Roles;
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::Text;

/// Something that waits for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// What kind of thing.
    pub kind: Kind,
    /// What about: `globex`, `globex/order-sync`, `orders-api`, a revocation's id.
    pub subject: String,
    /// The version that is approved; a review names the version it saw.
    pub version: Digest,
    /// Who applied, submitted or asked.
    pub requested_by: Actor,
    /// People who may not approve besides: who applied the version, who suspended or revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub barred: Vec<Person>,
    /// The roles that must each approve, each by another person.
    pub slots: Roles,
    /// When it lapses.
    pub expires: Timestamp,
    /// The reviews so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviews: Vec<Review>,
    /// Replaced by a newer version.
    #[serde(default)]
    pub withdrawn: bool,
    /// Why it is asked for. Where the change that opens it has a reason of its own, the fold copies that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// What the fold knows of the change that opened it; no part of that change.
    #[serde(skip)]
    pub opened: Opened,
}

/// When an approval was opened, and what it would undo.
#[derive(Clone, Debug, Default)]
pub struct Opened {
    /// When.
    pub at: Timestamp,
    /// The suspensions that a `resume` lifts, as they stood then. It lifts no other.
    pub lifts: Box<[Suspension]>,
}

/// Kinds of approval (docs/how-to/govern/approve.md).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Giving an offboarding up.
    Abort,
    /// A new or changed API.
    Api,
    /// A held change of an active integration.
    Change,
    /// A first EST enrolment.
    Enrolment,
    /// Closing an environment for everybody.
    Environment,
    /// Having texts of people forgotten.
    Erasure,
    /// Closing a static secret at a partner.
    Exception,
    /// A new or changed guardrail, or its removal.
    Guardrail,
    /// A submitted integration.
    Integration,
    /// Lifting a revocation.
    Lift,
    /// Signing an offboarding off.
    Offboarding,
    /// A new or changed partner.
    Partner,
    /// Lifting a suspension.
    Resume,
    /// A campaign of reviews whose silence suspends.
    Review,
}

impl Kind {
    /// The slots that an approval of this kind has.
    pub fn slots(self) -> Roles {
        match self {
            Self::Abort
            | Self::Api
            | Self::Change
            | Self::Environment
            | Self::Guardrail
            | Self::Integration
            | Self::Offboarding => [Role::Owner, Role::Security].into(),
            Self::Enrolment | Self::Erasure | Self::Exception | Self::Lift | Self::Partner | Self::Resume | Self::Review => {
                [Role::Security].into()
            }
        }
    }

    /// How long people have to answer.
    pub const PATIENCE: Seconds = Seconds::days(30);
}

/// For or against.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// For.
    Approve,
    /// Against; one is enough.
    Deny,
}

/// One person's word.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Review {
    /// Who.
    pub by: Person,
    /// For or against.
    pub verdict: Verdict,
    /// Why.
    pub reason: Text,
    /// The slots that it may fill.
    pub roles: Roles,
    /// When.
    pub at: Timestamp,
}

/// Where an approval stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Every slot is filled.
    Approved,
    /// Somebody was against.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// Waits.
    Pending,
    /// Replaced by a newer version.
    Withdrawn,
}

impl Approval {
    /// The texts in it, to be sealed.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut Text> {
        let barred = self.barred.iter_mut().filter_map(|person| person.name.as_mut());
        // A new approval has no reviews; theirs are changes of their own.
        let reviews = self.reviews.iter_mut().flat_map(|review| review.by.name.iter_mut().chain([&mut review.reason]));
        self.requested_by.name_mut().into_iter().chain(barred).chain(&mut self.reason).chain(reviews)
    }

    /// Whether every slot is filled, nobody was against, and no newer version replaced it. That stays so as time passes.
    pub fn is_complete(&self) -> bool {
        !self.withdrawn && !self.is_denied() && self.open_slots().is_empty()
    }

    fn is_denied(&self) -> bool {
        self.reviews.iter().any(|review| review.verdict == Verdict::Deny)
    }

    /// Where it stands at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        if self.withdrawn {
            Standing::Withdrawn
        } else if self.is_denied() {
            Standing::Denied
        } else if self.is_complete() {
            Standing::Approved
        } else if now >= self.expires {
            Standing::Expired
        } else {
            Standing::Pending
        }
    }

    /// The slots that no approval fills. Each reviewer fills one; the assignment that fills most is taken, so that a reviewer
    /// who could fill either slot never blocks one who can fill only one.
    pub fn open_slots(&self) -> Vec<Role> {
        let approving: Vec<&Review> = self.reviews.iter().filter(|review| review.verdict == Verdict::Approve).collect();
        fill(&self.slots, &approving)
    }

    /// Whether `staff` may review now, seeing `version`; the roles that the review carries, or why not.
    pub fn review(&self, staff: &Staff, seen: Digest, now: Timestamp) -> Result<Roles, &'static Reason> {
        let person = &staff.person;
        let asked = self.requested_by.person().is_some_and(|asker| asker.is(person));
        if asked || self.barred.iter().any(|barred| barred.is(person)) {
            return Err(&reason::APPROVAL_OWN_REQUEST);
        }
        if self.reviews.iter().any(|review| review.by.is(person)) {
            return Err(&reason::APPROVAL_SECOND_VOTE);
        }
        match self.standing(now) {
            Standing::Pending => {}
            Standing::Expired => return Err(&reason::APPROVAL_EXPIRED),
            Standing::Approved | Standing::Denied | Standing::Withdrawn => return Err(&reason::APPROVAL_DECIDED),
        }
        if seen != self.version {
            return Err(&reason::APPROVAL_STALE);
        }
        let open = self.open_slots();
        let roles = self.slots.only(|slot| staff.roles.contains(&slot));
        // Security approves only as security, also for somebody who is an owner besides (docs/explanation/four-eyes.md).
        let roles = if roles.contains(&Role::Security) { [Role::Security].into() } else { roles };
        if roles.iter().any(|role| open.contains(role)) { Ok(roles) } else { Err(&reason::APPROVAL_SLOT) }
    }
}

/// The slots left open by the best assignment of reviews to slots. There are at most two slots, so trying each is cheap.
fn fill(slots: &[Role], reviews: &[&Review]) -> Vec<Role> {
    let Some((first, rest)) = slots.split_first() else { return Vec::new() };
    let mut best: Vec<Role> = std::iter::once(*first).chain(fill(rest, reviews)).collect();
    for (at, review) in reviews.iter().enumerate() {
        if review.roles.contains(first) {
            let others: Vec<&Review> = reviews.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, r)| *r).collect();
            let open = fill(rest, &others);
            if open.len() < best.len() {
                best = open;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(id: &str) -> Person {
        Person { iss: "https://idp.example".parse().expect("issuer"), id: id.into(), name: None }
    }

    fn staff(id: &str, roles: &[Role]) -> Staff {
        Staff { person: person(id), roles: roles.iter().copied().collect(), machine: false, fresh: true, until: Timestamp::MAX }
    }

    fn approval() -> Approval {
        Approval {
            id: "a1".parse().expect("id"),
            kind: Kind::Integration,
            subject: "globex/order-sync".into(),
            version: Digest::of(b"v1"),
            requested_by: Actor::Staff(person("ann")),
            barred: vec![person("bob")],
            slots: Kind::Integration.slots(),
            expires: Timestamp::from_seconds(1000).expect("time"),
            reviews: Vec::new(),
            withdrawn: false,
            reason: None,
            opened: Opened::default(),
        }
    }

    fn after(mut approval: Approval, id: &str, roles: &[Role], verdict: Verdict) -> Approval {
        let at = Timestamp::default();
        let roles = approval.review(&staff(id, roles), approval.version, at).expect("may review");
        approval.reviews.push(Review { by: person(id), verdict, reason: "ok".into(), roles, at });
        approval
    }

    #[test]
    fn two_different_people_fill_two_slots() {
        let now = Timestamp::default();
        let one = after(approval(), "olga", &[Role::Owner], Verdict::Approve);
        assert_eq!(one.standing(now), Standing::Pending);
        let refused = |who: Staff| one.review(&who, one.version, now).expect_err("refused").code;
        assert_eq!(refused(staff("olga", &[Role::Security])), "approval.second-vote");
        assert_eq!(refused(staff("ann", &[Role::Security])), "approval.own-request");
        assert_eq!(refused(staff("bob", &[Role::Security])), "approval.own-request");
        assert_eq!(refused(staff("otto", &[Role::Owner])), "approval.slot");
        assert_eq!(refused(staff("adam", &[Role::Administrator])), "approval.slot");
        assert_eq!(after(one, "sven", &[Role::Security], Verdict::Approve).standing(now), Standing::Approved);
    }

    #[test]
    fn security_approves_only_as_security_also_when_an_owner_besides() {
        let one = after(approval(), "sara", &[Role::Owner, Role::Security], Verdict::Approve);
        assert_eq!(one.open_slots(), vec![Role::Owner]);
    }

    #[test]
    fn a_denial_decides_and_time_denies() {
        let now = Timestamp::default();
        let denied = after(approval(), "sven", &[Role::Security], Verdict::Deny);
        assert_eq!(denied.standing(now), Standing::Denied);
        assert_eq!(denied.review(&staff("olga", &[Role::Owner]), denied.version, now), Err(&reason::APPROVAL_DECIDED));
        let late = approval().expires;
        assert_eq!(approval().standing(late), Standing::Expired);
        assert_eq!(approval().review(&staff("olga", &[Role::Owner]), approval().version, late), Err(&reason::APPROVAL_EXPIRED));
        let other = Digest::of(b"v2");
        assert_eq!(approval().review(&staff("olga", &[Role::Owner]), other, now), Err(&reason::APPROVAL_STALE));
    }
}
