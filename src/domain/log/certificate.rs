//! Changes of the authorities that make certificates, of certificates, and of enrolments.

use super::kinds::kinds;
use crate::domain::credential::certificate::{Authority, Leaf, ServerLeaf};
use crate::domain::registry::approval::Approval;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnrolmentId, EnvironmentName, IntegrationId, KeyId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of authorities, certificates and enrolments.
    #[expect(clippy::large_enum_variant, reason = "a change is made once, and its entry is boxed")]
    pub enum CertificateChange {
        /// An authority for certificates was made; from now on it issues.
        #[kind = "authority.created"]
        AuthorityCreated {
            /// The authority.
            authority: Box<Authority>,
            /// The reason, if somebody asked for it.
            #[serde(skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
        /// An authority's issuing key was tainted: neither it nor what it signed counts any more.
        #[kind = "authority.tainted"]
        AuthorityTainted {
            /// Its environment.
            environment: EnvironmentName,
            /// The issuing key.
            kid: KeyId,
            /// The reason.
            reason: Text,
        },
        /// Somebody asked for a one-time enrolment token.
        #[kind = "enrolment.asked"]
        EnrolmentAsked {
            /// Its id.
            id: EnrolmentId,
            /// The integration that it is for.
            integration: IntegrationId,
            /// The environment.
            environment: EnvironmentName,
            /// SHA-256 of the token's secret.
            secret: Digest,
            /// The reason.
            reason: Text,
            /// The approval that it opens.
            approval: Approval,
        },
        /// A certificate is about to be signed.
        #[kind = "certificate.issued"]
        Issued {
            /// The content that it will have.
            leaf: Leaf,
            /// The enrolment that it uses up; `None` for one that a certificate asked for.
            #[serde(skip_serializing_if = "Option::is_none")]
            enrolment: Option<EnrolmentId>,
        },
        /// A certificate of our own, for a socket or a responder, is about to be signed.
        #[kind = "certificate.server-issued"]
        ServerIssued {
            /// The content that it will have.
            leaf: ServerLeaf,
        },
    }
}

impl CertificateChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::AuthorityCreated { authority, .. } => format!("{}/{}", authority.environment, authority.kid),
            Self::AuthorityTainted { environment, kid, .. } => format!("{environment}/{kid}"),
            Self::EnrolmentAsked { integration, .. } => integration.to_string(),
            Self::Issued { leaf, .. } => leaf.integration.to_string(),
            Self::ServerIssued { leaf } => format!("{}/{}", leaf.environment, leaf.serial),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::AuthorityCreated { reason, .. } => reason.as_ref(),
            Self::AuthorityTainted { reason, .. } | Self::EnrolmentAsked { reason, .. } => Some(reason),
            Self::Issued { .. } | Self::ServerIssued { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::AuthorityCreated { reason, .. } => reason.iter_mut().collect(),
            Self::AuthorityTainted { reason, .. } => vec![reason],
            Self::EnrolmentAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::Issued { .. } | Self::ServerIssued { .. } => Vec::new(),
        }
    }
}
