//! States as they are told to people: each a function of the fold and of `now`.

use super::{Revocation, State};
use crate::domain::credential::certificate::{AuthorityState, Leaf};
use crate::domain::value::clock::Timestamp;

/// The state of a revocation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RevocationStanding {
    /// It cut what was issued, and refuses nothing later.
    Done,
    /// It was lifted.
    Lifted,
    /// It refuses.
    Standing,
}

/// The state of a workload's certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LeafStanding {
    /// It is over.
    Expired,
    /// Its integration is called compromised.
    Held,
    /// A revocation refuses it.
    Revoked,
    /// It counts.
    Valid,
}

/// The state of an authority for certificates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthorityStanding {
    /// It issues.
    Active,
    /// Its certificate is over.
    Expired,
    /// What it signed counts; another one issues.
    Retiring,
    /// Nothing that it signed counts.
    Tainted,
}

impl RevocationStanding {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Lifted => "lifted",
            Self::Standing => "standing",
        }
    }
}

impl LeafStanding {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Held => "held",
            Self::Revoked => "revoked",
            Self::Valid => "valid",
        }
    }
}

impl AuthorityStanding {
    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Expired => "expired",
            Self::Retiring => "retiring",
            Self::Tainted => "tainted",
        }
    }
}

impl Revocation {
    /// Its state.
    pub fn standing(&self) -> RevocationStanding {
        match (self.lifted, self.tokens_only) {
            (true, _) => RevocationStanding::Lifted,
            (false, true) => RevocationStanding::Done,
            (false, false) => RevocationStanding::Standing,
        }
    }
}

impl State {
    /// The state of a workload's certificate at `now`.
    pub fn leaf_standing(&self, leaf: &Leaf, now: Timestamp) -> LeafStanding {
        if self.is_refused(&leaf.revocation_key()) || self.certificates.ended_at(leaf).is_some() {
            LeafStanding::Revoked
        } else if now >= leaf.ends {
            LeafStanding::Expired
        } else if self.leaf_end(leaf).is_some() {
            LeafStanding::Held
        } else {
            LeafStanding::Valid
        }
    }

    /// The state of an authority at `now`.
    pub fn authority_standing(&self, known: &AuthorityState, now: Timestamp) -> AuthorityStanding {
        let authority = &known.authority;
        let issuing = self.certificates.issuing(&authority.environment, now);
        if known.tainted {
            AuthorityStanding::Tainted
        } else if now >= authority.ends {
            AuthorityStanding::Expired
        } else if issuing.is_some_and(|issuing| issuing.kid == authority.kid) {
            AuthorityStanding::Active
        } else {
            AuthorityStanding::Retiring
        }
    }
}
