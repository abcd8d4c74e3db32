//! Integrations and partners, as the inventory shows them.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::broker::judged::Lacking;
use crate::broker::view::approval::Lacks;
use crate::broker::view::approval::OwnersView;
use crate::broker::view::ends::EndsNextView;
use crate::broker::view::suspension::{self, SuspensionView};
use crate::broker::view::uses::UsesView;
use crate::broker::words::Words;
use crate::domain::decision::effective::{self, Cause, Effective, effective};
use crate::domain::decision::guard::Guarded;
use crate::domain::decision::keys_in_use::{InUse, KeyInUse, keys_in_use};
use crate::domain::reason::ReasonCode;
use crate::domain::registry::integration::{Contract, Integration};
use crate::domain::registry::partner::Partner;
use crate::domain::state::ends::{of_integration, of_partner};
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::{PartnerState, State};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, BindingName, EnvironmentName, IntegrationId, Issuer, PartnerName, Serial};

/// An integration. A list has the brief form; one integration also has its record and keys.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Integration)]
pub struct IntegrationView {
    id: IntegrationId,
    /// `draft`, `submitted` or `active`. A suspension does not change it.
    state: &'static str,
    /// The suspensions in force, the oldest first.
    suspensions: Vec<SuspensionView>,
    #[schema(required)]
    version: Option<Digest>,
    /// A version that waits while another is in force.
    #[schema(required)]
    held: Option<HeldView>,
    #[schema(required, value_type = Option<Object>)]
    contract: Option<Contract>,
    #[schema(required)]
    environments: Option<Vec<EnvironmentName>>,
    /// By environment: whether an exchange would be granted now, and every cause that refuses it.
    effective: BTreeMap<EnvironmentName, EffectiveView>,
    #[schema(required)]
    ends_next: Option<EndsNextView>,
    /// The reasons that keep the waiting version from coming into force, besides its approvals.
    #[schema(value_type = Vec<String>)]
    pub waits_for: Vec<Lacks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OwnersView)]
    pub owners: Option<OwnersView>,
    /// The keys that the integration proves itself with, and when each must be changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<KeyInUseView>)]
    pub keys: Option<Vec<KeyInUseView>>,
    /// The record, with its texts in plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub record: Option<Integration>,
    /// The time at which it was last issued a token.
    #[schema(required)]
    pub last_use: Option<Timestamp>,
    /// What it was issued, by scope and binding. A scope that it was never issued is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<UsesView>)]
    pub uses: Option<Vec<UsesView>>,
}

/// A version that waits.
#[derive(Serialize, ToSchema)]
#[schema(as = Held)]
struct HeldView {
    version: Digest,
    #[schema(required)]
    approval: Option<ApprovalId>,
}

/// The outcome that an exchange would have in an environment now.
#[derive(Serialize, ToSchema)]
#[schema(as = Effective)]
struct EffectiveView {
    #[schema(value_type = EffectiveState)]
    state: &'static str,
    /// The causes, in the order in which an exchange checks them.
    causes: Vec<CauseView>,
}

/// The words of an effective state.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "the domain says the words; this describes them")]
enum EffectiveState {
    Granting,
    Refusing,
}

/// One cause that refuses exchanges.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Cause)]
struct CauseView {
    reason: ReasonCode,
    /// The thing that is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    subject: Option<String>,
    /// Null if the time is not on record.
    #[schema(required)]
    since: Option<Timestamp>,
    /// The time at which the cause ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Timestamp)]
    until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LiftedByView)]
    lifted_by: Option<LiftedByView>,
}

/// The step that removes a cause, and the role that can take it.
#[derive(Serialize, ToSchema)]
#[schema(as = LiftedBy)]
struct LiftedByView {
    action: &'static str,
    role: &'static str,
}

/// A key in use: of a certificate, or of an issuer.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyInUse)]
pub struct KeyInUseView {
    environment: EnvironmentName,
    /// The serial number of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Serial)]
    certificate: Option<Serial>,
    /// The end of the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Timestamp)]
    ends: Option<Timestamp>,
    /// The binding that trusts the issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BindingName)]
    binding: Option<BindingName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Issuer)]
    issuer: Option<Issuer>,
    /// The thumbprint of the issuer's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Digest)]
    key: Option<Digest>,
    #[schema(required)]
    since: Option<Timestamp>,
    /// The time by which it must be changed.
    #[schema(required)]
    due: Option<Timestamp>,
    /// True if that time is past.
    late: bool,
}

/// A partner. A list has the brief form; one partner also has its record.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Partner)]
pub struct PartnerView {
    id: PartnerName,
    /// `submitted` or `active`. A suspension does not change it, nor does the end of a verification.
    state: &'static str,
    /// The suspensions in force, the oldest first. Those of its integrations stand there.
    suspensions: Vec<SuspensionView>,
    #[schema(required)]
    version: Option<Digest>,
    /// The end of its verification.
    #[schema(required)]
    verification: Option<Timestamp>,
    integrations: Vec<IntegrationId>,
    /// By environment: whether anything about the partner itself refuses exchanges.
    effective: BTreeMap<EnvironmentName, EffectiveView>,
    #[schema(required)]
    ends_next: Option<EndsNextView>,
    /// The time at which any of its integrations was last issued a token.
    #[schema(required)]
    pub last_use: Option<Timestamp>,
    /// The record, with its texts in plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub record: Option<Partner>,
}

impl IntegrationView {
    /// The brief form. The caller adds owners, reasons and the last use, which need a look-up.
    ///
    /// `words` has the texts of the suspensions.
    pub fn brief(
        on: Guarded<'_>,
        (id, integration): (&IntegrationId, &IntegrationState),
        words: &Words,
        now: Timestamp,
    ) -> Self {
        let state = on.state;
        let shown = integration.shown();
        let held = integration.held.as_ref().filter(|_| integration.current.is_some());
        let environments = shown.map(|version| version.record.environments.keys().cloned().collect::<Vec<_>>());
        let in_each = environments.iter().flatten();
        Self {
            id: id.clone(),
            state: integration.phase().name(),
            suspensions: suspension::shown(&integration.suspensions, words),
            version: shown.map(|version| version.version),
            held: held.map(|held| HeldView { version: held.version.version, approval: held.approval.clone() }),
            contract: shown.map(|version| version.record.contract.clone()),
            effective: in_each
                .map(|environment| (environment.clone(), EffectiveView::of(effective(id, environment, on, now))))
                .collect(),
            environments,
            ends_next: shown.and_then(|version| of_integration(state, &version.record, now)).map(EndsNextView::of),
            waits_for: Vec::new(),
            owners: None,
            keys: None,
            record: None,
            last_use: None,
            uses: None,
        }
    }
}

impl PartnerView {
    /// The brief form. The caller adds the last use, which needs a look-up.
    ///
    /// `words` has the texts of the suspensions.
    pub fn brief(state: &State, (name, partner): (&PartnerName, &PartnerState), words: &Words, now: Timestamp) -> Self {
        let version = partner.current.as_ref().or(partner.held.as_ref().map(|held| &held.version));
        let environments = state.configuration.iter().flat_map(|configuration| configuration.environments.keys());
        let in_each = |environment: &EnvironmentName| {
            (environment.clone(), EffectiveView::of(effective::of_partner(name, environment, state, now)))
        };
        Self {
            id: name.clone(),
            state: partner.phase().name(),
            suspensions: suspension::shown(&partner.suspensions, words),
            version: version.map(|version| version.version),
            verification: version.map(|version| version.record.verification.expires),
            integrations: state.integrations_of(name).map(|(id, _)| id.clone()).collect(),
            effective: environments.map(in_each).collect(),
            ends_next: of_partner(state, name, now).map(EndsNextView::of),
            last_use: None,
            record: None,
        }
    }
}

impl EffectiveView {
    fn of(effective: Effective) -> Self {
        Self { state: effective.state, causes: effective.causes.into_iter().map(CauseView::of).collect() }
    }
}

impl CauseView {
    fn of(cause: Cause) -> Self {
        let lifted_by = cause.lifted_by.map(|by| LiftedByView { action: by.action, role: by.role });
        Self { reason: cause.reason, subject: cause.subject, since: cause.since, until: cause.until, lifted_by }
    }
}

/// The keys that an integration proves itself with.
pub fn keys(state: &State, record: &Integration, now: Timestamp) -> Vec<KeyInUseView> {
    keys_in_use(state, record, now).into_iter().map(KeyInUseView::of).collect()
}

impl KeyInUseView {
    fn of(key: KeyInUse) -> Self {
        let (certificate, trusted) = match key.key {
            InUse::Certificate { serial, ends } => (Some((serial, ends)), None),
            InUse::Issuer { binding, issuer, key } => (None, Some((binding, issuer, key))),
        };
        let (certificate, ends) = certificate.unzip();
        let (binding, issuer, thumbprint) = match trusted {
            Some((binding, issuer, key)) => (Some(binding), Some(issuer), Some(key)),
            None => (None, None, None),
        };
        let (environment, since, due) = (key.environment, key.since, key.due);
        Self { environment, certificate, ends, binding, issuer, key: thumbprint, since, due, late: key.is_late }
    }
}

/// The reasons that keep its waiting version from coming into force.
pub fn waits_for(lacking: &Lacking, id: &IntegrationId) -> Vec<Lacks> {
    lacking.get(id).into_iter().flatten().map(|reason| Lacks(reason)).collect()
}
