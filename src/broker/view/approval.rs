//! One approval of governance, as the admin API and the console show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::person::{ActorView, PersonView};
use super::record::DifferenceView;
use crate::domain::people::actor::Role;
use crate::domain::reason::ReasonCode;
use crate::domain::registry::approval::{Kind, Standing, Verdict};
use crate::domain::registry::integration::{Contract, Owners};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, EnvironmentName, IntegrationId, RevocationId};
use crate::domain::value::text::Text;

/// An approval. A list has what every kind has; one approval also has what its kind has.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GovernanceApproval)]
pub struct ApprovalView {
    pub id: ApprovalId,
    /// A review names the version that was seen.
    pub version: Digest,
    pub state: Standing,
    pub kind: Kind,
    /// The thing that it is about, by its name; of a lift, the thing that was revoked.
    pub subject: String,
    pub requested_by: ActorView,
    /// When it was opened.
    pub asked: Timestamp,
    /// Why it is asked for; `[erased]` where that was forgotten.
    #[schema(required)]
    pub reason: Option<String>,
    /// The roles that must each approve, each by another person.
    pub slots: Vec<Role>,
    /// Those of the slots that nobody fills yet.
    pub open_slots: Vec<Role>,
    /// Denied where nobody answers until then.
    pub expires: Timestamp,
    pub reviews: Vec<ReviewView>,
    /// People who may not review it: they applied, submitted, asked, suspended or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<PersonView>)]
    pub barred: Option<Vec<PersonView>>,
    /// The proposed record as YAML, texts in plain; of `partner`, `api`, `integration` and `change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub record: Option<String>,
    /// Against the version in force, riskiest first; null once it is in force.
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
    /// Reasons that keep it from coming into force besides its approvals; of `integration` and `change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ReasonCode>)]
    pub waits_for: Option<Vec<ReasonCode>>,
    /// What a `resume` or a `lift` would undo.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = StoppedView)]
    pub stopped: Option<StoppedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = EnrolmentView)]
    pub enrolment: Option<EnrolmentView>,
    /// Of a `resume` and an `enrolment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AroundView)]
    pub integration: Option<AroundView>,
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
    /// The slots that it may fill.
    pub roles: Vec<Role>,
}

/// A deed on record: by whom, when and why.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Deed)]
pub struct DeedView {
    pub by: ActorView,
    pub at: Timestamp,
    /// Null where none was given, `[erased]` where it was forgotten.
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

/// How bad a finding is.
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
    /// Of a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = RevocationId)]
    pub id: Option<RevocationId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool)]
    pub tokens_only: Option<bool>,
    /// The entry of a revocation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    pub entry: Option<u64>,
}

/// How a thing was stopped.
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
    /// How long the token is good for once it is approved.
    pub usable_for: String,
    pub certificate_life: String,
}

/// The integration that is resumed, or that a machine is enrolled for.
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
    /// For the business with the partner; null where it was forgotten.
    #[schema(required)]
    pub business: Option<String>,
    /// For the application; null where it was forgotten.
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
