//! Evidence that was given to people, and what holds it.

use super::kinds::kinds;
use crate::domain::registry::evidence::Evidence;
use crate::domain::value::digest::Digest;
use crate::domain::value::text::Text;

kinds! {
    /// Evidence that was given to people.
    pub enum EvidenceChange {
        /// Somebody took a report as a bundle.
        #[kind = "evidence.given"]
        Given {
            /// What it is about.
            about: Evidence,
            /// The report is by the entries before this one.
            until: u64,
            /// SHA-256 of the manifest of the bundle.
            manifest: Digest,
        },
    }
}

impl EvidenceChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Given { .. } => "evidence".to_owned(),
        }
    }

    /// The reason, which nobody gives.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Given { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Given { .. } => Vec::new(),
        }
    }
}
