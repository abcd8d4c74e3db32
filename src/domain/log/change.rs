//! A change of any noun, with its actor.
//!
//! Each noun has an enum of its own in this folder, and [`Change`] joins them. The JSON is flat: `kind` is beside the fields of the
//! change and of its entry, so no field may have the name of a field of [`ChangeEntry`](super::entry::ChangeEntry).

use serde::Serialize;
use serde::de::Error as _;

use super::api::ApiChange;
use super::approval::ApprovalChange;
use super::certificate::CertificateChange;
use super::configuration::ConfigurationChange;
use super::dates::DatesChange;
use super::directory::DirectoryChange;
use super::elevation::ElevationChange;
use super::environment::EnvironmentChange;
use super::evidence::EvidenceChange;
use super::exception::ExceptionChange;
use super::format;
use super::guardrail::GuardrailChange;
use super::integration::IntegrationChange;
use super::issuer_key::IssuerKeyChange;
use super::journal::JournalChange;
use super::key::KeyChange;
use super::mail::MailChange;
use super::offboarding::OffboardingChange;
use super::partner::PartnerChange;
use super::passkey::PasskeyChange;
use super::recertification::RecertificationChange;
use super::revocation::RevocationChange;
use super::signal::SignalChange;
use super::staff::StaffChange;
use super::text::TextChange;
use crate::domain::people::actor::Actor;
use crate::domain::value::text::{Text, TextDigest};

/// A change with its actor.
#[derive(Clone, Debug, Serialize)]
pub struct Attributed {
    /// The person, workload, operator or broker that caused it.
    pub by: Actor,
    /// The change.
    #[serde(flatten)]
    pub what: Change,
}

/// Any change of the broker's state, by noun.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Change {
    /// A change of the journal itself.
    Journal(JournalChange),
    /// A change of the operator's configuration.
    Configuration(ConfigurationChange),
    /// A change of an environment.
    Environment(EnvironmentChange),
    /// A change of our signing keys.
    Key(KeyChange),
    /// A change of authorities, certificates and enrolments.
    Certificate(CertificateChange),
    /// A change of the keys of partners' issuers.
    IssuerKey(IssuerKeyChange),
    /// A change of the catalogue.
    Api(ApiChange),
    /// A change of guardrails.
    Guardrail(GuardrailChange),
    /// Evidence that was given.
    Evidence(EvidenceChange),
    /// A change of static secrets at partners.
    Exception(ExceptionChange),
    /// A change of partners.
    Partner(PartnerChange),
    /// A change of integrations.
    Integration(IntegrationChange),
    /// A change of approvals.
    Approval(ApprovalChange),
    /// A change of elevations.
    Elevation(ElevationChange),
    /// A change of approvers' passkeys.
    Passkey(PasskeyChange),
    /// A change of reviews.
    Recertification(RecertificationChange),
    /// A change of revocations.
    Revocation(RevocationChange),
    /// A signal from outside.
    Signal(SignalChange),
    /// A change of an offboarding.
    Offboarding(OffboardingChange),
    /// A change of people's access.
    Staff(StaffChange),
    /// A change of people in the directory, as far as they are owners.
    Directory(DirectoryChange),
    /// A notice of dates.
    Dates(DatesChange),
    /// A change of what people are told by mail.
    Mail(MailChange),
    /// A change of texts of people.
    Text(TextChange),
}

/// Makes [`Change`] ask the enum of its noun. The compiler ensures that the list is complete.
macro_rules! nouns {
    ($($noun:ident($changes:ident)),+ $(,)?) => {
        $(
            impl From<$changes> for Change {
                fn from(change: $changes) -> Self {
                    Self::$noun(change)
                }
            }

            impl $changes {
                /// Adds the actor of the change.
                pub fn by(self, by: Actor) -> Attributed {
                    Attributed { by, what: self.into() }
                }
            }
        )+

        impl Change {
            /// All kinds of changes.
            pub fn kinds() -> impl Iterator<Item = &'static str> {
                [$($changes::KINDS),+].into_iter().flatten().copied()
            }

            /// The entry's `kind`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$noun(change) => change.kind(),)+
                }
            }

            /// The subject of the change, as the entry's `subject` has it.
            pub fn subject(&self) -> String {
                match self {
                    $(Self::$noun(change) => change.subject(),)+
                }
            }

            /// The reason for the change, if it has one.
            pub fn reason(&self) -> Option<&Text> {
                match self {
                    $(Self::$noun(change) => change.reason(),)+
                }
            }

            /// The texts in the change to seal before it is recorded, in a stable order.
            ///
            /// Texts of a record are not among them: the reader of the record seals them.
            pub fn texts_mut(&mut self) -> Vec<&mut Text> {
                match self {
                    $(Self::$noun(change) => change.texts_mut(),)+
                }
            }

            /// Reads the change of this kind from the JSON of its entry.
            ///
            /// It ignores the entry's own fields.
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
    Environment(EnvironmentChange),
    Key(KeyChange),
    Certificate(CertificateChange),
    IssuerKey(IssuerKeyChange),
    Api(ApiChange),
    Guardrail(GuardrailChange),
    Evidence(EvidenceChange),
    Exception(ExceptionChange),
    Partner(PartnerChange),
    Integration(IntegrationChange),
    Approval(ApprovalChange),
    Elevation(ElevationChange),
    Passkey(PasskeyChange),
    Recertification(RecertificationChange),
    Revocation(RevocationChange),
    Signal(SignalChange),
    Offboarding(OffboardingChange),
    Staff(StaffChange),
    Directory(DirectoryChange),
    Dates(DatesChange),
    Mail(MailChange),
    Text(TextChange),
}

impl Change {
    /// Adds the actor of the change.
    pub fn by(self, by: Actor) -> Attributed {
        Attributed { by, what: self }
    }

    /// The texts that the change forgets.
    pub fn erased(&self) -> Vec<TextDigest> {
        if let Self::Text(change) = self { change.erased() } else { Vec::new() }
    }
}

impl Attributed {
    /// The texts that must be sealed before it is recorded: the actor's name, then the change's.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        self.by.name_mut().into_iter().chain(self.what.texts_mut()).collect()
    }
}

impl Change {
    /// The format from which on programs read it.
    pub fn format(&self) -> u32 {
        match self {
            // It is recorded once every node that lives reads it.
            Self::Journal(JournalChange::FormatRaised { .. }) => format::FIRST,
            Self::Key(KeyChange::Activated { .. }) => format::KEYS_AWAIT_NODES,
            Self::Key(KeyChange::Created(key)) if key.awaits_nodes => format::KEYS_AWAIT_NODES,
            Self::Key(KeyChange::Created(_) | KeyChange::Tainted { .. } | KeyChange::Retired { .. })
            | Self::Journal(
                JournalChange::Opened { .. }
                | JournalChange::Reopened { .. }
                | JournalChange::Archived(_)
                | JournalChange::CheckpointKeySucceeded { .. }
                | JournalChange::Moved { .. }
                | JournalChange::Arrived { .. },
            )
            | Self::Configuration(_)
            | Self::Environment(_)
            | Self::Certificate(_)
            | Self::IssuerKey(_)
            | Self::Api(_)
            | Self::Guardrail(_)
            | Self::Exception(_)
            | Self::Partner(_)
            | Self::Integration(_)
            | Self::Recertification(_)
            | Self::Offboarding(_)
            | Self::Approval(_)
            | Self::Elevation(_)
            | Self::Passkey(_)
            | Self::Revocation(_)
            | Self::Signal(_)
            | Self::Staff(_)
            | Self::Directory(_)
            | Self::Dates(_)
            | Self::Mail(_)
            | Self::Evidence(_)
            | Self::Text(_) => format::FIRST,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::examples::{Examples, MARK};
    use crate::domain::fixture::Seeded;

    /// The texts that are sealed before the journal sees the change, so that the change does not name them.
    ///
    /// Those of its record are sealed by the record's reader; those that an erasure names are digests from the beginning.
    fn sealed_before(change: &mut Change) -> Vec<&mut Text> {
        match change {
            Change::Api(ApiChange::Submitted { record, .. } | ApiChange::Narrowed { record, .. }) => record.texts_mut(),
            Change::Guardrail(GuardrailChange::Submitted { record, .. } | GuardrailChange::Applied { record, .. }) => {
                record.texts_mut()
            }
            Change::Partner(PartnerChange::Submitted { record, .. }) => record.texts_mut(),
            Change::Integration(
                IntegrationChange::Drafted { record, .. }
                | IntegrationChange::ChangeHeld { record, .. }
                | IntegrationChange::Narrowed { record, .. },
            ) => record.texts_mut(),
            Change::Recertification(RecertificationChange::Decided { record: Some(record), .. }) => record.texts_mut(),
            Change::Text(TextChange::EraseAsked { texts, .. } | TextChange::Erased { texts, .. }) => texts.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// Attack: a text that is never sealed stands in an entry for ever, and nobody can have it forgotten.
    #[test]
    fn no_personal_text_of_a_change_is_left_plain() {
        let (mut marked, mut left) = (0, BTreeSet::new());
        for example in Examples::marked().changes() {
            let mut change = example.change;
            marked += serde_json::to_string(&change).expect("JSON").matches(MARK).count();
            for text in sealed_before(&mut change.what) {
                text.seal(&Seeded::new(1));
            }
            for text in change.texts_mut() {
                text.seal(&Seeded::new(1));
            }
            let json = serde_json::to_string(&change).expect("JSON");
            let plain = json.split(MARK).skip(1).filter_map(|rest| rest.split('"').next());
            left.extend(plain.map(|words| format!("{}: {words}", change.what.kind())));
        }
        assert!(marked > 100, "{marked}");
        assert!(left.is_empty(), "`texts_mut` of the change or of its record leaves out: {left:#?}");
    }

    #[test]
    fn texts_mut_yields_every_sealed_text_of_a_change() {
        for example in Examples::sealed().changes() {
            let mut change = example.change;
            let mut known = BTreeSet::new();
            known.extend(sealed_before(&mut change.what).iter().filter_map(|text| text.digest()));
            known.extend(change.texts_mut().iter().filter_map(|text| text.digest()));
            let missing: Vec<_> = example.texts.iter().map(|row| row.digest).filter(|digest| !known.contains(digest)).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", change.what.kind());
        }
    }

    /// Whatever needs a newer format says so: a program that reads less never meets it.
    #[test]
    fn only_what_several_nodes_need_has_a_newer_format() {
        let kinds =
            Examples::default().changes().into_iter().map(|change| (change.change.what.kind(), change.change.what.format()));
        let newer: std::collections::BTreeSet<_> = kinds.filter(|(_, format)| *format > super::format::FIRST).collect();
        assert_eq!(newer.into_iter().collect::<Vec<_>>(), [("key.activated", 2), ("key.created", 2)]);
    }
}
