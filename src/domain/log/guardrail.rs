//! Changes of guardrails.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::guardrail::Guardrail;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::GuardrailName;
use crate::domain::value::text::Text;
use crate::domain::value::zero::is_zero;

kinds! {
    /// Changes of guardrails.
    pub enum GuardrailChange {
        /// A version was submitted and waits for its approval.
        #[kind = "guardrail.submitted"]
        Submitted {
            /// The record.
            record: Box<Guardrail>,
            /// The approval that it opens.
            approval: Approval,
            /// The number of tokens of the last 30 days that it would have refused.
            refuses: u64,
            /// The number of those of which that is unknown.
            #[serde(default, skip_serializing_if = "is_zero")]
            unknown: u64,
        },
        /// A submitted version came into force.
        #[kind = "guardrail.approved"]
        Approved {
            /// The guardrail.
            guardrail: GuardrailName,
            /// The version that was approved.
            version: Digest,
        },
        /// A person of security put a version in force at once.
        #[kind = "guardrail.applied"]
        Applied {
            /// The record.
            record: Box<Guardrail>,
            /// The number of tokens of the last 30 days that it would have refused.
            refuses: u64,
            /// The number of those of which that is unknown.
            #[serde(default, skip_serializing_if = "is_zero")]
            unknown: u64,
            /// The reason, if the person who applied it gave one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
        /// Somebody asked to remove one.
        #[kind = "guardrail.removal-asked"]
        RemovalAsked {
            /// The guardrail.
            guardrail: GuardrailName,
            /// The reason.
            reason: Text,
            /// The approval that this opens.
            approval: Approval,
        },
        /// It was removed.
        #[kind = "guardrail.removed"]
        Removed {
            /// The guardrail.
            guardrail: GuardrailName,
        },
    }
}

impl GuardrailChange {
    /// The guardrail that the change is about.
    pub fn guardrail(&self) -> &GuardrailName {
        match self {
            Self::Submitted { record, .. } | Self::Applied { record, .. } => &record.name,
            Self::Approved { guardrail, .. } | Self::RemovalAsked { guardrail, .. } | Self::Removed { guardrail } => guardrail,
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        self.guardrail().to_string()
    }

    /// Why it was applied, or is to be removed.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Submitted { approval, .. } => approval.reason.as_ref(),
            Self::Applied { reason, .. } => reason.as_ref(),
            Self::RemovalAsked { reason, .. } => Some(reason),
            Self::Approved { .. } | Self::Removed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Submitted { approval, .. } => approval.texts_mut().collect(),
            Self::Applied { reason, .. } => reason.iter_mut().collect(),
            Self::RemovalAsked { reason, approval, .. } => std::iter::once(reason).chain(approval.texts_mut()).collect(),
            Self::Approved { .. } | Self::Removed { .. } => Vec::new(),
        }
    }
}
