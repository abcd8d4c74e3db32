//! Guardrails: what is in force, what it would refuse and did refuse, and removal.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Accepted, Listed};
use super::input::{Filter, Filters, Page, Sent, named};
use super::people::Why;
use super::problem::Problem;
use super::records::Yaml;
use super::revocations::ApprovalAsked;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::guardrail::Checked;
use crate::broker::replayed::{Replayed, Row};
use crate::broker::view::person::ActorView;
use crate::broker::words::{Words, names, sealed};
use crate::domain::decision::guard_check::Finding;
use crate::domain::people::actor::{Read, Submit};
use crate::domain::reason;
use crate::domain::registry::guardrail::Mode;
use crate::domain::state::guardrail::GuardrailState;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApiName, ApprovalId, ClientId, EnvironmentName, GuardrailName, IntegrationId};
use crate::domain::value::scope::Scope;

/// The routes.
pub fn routes() -> Vec<Route> {
    let checked = "Ask the guardrails in force, or those that are sent in their place, about all that integrations are allowed";
    let reported = "What it refused in the last 30 days, and which tokens it would have refused";
    vec![
        get("/v1/guardrails", "listGuardrails", "The guardrails", list),
        get("/v1/guardrails/{id}", "getGuardrail", "One guardrail with its text", one).names("guardrail"),
        post("/v1/guardrails/{id}/remove", "removeGuardrail", "Ask to remove it", remove).names("guardrail"),
        get("/v1/guardrails/{id}/report", "reportGuardrail", reported, report).names("guardrail"),
        post("/v1/records/check", "checkGuardrails", checked, check),
    ]
}

/// A guardrail: what must never be granted.
#[derive(Serialize, ToSchema)]
#[schema(as = Guardrail)]
struct GuardrailView {
    id: GuardrailName,
    /// The version in force, else the one that waits.
    #[schema(required)]
    version: Option<Digest>,
    /// `enforced`, `shadow`, or `submitted` if no version is in force.
    state: &'static str,
    meaning: String,
    cedar: String,
    /// Who applied the version.
    by: ActorView,
    at: Timestamp,
    /// The version that waits beside the one in force.
    #[schema(required)]
    held: Option<HeldGuardrail>,
    /// The approval of its removal, if somebody asked for it.
    #[schema(required)]
    removal: Option<ApprovalId>,
}

/// A version that waits.
#[derive(Serialize, ToSchema)]
struct HeldGuardrail {
    version: Digest,
    #[schema(required)]
    approval: Option<ApprovalId>,
}

/// The filters of a list of guardrails.
struct OfGuardrails;

impl Filters for OfGuardrails {
    const ALL: &'static [Filter] = &[Filter::text("state", "enforced, shadow or submitted")];
}

impl GuardrailView {
    fn of(name: &GuardrailName, known: &GuardrailState, words: &Words) -> Option<Self> {
        let waiting = known.held.as_ref();
        let shown = known.current.as_ref().or(waiting.map(|held| &held.version))?;
        let held = waiting.filter(|_| known.current.is_some());
        Some(Self {
            id: name.clone(),
            version: Some(shown.version),
            state: state(known),
            meaning: shown.record.meaning.clone(),
            cedar: shown.record.cedar.clone(),
            by: words.actor(&shown.by),
            at: shown.at,
            held: held.map(|held| HeldGuardrail { version: held.version.version, approval: held.approval.clone() }),
            removal: known.removal.clone(),
        })
    }
}

fn state(known: &GuardrailState) -> &'static str {
    match known.current.as_ref().map(|current| current.record.mode) {
        Some(Mode::Enforce) => "enforced",
        Some(Mode::Shadow) => "shadow",
        None => "submitted",
    }
}

async fn words<'g>(broker: &Broker, known: impl Iterator<Item = &'g GuardrailState>) -> Result<Words, Problem> {
    let versions = known.flat_map(|one| one.current.iter().chain(one.held.as_ref().map(|held| &held.version)));
    Ok(Words::of(broker, sealed(versions.flat_map(|version| names(&version.by)))).await?)
}

/// `GET /v1/guardrails`.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfGuardrails>,
) -> Result<Listed<GuardrailView>, Problem> {
    let view = broker.journal.view();
    let wanted = |(_, known): &(&GuardrailName, &GuardrailState)| page.takes("state", state(known));
    let found = view.state.guardrails.all().filter(wanted);
    let part = page.part(found.map(|(name, known)| (name.to_string(), (name, known))));
    let words = words(&broker, part.items.iter().map(|(_, known)| *known)).await?;
    let items = part.items.iter().filter_map(|(name, known)| GuardrailView::of(name, known, &words)).collect();
    Ok(Listed { items, next: part.next })
}

/// `GET /v1/guardrails/{id}`.
async fn one(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(name): Path<String>,
) -> Result<Json<GuardrailView>, Problem> {
    let name: GuardrailName = named(&name)?;
    let view = broker.journal.view();
    let missing = || Problem::of(&reason::NOT_FOUND);
    let known = view.state.guardrails.get(name.as_str()).ok_or_else(missing)?;
    let words = words(&broker, std::iter::once(known)).await?;
    GuardrailView::of(&name, known, &words).map(Json).ok_or_else(missing)
}

/// `POST /v1/guardrails/{id}/remove`: an owner and somebody of security approve it.
async fn remove(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path(name): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let approval = broker.remove_guardrail(&by.by, &named(&name)?, &why.reason, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}

/// What a guardrail did, and what it would have done.
#[derive(Serialize, ToSchema)]
struct GuardrailReport {
    id: GuardrailName,
    /// `enforced` or `shadow`.
    state: &'static str,
    /// From when on entries were looked at.
    since: Timestamp,
    /// Requests that it refused.
    refused: u64,
    /// Tokens that were issued, and that it would have refused.
    refuses: u64,
    /// Tokens of which the journal does not know enough to say.
    unknown: u64,
    /// The tokens that it would have refused, by client and API: at most 100 rows.
    tokens: Vec<RefusedTokens>,
}

/// Tokens of one client that a guardrail would have refused.
#[derive(Serialize, ToSchema)]
struct RefusedTokens {
    client: ClientId,
    environment: EnvironmentName,
    api: ApiName,
    scope: String,
    tokens: u64,
    first: Timestamp,
    last: Timestamp,
}

/// `GET /v1/guardrails/{id}/report`.
async fn report(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    Path(name): Path<String>,
) -> Result<Json<GuardrailReport>, Problem> {
    let name: GuardrailName = named(&name)?;
    let view = broker.journal.view();
    let known = view.state.guardrails.get(name.as_str()).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let current = known.current.as_ref().ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let since = broker.now().minus(crate::broker::replay::REPLAYED);
    let found = broker.report_guardrail(by.by.staff(), current.record.as_ref().clone()).await?;
    let Replayed { refuses, unknown, rows, refused, by: _, is_short: _ } = found;
    let row = |row: Row| {
        let Row { guardrail: _, client, environment, api, scope, tokens, between: (first, last) } = row;
        RefusedTokens { client, environment, api, scope, tokens, first, last }
    };
    Ok(Json(GuardrailReport {
        state: state(known),
        since,
        refused: refused.get(&name).copied().unwrap_or_default(),
        id: name,
        refuses,
        unknown,
        tokens: rows.into_iter().map(row).collect(),
    }))
}

/// What guardrails would refuse.
#[derive(Serialize, ToSchema)]
struct GuardrailCheck {
    /// The number of questions that were asked.
    asked: u64,
    /// False if there were more questions than may be asked.
    complete: bool,
    /// What is refused always or sometimes. What is missing here is never refused.
    items: Vec<FindingView>,
}

/// A guardrail that refuses something that a record allows.
#[derive(Serialize, ToSchema)]
#[schema(as = GuardrailFinding)]
struct FindingView {
    guardrail: GuardrailName,
    /// `enforce` or `shadow`.
    mode: &'static str,
    integration: IntegrationId,
    environment: EnvironmentName,
    api: ApiName,
    #[schema(value_type = String)]
    scope: Scope,
    /// `standing`, `elevated` or `break-glass`.
    way: &'static str,
    /// `always` or `sometimes`.
    verdict: &'static str,
    /// When it refuses; empty if always.
    when: Vec<String>,
}

impl FindingView {
    fn of(finding: Finding) -> Self {
        let verdict = finding.verdict();
        let Finding { guardrail, shadow, integration, environment, api, scope, way, when } = finding;
        let mode = if shadow { "shadow" } else { "enforce" };
        Self { guardrail, mode, integration, environment, api, scope, way: way.name(), verdict, when }
    }
}

/// `POST /v1/records/check`.
///
/// Without a body it is about the guardrails in force.
async fn check(State(broker): State<Broker>, by: Admitted<Read>, records: Yaml) -> Result<Json<GuardrailCheck>, Problem> {
    let given = records.text()?;
    let given = Some(given.to_owned()).filter(|given| !given.trim().is_empty());
    let Checked { findings, asked, complete } = broker.check_guardrails(by.by.staff(), given).await?;
    Ok(Json(GuardrailCheck { asked, complete, items: findings.into_iter().map(FindingView::of).collect() }))
}
