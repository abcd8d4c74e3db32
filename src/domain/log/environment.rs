//! Changes of environments. What the operator configures of them is `ConfigurationChange`.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::value::names::{EnvironmentName, Issuer};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of environments.
    pub enum EnvironmentChange {
        /// Somebody asked to close one for everybody.
        #[kind = "environment.close-asked"]
        CloseAsked {
            /// The environment.
            environment: EnvironmentName,
            /// The reason.
            reason: Text,
            /// The approval that this opens.
            approval: Box<Approval>,
        },
        /// It was closed, and stays so.
        #[kind = "environment.closed"]
        Closed {
            /// The environment.
            environment: EnvironmentName,
            /// Its issuer, which is configured for no other one.
            issuer: Issuer,
        },
    }
}

impl EnvironmentChange {
    /// The environment that the change is about.
    pub fn environment(&self) -> &EnvironmentName {
        match self {
            Self::CloseAsked { environment, .. } | Self::Closed { environment, .. } => environment,
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        self.environment().to_string()
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::CloseAsked { reason, .. } => Some(reason),
            Self::Closed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::CloseAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Closed { .. } => Vec::new(),
        }
    }
}
