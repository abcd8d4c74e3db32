//! Reviews of access: which are open, what people decide, campaigns, and how people review.

use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Accepted, Created, Listed};
use super::describe::{Answer, Description};
use super::input::{Asked, Filter, Filters, Page, Sent, named};
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::broker::recertification::{self as reviews, Said};
use crate::broker::view::person::PersonView;
use crate::broker::view::recertification::{CardView, RowView, completed, row};
use crate::broker::view::review_report::ReportView;
use crate::broker::words::{Words, sealed};
use crate::domain::people::actor::{DecideReview, Read, ReadReviewers, StartReviews};
use crate::domain::reason;
use crate::domain::record::last_second;
use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::{CampaignTerms, ItemDecision, ItemVerdict, ReviewId, Selection};
use crate::domain::state::State as House;
use crate::domain::state::integration::IntegrationState;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, ApprovalId, CampaignId, IntegrationId, PartnerName};
use crate::domain::value::scope::Scope;
use crate::domain::value::text::Text;

/// The routes.
pub fn routes() -> Vec<Route> {
    let decide_what = "Decide on each scope of a review; what narrows is in force at once";
    let start_what = "Start a campaign of reviews; one whose silence suspends waits for a second person of security";
    vec![
        get("/v1/reviews", "listReviews", "Reviews that are open, lapsed or completed", list),
        post("/v1/reviews", "startReviews", start_what, start),
        get("/v1/reviews/figures", "getReviewFigures", "How people review", figures),
        get("/v1/reviews/report", "getReviewReport", "Who decided what, when and why, over a period", report),
        get("/v1/reviews/{id}", "getReview", "One review, with all that a reviewer needs", one).names("review"),
        post("/v1/reviews/{id}/decisions", "decideReview", decide_what, decide).names("review"),
    ]
}

/// The filters of a list of reviews.
struct OfReviews;

impl Filters for OfReviews {
    const ALL: &'static [Filter] = &[
        Filter::words("state", "Where it stands", &["open", "lapsed", "completed"]),
        Filter::text("partner", "A partner"),
        Filter::text("integration", "`PARTNER/INTEGRATION`"),
        Filter::text("environment", "An environment"),
    ];
}

/// The newest completed review of each environment of an integration, and the open one.
fn rows(id: &IntegrationId, known: &IntegrationState, state: &House, now: Timestamp) -> Vec<RowView> {
    let mut rows = Vec::new();
    for (environment, place) in known.reviews.places() {
        if let Some(done) = place.done.last() {
            let number = place.number().saturating_sub(1);
            let review = ReviewId { integration: id.clone(), environment: environment.clone(), number };
            rows.push(completed(review, done));
        }
        rows.extend(row(id, known, environment, state, now));
    }
    rows
}

/// `GET /v1/reviews`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<OfReviews>) -> Result<Listed<RowView>, Problem> {
    let (journal, now) = (broker.journal.view(), broker.now());
    let state = &journal.state;
    let after = match page.after::<ReviewId>()?.0 {
        Bound::Excluded(after) => Some(after),
        Bound::Included(_) | Bound::Unbounded => None,
    };
    let from = after.as_ref().map(|after| after.integration.clone());
    let partner: Option<PartnerName> = page.filters.get("partner").map(named).transpose()?;
    let from = from.or_else(|| partner.as_ref().map(IntegrationId::least_of));
    let all = match &from {
        Some(from) => state.integrations.range(from.clone()..),
        None => state.integrations.range::<_, IntegrationId>(..),
    };
    let of_partner = |(id, _): &(&IntegrationId, _)| partner.as_ref().is_none_or(|partner| id.partner == *partner);
    let wanted = |row: &RowView| {
        page.takes("state", row.state)
            && page.takes("integration", &row.integration.to_string())
            && page.takes("environment", row.environment.as_str())
            && after.as_ref().is_none_or(|after| row.id > *after)
    };
    let stands = |(_, known): &(&IntegrationId, &Arc<IntegrationState>)| known.ending.is_none();
    let rows = all.take_while(of_partner).filter(stands).flat_map(|(id, known)| rows(id, known, state, now)).filter(wanted);
    Ok(page.first(rows.map(|row| (row.id.to_string(), row))))
}

/// `GET /v1/reviews/{id}`. Who may decide on it is noted to have seen it.
async fn one(State(broker): State<Broker>, by: Admitted<Read>, Path(id): Path<String>) -> Result<Json<CardView>, Problem> {
    let id: ReviewId = named(&id)?;
    let card = broker.card(&id).await?.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    if card.version.is_some() {
        broker.views.note(&id, &by.by.staff().person, Digest::of_json(&card), broker.now());
    }
    Ok(Json(card))
}

/// A decision on a review.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccessDecideReview)]
struct Wanted {
    /// The version that was seen.
    version: Digest,
    /// One decision for each scope; of security, for each high-risk scope that the owner kept.
    items: Vec<WantedItem>,
    /// The reason. It is recorded.
    reason: String,
}

/// A decision on one scope.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccessDecideReviewItem)]
struct WantedItem {
    api: ApiName,
    scope: Scope,
    /// `keep`, `narrow`, `elevation` or `remove`.
    #[schema(value_type = String)]
    decision: ItemVerdict,
    /// The endpoints that are left, for `narrow`.
    #[serde(default)]
    #[schema(required = false)]
    allow: Vec<Endpoint>,
    /// Required of a high-risk scope that stays. It is recorded.
    #[schema(value_type = String, required = false)]
    reason: Option<String>,
}

/// What a decision did.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessReviewDecided)]
struct DecidedView {
    #[schema(value_type = String)]
    id: ReviewId,
    /// `completed`, or `open` while security has to decide still.
    state: &'static str,
    /// `first` or `second`.
    word: &'static str,
    /// The narrower version of the record that is in force now; null if nothing narrowed.
    #[schema(required)]
    version: Option<Digest>,
    /// The approval of a version that waited, which the narrower one withdrew.
    #[schema(required)]
    withdrew: Option<ApprovalId>,
}

/// `POST /v1/reviews/{id}/decisions`.
async fn decide(
    State(broker): State<Broker>,
    by: Admitted<DecideReview>,
    Path(id): Path<String>,
    Sent(wanted): Sent<Wanted>,
) -> Result<Json<DecidedView>, Problem> {
    let id: ReviewId = named(&id)?;
    let item = |item: WantedItem| ItemDecision {
        api: item.api,
        scope: item.scope,
        decision: item.decision,
        allow: item.allow,
        reason: item.reason.as_deref().map(Text::from),
    };
    let items = wanted.items.into_iter().map(item).collect();
    let said = Said { version: wanted.version, items, reason: wanted.reason };
    let decided = broker.decide_review(&by.by, &id, &said, by.made_for()).await?;
    Ok(Json(DecidedView {
        id,
        state: if decided.completes { "completed" } else { "open" },
        word: decided.word.name(),
        version: decided.record.as_deref().map(Digest::of_json),
        withdrew: decided.withdraws,
    }))
}

/// A campaign of reviews.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = AccessStartReviews)]
struct Campaign {
    /// Which environments of which integrations: `{"all": true}`, or a `partner`, a `risk`, or both.
    #[schema(value_type = Object)]
    select: Selection,
    /// A day, which counts to its end, or an RFC 3339 time: 7 to 90 days ahead.
    due: String,
    /// `suspend` or `report`: the consequence where nobody answers. It never weakens that of a record.
    #[schema(value_type = String)]
    on_silence: OnSilence,
    /// The reason. It is recorded.
    reason: String,
}

/// A campaign that was asked for.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessCampaignAsked)]
struct CampaignView {
    id: CampaignId,
    /// The approval that it waits for; null where its reviews are open.
    #[schema(required)]
    approval: Option<ApprovalId>,
    /// The environments that it covers now.
    covers: usize,
}

/// 201 for a campaign whose reviews are open, 202 for one that waits.
struct Started(CampaignView);

impl axum::response::IntoResponse for Started {
    fn into_response(self) -> axum::response::Response {
        if self.0.approval.is_some() { Accepted(self.0).into_response() } else { Created(self.0).into_response() }
    }
}

impl Answer for Started {
    fn describe(description: &mut Description) {
        for status in [201, 202] {
            let schema = description.schema::<CampaignView>();
            description.answer(status, Some(schema));
        }
    }
}

/// `POST /v1/reviews`.
async fn start(
    State(broker): State<Broker>,
    by: Admitted<StartReviews>,
    Sent(wanted): Sent<Campaign>,
) -> Result<Started, Problem> {
    let Campaign { select, due, on_silence, reason } = wanted;
    let due = last_second(&due).map_err(|message| Problem::faults(vec![Fault::invalid("due", message)]))?;
    let terms = CampaignTerms { select, due, on_silence };
    let reviews::Asked { campaign, approval, covers } = broker.start_reviews(&by.by, &terms, &reason, by.made_for()).await?;
    Ok(Started(CampaignView { id: campaign, approval, covers }))
}

/// How somebody reviews.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AccessReviewer)]
struct ReviewerView {
    by: PersonView,
    /// The first words that this person gave.
    reviews: u32,
    /// The share of them in which every scope was kept, from 0 to 1.
    share_kept: f64,
    /// The median of the seconds from the first view to the decision, over the last ten for which they are known.
    #[schema(required)]
    median_seconds: Option<u32>,
    /// Somebody else reviews next time: the last ten were decided within seconds, or the last twenty kept everything.
    flagged: bool,
}

/// How people review.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessReviewFigures)]
struct FiguresView {
    reviewers: Vec<ReviewerView>,
}

/// `GET /v1/reviews/figures`.
async fn figures(State(broker): State<Broker>, _by: Admitted<ReadReviewers>) -> Result<Json<FiguresView>, Problem> {
    let journal = broker.journal.view();
    let known: Vec<_> = journal.state.recertification.reviewers().filter_map(|one| Some((one, one.person.as_ref()?))).collect();
    let words = Words::of(&broker, sealed(known.iter().filter_map(|(_, person)| person.name.as_ref()))).await?;
    let view = |(one, person): (&crate::domain::state::recertification::Reviewer, &_)| ReviewerView {
        by: words.person(person),
        reviews: one.reviews,
        share_kept: f64::from(one.kept) / f64::from(one.reviews.max(1)),
        median_seconds: one.median(),
        flagged: one.is_flagged(),
    };
    Ok(Json(FiguresView { reviewers: known.into_iter().map(view).collect() }))
}

/// The period of a report.
struct OfReport;

impl Filters for OfReport {
    const ALL: &'static [Filter] = &[
        Filter::text("from", "The first day, or an RFC 3339 time"),
        Filter::text("to", "The last day, or an RFC 3339 time"),
        Filter::text("names", "`true` names reviewers; without it they are numbered"),
    ];
}

/// `GET /v1/reviews/report`.
async fn report(State(broker): State<Broker>, by: Admitted<Read>, asked: Asked<OfReport>) -> Result<Json<ReportView>, Problem> {
    let time = |name: &str, read: fn(&str) -> Result<Timestamp, &'static str>| {
        let told = |message: &str| Problem::faults(vec![Fault::invalid(name, message)]);
        asked.filters.get(name).map(read).transpose().map_err(told)
    };
    let from = time("from", crate::domain::record::first_second)?;
    let to = time("to", last_second)?;
    let names = match asked.filters.get("names") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::of(&reason::REQUEST_MALFORMED)),
    };
    Ok(Json(broker.review_report(&by.by, (from, to), names).await?))
}
