//! Changes of partners.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::partner::Partner;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::PartnerName;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of partners.
    pub enum PartnerChange {
        /// A new or changed partner was submitted and waits for its approval.
        #[kind = "partner.submitted"]
        Submitted {
            /// The record.
            record: Box<Partner>,
            /// The approval that it opens.
            approval: Approval,
        },
        /// A submitted partner counts as verified until its verification expires.
        #[kind = "partner.verified"]
        Verified {
            /// The partner.
            partner: PartnerName,
            /// The version that was approved.
            version: Digest,
        },
        /// Security suspended a partner.
        #[kind = "partner.suspended"]
        Suspended {
            /// The partner.
            partner: PartnerName,
            /// The reason.
            reason: Text,
        },
        /// Somebody asked to lift a partner's suspension.
        #[kind = "partner.resume-asked"]
        ResumeAsked {
            /// The partner.
            partner: PartnerName,
            /// The reason.
            reason: Text,
            /// The approval that it opens.
            approval: Approval,
        },
        /// A partner's suspension was lifted.
        #[kind = "partner.resumed"]
        Resumed {
            /// The partner.
            partner: PartnerName,
        },
    }
}

impl PartnerChange {
    /// The partner that the change is about.
    pub fn partner(&self) -> &PartnerName {
        match self {
            Self::Submitted { record, .. } => &record.name,
            Self::Verified { partner, .. }
            | Self::Suspended { partner, .. }
            | Self::ResumeAsked { partner, .. }
            | Self::Resumed { partner } => partner,
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        self.partner().to_string()
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Submitted { approval, .. } => approval.reason.as_ref(),
            Self::Suspended { reason, .. } | Self::ResumeAsked { reason, .. } => Some(reason),
            Self::Verified { .. } | Self::Resumed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Submitted { approval, .. } => approval.texts_mut().collect(),
            Self::Suspended { reason, .. } => vec![reason],
            Self::ResumeAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Verified { .. } | Self::Resumed { .. } => Vec::new(),
        }
    }
}
