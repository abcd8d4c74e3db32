//! Lists, requests, reviews and ends elevations.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::admitted::Admitted;
use super::answer::{Created, Listed, Written};
use super::asked::{Asked, DURATION};
use super::idempotency::confirmed;
use super::input::{Filter, Filters, Page, Sent, named, shaped};
use super::people::Why;
use super::problem::Problem;
use super::revocations::EndedView;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::elevation::Word;
use crate::broker::elevation_view::{row, texts};
use crate::broker::failure::Fault;
use crate::broker::view::elevation::ElevationView;
use crate::broker::words::{Words, sealed};
use crate::domain::elevation::{Narrowing, Request};
use crate::domain::people::actor::{Elevate, Read, Review};
use crate::domain::registry::approval::Verdict;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ElevationId, EnvironmentName, IntegrationId};
use crate::domain::value::scope::Scope;
use crate::http::console::place::address;

/// More environments than any installation has. It bounds the work of one request.
const MOST_ENVIRONMENTS: usize = 16;

/// The routes.
pub fn routes() -> Vec<Route> {
    let asked =
        "Ask for scopes for a while, once for each environment; with one environment the answer is that elevation as well";
    let reviewed = "Approve, approve less, or deny what was seen; a human who signed in within 15 minutes";
    let ended = "End it, or take the request back, and cut the tokens that were issued under it";
    vec![
        get("/v1/elevations", "listElevations", "All elevations, also those that were denied or have ended", list),
        post("/v1/elevations", "askElevation", asked, ask),
        get("/v1/elevations/{id}", "elevation", "One elevation with all that an approver must see", one).names("elevation"),
        post("/v1/elevations/{id}/end", "endElevation", ended, end).names("elevation"),
        post("/v1/elevations/{id}/reviews", "reviewElevation", reviewed, review).names("elevation"),
    ]
}

/// A review. The version is required; every other member can only narrow the elevation.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Review)]
pub(super) struct Reviewed {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    /// The version that the reviewer saw.
    pub(super) version: Digest,
    /// Approve only these scopes of an elevation.
    #[schema(value_type = Vec<Scope>, required = false)]
    scopes: Option<Vec<Scope>>,
    /// Approve only these endpoints of an elevation.
    #[schema(value_type = Vec<Endpoint>, required = false)]
    allow: Option<Vec<Endpoint>>,
    /// Approve an elevation for this duration only.
    #[schema(value_type = String, required = false)]
    duration: Option<String>,
}

impl Reviewed {
    pub(super) fn narrowing(&self) -> Result<Narrowing, Problem> {
        let fault = || vec![Fault::invalid("duration", DURATION)];
        let duration = self.duration.as_deref().map(|text| Seconds::parse(text).ok_or_else(|| Problem::faults(fault())));
        Ok(Narrowing {
            scopes: self.scopes.as_ref().map(|scopes| scopes.iter().cloned().collect()),
            allow: self.allow.clone(),
            duration: duration.transpose()?,
        })
    }
}

/// A person's request: the integration and environments, and the terms of a request.
#[derive(ToSchema)]
#[schema(as = AskElevation)]
#[expect(dead_code, reason = "the shape of `Members`, which is read in two steps")]
struct AskedByPerson {
    integration: IntegrationId,
    environments: Vec<EnvironmentName>,
    #[schema(inline)]
    #[serde(flatten)]
    asked: Asked,
}

/// The members of the body, before they are split into target and terms.
#[derive(Deserialize)]
#[serde(transparent)]
struct Members(Map<String, Value>);

impl PartialSchema for Members {
    fn schema() -> RefOr<Schema> {
        AskedByPerson::schema()
    }
}

impl ToSchema for Members {
    fn name() -> std::borrow::Cow<'static, str> {
        AskedByPerson::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        AskedByPerson::schemas(schemas);
    }
}

/// The elevations that were requested.
///
/// With one environment, the usual case, the answer is also that elevation itself.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = ElevationsAsked)]
enum AskedFor {
    /// For one environment.
    One(Box<OneAsked>),
    /// For several.
    Several(AllAsked),
}

/// The elevation of one environment, and a list with it alone.
#[derive(Serialize, ToSchema)]
struct OneAsked {
    #[serde(flatten)]
    only: ElevationView,
    #[serde(flatten)]
    all: AllAsked,
}

/// An elevation for each environment.
#[derive(Serialize, ToSchema)]
struct AllAsked {
    items: Vec<ElevationView>,
    /// Always null: the list is complete.
    #[schema(required)]
    next: Option<String>,
}

/// The filters of a list of elevations.
struct OfElevations;

impl Filters for OfElevations {
    const ALL: &'static [Filter] = &[
        Filter::text("state", "pending, approved, active, ended, denied, expired or withdrawn; or unreviewed"),
        Filter::text("integration", "Of this integration"),
        Filter::text("environment", "In this environment"),
    ];
}

/// `POST /v1/elevations`: requests one elevation for each environment.
async fn ask(
    State(broker): State<Broker>,
    by: Admitted<Elevate>,
    Sent(Members(mut members)): Sent<Members>,
) -> Result<Written<Created<AskedFor>>, Problem> {
    let mut taken = |name: &str| members.remove(name).unwrap_or(Value::Null);
    let (integration, environments) = (taken("integration"), taken("environments"));
    let integration: IntegrationId = shaped(integration)?;
    let environments: Vec<EnvironmentName> = shaped(environments)?;
    let asked: Asked = shaped(members.into())?;
    if !are_distinct(&environments) {
        let message = "expected at least one environment, and none twice";
        let fault = Fault::invalid("environments", message);
        return Err(Problem::faults(vec![fault]));
    }
    if !broker.journal.view().state.integrations.contains_key(&integration) {
        return Err(Problem::missing(format!("integration {integration}")));
    }
    let asked = asked.read().map_err(Problem::faults)?;
    let ids = broker.elevate(&by.by, &integration, environments, asked, by.made_for()).await?;
    let view = broker.journal.view();
    let made: Vec<&Request> = ids.iter().filter_map(|id| view.state.elevations.find(id)).collect();
    let words = Words::of(&broker, sealed(made.iter().flat_map(|request| texts(request)))).await?;
    let items: Vec<_> = made.iter().map(|request| row(request, &view.state, &words, broker.now())).collect();
    let all = AllAsked { items, next: None };
    let told = match all.items.as_slice() {
        [only] => AskedFor::One(Box::new(OneAsked { only: only.clone(), all })),
        _ => AskedFor::Several(all),
    };
    let told = Written::of(Created(told));
    Ok(match ids.as_slice() {
        [only] => told.at(&format!("/v1/elevations/{only}")),
        _ => told,
    })
}

fn are_distinct(environments: &[EnvironmentName]) -> bool {
    let mut known: Vec<&EnvironmentName> = Vec::new();
    for environment in environments {
        if !known.contains(&environment) {
            known.push(environment);
        }
    }
    !environments.is_empty() && environments.len() <= MOST_ENVIRONMENTS && known.len() == environments.len()
}

/// `GET /v1/elevations`.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfElevations>,
) -> Result<Listed<ElevationView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let wanted = |request: &&Request| {
        let state = page.filters.get("state").is_none_or(|wanted| match wanted {
            "unreviewed" => request.lacks_review(),
            wanted => json!(request.standing(now)) == wanted,
        });
        state
            && page.takes("integration", &request.elevation.integration.to_string())
            && page.takes("environment", request.elevation.environment.as_str())
    };
    let all = view.state.elevations.among(page.after()?).filter(wanted);
    let part = page.first(all.map(|request| (request.elevation.id.to_string(), request)));
    let words = Words::of(&broker, sealed(part.items.iter().flat_map(|request| texts(request)))).await?;
    Ok(part.map(|request| row(request, &view.state, &words, now)))
}

/// `GET /v1/elevations/{id}`: everything that an approver must see.
async fn one(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(id): Path<String>,
) -> Result<Json<ElevationView>, Problem> {
    Ok(Json(seen(&broker, &named(&id)?).await?))
}

/// Everything that an approver must see, with the page where it is approved.
pub(super) async fn seen(broker: &Broker, id: &ElevationId) -> Result<ElevationView, Problem> {
    Ok(with_page(broker, broker.elevation_seen(id).await?))
}

async fn whole(broker: &Broker, id: &ElevationId) -> Result<ElevationView, Problem> {
    Ok(with_page(broker, broker.elevation_view(id).await?))
}

fn with_page(broker: &Broker, mut shown: ElevationView) -> ElevationView {
    let passkeys = broker.passkeys.as_ref().filter(|_| shown.signed);
    shown.page = passkeys.map(|passkeys| address(passkeys.origin(), shown.id.as_str()));
    shown
}

/// `POST /v1/elevations/{id}/reviews`.
async fn review(
    State(broker): State<Broker>,
    by: Admitted<Review>,
    Path(id): Path<String>,
    Sent(wanted): Sent<Reviewed>,
) -> Result<Written<Json<ElevationView>>, Problem> {
    reviewed(&broker, &by, &named(&id)?, wanted).await
}

/// Reviews an elevation; also called if somebody names it among the approvals.
pub(super) async fn reviewed(
    broker: &Broker,
    by: &Admitted<Review>,
    id: &ElevationId,
    wanted: Reviewed,
) -> Result<Written<Json<ElevationView>>, Problem> {
    let narrowing = wanted.narrowing()?;
    let request = by.made_for();
    let word = Word { verdict: wanted.verdict, why: wanted.reason, seen: wanted.version, narrowing, signature: None };
    let cut = broker.review_elevation(&by.by, id, word, request).await?;
    let answer = Written::of(Json(whole(broker, id).await?));
    Ok(match cut {
        Some(cut) => Written::as_is(confirmed(broker, &by.request, cut, answer.into()).await),
        None => answer,
    })
}

/// `POST /v1/elevations/{id}/end`.
async fn end(
    State(broker): State<Broker>,
    by: Admitted<Elevate>,
    Path(id): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Written<Json<ElevationView>>, Problem> {
    let id: ElevationId = named(&id)?;
    let cut = broker.end_elevation(&by.by, &id, &why.reason, by.made_for()).await?;
    let mut told = whole(&broker, &id).await?;
    let ended = EndedView::of(broker.ended(&cut).await);
    (told.cut, told.last_expires) = (Some(ended.cut), Some(ended.last_expires));
    let answer = Written::of(Json(told));
    Ok(Written::as_is(confirmed(&broker, &by.request, cut.unconfirmed, answer.into()).await))
}
