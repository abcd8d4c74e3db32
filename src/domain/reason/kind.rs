//! The type of a reason, the classes of reasons, and the macro that defines them.

use std::fmt;

/// Why something was refused.
pub struct Reason {
    /// The stable word: dotted, kebab-case.
    pub code: &'static str,
    /// The class of the refusal, for the mapping to the wire.
    pub class: Class,
    /// The event, in a sentence.
    pub what: &'static str,
    /// Why the broker refuses it.
    pub why: &'static str,
    /// The way out.
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
    /// A live token without the right that a request needs (`insufficient_scope`, RFC 6750 section 3.1).
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

/// Defines reasons as statics, and the list of them.
macro_rules! reasons {
    ($($name:ident = $code:literal, $class:ident; $what:literal; $why:literal; $fix:literal;)+) => {
        $(
            #[doc = concat!("`", $code, "`: ", $what)]
            pub static $name: $crate::domain::reason::kind::Reason = $crate::domain::reason::kind::Reason {
                code: $code,
                class: $crate::domain::reason::kind::Class::$class,
                what: $what,
                why: $why,
                fix: $fix,
            };
        )+
        pub(super) static REASONS: &[&$crate::domain::reason::kind::Reason] = &[$(&$name),+];
    };
}
pub(super) use reasons;
