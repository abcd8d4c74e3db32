//! Whom a mail is for: by what names them on record, and never by an address.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::value::names::IntegrationId;

/// Somebody whom a mail is for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressee {
    /// The application owner of an integration.
    Application(IntegrationId),
    /// The business owner of an integration.
    Business(IntegrationId),
    /// An address of `[mail] security`.
    Security,
}

impl Addressee {
    /// The integration whose owner it is.
    pub fn integration(&self) -> Option<&IntegrationId> {
        match self {
            Self::Application(integration) | Self::Business(integration) => Some(integration),
            Self::Security => None,
        }
    }
}

impl fmt::Display for Addressee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application(integration) => write!(f, "application owner of {integration}"),
            Self::Business(integration) => write!(f, "business owner of {integration}"),
            Self::Security => f.write_str("security"),
        }
    }
}
