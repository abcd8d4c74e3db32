//! Reasons: why something was refused, in one stable word.
//!
//! The word is the same in the response, the metric label, the journal, the command line and the docs (docs/reference/http.md#refusals).
//! A reason is never renamed and never reused. Each has a page (what, why, how to fix) that `carnet explain REASON` prints
//! offline; the page stands beside the code, so none can lack one. `http/error.rs` alone says which status and OAuth error a
//! [`Class`] becomes.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod certificate;
pub mod decision;
mod elevation;
mod exchange;
mod governance;
mod kind;
mod possession;
mod records;
mod verification;

pub use certificate::*;
pub use elevation::*;
pub use exchange::*;
pub use governance::*;
pub use kind::{Class, Reason};
pub use possession::*;
pub use records::*;
pub use verification::*;

static LISTS: [&[&Reason]; 7] = [
    certificate::REASONS,
    elevation::REASONS,
    exchange::REASONS,
    governance::REASONS,
    possession::REASONS,
    records::REASONS,
    verification::REASONS,
];

impl Reason {
    /// All reasons, in the order of their codes.
    pub fn all() -> Vec<&'static Self> {
        let mut all: Vec<_> = LISTS.concat();
        all.sort_by_key(|reason| reason.code);
        all
    }

    /// The reason with this code.
    pub fn find(code: &str) -> Option<&'static Self> {
        LISTS.into_iter().flatten().copied().find(|reason| reason.code == code)
    }
}

/// A reason as an entry of the journal holds it: its code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReasonCode(pub &'static Reason);

impl Serialize for ReasonCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.code)
    }
}

impl<'de> Deserialize<'de> for ReasonCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Reason::find(&code).map(Self).ok_or_else(|| serde::de::Error::custom("a reason that this version does not know"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dotted_kebab_case_and_unique_and_each_has_a_page() {
        let all = Reason::all();
        for pair in all.windows(2) {
            assert_ne!(pair[0].code, pair[1].code);
        }
        for reason in all {
            let word = |word: &str| {
                !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            };
            assert!(reason.code.split('.').count() == 2 && reason.code.split('.').all(word), "{}", reason.code);
            for text in [reason.what, reason.why, reason.fix] {
                assert!(text.len() > 15 && text.ends_with('.'), "{}: {text:?}", reason.code);
            }
        }
    }
}
