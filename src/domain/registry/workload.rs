//! What an integration is, for those who answer for it.

use serde::{Deserialize, Serialize};

/// The kind of workload that an integration is of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// A program that does what it was written to do.
    #[default]
    Service,
    /// An agent that a model steers. Frameworks for AI ask about these alone.
    AiAgent,
}

impl Workload {
    /// Whether a record says nothing else.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
