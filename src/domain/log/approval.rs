//! Changes of approvals. Each is opened by the change of what it is about.

use super::kinds::kinds;
use crate::domain::people::actor::Role;
use crate::domain::registry::approval::Verdict;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::Text;

kinds! {
    /// What happens to approvals.
    pub enum ApprovalChange {
        /// Somebody reviewed an approval.
        #[kind = "approval.reviewed"]
        Reviewed {
            /// Which.
            approval: ApprovalId,
            /// For or against.
            verdict: Verdict,
            /// Why.
            reason: Text,
            /// The slots that this review may fill (the reviewer's roles at that moment).
            roles: Vec<Role>,
        },
    }
}

impl ApprovalChange {
    /// What the change is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Reviewed { approval, .. } => approval.to_string(),
        }
    }

    /// Why.
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
