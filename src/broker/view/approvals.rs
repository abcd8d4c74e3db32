//! Approvals of either kind: approvals of governance, and elevations under their own ids.
//!
//! Enter through [`Any`].

use std::ops::Bound;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::approval::ApprovalView;
use super::elevation::ElevationView;
use crate::broker::words::Words;
use crate::broker::{approval_view, elevation_view};
use crate::domain::elevation::{self, Request};
use crate::domain::people::actor::Role;
use crate::domain::registry::approval::{Approval, Standing};
use crate::domain::registry::integration::Approvers;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ElevationId};
use crate::domain::value::text::Text;

/// An approval of governance or an elevation. An elevation also has the members of Elevation.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Approval)]
pub enum AnyView {
    /// Governance.
    Governance(Box<ApprovalView>),
    /// An elevation.
    Elevation(Box<ElevationApproval>),
}

/// An elevation as an approval. Its `state` is `approved` even while it runs and after it ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ElevationApproval {
    #[serde(flatten)]
    pub elevation: ElevationView,
    /// The approvers that it needs: a role for each, or `named` for one person of a list.
    pub slots: Vec<Slot>,
    /// The slots that are still open.
    pub open_slots: Vec<Slot>,
}

/// One approver that it needs.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Slot {
    /// A person with this role.
    Role(Role),
    /// A person of a list.
    Named(Named),
}

/// The word `named`.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    Named,
}

impl AnyView {
    /// The deadline; without an answer it is denied then.
    pub fn expires(&self) -> Timestamp {
        match self {
            Self::Governance(approval) => approval.expires,
            Self::Elevation(approval) => approval.elevation.expires,
        }
    }
}

/// An approval of either kind, as the state holds it.
#[derive(Clone, Copy)]
pub enum Any<'a> {
    /// Governance.
    Governance(&'a Approval),
    /// An elevation.
    Elevation(&'a Request),
}

impl<'a> Any<'a> {
    /// All approvals of both kinds, by id.
    pub fn all(state: &'a State) -> impl Iterator<Item = Self> {
        let (approvals, elevations) = ((Bound::Unbounded, Bound::Unbounded), (Bound::Unbounded, Bound::Unbounded));
        Self::among(state, approvals, elevations)
    }

    /// The approvals of both kinds with ids in these ranges, by id.
    pub fn among(
        state: &'a State,
        approvals: (Bound<ApprovalId>, Bound<ApprovalId>),
        elevations: (Bound<ElevationId>, Bound<ElevationId>),
    ) -> impl Iterator<Item = Self> {
        let mut governance = state.approvals.range(approvals).map(|(_, approval)| &**approval).peekable();
        let mut elevations = state.elevations.among(elevations).peekable();
        std::iter::from_fn(move || {
            let elevation_is_next = match (governance.peek(), elevations.peek()) {
                (Some(approval), Some(request)) => request.elevation.id.as_str() < approval.id.as_str(),
                (None, _) => true,
                (Some(_), None) => false,
            };
            if elevation_is_next { elevations.next().map(Any::Elevation) } else { governance.next().map(Any::Governance) }
        })
    }

    /// Finds the approval with one of these ids.
    pub fn find(state: &'a State, (approval, elevation): (&ApprovalId, &ElevationId)) -> Option<Self> {
        let governance = state.approvals.get(approval).map(|approval| Any::Governance(approval));
        governance.or_else(|| state.elevations.find(elevation).map(Any::Elevation))
    }

    /// Its id.
    pub fn id(&self) -> String {
        match self {
            Self::Governance(approval) => approval.id.to_string(),
            Self::Elevation(request) => request.elevation.id.to_string(),
        }
    }

    /// Its standing at `now`.
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self {
            Self::Governance(approval) => approval.standing(now),
            Self::Elevation(request) => standing(request, now),
        }
    }

    /// Its kind, as a filter names it.
    pub fn kind(&self) -> Value {
        match self {
            Self::Governance(approval) => json!(approval.kind),
            Self::Elevation(_) => json!("elevation"),
        }
    }

    /// The name of its subject.
    pub fn subject(&self, state: &State) -> String {
        match self {
            Self::Governance(approval) => approval_view::subject(approval, state),
            Self::Elevation(request) => request.elevation.integration.to_string(),
        }
    }

    /// The texts that [`show`](Self::show) shows.
    pub fn texts(&self) -> Vec<&'a Text> {
        match self {
            Self::Governance(approval) => approval_view::texts(approval).collect(),
            Self::Elevation(request) => elevation_view::texts(request).collect(),
        }
    }

    /// Builds its view for a list.
    pub fn show(&self, state: &State, words: &Words, now: Timestamp) -> AnyView {
        match self {
            Self::Governance(approval) => AnyView::Governance(Box::new(approval_view::row(approval, state, words, now))),
            Self::Elevation(request) => as_approval(elevation_view::row(request, state, words, now), request, now),
        }
    }
}

/// Gives an elevation the fields that every approval has.
pub fn as_approval(mut elevation: ElevationView, request: &Request, now: Timestamp) -> AnyView {
    elevation.state = match standing(request, now) {
        Standing::Approved => elevation::Standing::Approved,
        Standing::Denied => elevation::Standing::Denied,
        Standing::Expired => elevation::Standing::Expired,
        Standing::Pending => elevation::Standing::Pending,
        Standing::Withdrawn => elevation::Standing::Withdrawn,
    };
    let slots = slots(request.elevation.rule.demands.iter());
    AnyView::Elevation(Box::new(ElevationApproval { elevation, slots, open_slots: self::slots(request.open(now).into_iter()) }))
}

fn standing(request: &Request, now: Timestamp) -> Standing {
    match request.standing(now) {
        // It began without an approval, and its review is due.
        _ if request.lacks_review() => Standing::Pending,
        elevation::Standing::Pending => Standing::Pending,
        elevation::Standing::Denied => Standing::Denied,
        elevation::Standing::Expired => Standing::Expired,
        elevation::Standing::Withdrawn => Standing::Withdrawn,
        elevation::Standing::Active | elevation::Standing::Approved | elevation::Standing::Ended => Standing::Approved,
    }
}

/// Lists one slot for each approver that the demands need.
fn slots<'a>(demands: impl Iterator<Item = &'a Approvers>) -> Vec<Slot> {
    let word = |demand: &Approvers| demand.role.map_or(Slot::Named(Named::Named), Slot::Role);
    demands.flat_map(|demand| std::iter::repeat_n(word(demand), usize::from(demand.count))).collect()
}
