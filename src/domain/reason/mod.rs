//! Reasons: why something was refused, in one stable word that is the same in the response, the metric label, the journal, the
//! command line and the docs (CONTRACT.md section 5).
//!
//! A reason is never renamed and never reused. Each has a page (what, why, how to fix) that `carnet explain REASON` prints
//! offline; the page stands beside the code, so none can lack one. Which status and OAuth error a [`Class`] becomes is told in
//! `http/error.rs` and nowhere else.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

mod certificate;
mod elevation;
mod exchange;
mod governance;
mod possession;
mod records;
mod verification;

pub use certificate::*;
pub use elevation::*;
pub use exchange::*;
pub use governance::*;
pub use possession::*;
pub use records::*;
pub use verification::*;

/// Why something was refused.
pub struct Reason {
    /// The stable word: dotted, kebab-case.
    pub code: &'static str,
    /// What kind of refusal it is, for the mapping to the wire.
    pub class: Class,
    /// What happened.
    pub what: &'static str,
    /// Why the broker refuses it.
    pub why: &'static str,
    /// What to do about it.
    pub fix: &'static str,
}

/// Kinds of refusal, by what they become on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Class {
    /// A store or issuer that is needed is away or late: try again.
    Busy,
    /// The client named or authenticated is not the one that the proof shows.
    Client,
    /// The state of the thing forbids it (admin).
    Conflict,
    /// Requested authorization details that cannot be honoured.
    Details,
    /// A live token that does not reach what is asked of an API (RFC 6750 section 3.1, `insufficient_scope`).
    Access,
    /// The caller's role does not allow it (admin).
    Forbidden,
    /// The form of the request; told to everybody.
    Form,
    /// A DPoP proof that needs the server's nonce; told to everybody.
    Nonce,
    /// A DPoP proof that does not hold, or is missing where it must be.
    Possession,
    /// A grant type that is not known.
    GrantType,
    /// The content of a record or request is not valid (admin).
    Invalid,
    /// There is no such thing (admin).
    Missing,
    /// The proof is not acceptable, for any reason: the slot that it came in decides the wire error.
    Proof,
    /// A token that an API must not take (RFC 6750 section 3.1, `invalid_token`).
    Token,
    /// Too many requests of this caller.
    Quota,
    /// Scope unknown, malformed or too wide.
    Scope,
    /// The version seen is not the current one (admin).
    Stale,
    /// No token can be issued for the target.
    Target,
    /// No or bad staff token (admin).
    Unauthenticated,
}

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

impl PartialEq for Reason {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

impl Eq for Reason {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
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

/// Defines reasons as statics, and the list of them.
macro_rules! reasons {
    ($($name:ident = $code:literal, $class:ident; $what:literal; $why:literal; $fix:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $what)]
            pub static $name: $crate::domain::reason::Reason = $crate::domain::reason::Reason {
                code: $code,
                class: $crate::domain::reason::Class::$class,
                what: $what,
                why: $why,
                fix: $fix,
            };
        )+
        pub(super) static REASONS: &[&$crate::domain::reason::Reason] = &[$(&$name),+];
    };
}
use reasons;

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
