//! Dates at which access begins, ends or is due to change by itself, as people are told of them.
//!
//! A new kind of date is a variant of [`Date`] and an arm of [`State::dates_of`](crate::domain::state::State::dates_of): everything else
//! follows from the two. No decision reads them: what refuses after a date reads the record.

use serde::{Deserialize, Serialize};

use super::suspension::Party;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{BindingName, EnvironmentName, ExceptionId, IntegrationId, PartnerName};

/// The days before a date on which people may be told of it, and the date itself.
pub const DAYS_BEFORE: [u32; 6] = [60, 30, 14, 7, 3, 0];

/// Those of most dates.
const USUAL: [u32; 4] = [60, 30, 7, 0];

/// Those of an offboarding that opens by itself: when the contract is over, and shortly before.
const OF_OFFBOARDING: [u32; 3] = [14, 3, 0];

/// An offboarding opens by itself so long after the contract, where the record wants it.
pub const OFFBOARDS_AFTER: Seconds = Seconds::days(14);

/// A date by what it is about. It has names of ours alone.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(tag = "of")]
pub enum Date {
    /// The verification of a partner expires.
    #[serde(rename = "verification-expires")]
    VerificationExpires {
        /// The partner.
        partner: PartnerName,
    },
    /// The contract of an integration begins.
    #[serde(rename = "contract-starts")]
    ContractStarts {
        /// The integration.
        integration: IntegrationId,
    },
    /// The contract of an integration is over.
    #[serde(rename = "contract-ends")]
    ContractEnds {
        /// The integration.
        integration: IntegrationId,
    },
    /// The contract is long over, and an offboarding opens by itself.
    #[serde(rename = "offboarding-opens")]
    OffboardingOpens {
        /// The integration.
        integration: IntegrationId,
    },
    /// The access of an integration in one environment is over.
    #[serde(rename = "environment-ends")]
    EnvironmentEnds {
        /// The integration.
        integration: IntegrationId,
        /// The environment.
        environment: EnvironmentName,
    },
    /// The time of a static secret at the partner is over.
    #[serde(rename = "exception-ends")]
    ExceptionEnds {
        /// The integration.
        integration: IntegrationId,
        /// The static secret.
        exception: ExceptionId,
    },
    /// The review of an integration in one environment is due. It opens 30 days before.
    #[serde(rename = "review-due")]
    ReviewDue {
        /// The integration.
        integration: IntegrationId,
        /// The environment.
        environment: EnvironmentName,
    },
    /// The time is over for which an integration lasts without its owner.
    #[serde(rename = "owner-grace-ends")]
    OwnerGraceEnds {
        /// The integration.
        integration: IntegrationId,
    },
    /// The newest key of the issuer that a binding trusts is due to change.
    #[serde(rename = "issuer-key-due")]
    IssuerKeyDue {
        /// The integration.
        integration: IntegrationId,
        /// The environment.
        environment: EnvironmentName,
        /// The binding.
        binding: BindingName,
    },
    /// The key of a certificate is due to change.
    #[serde(rename = "certificate-key-due")]
    CertificateKeyDue {
        /// The integration.
        integration: IntegrationId,
        /// The environment.
        environment: EnvironmentName,
        /// SHA-256 of the SubjectPublicKeyInfo.
        key: Digest,
    },
}

/// A date of which people are told now.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Noticed {
    /// What it is about.
    pub date: Date,
    /// When it comes: the first second after the last day of what ends.
    pub at: Timestamp,
    /// How many days before it this is: one of [`DAYS_BEFORE`].
    pub days: u32,
}

/// The order in which people are told: by the moment of the notice, and then one after the other.
pub type Place<'a> = (Timestamp, usize, &'a Party, &'a Date);

impl Date {
    /// Whose it is.
    pub fn party(&self) -> Party {
        match self {
            Self::VerificationExpires { partner } => Party::Partner(partner.clone()),
            Self::ContractStarts { integration }
            | Self::ContractEnds { integration }
            | Self::OffboardingOpens { integration }
            | Self::EnvironmentEnds { integration, .. }
            | Self::ExceptionEnds { integration, .. }
            | Self::ReviewDue { integration, .. }
            | Self::OwnerGraceEnds { integration }
            | Self::IssuerKeyDue { integration, .. }
            | Self::CertificateKeyDue { integration, .. } => Party::Integration(integration.clone()),
        }
    }

    /// The environment that it is about, if it is about one alone.
    pub fn environment(&self) -> Option<&EnvironmentName> {
        match self {
            Self::EnvironmentEnds { environment, .. }
            | Self::ReviewDue { environment, .. }
            | Self::IssuerKeyDue { environment, .. }
            | Self::CertificateKeyDue { environment, .. } => Some(environment),
            Self::VerificationExpires { .. }
            | Self::ContractStarts { .. }
            | Self::ContractEnds { .. }
            | Self::OffboardingOpens { .. }
            | Self::ExceptionEnds { .. }
            | Self::OwnerGraceEnds { .. } => None,
        }
    }

    /// The word for the right that ends with it; `None` if none does.
    pub fn ends(&self) -> Option<&'static str> {
        match self {
            Self::VerificationExpires { .. } => Some("verification"),
            Self::ContractEnds { .. } => Some("contract"),
            Self::EnvironmentEnds { .. } => Some("environment"),
            Self::ExceptionEnds { .. } => Some("exception"),
            Self::OwnerGraceEnds { .. } => Some("owner"),
            // Whether a review that is late ends something is for its record to say.
            Self::ReviewDue { .. }
            | Self::ContractStarts { .. }
            | Self::OffboardingOpens { .. }
            | Self::IssuerKeyDue { .. }
            | Self::CertificateKeyDue { .. } => None,
        }
    }

    /// The days before it on which people are told, and the date itself: some of [`DAYS_BEFORE`].
    pub fn days_before(&self) -> &'static [u32] {
        match self {
            Self::OffboardingOpens { .. } => &OF_OFFBOARDING,
            Self::VerificationExpires { .. }
            | Self::ContractStarts { .. }
            | Self::ContractEnds { .. }
            | Self::EnvironmentEnds { .. }
            | Self::ExceptionEnds { .. }
            | Self::ReviewDue { .. }
            | Self::OwnerGraceEnds { .. }
            | Self::IssuerKeyDue { .. }
            | Self::CertificateKeyDue { .. } => &USUAL,
        }
    }

    /// The subject of its event: the partner, the integration, the integration in an environment, or a binding there.
    pub fn subject(&self) -> String {
        let party = self.party();
        let place = self.environment().map_or_else(String::new, |environment| format!("/{environment}"));
        let binding = if let Self::IssuerKeyDue { binding, .. } = self { format!("/{binding}") } else { String::new() };
        format!("{party}{place}{binding}")
    }
}

impl Noticed {
    /// When people are to be told.
    pub fn instant(&self) -> Timestamp {
        self.at.minus(Seconds::days(self.days))
    }
}
