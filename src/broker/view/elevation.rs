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

/// An elevation: what was asked for, what is left of it, who must agree and who did.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Elevation)]
pub struct ElevationView {
    pub id: ElevationId,
    /// Changes with everything that an approver looks at.
    pub version: Digest,
    pub state: Standing,
    pub kind: ElevationKind,
    /// The integration.
    pub subject: String,
    pub integration: IntegrationId,
    pub environment: EnvironmentName,
    pub api: ApiName,
    /// The scopes that are left after every review.
    #[schema(value_type = Vec<Scope>)]
    pub scopes: ScopeSet,
    pub allow: Vec<Endpoint>,
    pub duration: String,
    pub asked: AskedView,
    #[schema(required)]
    pub reason: Option<String>,
    #[schema(required)]
    pub ticket: Option<Ticket>,
    /// It runs while the ticket is open.
    pub tied: bool,
    pub break_glass: bool,
    /// The binding that the workload asked through.
    #[schema(required)]
    pub binding: Option<BindingName>,
    pub requested_by: ActorView,
    /// Denied where nobody answers until then.
    pub expires: Timestamp,
    #[schema(required)]
    pub starts: Option<Timestamp>,
    #[schema(required)]
    pub ends: Option<Timestamp>,
    /// The people who must agree: each demand is to be met.
    pub needs: Vec<DemandView>,
    /// Those of `needs` that are not met yet.
    pub open: Vec<DemandView>,
    pub reviews: Vec<ReviewView>,
    /// It began without an approval, and nobody has looked at it since.
    pub unreviewed: bool,
    #[schema(required)]
    pub ended: Option<EndedView>,
    /// An approval counts with the approver's passkey alone.
    pub signed: bool,
    /// The highest of its scopes.
    #[schema(required)]
    pub risk: Option<Risk>,
    /// The facts that an approver must see besides; of one elevation alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = BriefingView)]
    pub briefing: Option<BriefingView>,
    /// The page on which it is approved, if it must be signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub page: Option<String>,
    /// How the ticket system says that the ticket stands, and its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String)]
    pub ticket_state: Option<String>,
    /// Living tokens that an end cut; null where they could not be counted in time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>)]
    pub cut: Option<Option<u64>>,
    /// When the last of them ends for an API that verifies offline.
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

/// People who must agree.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Demand)]
pub struct DemandView {
    #[schema(required)]
    pub role: Option<Role>,
    /// By their staff id.
    pub people: Vec<String>,
    /// How many different people.
    pub count: u8,
    #[schema(required)]
    pub fallback: Option<FallbackView>,
}

/// The role that may approve besides, after a while.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Fallback)]
pub struct FallbackView {
    pub role: Role,
    pub after: String,
}

/// A review of an elevation, and what it took away.
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

/// The end that somebody made of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ElevationEnd)]
pub struct EndedView {
    pub by: ActorView,
    pub at: Timestamp,
    #[schema(required)]
    pub reason: Option<String>,
}

/// The facts that an approver must see besides the request itself.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Briefing)]
pub struct BriefingView {
    /// Each scope in plain words.
    pub asked: Vec<ScopeView>,
    /// The scopes that the integration has at this API without any elevation.
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
    /// Other elevations of the integration that run, or will.
    pub running: Vec<PrecedentView>,
    /// Its last requests for any of these scopes, newest first.
    pub precedents: Vec<PrecedentView>,
    /// What is unusual about it.
    pub flags: Vec<&'static str>,
    #[schema(required)]
    pub purpose: Option<String>,
    pub usual: UsualView,
    pub owners: OwnersView,
}

/// A scope that is asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ScopeAsked)]
pub struct ScopeView {
    pub scope: Scope,
    /// What it lets do, in the catalogue's words.
    pub meaning: String,
    pub risk: Risk,
    /// The endpoints that the record allows; empty means the whole API.
    pub allow: Vec<Endpoint>,
    /// The longest elevation.
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

/// How the integration behaves otherwise.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usual)]
pub struct UsualView {
    #[schema(required)]
    pub last_token: Option<Timestamp>,
    /// Newest first.
    pub last_refusals: Vec<RefusalView>,
    /// Tokens of each of the last days, today last; null where they are not all in the database any more.
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
