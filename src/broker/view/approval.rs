//! One approval of governance, as the admin API and the console show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::person::{ActorView, PersonView};
use super::record::DifferenceView;
use super::suspension::SuspensionView;
use crate::domain::people::actor::Role;
use crate::domain::reason::ReasonCode;
use crate::domain::registry::approval::{Kind, Standing, Verdict};
use crate::domain::registry::integration::{Contract, Owners};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{
    ExceptionId, {ApprovalId, EnvironmentName, IntegrationId, RevocationId},
};
use crate::domain::value::text::Text;

/// An approval. In a list it has the common members; alone it also has those of its kind.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GovernanceApproval)]
pub struct ApprovalView {
    pub id: ApprovalId,
    /// The version that a review must name.
    pub version: Digest,
    pub state: Standing,
    pub kind: Kind,
    /// The name of what it is about; for `lift`, of what was revoked.
    pub subject: String,
    pub requested_by: ActorView,
    /// The time at which it was opened.
    pub asked: Timestamp,
    /// The reason that was given; `[erased]` after an erasure.
    #[schema(required)]
    pub reason: Option<String>,
    /// The roles that must approve, each by a different person.
    pub slots: Vec<Role>,
    /// The slots that are still open.
    pub open_slots: Vec<Role>,
    /// The deadline; without an answer it is denied then.
    pub expires: Timestamp,
    pub reviews: Vec<ReviewView>,
    /// The people who may not review it: they applied, submitted, requested, suspended or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<PersonView>)]
    pub barred: Option<Vec<PersonView>>,
    /// True if the record that is shown would be removed; for `guardrail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool)]
    pub removes: Option<bool>,
    /// The proposed record as YAML with its texts; for `partner`, `api`, `guardrail`, `integration` and `change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub record: Option<String>,
    /// The differences from the version in force, riskiest first; null once it is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<DifferenceView>>)]
    pub differences: Option<Option<Vec<DifferenceView>>>,
    /// The findings of `plan` in the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<FindingView>)]
    pub warnings: Option<Vec<FindingView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = DeedView)]
    pub applied: Option<DeedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = DeedView)]
    pub submitted: Option<DeedView>,
    /// The reasons besides open approvals that keep it from coming into force; for `integration` and `change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ReasonCode>)]
    pub waits_for: Option<Vec<ReasonCode>>,
    /// The revocation that a `lift` would end, or the oldest suspension that a `resume` would end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = StoppedView)]
    pub stopped: Option<StoppedView>,
    /// All suspensions that a `resume` would end; it ends no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<SuspensionView>)]
    pub suspensions: Option<Vec<SuspensionView>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EnrolmentView)]
    pub enrolment: Option<EnrolmentView>,
    /// The static secret; for `exception`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ClosingView)]
    pub exception: Option<ClosingView>,
    /// The integration; for `resume`, `enrolment` and `exception`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AroundView)]
    pub integration: Option<AroundView>,
}

/// A static secret that would be closed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ClosingException)]
pub struct ClosingView {
    pub id: ExceptionId,
    pub what: String,
    pub control: String,
    /// `[erased]` after an erasure.
    #[schema(required)]
    pub owner: Option<String>,
    /// First second after its end.
    pub ends: Timestamp,
    /// How often its end was moved to a later day.
    pub extensions: u32,
}

/// A review of an approval.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ApprovalReview)]
pub struct ReviewView {
    pub by: PersonView,
    pub verdict: Verdict,
    #[schema(required)]
    pub reason: Option<String>,
    pub at: Timestamp,
    /// The slots that it can fill.
    pub roles: Vec<Role>,
}

/// An action on record: by whom, when and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Deed)]
pub struct DeedView {
    pub by: ActorView,
    pub at: Timestamp,
    /// The reason; null if none was given, `[erased]` after an erasure.
    #[schema(required)]
    pub reason: Option<String>,
}

/// A finding in a record.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingView {
    /// `record:LINE FIELD`, by the lines of `record`.
    pub at: String,
    pub reason: ReasonCode,
    pub message: String,
    pub severity: SeverityView,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Severity)]
pub enum SeverityView {
    Error,
    Warning,
}

/// A suspension or a revocation that would be lifted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Stopped)]
pub struct StoppedView {
    pub how: StopView,
    pub subject: String,
    pub by: ActorView,
    pub at: Timestamp,
    #[schema(required)]
    pub reason: Option<String>,
    /// The id of a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = RevocationId)]
    pub id: Option<RevocationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool)]
    pub tokens_only: Option<bool>,
    /// The journal index of a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    pub entry: Option<u64>,
}

/// The way in which something was stopped.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Stop)]
pub enum StopView {
    Suspension,
    Revocation,
}

/// The machine that would get its first certificate.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EnrolmentAsked)]
pub struct EnrolmentView {
    pub integration: IntegrationId,
    pub environment: EnvironmentName,
    #[schema(required)]
    pub spiffe_id: Option<String>,
    /// The life of the enrolment token after the approval, such as `1h`.
    pub usable_for: String,
    pub certificate_life: String,
}

/// The integration that is resumed, or for which a machine is enrolled.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = IntegrationAround)]
pub struct AroundView {
    pub id: IntegrationId,
    #[schema(required)]
    pub purpose: Option<String>,
    pub owners: OwnersView,
    #[schema(value_type = Object)]
    pub contract: Contract,
    pub environments: Vec<EnvironmentName>,
}

/// The people who answer for an integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Owners)]
pub struct OwnersView {
    /// The business owner; null after an erasure.
    #[schema(required)]
    pub business: Option<String>,
    /// The application owner; null after an erasure.
    #[schema(required)]
    pub application: Option<String>,
}

impl OwnersView {
    /// As a record has them: in plain, or by the digest where that is all there is.
    pub fn of_record(owners: &Owners) -> Self {
        let say = |text: &Text| text.plain().map(str::to_owned).or_else(|| Some(text.digest()?.to_string()));
        Self { business: say(&owners.business), application: say(&owners.application) }
    }
}
