//! One approval of governance, as the admin API and the console show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::offboarding::OffboardingView;
use super::person::{ActorView, PersonView};
use super::record::DifferenceView;
use super::suspension::SuspensionView;
use crate::broker::words::Words;
use crate::domain::people::actor::Role;
use crate::domain::reason::{self, Reason, ReasonCode};
use crate::domain::registry::approval::{Kind, Standing, Verdict};
use crate::domain::registry::integration::{Contract, Integration, OnSilence, Owners};
use crate::domain::registry::recertification::{ReviewId, Selection};
use crate::domain::state::State;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::recertification::Campaign;
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
    /// What keeps it from coming into force besides open approvals: codes of reasons, and `review`; for `integration` and `change`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>)]
    pub waits_for: Option<Vec<Lacks>>,
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
    /// The campaign of reviews; for `review`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CampaignView)]
    pub campaign: Option<CampaignView>,
    /// The offboarding that it signs off or gives up; for `offboarding` and `abort`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = OffboardingView)]
    pub offboarding: Option<OffboardingView>,
    /// The texts that it has forgotten; for `erasure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ErasingView>)]
    pub texts: Option<Vec<ErasingView>>,
    /// The reviews that must be completed before it comes into force, because it extends the contract.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<MissingReviewView>)]
    pub reviews_needed: Option<Vec<MissingReviewView>>,
    /// The integration; for `resume`, `enrolment` and `exception`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AroundView)]
    pub integration: Option<AroundView>,
}

/// What a version waits for: the code of a reason, or `review` where a review is missing.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(into = "&'static str")]
pub struct Lacks(pub &'static Reason);

impl From<Lacks> for &'static str {
    fn from(lacks: Lacks) -> Self {
        if *lacks.0 == reason::REVIEW_MISSING { "review" } else { lacks.0.code }
    }
}

/// A campaign of reviews that would start.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Campaign)]
pub struct CampaignView {
    /// What it covers.
    #[schema(value_type = super::schema::Object)]
    pub select: Selection,
    /// When its reviews are due, if it is approved now.
    pub due: Timestamp,
    /// `suspend` or `report`: the consequence where nobody answers.
    #[schema(value_type = String)]
    pub on_silence: OnSilence,
    /// The environments that it covers now.
    pub covers: usize,
}

/// A review that a version waits for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = MissingReview)]
pub struct MissingReviewView {
    /// `review.missing`.
    #[schema(value_type = ReasonCode)]
    pub reason: ReasonCode,
    pub environment: EnvironmentName,
    #[schema(value_type = String)]
    pub review: ReviewId,
}

impl CampaignView {
    /// What a campaign covers, and how long people have to answer.
    pub fn of(campaign: &Campaign, state: &State, now: Timestamp) -> Self {
        let terms = &campaign.terms;
        Self {
            select: terms.select.clone(),
            due: campaign.due(campaign.started.unwrap_or(now)),
            on_silence: terms.on_silence,
            covers: state.selected(terms).len(),
        }
    }
}

impl MissingReviewView {
    /// The reviews that a version which extends the contract waits for.
    pub fn of(
        lacks: &[&'static Reason],
        known: &IntegrationState,
        (record, state, now): (&Integration, &State, Timestamp),
    ) -> Option<Vec<Self>> {
        if !lacks.contains(&&reason::REVIEW_MISSING) {
            return None;
        }
        let view = |environment: &EnvironmentName| {
            let review = known.next_review(&record.id, environment)?;
            Some(Self { reason: ReasonCode(&reason::REVIEW_MISSING), environment: environment.clone(), review })
        };
        Some(state.unreviewed(known, record, now).into_iter().filter_map(view).collect())
    }
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

/// A text that would be forgotten.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ErasingText)]
pub struct ErasingView {
    /// `text:` and its digest.
    pub digest: String,
    /// The text; null once it is forgotten.
    #[schema(required)]
    pub text: Option<String>,
}

impl ErasingView {
    /// A text with its digest.
    pub fn of(text: &Text, words: &Words) -> Self {
        let digest = text.digest().map(|digest| digest.to_string()).unwrap_or_default();
        Self { digest, text: words.plain(text).map(str::to_owned) }
    }
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
