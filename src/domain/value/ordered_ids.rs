//! Identifiers that nobody can guess and that sort roughly by time: 22 characters of base64url.
//!
//! The journal finds an entry by its request id and by its token's `jti`. Fully random ids would each land on another page of such
//! an index, and every commit would write all those pages. These ids begin with milliseconds that are counted from a random
//! beginning, so that they reveal only their order; the ids of one commit share a page or two. 80 bits stay random.

use std::fmt::Debug;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::clock::{Entropy, named};

/// The generator of such identifiers.
pub struct OrderedIds {
    entropy: Arc<dyn Entropy>,
    beginning: u64,
}

impl OrderedIds {
    /// Draws the beginning of the count.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self { entropy, beginning: u64::from_be_bytes(bytes) }
    }

    /// A fresh identifier at this time, which is counted from any fixed moment.
    pub fn next<N: FromStr<Err: Debug>>(&self, at: Duration) -> N {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        let elapsed = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        // The low 48 bits are eight characters.
        let prefix = self.beginning.wrapping_add(elapsed).to_be_bytes();
        bytes[..6].copy_from_slice(&prefix[2..]);
        named(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::value::names::TokenId;
    use crate::server::OsEntropy;

    #[test]
    fn ids_of_one_moment_begin_alike_and_differ() {
        let ids = OrderedIds::new(Arc::new(OsEntropy));
        let at = |millisecond: u64| ids.next::<TokenId>(Duration::from_millis(millisecond)).to_string();
        let made: BTreeSet<String> = (0..1000).map(at).collect();
        assert_eq!(made.len(), 1000);
        // Six characters cover 4 seconds and more; a border may fall between.
        let begins: BTreeSet<&str> = made.iter().map(|id| &id[..6]).collect();
        assert!(begins.len() <= 2 && made.iter().all(|id| id.len() == 22), "{begins:?}");
        let others: TokenId = OrderedIds::new(Arc::new(OsEntropy)).next(Duration::ZERO);
        assert_ne!(others.as_str()[..8], made.first().expect("an id")[..8], "another start begins elsewhere");
    }
}
