//! Lists, shows and reviews approvals. An elevation is an approval too, under its own id.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Listed, Written};
use super::elevations::{self, Reviewed};
use super::input::{Filter, Filters, Page, Sent, named};
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::approval_view;
use crate::broker::view::approval::ApprovalView;
use crate::broker::view::approvals::{Any, AnyView, as_approval};
use crate::broker::view::elevation::ElevationView;
use crate::broker::words::{Words, sealed};
use crate::domain::elevation::Narrowing;
use crate::domain::people::actor::{Read, Review};
use crate::domain::reason;
use crate::domain::value::names::{ApprovalId, ElevationId};

/// The routes.
pub fn routes() -> Vec<Route> {
    let reviewed = "Approve or deny what was seen; a human who signed in within 15 minutes";
    vec![
        get("/v1/approvals", "listApprovals", "Approvals: those that wait, and those that were decided", list),
        get("/v1/approvals/{id}", "getApproval", "One approval, with all that is needed to decide", one).names("approval"),
        post("/v1/approvals/{id}/reviews", "review", reviewed, review).names("approval"),
    ]
}

/// The filters of a list of approvals.
struct OfApprovals;

impl Filters for OfApprovals {
    const ALL: &'static [Filter] = &[
        Filter::text("state", "pending, approved, denied, expired or withdrawn"),
        Filter::text("subject", "About this"),
        Filter::text("kind", "Of this kind"),
    ];
}

/// The approval after a review. An elevation is shown as `GET /v1/elevations/{id}` shows it.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "an elevation is written by `elevations`; here its shape is described")]
enum AfterReview {
    /// An approval of governance.
    Governance(Box<ApprovalView>),
    /// An elevation.
    Elevation(Box<ElevationView>),
}

/// `GET /v1/approvals`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<OfApprovals>) -> Result<Listed<AnyView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let takes = |name: &str, value: serde_json::Value| page.takes(name, value.as_str().unwrap_or_default());
    let wanted = |any: &Any<'_>| {
        takes("state", json!(any.standing(now)))
            && takes("kind", any.kind())
            && page.takes("subject", &any.subject(&view.state))
    };
    let all = Any::among(&view.state, page.after()?, page.after()?).filter(wanted);
    let part = page.first(all.map(|any| (any.id(), any)));
    let words = Words::of(&broker, sealed(part.items.iter().flat_map(Any::texts))).await?;
    Ok(part.map(|any| any.show(&view.state, &words, now)))
}

/// `GET /v1/approvals/{id}`.
async fn one(State(broker): State<Broker>, _by: Admitted<Read>, Path(id): Path<String>) -> Result<Json<AnyView>, Problem> {
    let (name, elevation): (ApprovalId, ElevationId) = (named(&id)?, named(&id)?);
    if let Some(shown) = broker.approval_view(&name).await? {
        return Ok(Json(AnyView::Governance(Box::new(shown))));
    }
    let shown = elevations::seen(&broker, &elevation).await?;
    let (view, now) = (broker.journal.view(), broker.now());
    let request = view.state.elevations.find(&elevation).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    Ok(Json(as_approval(shown, request, now)))
}

/// `POST /v1/approvals/{id}/reviews`.
async fn review(
    State(broker): State<Broker>,
    by: Admitted<Review>,
    Path(id): Path<String>,
    Sent(wanted): Sent<Reviewed>,
) -> Result<Written<Json<AfterReview>>, Problem> {
    let elevation: ElevationId = named(&id)?;
    if broker.journal.view().state.elevations.find(&elevation).is_some() {
        return Ok(Written::as_is(Response::from(elevations::reviewed(&broker, &by, &elevation, wanted).await?)));
    }
    if wanted.narrowing()? != Narrowing::default() {
        return Err(Problem::of(&reason::REQUEST_INVALID));
    }
    let name: ApprovalId = named(&id)?;
    let request = by.made_for();
    broker.review(&by.by, &name, wanted.verdict, &wanted.reason, wanted.version, request).await?;
    let view = broker.journal.view();
    let any = Any::find(&view.state, (&name, &elevation)).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let words = Words::of(&broker, sealed(any.texts().into_iter())).await?;
    let Any::Governance(approval) = any else { return Err(Problem::of(&reason::NOT_FOUND)) };
    let shown = approval_view::row(approval, &view.state, &words, broker.now());
    Ok(Written::of(Json(AfterReview::Governance(Box::new(shown)))))
}
