//! The ids of tokens: 22 characters of base64url that begin with the second of the decision, and 88 random bits.
//!
//! The journal is in the order of time. So it finds a token by its `jti` among the entries of a few seconds, and no token pays for an
//! index. The second is that of `iat` and no secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::clock::{Entropy, Timestamp, named};
use super::names::TokenId;

/// The bytes of the second, the most significant first. The first bit is zero ([`named`]).
const SECOND: usize = 5;

impl TokenId {
    /// A fresh id of a token that is decided on at `now`.
    pub fn fresh(entropy: &dyn Entropy, now: Timestamp) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        bytes[..SECOND].copy_from_slice(&now.as_seconds().to_be_bytes()[8 - SECOND..]);
        named(bytes)
    }

    /// The second that it begins with. Nobody vouches for it: an id may come from anybody, or be of an earlier build.
    pub fn claimed_second(&self) -> Option<Timestamp> {
        let bytes = URL_SAFE_NO_PAD.decode(self.as_str()).ok()?;
        let mut second = [0; 8];
        second[8 - SECOND..].copy_from_slice(bytes.get(..SECOND)?);
        Timestamp::from_seconds(i64::from_be_bytes(second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{NOON, Seeded, at};

    #[test]
    fn an_id_begins_with_its_second_and_no_two_are_alike() {
        let entropy = Seeded::new(7);
        let made: std::collections::BTreeSet<TokenId> = (0..1000).map(|_| TokenId::fresh(&entropy, at(3))).collect();
        assert_eq!(made.len(), 1000);
        assert!(made.iter().all(|id| id.as_str().len() == 22 && id.claimed_second() == Timestamp::from_seconds(NOON + 3)));
        for other in ["", "x", "token-1", "________________________"] {
            let told = other.parse::<TokenId>().ok().and_then(|id| id.claimed_second());
            assert!(told.is_none_or(|second| second != at(3)), "{other}");
        }
    }
}
