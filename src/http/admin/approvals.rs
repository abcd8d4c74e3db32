//! Approvals: what waits for whom, and the reviews. An elevation is an approval too, under its own id.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::elevations::{self, Reviewed};
use super::input::{Page, body, named};
use super::people::{Words, sealed};
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::approval_view::{self, row, subject};
use crate::domain::elevation::{self, Narrowing, Request};
use crate::domain::people::actor::{Read, Review};
use crate::domain::reason;
use crate::domain::registry::approval::{self, Approval};
use crate::domain::registry::integration::Approvers;
use crate::domain::state::State as House;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ElevationId};
use crate::domain::value::text::Text;

/// `GET /v1/approvals`.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["state", "subject", "kind"])?;
        let (view, now) = (broker.journal.view(), broker.now());
        let governance = view.state.approvals.values().map(Any::Governance);
        let all = governance.chain(view.state.elevations.all().map(Any::Elevation));
        let wanted = all.filter(|any| any.is_wanted(&page, &view.state, now));
        let mut all: Vec<(String, Any<'_>)> = wanted.map(|any| (any.id(), any)).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let part = page.part(all.into_iter());
        let words = Words::of(&broker, sealed(part.items.iter().flat_map(Any::texts))).await?;
        Ok(part.show(|any| any.show(&view.state, &words, now)))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// What waits for people, of either kind; for pages.
pub async fn pending(broker: &Broker) -> Result<Vec<Value>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let governance = view.state.approvals.values().map(Any::Governance);
    let all = governance.chain(view.state.elevations.all().map(Any::Elevation));
    let all: Vec<Any<'_>> = all.filter(|any| any.standing(now) == approval::Standing::Pending).collect();
    let words = Words::of(broker, sealed(all.iter().flat_map(Any::texts))).await?;
    Ok(all.iter().map(|any| any.show(&view.state, &words, now)).collect())
}

/// `GET /v1/approvals/{id}`.
pub async fn one(State(broker): State<Broker>, by: Admitted<Read>, Path(id): Path<String>) -> Result<Response, Problem> {
    let shown = seen(&broker, &id).await.map_err(|problem| problem.at(&by.request))?;
    Ok(axum::Json(shown).into_response())
}

/// All that is needed to decide on an approval of either kind.
pub async fn seen(broker: &Broker, id: &str) -> Result<Value, Problem> {
    let (name, elevation): (ApprovalId, ElevationId) = (named(id)?, named(id)?);
    if let Some(shown) = broker.approval_view(&name).await? {
        return Ok(shown);
    }
    let mut shown = elevations::seen(broker, id).await?;
    let (view, now) = (broker.journal.view(), broker.now());
    let request = view.state.elevations.find(&elevation).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    as_approval(&mut shown, request, now);
    Ok(shown)
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
        let wanted: Reviewed = body(&headers, &bytes)?;
        let elevation: ElevationId = named(&id)?;
        if broker.journal.view().state.elevations.find(&elevation).is_some() {
            return elevations::reviewed(&broker, &by, &elevation, wanted).await;
        }
        if wanted.narrowing()? != Narrowing::default() {
            return Err(Problem::of(&reason::REQUEST_INVALID));
        }
        let name: ApprovalId = named(&id)?;
        let request = by.made_for();
        broker.review(&by.by, &name, wanted.verdict, &wanted.reason, wanted.version, request).await?;
        answer(&broker, &id).await
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

async fn answer(broker: &Broker, id: &str) -> Result<Response, Problem> {
    let (name, elevation): (ApprovalId, ElevationId) = (named(id)?, named(id)?);
    let view = broker.journal.view();
    let governance = view.state.approvals.get(&name).map(Any::Governance);
    let found = governance.or_else(|| view.state.elevations.find(&elevation).map(Any::Elevation));
    let any = found.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let words = Words::of(broker, sealed(any.texts().into_iter())).await?;
    Ok(axum::Json(any.show(&view.state, &words, broker.now())).into_response())
}

/// One word for each person that is wanted: a role, or that somebody of a list is.
fn slots<'a>(demands: impl Iterator<Item = &'a Approvers>) -> Value {
    let words = demands.flat_map(|demand| {
        let word = demand.role.map_or_else(|| json!("named"), |role| json!(role));
        std::iter::repeat_n(word, usize::from(demand.count))
    });
    words.collect()
}

/// What an elevation has as every approval has it.
fn as_approval(shown: &mut Value, request: &Request, now: Timestamp) {
    shown["state"] = json!(Any::Elevation(request).standing(now));
    shown["slots"] = slots(request.elevation.rule.demands.iter());
    shown["openSlots"] = slots(request.open(now).into_iter());
}

/// An approval of either kind.
enum Any<'a> {
    Governance(&'a Approval),
    Elevation(&'a Request),
}

impl<'a> Any<'a> {
    fn id(&self) -> String {
        match self {
            Self::Governance(approval) => approval.id.to_string(),
            Self::Elevation(request) => request.elevation.id.to_string(),
        }
    }

    fn standing(&self, now: Timestamp) -> approval::Standing {
        let request = match self {
            Self::Governance(approval) => return approval.standing(now),
            Self::Elevation(request) => request,
        };
        match request.standing(now) {
            // It ran, and somebody has to look at it.
            _ if request.lacks_review() => approval::Standing::Pending,
            elevation::Standing::Pending => approval::Standing::Pending,
            elevation::Standing::Denied => approval::Standing::Denied,
            elevation::Standing::Expired => approval::Standing::Expired,
            elevation::Standing::Withdrawn => approval::Standing::Withdrawn,
            elevation::Standing::Active | elevation::Standing::Approved | elevation::Standing::Ended => {
                approval::Standing::Approved
            }
        }
    }

    fn is_wanted(&self, page: &Page, house: &House, now: Timestamp) -> bool {
        let (kind, subject) = match self {
            Self::Governance(approval) => (json!(approval.kind), subject(approval, house)),
            Self::Elevation(request) => (json!("elevation"), request.elevation.integration.to_string()),
        };
        let is = |name: &str, value: Value| page.filters.get(name).is_none_or(|wanted| value == wanted);
        is("state", json!(self.standing(now))) && is("kind", kind) && is("subject", json!(subject))
    }

    fn texts(&self) -> Vec<&'a Text> {
        match self {
            Self::Governance(approval) => approval_view::texts(approval).collect(),
            Self::Elevation(request) => elevations::texts(request).collect(),
        }
    }

    fn show(&self, house: &House, words: &Words, now: Timestamp) -> Value {
        match self {
            Self::Governance(approval) => row(approval, house, words, now),
            Self::Elevation(request) => {
                let mut shown = elevations::show(house, request, words, now);
                as_approval(&mut shown, request, now);
                shown
            }
        }
    }
}
