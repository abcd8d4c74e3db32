//! A change of any noun, and who caused it.
//!
//! Each noun has an enum of its own in this folder. [`Change`] joins them. The JSON is flat: `kind` stands beside the fields of the
//! change and of its entry, so no field may have the name of a field of [`ChangeEntry`](super::entry::ChangeEntry).

use serde::Serialize;
use serde::de::Error as _;

use super::api::ApiChange;
use super::approval::ApprovalChange;
use super::certificate::CertificateChange;
use super::configuration::ConfigurationChange;
use super::elevation::ElevationChange;
use super::integration::IntegrationChange;
use super::issuer_key::IssuerKeyChange;
use super::journal::JournalChange;
use super::key::KeyChange;
use super::partner::PartnerChange;
use super::passkey::PasskeyChange;
use super::revocation::RevocationChange;
use super::staff::StaffChange;
use super::text::TextChange;
use crate::domain::people::actor::Actor;
use crate::domain::value::text::{Text, TextDigest};
/// A change with who caused it.
#[derive(Clone, Debug, Serialize)]
pub struct Attributed {
    /// Who caused it.
    pub by: Actor,
    /// What happened.
    #[serde(flatten)]
    pub what: Change,
}

/// Anything that can happen to what the broker knows, by noun.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Change {
    /// To the journal itself.
    Journal(JournalChange),
    /// To what the operator configured.
    Configuration(ConfigurationChange),
    /// To our signing keys.
    Key(KeyChange),
    /// To authorities, certificates and enrolments.
    Certificate(CertificateChange),
    /// To the keys of partners' issuers.
    IssuerKey(IssuerKeyChange),
    /// To the catalogue.
    Api(ApiChange),
    /// To partners.
    Partner(PartnerChange),
    /// To integrations.
    Integration(IntegrationChange),
    /// To approvals.
    Approval(ApprovalChange),
    /// To elevations.
    Elevation(ElevationChange),
    /// To approvers' passkeys.
    Passkey(PasskeyChange),
    /// To revocations.
    Revocation(RevocationChange),
    /// To people's access.
    Staff(StaffChange),
    /// To texts of people.
    Text(TextChange),
}

/// Asks a change's noun. The compiler holds the list complete.
macro_rules! nouns {
    ($($noun:ident($changes:ident)),+ $(,)?) => {
        $(
            impl From<$changes> for Change {
                fn from(change: $changes) -> Self {
                    Self::$noun(change)
                }
            }

            impl $changes {
                /// Says who caused the change.
                pub fn by(self, by: Actor) -> Attributed {
                    Attributed { by, what: self.into() }
                }
            }
        )+

        impl Change {
            /// Every kind that there is.
            pub fn kinds() -> impl Iterator<Item = &'static str> {
                [$($changes::KINDS),+].into_iter().flatten().copied()
            }

            /// The entry's `kind`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$noun(change) => change.kind(),)+
                }
            }

            /// What the change is about, as the entry's `subject` has it.
            pub fn subject(&self) -> String {
                match self {
                    $(Self::$noun(change) => change.subject(),)+
                }
            }

            /// Why somebody made the change, where the change says so.
            pub fn reason(&self) -> Option<&Text> {
                match self {
                    $(Self::$noun(change) => change.reason(),)+
                }
            }

            /// The texts in the change that must be sealed before it is an entry, in a stable order.
            ///
            /// Whoever reads a record seals the texts of that record.
            pub fn texts_mut(&mut self) -> Vec<&mut Text> {
                match self {
                    $(Self::$noun(change) => change.texts_mut(),)+
                }
            }

            /// Reads the change of this kind out of the JSON of its entry. The entry's own fields are passed over.
            ///
            /// # Errors
            /// No noun has the kind, or the fields are not those of its change.
            pub fn read(kind: &str, entry: &[u8]) -> Result<Self, serde_json::Error> {
                $(
                    if $changes::KINDS.contains(&kind) {
                        return serde_json::from_slice(entry).map(Self::$noun);
                    }
                )+
                Err(serde_json::Error::custom(format_args!("unknown kind {kind:?}")))
            }
        }
    };
}

nouns! {
    Journal(JournalChange),
    Configuration(ConfigurationChange),
    Key(KeyChange),
    Certificate(CertificateChange),
    IssuerKey(IssuerKeyChange),
    Api(ApiChange),
    Partner(PartnerChange),
    Integration(IntegrationChange),
    Approval(ApprovalChange),
    Elevation(ElevationChange),
    Passkey(PasskeyChange),
    Revocation(RevocationChange),
    Staff(StaffChange),
    Text(TextChange),
}

impl Change {
    /// Says who caused the change.
    pub fn by(self, by: Actor) -> Attributed {
        Attributed { by, what: self }
    }

    /// The texts that the change forgets.
    pub fn erased(&self) -> Vec<TextDigest> {
        if let Self::Text(change) = self { change.erased() } else { Vec::new() }
    }
}

impl Attributed {
    /// The texts in it that must be sealed before it is an entry: the actor's name, then those of the change.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        self.by.name_mut().into_iter().chain(self.what.texts_mut()).collect()
    }
}
