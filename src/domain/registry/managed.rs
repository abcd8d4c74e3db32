//! Who applies a record.

use serde::{Deserialize, Serialize};

/// What manages a record: people apply no version of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManagedBy {
    /// Files in Git, which a machine applies.
    Git,
}
