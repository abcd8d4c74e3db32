//! Changes of integrations.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::integration::Integration;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::IntegrationId;
use crate::domain::value::text::Text;

kinds! {
    /// What happens to integrations.
    pub enum IntegrationChange {
        /// A draft was stored.
        #[kind = "integration.drafted"]
        Drafted {
            /// The record.
            record: Box<Integration>,
            /// Why, where the person who applied it said so.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
        /// A draft was submitted.
        #[kind = "integration.submitted"]
        Submitted {
            /// Which.
            integration: IntegrationId,
            /// What must be approved.
            approval: Approval,
        },
        /// The last condition came to hold: tokens may be had.
        #[kind = "integration.activated"]
        Activated {
            /// Which.
            integration: IntegrationId,
            /// The version in force from now on.
            version: Digest,
        },
        /// A change that is not provably narrowing is held; the version in force stays.
        #[kind = "integration.change-held"]
        ChangeHeld {
            /// The new record.
            record: Box<Integration>,
            /// What must be approved.
            approval: Approval,
        },
        /// A held version came into force.
        #[kind = "integration.changed"]
        Changed {
            /// Which.
            integration: IntegrationId,
            /// The version in force from now on.
            version: Digest,
        },
        /// A narrower version came into force at once.
        #[kind = "integration.narrowed"]
        Narrowed {
            /// The record.
            record: Box<Integration>,
            /// Why, where the person who applied it said so.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
        /// Security stopped an integration.
        #[kind = "integration.suspended"]
        Suspended {
            /// Which.
            integration: IntegrationId,
            /// Why.
            reason: Text,
        },
        /// Somebody asked to lift a suspension.
        #[kind = "integration.resume-asked"]
        ResumeAsked {
            /// Which.
            integration: IntegrationId,
            /// Why.
            reason: Text,
            /// What must be approved.
            approval: Approval,
        },
        /// A suspension was lifted. Tokens that it cut stay cut.
        #[kind = "integration.resumed"]
        Resumed {
            /// Which.
            integration: IntegrationId,
        },
    }
}

impl IntegrationChange {
    /// The integration that the change is about.
    pub fn integration(&self) -> &IntegrationId {
        match self {
            Self::Drafted { record, .. } | Self::ChangeHeld { record, .. } | Self::Narrowed { record, .. } => &record.id,
            Self::Submitted { integration, .. }
            | Self::Activated { integration, .. }
            | Self::Changed { integration, .. }
            | Self::Suspended { integration, .. }
            | Self::ResumeAsked { integration, .. }
            | Self::Resumed { integration } => integration,
        }
    }

    /// What the change is about.
    pub fn subject(&self) -> String {
        self.integration().to_string()
    }

    /// Why.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Drafted { reason, .. } | Self::Narrowed { reason, .. } => reason.as_ref(),
            Self::Submitted { approval, .. } | Self::ChangeHeld { approval, .. } => approval.reason.as_ref(),
            Self::Suspended { reason, .. } | Self::ResumeAsked { reason, .. } => Some(reason),
            Self::Activated { .. } | Self::Changed { .. } | Self::Resumed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Drafted { reason, .. } | Self::Narrowed { reason, .. } => reason.iter_mut().collect(),
            Self::Submitted { approval, .. } | Self::ChangeHeld { approval, .. } => approval.texts_mut().collect(),
            Self::Suspended { reason, .. } => vec![reason],
            Self::ResumeAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Activated { .. } | Self::Changed { .. } | Self::Resumed { .. } => Vec::new(),
        }
    }
}
