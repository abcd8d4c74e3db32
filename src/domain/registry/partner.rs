//! The record of a partner: the company, how it is reached, and who checked that it is who it says.

use serde::{Deserialize, Serialize};

use super::managed::ManagedBy;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PartnerName;
use crate::domain::value::text::Text;

/// `kind: Partner`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Partner {
    /// `metadata.name`.
    pub name: PartnerName,
    /// The company's name.
    pub legal_name: Text,
    /// Domains that are the company's.
    pub domains: Vec<String>,
    /// The addresses to write to. Contacts give no right.
    pub contacts: Contacts,
    /// The check of the company: by a person, on a day, on evidence, and with an end.
    pub verification: Verification,
    /// `metadata.managedBy`: who applies it, if it is not left to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<ManagedBy>,
}

/// Addresses at the partner.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contacts {
    /// For integration matters.
    pub technical: Text,
    /// For incidents.
    pub security: Text,
}

/// The check of a partner's identity.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The person who checked.
    pub by: Text,
    /// First second of the day on which it was checked.
    pub on: Timestamp,
    /// `sha256:` of the evidence, or another reference to it.
    pub evidence: String,
    /// The first second after the check: tokens end there (`partner.verification-expired`).
    pub expires: Timestamp,
}

impl Partner {
    /// The texts that people may ask us to forget, in an order that never changes. New ones go to the end.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        let Self { name: _, legal_name, domains: _, contacts, verification, managed_by: _ } = self;
        let Contacts { technical, security } = contacts;
        let Verification { by, on: _, evidence: _, expires: _ } = verification;
        vec![legal_name, technical, security, by]
    }
}
