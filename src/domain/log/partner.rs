//! Changes of partners.

use std::collections::BTreeSet;

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::partner::Partner;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, PartnerName, SuspensionId};
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
        /// A partner was suspended: everywhere, or in the environments that are named.
        #[kind = "partner.suspended"]
        Suspended {
            /// The partner.
            partner: PartnerName,
            /// The reason.
            reason: Text,
            /// The suspension; named after the index of the entry if it is absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            id: Option<SuspensionId>,
            /// The environments that it covers; all if it names none.
            #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
            environments: BTreeSet<EnvironmentName>,
        },
        /// Somebody asked to lift suspensions of a partner.
        #[kind = "partner.resume-asked"]
        ResumeAsked {
            /// The partner.
            partner: PartnerName,
            /// The reason.
            reason: Text,
            /// The approval that it opens.
            approval: Approval,
            /// The suspensions that it would lift; all that were in force if it names none.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            suspensions: Vec<SuspensionId>,
        },
        /// Suspensions of a partner were lifted. Tokens that they cut stay cut.
        #[kind = "partner.resumed"]
        Resumed {
            /// The partner.
            partner: PartnerName,
            /// The suspensions that were lifted; all that were in force if it names none.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            suspensions: Vec<SuspensionId>,
        },
    }
}

impl PartnerChange {
    /// A suspension in every environment, named after the index of its entry.
    pub fn suspended(partner: PartnerName, reason: Text) -> Self {
        Self::Suspended { partner, reason, id: None, environments: BTreeSet::new() }
    }

    /// The partner that the change is about.
    pub fn partner(&self) -> &PartnerName {
        match self {
            Self::Submitted { record, .. } => &record.name,
            Self::Verified { partner, .. }
            | Self::Suspended { partner, .. }
            | Self::ResumeAsked { partner, .. }
            | Self::Resumed { partner, .. } => partner,
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
