//! Changes of approvals. An approval is opened by the change that it is about.

use super::kinds::kinds;
use crate::domain::people::roles::Roles;
use crate::domain::registry::approval::Verdict;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of approvals.
    pub enum ApprovalChange {
        /// Somebody reviewed an approval.
        #[kind = "approval.reviewed"]
        Reviewed {
            /// The id of the approval.
            approval: ApprovalId,
            /// The verdict.
            verdict: Verdict,
            /// The reason.
            reason: Text,
            /// The slots that this review may fill: the reviewer's roles at that moment.
            roles: Roles,
        },
    }
}

impl ApprovalChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Reviewed { approval, .. } => approval.to_string(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Reviewed { reason, .. } => Some(reason),
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Reviewed { reason, .. } => vec![reason],
        }
    }
}
