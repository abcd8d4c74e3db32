//! Changes of integrations.

use std::collections::BTreeSet;

use super::kinds::kinds;
use crate::domain::people::owners::OwnerIds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::suspension::SuspensionCause;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{BindingName, EnvironmentName, IntegrationId, SuspensionId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of integrations.
    pub enum IntegrationChange {
        /// A draft was stored.
        #[kind = "integration.drafted"]
        Drafted {
            /// The record.
            record: Box<Integration>,
            /// The reason, if the person who applied it gave one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
        /// A draft was submitted.
        #[kind = "integration.submitted"]
        Submitted {
            /// The integration.
            integration: IntegrationId,
            /// The approval that it opens.
            approval: Approval,
            /// The owners in the people directory, where there is one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            owners: Option<OwnerIds>,
        },
        /// A draft that was never active was discarded. Its name is free.
        #[kind = "integration.discarded"]
        Discarded {
            /// The integration.
            integration: IntegrationId,
            /// The version of the draft.
            version: Digest,
            /// The reason.
            reason: Text,
        },
        /// The last condition is met, and tokens may be issued.
        #[kind = "integration.activated"]
        Activated {
            /// The integration.
            integration: IntegrationId,
            /// The version in force from now on.
            version: Digest,
            /// The owners in the people directory, where there is one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            owners: Option<OwnerIds>,
        },
        /// A change that is not provably narrowing is held; the version in force stays.
        #[kind = "integration.change-held"]
        ChangeHeld {
            /// The new record.
            record: Box<Integration>,
            /// The approval that it opens.
            approval: Approval,
            /// The owners in the people directory, where there is one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            owners: Option<OwnerIds>,
        },
        /// A held version came into force.
        #[kind = "integration.changed"]
        Changed {
            /// The integration.
            integration: IntegrationId,
            /// The version in force from now on.
            version: Digest,
            /// The owners in the people directory, where there is one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            owners: Option<OwnerIds>,
        },
        /// A narrower version came into force at once.
        #[kind = "integration.narrowed"]
        Narrowed {
            /// The record.
            record: Box<Integration>,
            /// The reason, if the person who applied it gave one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
        /// An integration was suspended: everywhere, or in the environments that are named.
        #[kind = "integration.suspended"]
        Suspended {
            /// The integration.
            integration: IntegrationId,
            /// The reason.
            reason: Text,
            /// The suspension; named after the index of the entry if it is absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            id: Option<SuspensionId>,
            /// The environments that it covers; all if it names none.
            #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
            environments: BTreeSet<EnvironmentName>,
            /// Why; absent where somebody decided it.
            #[serde(default, skip_serializing_if = "SuspensionCause::is_decision")]
            cause: SuspensionCause,
        },
        /// Nobody used an integration in an environment, or one of its bindings there, for as long as `unused_warn`.
        #[kind = "integration.unused"]
        Unused {
            /// The integration.
            integration: IntegrationId,
            /// The environment.
            environment: EnvironmentName,
            /// The binding; absent where none was used.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            binding: Option<BindingName>,
            /// The last use, if the counts know one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            last: Option<Timestamp>,
        },
        /// Nobody used a binding for as long as `unused_suspend`: it refuses until a version is approved.
        #[kind = "integration.binding-retired"]
        BindingRetired {
            /// The integration.
            integration: IntegrationId,
            /// The environment.
            environment: EnvironmentName,
            /// The binding.
            binding: BindingName,
            /// The last use, if the counts know one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            last: Option<Timestamp>,
        },
        /// Somebody asked to lift suspensions.
        #[kind = "integration.resume-asked"]
        ResumeAsked {
            /// The integration.
            integration: IntegrationId,
            /// The reason.
            reason: Text,
            /// The approval that it opens.
            approval: Approval,
            /// The suspensions that it would lift; all that were in force if it names none.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            suspensions: Vec<SuspensionId>,
        },
        /// Suspensions were lifted. Tokens that they cut stay cut.
        #[kind = "integration.resumed"]
        Resumed {
            /// The integration.
            integration: IntegrationId,
            /// The suspensions that were lifted; all that were in force if it names none.
            #[serde(default, skip_serializing_if = "Vec::is_empty")]
            suspensions: Vec<SuspensionId>,
        },
    }
}

impl IntegrationChange {
    /// A suspension in every environment, named after the index of its entry.
    pub fn suspended(integration: IntegrationId, reason: Text) -> Self {
        let cause = SuspensionCause::Decision;
        Self::Suspended { integration, reason, id: None, environments: BTreeSet::new(), cause }
    }

    /// The integration that the change is about.
    pub fn integration(&self) -> &IntegrationId {
        match self {
            Self::Drafted { record, .. } | Self::ChangeHeld { record, .. } | Self::Narrowed { record, .. } => &record.id,
            Self::Submitted { integration, .. }
            | Self::Discarded { integration, .. }
            | Self::Activated { integration, .. }
            | Self::Changed { integration, .. }
            | Self::Suspended { integration, .. }
            | Self::Unused { integration, .. }
            | Self::BindingRetired { integration, .. }
            | Self::ResumeAsked { integration, .. }
            | Self::Resumed { integration, .. } => integration,
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        self.integration().to_string()
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Drafted { reason, .. } | Self::Narrowed { reason, .. } => reason.as_ref(),
            Self::Submitted { approval, .. } | Self::ChangeHeld { approval, .. } => approval.reason.as_ref(),
            Self::Discarded { reason, .. } | Self::Suspended { reason, .. } | Self::ResumeAsked { reason, .. } => Some(reason),
            Self::Activated { .. }
            | Self::Changed { .. }
            | Self::Resumed { .. }
            | Self::Unused { .. }
            | Self::BindingRetired { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Drafted { reason, .. } | Self::Narrowed { reason, .. } => reason.iter_mut().collect(),
            Self::Submitted { approval, .. } | Self::ChangeHeld { approval, .. } => approval.texts_mut().collect(),
            Self::Discarded { reason, .. } | Self::Suspended { reason, .. } => vec![reason],
            Self::ResumeAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Activated { .. }
            | Self::Changed { .. }
            | Self::Resumed { .. }
            | Self::Unused { .. }
            | Self::BindingRetired { .. } => Vec::new(),
        }
    }
}
