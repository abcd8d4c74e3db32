//! One field that differs between two versions of a record, and what that does.

use crate::domain::value::clock::{Seconds, Timestamp};

/// An end that comes so soon is told as such.
const SOON: Seconds = Seconds::days(60);

/// One field that differs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Difference {
    /// The field: `environments.production.limits.ttl`; bindings and scopes by their names.
    pub at: String,
    /// The old value; `None` where it was not there.
    pub from: Option<String>,
    /// The new value; `None` where it is gone.
    pub to: Option<String>,
    /// The effect. It is never [`Weight::Expires`]: that depends on the time at which somebody looks.
    pub weight: Weight,
    /// The end that the new value sets, if it sets one.
    pub ends: Option<Timestamp>,
}

impl Difference {
    /// The effect as people are told it at `now`: something that widens nothing and ends soon expires.
    ///
    /// No decision reads it. An earlier end narrows, however soon it is.
    pub fn told(&self, now: Timestamp) -> Weight {
        let soon = self.ends.is_some_and(|ends| ends <= now.plus(SOON));
        match self.weight {
            Weight::Narrows | Weight::Neutral if soon => Weight::Expires,
            weight @ (Weight::Widens | Weight::Expires | Weight::Narrows | Weight::Neutral) => weight,
        }
    }
}

/// The effect of a difference, the riskiest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Somebody can do more, or somebody else answers for it; or it is not sure that nobody can.
    Widens,
    /// Nobody can do more, and it sets an end within 60 days.
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
