//! Changes: everything that can happen to what the broker knows. The journal holds them in order; [`State`](crate::domain::state::State)
//! is their fold.
//!
//! A change stands alone in its batch. It says who caused it; free text in it is sealed ([`Text`]).

use serde::{Deserialize, Serialize};

use super::archive::Segment;
use crate::domain::credential::certificate::{Authority, Leaf, ServerLeaf};
use crate::domain::credential::keys::SigningKey;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::{Elevation, Narrowing, Notice};
use crate::domain::people::actor::{Actor, Person};
use crate::domain::people::passkey::Signature;
use crate::domain::registry::api::Api;
use crate::domain::registry::approval::{Approval, Verdict};
use crate::domain::registry::environment::Configuration;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::partner::Partner;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{
    ApiName, ApprovalId, ClientId, ElevationId, EnrolmentId, EnvironmentName, IntegrationId, Issuer, KeyId, PartnerName,
    PasskeyId, RevocationId,
};
use crate::domain::value::text::{Text, TextDigest};

/// A change, with who caused it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    /// Who.
    pub by: Actor,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. The `kind` of the entry is the variant's name on the wire.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum What {
    /// The first entry of a journal.
    #[serde(rename = "journal.opened")]
    JournalOpened {
        /// Name of the log in checkpoints.
        origin: String,
        /// Made by `carnet dev`; `serve` refuses such a journal.
        dev: bool,
    },
    /// An operator put a restored journal back to work, or one whose time ran ahead: every signing key tainted, all elevations ended,
    /// and nothing minted until `mints_from`.
    #[serde(rename = "journal.reopened")]
    JournalReopened {
        /// One more than before.
        epoch: u64,
        /// Until then a proof may have been spent that this journal does not know.
        mints_from: Timestamp,
        /// The time of the entry before this one, where it was written under a wrong clock: this entry is of an earlier time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        corrects: Option<Timestamp>,
    },
    /// Old entries lie in a segment, and all of them but the changes may leave the database (`[journal] retention`).
    #[serde(rename = "journal.archived")]
    JournalArchived(Segment),
    /// Another key signs checkpoints from now on.
    #[serde(rename = "checkpoint-key.succeeded")]
    CheckpointKeySucceeded {
        /// A signed note of both keys, which names them.
        statement: String,
    },
    /// The environment table and the staff section differ from the last ones.
    #[serde(rename = "configuration.changed")]
    ConfigurationChanged(Configuration),
    /// A signing key was made.
    #[serde(rename = "key.created")]
    KeyCreated(SigningKey),
    /// A key signs no more and revokes all that it signed.
    #[serde(rename = "key.tainted")]
    KeyTainted {
        /// Its environment.
        environment: EnvironmentName,
        /// The key.
        kid: KeyId,
        /// Why.
        reason: Text,
    },
    /// A key's time is over and its sealed private half is destroyed.
    #[serde(rename = "key.retired")]
    KeyRetired {
        /// Its environment.
        environment: EnvironmentName,
        /// The key.
        kid: KeyId,
    },
    /// An authority for certificates was made; from now on it issues.
    #[serde(rename = "authority.created")]
    AuthorityCreated {
        /// The authority.
        authority: Box<Authority>,
        /// Why, where somebody asked for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// An authority's issuing key counts no more, nor what it signed.
    #[serde(rename = "authority.tainted")]
    AuthorityTainted {
        /// Its environment.
        environment: EnvironmentName,
        /// The issuing key.
        kid: KeyId,
        /// Why.
        reason: Text,
    },
    /// Somebody asked for a one-time enrolment token.
    #[serde(rename = "enrolment.asked")]
    EnrolmentAsked {
        /// Its id.
        id: EnrolmentId,
        /// For whom.
        integration: IntegrationId,
        /// Where.
        environment: EnvironmentName,
        /// SHA-256 of the token's secret.
        secret: Digest,
        /// Why.
        reason: Text,
        /// What must be approved.
        approval: Approval,
    },
    /// A certificate is about to be signed.
    #[serde(rename = "certificate.issued")]
    CertificateIssued {
        /// What it will say.
        leaf: Leaf,
        /// The enrolment that it uses up; none for one that a certificate or a person asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        enrolment: Option<EnrolmentId>,
    },
    /// A certificate of our own sockets is about to be signed.
    #[serde(rename = "certificate.server-issued")]
    ServerCertificateIssued {
        /// What it will say.
        leaf: ServerLeaf,
    },
    /// A partner's issuer signed with a key for the first time, as far as we know.
    #[serde(rename = "issuer-key.first-used")]
    IssuerKeyFirstUsed {
        /// The issuer.
        issuer: Issuer,
        /// The key's thumbprint.
        key: Digest,
    },
    /// A new or changed API was submitted and waits for its approval.
    #[serde(rename = "api.submitted")]
    ApiSubmitted {
        /// The record.
        record: Box<Api>,
        /// What must be approved.
        approval: Approval,
    },
    /// A submitted API came into force.
    #[serde(rename = "api.approved")]
    ApiApproved {
        /// Which.
        api: ApiName,
        /// The version that was approved.
        version: Digest,
    },
    /// A narrower version of an API came into force at once.
    #[serde(rename = "api.narrowed")]
    ApiNarrowed {
        /// The record.
        record: Box<Api>,
        /// Why, where whoever applied it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// A new or changed partner was submitted and waits for its approval.
    #[serde(rename = "partner.submitted")]
    PartnerSubmitted {
        /// The record.
        record: Box<Partner>,
        /// What must be approved.
        approval: Approval,
    },
    /// A submitted partner counts as verified until its verification expires.
    #[serde(rename = "partner.verified")]
    PartnerVerified {
        /// Which.
        partner: PartnerName,
        /// The version that was approved.
        version: Digest,
    },
    /// A draft was stored.
    #[serde(rename = "integration.drafted")]
    IntegrationDrafted {
        /// The record.
        record: Box<Integration>,
        /// Why, where whoever applied it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// A draft was submitted.
    #[serde(rename = "integration.submitted")]
    IntegrationSubmitted {
        /// Which.
        integration: IntegrationId,
        /// What must be approved.
        approval: Approval,
    },
    /// The last condition came to hold: tokens may be had.
    #[serde(rename = "integration.activated")]
    IntegrationActivated {
        /// Which.
        integration: IntegrationId,
        /// The version in force from now on.
        version: Digest,
    },
    /// A change that is not provably narrowing is held; the version in force stays.
    #[serde(rename = "integration.change-held")]
    IntegrationChangeHeld {
        /// The new record.
        record: Box<Integration>,
        /// What must be approved.
        approval: Approval,
    },
    /// A held version came into force.
    #[serde(rename = "integration.changed")]
    IntegrationChanged {
        /// Which.
        integration: IntegrationId,
        /// The version in force from now on.
        version: Digest,
    },
    /// A narrower version came into force at once.
    #[serde(rename = "integration.narrowed")]
    IntegrationNarrowed {
        /// The record.
        record: Box<Integration>,
        /// Why, where whoever applied it said so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<Text>,
    },
    /// Security stopped an integration.
    #[serde(rename = "integration.suspended")]
    IntegrationSuspended {
        /// Which.
        integration: IntegrationId,
        /// Why.
        reason: Text,
    },
    /// Somebody asked to lift a suspension.
    #[serde(rename = "integration.resume-asked")]
    IntegrationResumeAsked {
        /// Which.
        integration: IntegrationId,
        /// Why.
        reason: Text,
        /// What must be approved.
        approval: Approval,
    },
    /// A suspension was lifted. What was cut stays cut.
    #[serde(rename = "integration.resumed")]
    IntegrationResumed {
        /// Which.
        integration: IntegrationId,
    },
    /// Security stopped a partner.
    #[serde(rename = "partner.suspended")]
    PartnerSuspended {
        /// Which.
        partner: PartnerName,
        /// Why.
        reason: Text,
    },
    /// Somebody asked to lift a partner's suspension.
    #[serde(rename = "partner.resume-asked")]
    PartnerResumeAsked {
        /// Which.
        partner: PartnerName,
        /// Why.
        reason: Text,
        /// What must be approved.
        approval: Approval,
    },
    /// A partner's suspension was lifted.
    #[serde(rename = "partner.resumed")]
    PartnerResumed {
        /// Which.
        partner: PartnerName,
    },
    /// Somebody reviewed an approval.
    #[serde(rename = "approval.reviewed")]
    ApprovalReviewed {
        /// Which.
        approval: ApprovalId,
        /// For or against.
        verdict: Verdict,
        /// Why.
        reason: Text,
        /// The slots that this review may fill (the reviewer's roles at that moment).
        roles: Vec<crate::domain::people::actor::Role>,
    },
    /// Somebody asked for an elevation.
    #[serde(rename = "elevation.asked")]
    ElevationAsked {
        /// What was asked.
        elevation: Box<Elevation>,
    },
    /// Somebody reviewed an elevation.
    #[serde(rename = "elevation.reviewed")]
    ElevationReviewed {
        /// Which.
        elevation: ElevationId,
        /// For or against.
        verdict: Verdict,
        /// Why.
        reason: Text,
        /// What the reviewer was at that moment.
        roles: Vec<crate::domain::people::actor::Role>,
        /// What the reviewer took away.
        narrowing: Narrowing,
        /// The approver's signature, where the API takes no approval without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<Box<Signature>>,
    },
    /// An elevation was ended before its time, or taken back.
    #[serde(rename = "elevation.ended")]
    ElevationEnded {
        /// Which.
        elevation: ElevationId,
        /// Why.
        reason: Text,
    },
    /// Time has come to tell people about an elevation.
    #[serde(rename = "elevation.noticed")]
    ElevationNoticed {
        /// Which.
        elevation: ElevationId,
        /// What about.
        notice: Notice,
    },
    /// Somebody registered a passkey to sign approvals with.
    #[serde(rename = "passkey.registered")]
    PasskeyRegistered {
        /// Its id.
        passkey: PasskeyId,
        /// How its owner calls it.
        label: Text,
        /// Credential id and public key, as `authn::passkey` persists them.
        credential: serde_json::Value,
    },
    /// A passkey counts no more, nor what it signed.
    #[serde(rename = "passkey.revoked")]
    PasskeyRevoked {
        /// Which.
        passkey: PasskeyId,
        /// Why.
        reason: Text,
    },
    /// Something was revoked.
    #[serde(rename = "revocation.added")]
    RevocationAdded {
        /// Its id.
        id: RevocationId,
        /// What is cut. On the wire the entry itself has a `subject`, and no member may stand twice.
        #[serde(rename = "cut")]
        subject: RevocationTarget,
        /// Cuts what was issued and refuses nothing later.
        tokens_only: bool,
        /// Why.
        reason: Text,
        /// The client whose token it is, where one token is cut: the token's id names nobody. Older entries do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client: Option<ClientId>,
    },
    /// Somebody asked to lift a revocation.
    #[serde(rename = "revocation.lift-asked")]
    RevocationLiftAsked {
        /// Which.
        id: RevocationId,
        /// Why.
        reason: Text,
        /// What must be approved.
        approval: Approval,
    },
    /// Later exchanges are allowed again. What was cut stays cut.
    #[serde(rename = "revocation.lifted")]
    RevocationLifted {
        /// Which.
        id: RevocationId,
    },
    /// One person's access ended, whatever their token says.
    #[serde(rename = "staff.cut")]
    StaffCut {
        /// Who.
        person: Person,
        /// Why.
        reason: Text,
    },
    /// Texts were forgotten.
    #[serde(rename = "text.erased")]
    TextErased {
        /// Which; salt and text are deleted in the same transaction.
        texts: Vec<Text>,
        /// Why.
        reason: Text,
    },
}

impl Change {
    /// Every text in it that is not a record's: what must be sealed before it is an entry.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        self.by.name_mut().into_iter().chain(self.what.texts_mut()).collect()
    }
}

/// Names the kind of each change, once.
macro_rules! kinds {
    (impl $what:ident { match self { $($change:pat => $kind:literal,)* } }) => {
        impl $what {
            /// Every kind that there is.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The entry's `kind`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $($change => $kind,)*
                }
            }
        }
    };
}

kinds! {
    impl What {
        match self {
            Self::JournalOpened { .. } => "journal.opened",
            Self::JournalReopened { .. } => "journal.reopened",
            Self::JournalArchived(_) => "journal.archived",
            Self::CheckpointKeySucceeded { .. } => "checkpoint-key.succeeded",
            Self::ConfigurationChanged(_) => "configuration.changed",
            Self::KeyCreated(_) => "key.created",
            Self::KeyTainted { .. } => "key.tainted",
            Self::KeyRetired { .. } => "key.retired",
            Self::AuthorityCreated { .. } => "authority.created",
            Self::AuthorityTainted { .. } => "authority.tainted",
            Self::EnrolmentAsked { .. } => "enrolment.asked",
            Self::CertificateIssued { .. } => "certificate.issued",
            Self::ServerCertificateIssued { .. } => "certificate.server-issued",
            Self::IssuerKeyFirstUsed { .. } => "issuer-key.first-used",
            Self::ApiSubmitted { .. } => "api.submitted",
            Self::ApiApproved { .. } => "api.approved",
            Self::ApiNarrowed { .. } => "api.narrowed",
            Self::PartnerSubmitted { .. } => "partner.submitted",
            Self::PartnerVerified { .. } => "partner.verified",
            Self::IntegrationDrafted { .. } => "integration.drafted",
            Self::IntegrationSubmitted { .. } => "integration.submitted",
            Self::IntegrationActivated { .. } => "integration.activated",
            Self::IntegrationChangeHeld { .. } => "integration.change-held",
            Self::IntegrationChanged { .. } => "integration.changed",
            Self::IntegrationNarrowed { .. } => "integration.narrowed",
            Self::IntegrationSuspended { .. } => "integration.suspended",
            Self::IntegrationResumeAsked { .. } => "integration.resume-asked",
            Self::IntegrationResumed { .. } => "integration.resumed",
            Self::PartnerSuspended { .. } => "partner.suspended",
            Self::PartnerResumeAsked { .. } => "partner.resume-asked",
            Self::PartnerResumed { .. } => "partner.resumed",
            Self::ApprovalReviewed { .. } => "approval.reviewed",
            Self::ElevationAsked { .. } => "elevation.asked",
            Self::ElevationReviewed { .. } => "elevation.reviewed",
            Self::ElevationEnded { .. } => "elevation.ended",
            Self::ElevationNoticed { .. } => "elevation.noticed",
            Self::PasskeyRegistered { .. } => "passkey.registered",
            Self::PasskeyRevoked { .. } => "passkey.revoked",
            Self::RevocationAdded { .. } => "revocation.added",
            Self::RevocationLiftAsked { .. } => "revocation.lift-asked",
            Self::RevocationLifted { .. } => "revocation.lifted",
            Self::StaffCut { .. } => "staff.cut",
            Self::TextErased { .. } => "text.erased",
        }
    }
}

impl What {
    /// What it is about, as the journal's `subject`.
    pub fn subject(&self) -> String {
        match self {
            Self::JournalOpened { origin, .. } => origin.clone(),
            Self::JournalReopened { epoch, .. } => format!("epoch {epoch}"),
            Self::JournalArchived(segment) => format!("entries {} to {}", segment.first, segment.until.saturating_sub(1)),
            Self::CheckpointKeySucceeded { .. } => "checkpoint key".to_owned(),
            Self::ConfigurationChanged(_) => "configuration".to_owned(),
            Self::KeyCreated(key) => format!("{}/{}", key.environment, key.kid),
            Self::KeyTainted { environment, kid, .. } | Self::KeyRetired { environment, kid } => format!("{environment}/{kid}"),
            Self::AuthorityCreated { authority, .. } => format!("{}/{}", authority.environment, authority.kid),
            Self::AuthorityTainted { environment, kid, .. } => format!("{environment}/{kid}"),
            Self::EnrolmentAsked { integration, .. } => integration.to_string(),
            Self::CertificateIssued { leaf, .. } => leaf.integration.to_string(),
            Self::ServerCertificateIssued { leaf } => format!("{}/{}", leaf.environment, leaf.serial),
            Self::IssuerKeyFirstUsed { issuer, .. } => issuer.to_string(),
            Self::ApiSubmitted { record, .. } | Self::ApiNarrowed { record, .. } => record.name.to_string(),
            Self::ApiApproved { api, .. } => api.to_string(),
            Self::PartnerSubmitted { record, .. } => record.name.to_string(),
            Self::PartnerVerified { partner, .. }
            | Self::PartnerSuspended { partner, .. }
            | Self::PartnerResumeAsked { partner, .. }
            | Self::PartnerResumed { partner } => partner.to_string(),
            Self::IntegrationDrafted { record, .. }
            | Self::IntegrationChangeHeld { record, .. }
            | Self::IntegrationNarrowed { record, .. } => record.id.to_string(),
            Self::IntegrationSubmitted { integration, .. }
            | Self::IntegrationActivated { integration, .. }
            | Self::IntegrationChanged { integration, .. }
            | Self::IntegrationSuspended { integration, .. }
            | Self::IntegrationResumeAsked { integration, .. }
            | Self::IntegrationResumed { integration } => integration.to_string(),
            Self::ApprovalReviewed { approval, .. } => approval.to_string(),
            Self::ElevationAsked { elevation } => elevation.id.to_string(),
            Self::ElevationReviewed { elevation, .. }
            | Self::ElevationEnded { elevation, .. }
            | Self::ElevationNoticed { elevation, .. } => elevation.to_string(),
            Self::PasskeyRegistered { passkey, .. } | Self::PasskeyRevoked { passkey, .. } => passkey.to_string(),
            Self::RevocationAdded { subject, .. } => subject.key().to_string(),
            Self::RevocationLiftAsked { id, .. } | Self::RevocationLifted { id } => id.to_string(),
            Self::StaffCut { person, .. } => person.id.clone(),
            Self::TextErased { texts, .. } => format!("{} texts", texts.len()),
        }
    }

    /// The texts in it, in a stable order: what must be sealed before it is an entry. Those of records are sealed by whoever
    /// reads the record.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::KeyTainted { reason, .. }
            | Self::AuthorityTainted { reason, .. }
            | Self::IntegrationSuspended { reason, .. }
            | Self::PartnerSuspended { reason, .. }
            | Self::ApprovalReviewed { reason, .. }
            | Self::ElevationReviewed { reason, .. }
            | Self::ElevationEnded { reason, .. }
            | Self::PasskeyRegistered { label: reason, .. }
            | Self::PasskeyRevoked { reason, .. }
            | Self::RevocationAdded { reason, .. }
            | Self::TextErased { reason, .. } => vec![reason],
            Self::IntegrationResumeAsked { reason, approval, .. }
            | Self::EnrolmentAsked { reason, approval, .. }
            | Self::PartnerResumeAsked { reason, approval, .. }
            | Self::RevocationLiftAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::ApiSubmitted { approval, .. }
            | Self::PartnerSubmitted { approval, .. }
            | Self::IntegrationSubmitted { approval, .. }
            | Self::IntegrationChangeHeld { approval, .. } => approval.texts_mut().collect(),
            Self::ElevationAsked { elevation } => {
                elevation.requested_by.name_mut().into_iter().chain([&mut elevation.reason]).collect()
            }
            Self::AuthorityCreated { reason, .. }
            | Self::ApiNarrowed { reason, .. }
            | Self::IntegrationDrafted { reason, .. }
            | Self::IntegrationNarrowed { reason, .. } => reason.iter_mut().collect(),
            Self::StaffCut { reason, person } => person.name.iter_mut().chain([reason]).collect(),
            _ => Vec::new(),
        }
    }

    /// The texts that the change forgets.
    pub fn erased(&self) -> Vec<TextDigest> {
        let Self::TextErased { texts, .. } = self else { return Vec::new() };
        texts.iter().filter_map(Text::digest).collect()
    }
}
