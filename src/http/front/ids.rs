//! Request ids: 22 characters of base64url that nobody can guess and that sort roughly by time.
//!
//! The journal finds an entry by its request id. Fully random ids would each land on another page of the index, and every
//! commit would write all those pages. These ids begin with the milliseconds since the start, counted from a random beginning
//! so that they reveal only their order; the ids of one commit share a page or two. 80 bits stay random.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::value::clock::{self, Entropy};
use crate::domain::value::names::RequestId;

/// The generator of request ids.
pub struct RequestIds {
    entropy: Arc<dyn Entropy>,
    since: Instant,
    beginning: u64,
}

impl RequestIds {
    /// Starts the count of milliseconds now.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        Self { entropy, since: Instant::now(), beginning: u64::from_be_bytes(bytes) }
    }

    /// A fresh id.
    pub fn next(&self) -> RequestId {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        let elapsed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        // The low 48 bits are eight characters.
        let prefix = self.beginning.wrapping_add(elapsed).to_be_bytes();
        bytes[..6].copy_from_slice(&prefix[2..]);
        clock::named(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::OsEntropy;

    #[test]
    fn ids_of_one_moment_begin_alike_and_differ() {
        let ids = RequestIds::new(Arc::new(OsEntropy));
        let made: std::collections::BTreeSet<String> = (0..1000).map(|_| ids.next().to_string()).collect();
        assert_eq!(made.len(), 1000);
        // Six characters cover 4 seconds and more; a border may fall between.
        let begins: std::collections::BTreeSet<&str> = made.iter().map(|id| &id[..6]).collect();
        assert!(begins.len() <= 2 && made.iter().all(|id| id.len() == 22), "{begins:?}");
        let others = RequestIds::new(Arc::new(OsEntropy)).next().to_string();
        assert_ne!(others[..8], made.first().expect("an id")[..8], "another start begins elsewhere");
    }
}
