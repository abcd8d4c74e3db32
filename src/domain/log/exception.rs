//! Changes of static secrets that still live at a partner: what closes one.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::value::names::{ExceptionId, IntegrationId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of static secrets that still live at a partner.
    pub enum ExceptionChange {
        /// Somebody says that one lives no more.
        #[kind = "exception.close-asked"]
        CloseAsked {
            /// The exception.
            exception: ExceptionId,
            /// Its integration.
            integration: IntegrationId,
            /// What shows it.
            evidence: Text,
            /// The approval that this opens.
            approval: Box<Approval>,
        },
        /// It is closed: it refuses nothing, and may leave the record.
        #[kind = "exception.closed"]
        Closed {
            /// The exception.
            exception: ExceptionId,
            /// Its integration.
            integration: IntegrationId,
        },
    }
}

impl ExceptionChange {
    /// The integration.
    pub fn integration(&self) -> &IntegrationId {
        match self {
            Self::CloseAsked { integration, .. } | Self::Closed { integration, .. } => integration,
        }
    }

    /// The subject of the change: the integration.
    pub fn subject(&self) -> String {
        self.integration().to_string()
    }

    /// What shows that it lives no more.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::CloseAsked { evidence, .. } => Some(evidence),
            Self::Closed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::CloseAsked { evidence, approval, .. } => approval.texts_mut().chain([evidence]).collect(),
            Self::Closed { .. } => Vec::new(),
        }
    }
}
