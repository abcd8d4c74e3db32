//! The phases of the life of an integration, and of a partner. A suspension changes neither.

/// Where an integration is in its life (docs/reference/records.md).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Stored, and nothing more.
    Draft,
    /// Waits for its conditions.
    Submitted,
    /// Tokens may be had, unless something refuses them (`decision/effective.rs`).
    Active,
    /// It is being offboarded: nothing is to be had, and it comes back only if the offboarding is given up.
    Offboarding,
    /// It was offboarded, for good.
    Ended,
}

impl Phase {
    /// The word of the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Active => "active",
            Self::Offboarding => "offboarding",
            Self::Ended => "ended",
        }
    }
}

/// Where a partner is in its life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PartnerPhase {
    /// No version of it is in force yet.
    Submitted,
    /// A version of it is in force.
    Active,
    /// It is being offboarded, with all of its integrations.
    Offboarding,
    /// It was offboarded, for good.
    Ended,
}

impl PartnerPhase {
    /// The word of the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Active => "active",
            Self::Offboarding => "offboarding",
            Self::Ended => "ended",
        }
    }
}
