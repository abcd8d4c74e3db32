//! Who does something to the house: people with roles, and what each role may do.
//!
//! Four eyes are by `(iss, id)` of a [`Person`], never by e-mail or name (docs/explanation/four-eyes.md). An admin handler receives an
//! [`Authorized`] of the permission that its route needs; there is no other way to get one than to pass the check.

use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, IntegrationId, Issuer};
use crate::domain::value::shared::SharedTexts;
use crate::domain::value::text::Text;

/// A human at the company's own identity provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Person {
    /// The staff issuer.
    pub iss: Issuer,
    /// The value of the claim that names a human in every kind of token (`person_claim`).
    pub id: Arc<str>,
    /// How the person is called; may be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}

impl Person {
    /// Whether both are the same human: by issuer and id alone.
    pub fn is(&self, other: &Self) -> bool {
        self.iss == other.iss && self.id == other.id
    }

    /// Takes issuer and id from the texts that are held once. The name differs in each entry, where it is a digest.
    pub fn share(&mut self, texts: &mut SharedTexts) {
        self.iss.share(texts);
        texts.share(&mut self.id);
    }
}

/// What somebody is to the broker. Several may be held; four eyes still mean two people.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs keys, CA and operation; approves nothing.
    Administrator,
    /// Reads everything, and changes nothing: what evidence an auditor took away is on record, and that is all.
    Auditor,
    /// Submits records and approves in the business slot.
    Owner,
    /// Sends signals within its bounds, and does nothing else. No group gives it: it is a machine that `[[signals]]` names.
    Reporter,
    /// Submits, approves as security only, suspends, revokes.
    Security,
}

impl Role {
    /// Its word in configuration and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::Owner => "owner",
            Self::Reporter => "reporter",
            Self::Security => "security",
        }
    }
}

/// Who caused a change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Actor {
    /// A member of staff, by the admin API.
    Staff(Person),
    /// A machine of the company with a staff token: may submit, never reviews.
    Machine(Person),
    /// A partner's workload with its own proof, or the integration it belongs to.
    Workload(IntegrationId),
    /// The workload of an API of the catalogue, with its own proof.
    Api(ApiName),
    /// Somebody with the configuration file and the key-encryption key in hand, by `carnet` on the machine itself.
    Operator,
    /// The broker, as a consequence of other entries (an activation whose last condition came to hold, a key retired).
    Broker,
    /// The people directory, by a word of its source.
    Directory,
}

impl Actor {
    /// The person, where there is one.
    pub fn person(&self) -> Option<&Person> {
        match self {
            Self::Staff(person) | Self::Machine(person) => Some(person),
            Self::Workload(_) | Self::Api(_) | Self::Operator | Self::Broker | Self::Directory => None,
        }
    }

    /// The person, to be changed.
    pub fn person_mut(&mut self) -> Option<&mut Person> {
        match self {
            Self::Staff(person) | Self::Machine(person) => Some(person),
            Self::Workload(_) | Self::Api(_) | Self::Operator | Self::Broker | Self::Directory => None,
        }
    }

    /// How the person is called, to be sealed.
    pub fn name_mut(&mut self) -> Option<&mut Text> {
        self.person_mut().and_then(|person| person.name.as_mut())
    }
}

/// A staff caller whose bearer was verified: person, roles and what kind of caller.
#[derive(Clone, Debug)]
pub struct Staff {
    /// Who.
    pub person: Person,
    /// What the groups of the token make of them.
    pub roles: BTreeSet<Role>,
    /// Whether this is a machine's token (no human): it never reviews.
    pub machine: bool,
    /// Whether something shows that a person signed in recently enough for a review: `auth_time`, or a session of the console.
    pub fresh: bool,
    /// When this sign-in stops counting: the end of the bearer, or `[staff] max_age` after it was issued.
    pub until: Timestamp,
}

impl Staff {
    /// The same caller as one that may send signals, and do nothing else: whatever its groups give it does not count.
    #[must_use]
    pub fn as_reporter(self) -> Self {
        Self { roles: BTreeSet::from([Role::Reporter]), ..self }
    }

    /// As the cause of a change.
    pub fn actor(&self) -> Actor {
        if self.machine { Actor::Machine(self.person.clone()) } else { Actor::Staff(self.person.clone()) }
    }
}

/// What a permission asks of its caller besides a role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Presence {
    /// Nothing.
    Anybody,
    /// A human.
    Human,
    /// A human who signed in recently.
    Recent,
}

/// What a route asks of its caller: any of these roles.
pub trait Permission: Send + Sync + 'static {
    /// One of these must be held.
    const ANY_OF: &'static [Role];
    /// What it asks besides a role.
    const PRESENCE: Presence = Presence::Anybody;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident: [$($role:ident),+] $(, $presence:ident)?;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name;
        impl Permission for $name {
            const ANY_OF: &'static [Role] = &[$(Role::$role),+];
            $(const PRESENCE: Presence = Presence::$presence;)?
        }
    )+};
}

permissions! {
    /// GET anything.
    Read: [Administrator, Auditor, Owner, Security];
    /// Plan, apply and submit records; ask for resume.
    Submit: [Owner, Security];
    /// Review an approval; which slot the review fills is for the domain to say.
    Review: [Owner, Security], Recent;
    /// Suspend, revoke, cut staff, probe issuers; ask to lift or resume.
    Contain: [Security];
    /// Send a signal.
    Report: [Reporter, Security];
    /// Ask for an elevation, and end one.
    Elevate: [Owner, Security];
    /// Revoke a passkey; whose, is for the domain to say.
    Retire: [Administrator, Owner, Security];
    /// Rotate and taint keys.
    Operate: [Administrator];
    /// Say that a static secret at a partner lives no more.
    CloseException: [Owner], Human;
    /// Ask to close an environment.
    Close: [Administrator], Human;
    /// Put the configuration of a node's file on record, and raise the format of entries.
    Configure: [Administrator], Human;
    /// Send the whole list of people.
    Import: [Administrator], Human;
    /// Decide on a review of access; whose word it is, is for the domain to say.
    DecideReview: [Owner, Security], Recent;
    /// Start a campaign of reviews.
    StartReviews: [Security], Recent;
    /// See how people review.
    ReadReviewers: [Auditor, Security];
    /// Take evidence away, which is recorded.
    GiveEvidence: [Auditor, Security], Human;
    /// Confirm that people left whom the brake of the directory holds.
    Confirm: [Security], Human;
    /// Decide on a signal that was held.
    Decide: [Security], Human;
    /// Ask that texts of people are forgotten.
    Erase: [Administrator], Human;
    /// Start an offboarding.
    Offboard: [Security], Recent;
    /// Say in the place of an API that it removed what it had.
    Acknowledge: [Owner], Human;
    /// Register a dependency; ask to give an offboarding up.
    Depend: [Owner, Security], Human;
}

/// Proof that the caller holds the permission `P`. Made by [`Authorized::assertion`] alone, whose one caller is the admin
/// API's extractor (counted by the architecture test).
#[derive(Clone, Debug)]
pub struct Authorized<P> {
    staff: Staff,
    permission: PhantomData<P>,
}

/// Why a verified member of staff may not do something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forbidden {
    /// None of the roles that the permission asks for.
    Role,
    /// A machine where a human is asked for.
    Machine,
    /// Nothing that shows a person's sign-in, or one too long ago for a review.
    Stale,
}

impl<P: Permission> Authorized<P> {
    /// Checks the permission; the only way to an `Authorized`.
    #[cfg_attr(not(feature = "broker"), expect(dead_code, reason = "only the broker has operators"))]
    pub(crate) fn assertion(staff: Staff) -> Result<Self, Forbidden> {
        if !P::ANY_OF.iter().any(|role| staff.roles.contains(role)) {
            return Err(Forbidden::Role);
        }
        if P::PRESENCE != Presence::Anybody && staff.machine {
            return Err(Forbidden::Machine);
        }
        if P::PRESENCE == Presence::Recent && !staff.fresh {
            return Err(Forbidden::Stale);
        }
        Ok(Self { staff, permission: PhantomData })
    }

    /// Who was authorized.
    pub fn staff(&self) -> &Staff {
        &self.staff
    }
}
