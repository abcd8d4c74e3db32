//! One field that differs between two versions of a record, and what that does.

/// One field that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The field: `environments.production.limits.ttl`; bindings and scopes by their names.
    pub at: String,
    /// The old value; `None` where it was not there.
    pub from: Option<String>,
    /// The new value; `None` where it is gone.
    pub to: Option<String>,
    /// The effect.
    pub weight: Weight,
}

/// The effect of a difference, the riskiest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Somebody can do more, or somebody else answers for it; or it is not sure that nobody can.
    Widens,
    /// A date on which something that is newly recorded ends.
    Expires,
    /// Nobody can do more, somebody can do less.
    Narrows,
    /// Nobody can do more or less.
    Neutral,
}

impl Weight {
    /// As `plan` prints it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Widens => "WIDENS",
            Self::Expires => "EXPIRES",
            Self::Narrows => "narrows",
            Self::Neutral => "neutral",
        }
    }
}

/// Whether `differences` prove that nobody can do more: every one narrows or is neutral.
///
/// Without a difference nothing is proved: a version that is another one, and differs in nothing that is weighed here, waits
/// for people.
pub fn is_provably_narrowing(differences: &[Difference]) -> bool {
    !differences.is_empty()
        && differences.iter().all(|difference| matches!(difference.weight, Weight::Narrows | Weight::Neutral))
}
