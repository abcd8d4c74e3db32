//! A server of Redis, with its connection and its queues.

use super::batcher::Batcher;
use super::link::Link;

/// A server, with its connection and its queues.
#[derive(Clone)]
pub(super) struct Node {
    pub link: Link,
    /// For admissions and proofs, of which each caller has a quota.
    pub admissions: Batcher,
    /// For look-ups of tokens, which nobody meters: a flood of them takes no place in the queue that minting needs (ABUSE I-18).
    pub looks: Batcher,
}

impl Node {
    pub fn new(link: Link) -> Self {
        Self { admissions: Batcher::new(link.clone()), looks: Batcher::new(link.clone()), link }
    }
}
