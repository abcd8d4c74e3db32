//! Changes of offboardings, from their start to their end, and the dependencies that people register.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::offboarding::{Dependency, Found, Run, Test};
use crate::domain::registry::suspension::Party;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{IntegrationId, OffboardingId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of offboardings.
    pub enum OffboardingChange {
        /// One began: with this entry its subject is frozen, and everything that it had is cut.
        #[kind = "offboarding.started"]
        Started {
            /// The case.
            offboarding: OffboardingId,
            /// Who is offboarded.
            about: Party,
            /// Why.
            reason: Text,
        },
        /// The broker read in the log which tokens the subject ever had.
        #[kind = "offboarding.dependencies-found"]
        DependenciesFound {
            /// The case.
            offboarding: OffboardingId,
            /// The tokens, by API and environment.
            found: Vec<Found>,
            /// How many tokens lived when it began.
            living: u64,
            /// When the last of them expires; absent if none lived.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            last: Option<Timestamp>,
        },
        /// An API says that it removed what it had for the subject, or a person says so in its place.
        #[kind = "offboarding.acknowledged"]
        Acknowledged {
            /// The case.
            offboarding: OffboardingId,
            /// The API and the environment.
            on: Dependency,
            /// What was removed there.
            removed: Vec<Text>,
            /// What shows it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            evidence: Option<Text>,
        },
        /// The broker tried what should not work any more.
        #[kind = "offboarding.tested"]
        Tested {
            /// The case.
            offboarding: OffboardingId,
            /// Which run it is.
            run: Run,
            /// The tests.
            tests: Vec<Test>,
        },
        /// An API has not acknowledged for long.
        #[kind = "offboarding.waiting"]
        Waiting {
            /// The case.
            offboarding: OffboardingId,
            /// The days since it began.
            days: u32,
            /// Whose word is missing.
            missing: Vec<Dependency>,
        },
        /// Everything is over, and two people are asked to sign the case off.
        #[kind = "offboarding.sign-off-asked"]
        SignOffAsked {
            /// The case.
            offboarding: OffboardingId,
            /// The approval that this opens.
            approval: Box<Approval>,
        },
        /// Somebody asks to give the case up.
        #[kind = "offboarding.abort-asked"]
        AbortAsked {
            /// The case.
            offboarding: OffboardingId,
            /// Why.
            reason: Text,
            /// The approval that this opens.
            approval: Box<Approval>,
        },
        /// It was given up: its subject comes back suspended. Tokens and certificates that were cut do not come back.
        #[kind = "offboarding.aborted"]
        Aborted {
            /// The case.
            offboarding: OffboardingId,
        },
        /// It was signed off: its subject has ended, for good.
        #[kind = "offboarding.closed"]
        Closed {
            /// The case.
            offboarding: OffboardingId,
            /// SHA-256 of the manifest of its dossier.
            manifest: Digest,
            /// The dossier holds entries before this one.
            until: u64,
        },
        /// Somebody registered that an integration is relied on somewhere.
        #[kind = "dependency.registered"]
        Registered {
            /// The integration.
            integration: IntegrationId,
            /// The API and the environment.
            on: Dependency,
            /// What is there for it.
            what: Text,
        },
    }
}

impl OffboardingChange {
    /// The case, if it is about one.
    pub fn offboarding(&self) -> Option<&OffboardingId> {
        match self {
            Self::Started { offboarding, .. }
            | Self::DependenciesFound { offboarding, .. }
            | Self::Acknowledged { offboarding, .. }
            | Self::Tested { offboarding, .. }
            | Self::Waiting { offboarding, .. }
            | Self::SignOffAsked { offboarding, .. }
            | Self::AbortAsked { offboarding, .. }
            | Self::Aborted { offboarding }
            | Self::Closed { offboarding, .. } => Some(offboarding),
            Self::Registered { .. } => None,
        }
    }

    /// The subject of the change: the case, or who is offboarded where it begins.
    pub fn subject(&self) -> String {
        match self {
            Self::Started { about, .. } => about.to_string(),
            Self::Registered { integration, .. } => integration.to_string(),
            Self::DependenciesFound { offboarding, .. }
            | Self::Acknowledged { offboarding, .. }
            | Self::Tested { offboarding, .. }
            | Self::Waiting { offboarding, .. }
            | Self::SignOffAsked { offboarding, .. }
            | Self::AbortAsked { offboarding, .. }
            | Self::Aborted { offboarding }
            | Self::Closed { offboarding, .. } => offboarding.to_string(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Started { reason, .. } | Self::AbortAsked { reason, .. } => Some(reason),
            Self::DependenciesFound { .. }
            | Self::Acknowledged { .. }
            | Self::Tested { .. }
            | Self::Waiting { .. }
            | Self::SignOffAsked { .. }
            | Self::Aborted { .. }
            | Self::Closed { .. }
            | Self::Registered { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Started { reason, .. } => vec![reason],
            Self::Acknowledged { removed, evidence, .. } => removed.iter_mut().chain(evidence).collect(),
            Self::SignOffAsked { approval, .. } => approval.texts_mut().collect(),
            Self::AbortAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Registered { what, .. } => vec![what],
            Self::DependenciesFound { .. }
            | Self::Tested { .. }
            | Self::Waiting { .. }
            | Self::Aborted { .. }
            | Self::Closed { .. } => Vec::new(),
        }
    }
}
