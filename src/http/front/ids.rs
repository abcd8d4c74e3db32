//! The ids of requests.

use std::sync::Arc;
use std::time::Instant;

use crate::domain::value::clock::Entropy;
use crate::domain::value::names::RequestId;
use crate::domain::value::ordered_ids::OrderedIds;

/// The generator of request ids.
pub struct RequestIds {
    ids: OrderedIds,
    since: Instant,
}

impl RequestIds {
    /// Starts the count of milliseconds now.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { ids: OrderedIds::new(entropy), since: Instant::now() }
    }

    /// A fresh id.
    pub fn next(&self) -> RequestId {
        self.ids.next(self.since.elapsed())
    }
}
