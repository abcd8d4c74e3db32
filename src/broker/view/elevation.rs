//! One elevation, as the admin API and the console show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::approval::OwnersView;
use super::person::{ActorView, PersonView};
use crate::domain::elevation::Standing;
use crate::domain::people::actor::Role;
use crate::domain::reason::ReasonCode;
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::Verdict;
use crate::domain::registry::integration::ScopeRule;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, BindingName, ElevationId, EnvironmentName, IntegrationId, Issuer, Ticket};
use crate::domain::value::scope::{Scope, ScopeSet};

/// An elevation: the request, the terms after all reviews, the approvers needed, and the reviews.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Elevation)]
pub struct ElevationView {
    pub id: ElevationId,
    /// The version that a review must name; it changes with everything that an approver sees.
    pub version: Digest,
    pub state: Standing,
    pub kind: ElevationKind,
    /// The integration.
    pub subject: String,
    pub integration: IntegrationId,
    pub environment: EnvironmentName,
    pub api: ApiName,
    /// The scopes after all reviews.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: ScopeSet,
    pub allow: Vec<Endpoint>,
    pub duration: String,
    pub asked: AskedView,
    #[schema(required)]
    pub reason: Option<String>,
    #[schema(required)]
    pub ticket: Option<Ticket>,
    /// True if the elevation lasts only while the ticket is open.
    pub tied: bool,
    pub break_glass: bool,
    /// The binding that admitted the workload's request.
    #[schema(required)]
    pub binding: Option<BindingName>,
    pub requested_by: ActorView,
    /// The deadline; without an answer it is denied then.
    pub expires: Timestamp,
    #[schema(required)]
    pub starts: Option<Timestamp>,
    #[schema(required)]
    pub ends: Option<Timestamp>,
    /// The demands for approvers; all must be met.
    pub needs: Vec<DemandView>,
    /// The demands of `needs` that are not met yet.
    pub open: Vec<DemandView>,
    pub reviews: Vec<ReviewView>,
    /// True if it began by break-glass and was not reviewed since.
    pub unreviewed: bool,
    #[schema(required)]
    pub ended: Option<EndedView>,
    /// True if approvals must be signed with the approver's passkey.
    pub signed: bool,
    /// The highest risk of its scopes.
    #[schema(required)]
    pub risk: Option<Risk>,
    /// Further facts for an approver; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BriefingView)]
    pub briefing: Option<BriefingView>,
    /// The address of the page on which it is approved, if approvals must be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub page: Option<String>,
    /// The state and title of the ticket in the ticket system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub ticket_state: Option<String>,
    /// The number of unexpired tokens that the end revoked; null if they could not be counted in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub cut: Option<Option<u64>>,
    /// The `exp` of the last of them, for APIs that verify offline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Timestamp>)]
    pub last_expires: Option<Option<Timestamp>>,
}

/// The word `elevation`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ElevationKind {
    Elevation,
}

/// The terms that were asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Asked)]
pub struct AskedView {
    pub at: Timestamp,
    #[schema(value_type = Vec<Scope>)]
    pub scopes: ScopeSet,
    pub allow: Vec<Endpoint>,
    pub duration: String,
    #[schema(required)]
    pub starts: Option<Timestamp>,
}

/// A demand for approvers.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Demand)]
pub struct DemandView {
    #[schema(required)]
    pub role: Option<Role>,
    /// The staff ids of the people who can approve; empty if `role` says who.
    pub people: Vec<String>,
    /// The number of different people.
    pub count: u8,
    #[schema(required)]
    pub fallback: Option<FallbackView>,
}

/// The role that can also approve after a delay.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Fallback)]
pub struct FallbackView {
    pub role: Role,
    pub after: String,
}

/// A review of an elevation, with the terms that it narrowed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ElevationReview)]
pub struct ReviewView {
    pub by: PersonView,
    pub verdict: Verdict,
    #[schema(required)]
    pub reason: Option<String>,
    pub at: Timestamp,
    pub roles: Vec<Role>,
    #[schema(required, value_type = Option<Vec<Scope>>)]
    pub scopes: Option<ScopeSet>,
    #[schema(required)]
    pub allow: Option<Vec<Endpoint>>,
    #[schema(required)]
    pub duration: Option<String>,
    pub signed: bool,
}

/// The early end of an elevation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ElevationEnd)]
pub struct EndedView {
    pub by: ActorView,
    pub at: Timestamp,
    #[schema(required)]
    pub reason: Option<String>,
}

/// Facts for an approver besides the request itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Briefing)]
pub struct BriefingView {
    /// The scopes with their descriptions.
    pub asked: Vec<ScopeView>,
    /// The scopes that the integration has at this API without an elevation.
    #[schema(value_type = Vec<Object>)]
    pub standing: Vec<ScopeRule>,
    pub data_classes: Vec<String>,
    pub contract: String,
    pub contract_ends: Timestamp,
    #[schema(required)]
    pub partner_verified: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Issuer)]
    pub issuer: Option<Issuer>,
    /// Other elevations of the integration that run or are about to.
    pub running: Vec<PrecedentView>,
    /// The integration's last requests for any of these scopes, newest first.
    pub precedents: Vec<PrecedentView>,
    /// Unusual facts about the request.
    pub flags: Vec<&'static str>,
    #[schema(required)]
    pub purpose: Option<String>,
    pub usual: UsualView,
    pub owners: OwnersView,
}

/// A requested scope.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ScopeAsked)]
pub struct ScopeView {
    pub scope: Scope,
    /// The catalogue's description of the scope.
    pub meaning: String,
    pub risk: Risk,
    /// The endpoints that the record allows; empty means the whole API.
    pub allow: Vec<Endpoint>,
    /// The longest duration of an elevation, in seconds.
    pub max: Seconds,
}

/// Another request.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Precedent)]
pub struct PrecedentView {
    pub id: ElevationId,
    pub state: Standing,
    pub asked: Timestamp,
    pub scopes: Vec<Scope>,
}

/// The recent behaviour of the integration.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usual)]
pub struct UsualView {
    #[schema(required)]
    pub last_token: Option<Timestamp>,
    /// The last refusals, newest first.
    pub last_refusals: Vec<RefusalView>,
    /// Tokens issued on each of the last days, today last; null if some entries have left the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Option<u64>>)]
    pub tokens_by_day: Option<Vec<Option<u64>>>,
}

/// A refusal on record.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub struct RefusalView {
    pub at: Timestamp,
    pub reason: ReasonCode,
    pub environment: EnvironmentName,
}
