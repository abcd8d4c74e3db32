//! Approvals: what waits for whom, and the reviews.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::{Page, body, named};
use super::people::{Words, names, sealed};
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::actor::{Read, Review};
use crate::domain::approval::{Approval, Verdict};
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::names::ApprovalId;
use crate::domain::reason;

/// What a reviewer sends; the version seen is required.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    verdict: Verdict,
    reason: String,
    version: Digest,
}

/// `GET /v1/approvals`.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["state", "subject", "kind"])?;
        let (view, now) = (broker.journal.view(), broker.now());
        let all: Vec<&Approval> = view.state.approvals.values().filter(|approval| is_wanted(approval, &page, now)).collect();
        let words = Words::of(&broker, sealed(all.iter().flat_map(|approval| texts(approval)))).await?;
        Ok(page
            .cut(all.into_iter().map(|approval| (approval.id.to_string(), approval)), |approval| show(approval, &words, now)))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/approvals/{id}`.
pub async fn one(State(broker): State<Broker>, by: Admitted<Read>, Path(id): Path<String>) -> Result<Response, Problem> {
    answer(&broker, &id).await.map_err(|problem| problem.at(&by.request))
}

/// `POST /v1/approvals/{id}/reviews`.
pub async fn review(
    State(broker): State<Broker>,
    by: Admitted<Review>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Wanted = body(&headers, &bytes)?;
        let name: ApprovalId = named(&id)?;
        let request = Some(by.request.clone());
        broker.review(&by.by, &name, wanted.verdict, &wanted.reason, wanted.version, request).await?;
        answer(&broker, &id).await
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

async fn answer(broker: &Broker, id: &str) -> Result<Response, Problem> {
    let id: ApprovalId = named(id)?;
    let view = broker.journal.view();
    let approval = view.state.approvals.get(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let words = Words::of(broker, sealed(texts(approval))).await?;
    Ok(axum::Json(show(approval, &words, broker.now())).into_response())
}

fn is_wanted(approval: &Approval, page: &Page, now: Timestamp) -> bool {
    let is = |name: &str, value: Value| page.filters.get(name).is_none_or(|wanted| value == wanted);
    is("state", json!(approval.standing(now))) && is("kind", json!(approval.kind)) && is("subject", json!(approval.subject))
}

fn texts(approval: &Approval) -> impl Iterator<Item = &crate::domain::text::Text> {
    let of_reviews = approval.reviews.iter().flat_map(|review| review.by.name.iter().chain([&review.reason]));
    names(&approval.requested_by).chain(of_reviews)
}

fn show(approval: &Approval, words: &Words, now: Timestamp) -> Value {
    let review = |review: &crate::domain::approval::Review| {
        json!({
            "by": words.person(&review.by), "verdict": review.verdict, "reason": words.plain(&review.reason), "at": review.at,
            "roles": review.roles,
        })
    };
    json!({
        "id": approval.id, "version": approval.version, "state": approval.standing(now), "kind": approval.kind,
        "subject": approval.subject, "requestedBy": words.actor(&approval.requested_by), "slots": approval.slots,
        "openSlots": approval.open_slots(), "expires": approval.expires,
        "reviews": approval.reviews.iter().map(review).collect::<Vec<_>>(),
    })
}
