//! The phases of an integration's life.

/// Where an integration is in its life (docs/reference/records.md).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Phase {
    /// Stored, and nothing more.
    Draft,
    /// Waits for its conditions.
    Submitted,
    /// Tokens may be had.
    Active,
    /// Stopped by security.
    Suspended,
}

impl Phase {
    /// The word of the contract.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Submitted => "submitted",
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}
