//! The access that an integration had at a past time, as answers show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::approval::OwnersView;
use super::person::{ActorView, PersonView};
use super::recertification::BindingView;
use super::way_in::ReachView;
use crate::domain::reason::ReasonCode;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApiName, ApprovalId, ElevationId, EnvironmentName};
use crate::domain::value::scope::Scope;

/// The access that an integration had, by whose approval.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessThen)]
pub struct AccessThenView {
    pub owners: OwnersView,
    /// The approval of the version in force, or of the one that it was narrowed from; null of what came before there were any.
    #[schema(required)]
    pub approval: Option<ApprovalId>,
    /// The people who approved it.
    pub approved_by: Vec<PersonView>,
    /// By environment.
    pub places: Vec<PlaceThenView>,
}

/// The access in one environment.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PlaceThen)]
pub struct PlaceThenView {
    pub environment: EnvironmentName,
    /// `granting` or `refusing`: what an exchange with a good proof would have been told.
    pub state: &'static str,
    /// What refused, in the order in which an exchange checks it.
    pub causes: Vec<ReasonCode>,
    /// The scopes that could be asked for at any time.
    pub reach: Vec<ReachView>,
    pub bindings: Vec<BindingView>,
    /// The elevations that ran, as far as each gave something.
    pub elevations: Vec<ElevationThenView>,
}

/// An elevation that ran.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ElevationThen)]
pub struct ElevationThenView {
    pub id: ElevationId,
    pub api: ApiName,
    pub scopes: Vec<Scope>,
    pub ends: Timestamp,
    pub break_glass: bool,
    pub requested_by: ActorView,
    /// Empty if nobody had approved it: it began without an approval.
    pub approved_by: Vec<PersonView>,
}
