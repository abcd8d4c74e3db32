//! The journal: its entries, checkpoints and proofs, and the outcome of one exchange.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::input::{Asked, Filter, Filters, Page, cursor, named};
use super::past::{kind, moment_or_day};
use super::problem::Problem;
use super::route::{Route, get};
use crate::broker::Broker;
use crate::broker::words::{Words, sealed};
use crate::domain::decision::guard::{Guarded, Guards as _};
use crate::domain::decision::rehearsal::{Question, rehearse};
use crate::domain::people::actor::Read;
use crate::domain::reason;
use crate::domain::reason::decision::Step;
use crate::domain::state::about::{About, words};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{
    ApiName, BindingName, ClientId, EnvironmentName, IntegrationId, PartnerName, RequestId, TokenId,
};
use crate::domain::value::text::Text;
use crate::journal::Query;

/// The routes.
pub fn routes() -> Vec<Route> {
    let listed = "The journal's entries, oldest or newest first, and how many more there are";
    let proved = "The proof that an entry stands in the newest checkpoint (index), or that it extends an earlier one (size)";
    let noted = "The newest signed note (C2SP) and the key that it verifies with";
    let asked = "The outcome of an exchange as if a good proof came now; nothing is recorded";
    vec![
        get("/v1/can-i", "canI", asked, can_i),
        get("/v1/explain/{request}", "explain", "Why one exchange came out as it did", explain)
            .names("exchange on record with the request id"),
        get("/v1/journal", "listEntries", listed, entries),
        get("/v1/journal/checkpoint", "getCheckpoint", noted, checkpoint),
        get("/v1/journal/proof", "getProof", proved, proof),
        get("/v1/tokens/{id}", "getToken", "Whether a living token, by its jti, is active or revoked", token)
            .names("living token"),
    ]
}

/// A page of the journal.
#[derive(Serialize, ToSchema)]
struct Entries {
    /// The entries, as the log has them.
    #[schema(value_type = Vec<Entry>)]
    items: Vec<Value>,
    #[schema(required)]
    next: Option<String>,
    /// The number of matching entries beyond this page.
    ///
    /// At most 100000 are counted; null if some may have left the database.
    #[schema(required)]
    more: Option<u64>,
    /// Names for subjects that are ids.
    subjects: BTreeMap<String, String>,
    /// The texts behind the digests, except those that were erased.
    texts: BTreeMap<String, String>,
}

/// An entry of the journal. Each kind has further members of its own.
#[derive(ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "entries are told as they stand in the log; this is what all of them have")]
struct Entry {
    index: u64,
    time: Timestamp,
    kind: String,
    subject: String,
    /// The request that caused it.
    #[schema(value_type = RequestId, required = false)]
    request_id: Option<RequestId>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A checkpoint as a signed note.
#[derive(Serialize, ToSchema)]
struct Checkpoint {
    checkpoint: String,
    /// The key that verifies it.
    key: String,
}

/// A proof that an entry is in the log, or that the log was only appended to.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Proof {
    /// Proves that an entry is in the newest checkpoint.
    Inclusion(InclusionProof),
    /// Proves that the newest checkpoint extends an earlier one.
    Consistency(ConsistencyProof),
}

/// A proof that an entry is in the newest checkpoint (C2SP tlog-proof).
#[derive(Serialize, ToSchema)]
struct InclusionProof {
    /// The key that verifies the checkpoint.
    key: String,
    /// The exact bytes of the entry.
    entry: String,
    proof: String,
}

/// A proof that the newest checkpoint extends the tree of the first entries.
#[derive(Serialize, ToSchema)]
struct ConsistencyProof {
    /// The key that verifies the checkpoint.
    key: String,
    /// The number of first entries.
    size: u64,
    hashes: Vec<String>,
    checkpoint: String,
}

/// One check of a decision.
#[derive(Serialize, ToSchema)]
struct Check {
    check: String,
    want: String,
    seen: String,
    holds: bool,
}

impl Check {
    fn all(steps: Vec<Step>) -> Vec<Self> {
        let check = |step: Step| Self { check: step.check, want: step.want, seen: step.seen, holds: step.holds };
        steps.into_iter().map(check).collect()
    }
}

/// The explanation of an exchange's outcome.
#[derive(Serialize, ToSchema)]
struct Explanation {
    request: RequestId,
    environment: EnvironmentName,
    time: Timestamp,
    /// The caller, if it is known.
    #[schema(required)]
    client: Option<String>,
    /// The exchange's entry in the journal, if it has one.
    #[schema(required)]
    entry: Option<u64>,
    outcome: Outcome,
    #[schema(required)]
    reason: Option<&'static str>,
    tree: Vec<Check>,
}

/// The outcome of an exchange.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Issued,
    Refused,
}

/// A token that has not expired.
#[derive(Serialize, ToSchema)]
struct Token {
    id: TokenId,
    /// SHA-256 of the signed bytes.
    version: Digest,
    state: TokenState,
    client: ClientId,
    environment: EnvironmentName,
    api: ApiName,
    /// The scopes, separated by spaces.
    scope: String,
    issued: Timestamp,
    expires: Timestamp,
    entry: u64,
}

/// The state of a token.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum TokenState {
    Active,
    Revoked,
}

/// The outcome of a rehearsed exchange.
#[derive(Serialize, ToSchema)]
struct Rehearsal {
    allowed: bool,
    #[schema(required)]
    reason: Option<&'static str>,
    #[schema(required)]
    detail: Option<&'static str>,
    integration: IntegrationId,
    environment: EnvironmentName,
    api: ApiName,
    scope: String,
    /// The binding that passes the most checks.
    #[schema(required)]
    binding: Option<BindingName>,
    tree: Vec<Check>,
}

/// The filters of a list of entries.
struct OfEntries;

impl Filters for OfEntries {
    const ALL: &'static [Filter] = &[
        Filter::text("kind", "Of this kind"),
        Filter::text("subject", "About this"),
        Filter::text("requestId", "Of this request"),
        Filter::number("from", "From this index on"),
        Filter::number("to", "Before this index"),
        Filter::text("since", "Not before this day of UTC, RFC 3339 time or second since 1970"),
        Filter::text("until", "Up to this day of UTC, which is included; or before this time"),
        Filter::text("actor", "By this person (id), integration, operator or broker; of tokens and refusals, by this client"),
        Filter::text(
            "partner",
            "About this partner, its integrations, their elevations, approvals, revocations and reviews; and entries that name it",
        ),
        Filter::words("order", "Default: oldest", &["oldest", "newest"]),
    ];
}

/// The parameters of a proof: an entry, or an earlier size.
struct OfProof;

impl Filters for OfProof {
    const ALL: &'static [Filter] =
        &[Filter::number("index", "An entry"), Filter::number("size", "Entries of an earlier checkpoint")];
}

/// The exchange that is rehearsed.
struct OfExchange;

impl Filters for OfExchange {
    const ALL: &'static [Filter] = &[
        Filter::text("integration", "The integration that would ask: PARTNER/INTEGRATION").required(),
        Filter::text("environment", "Where").required(),
        Filter::text("api", "For which API").required(),
        Filter::text("scope", "For which scopes").required(),
        Filter::text("source", "From which address"),
    ];
}

/// `GET /v1/journal`: entries by kind, subject, request, time, actor or partner.
///
/// The oldest come first, or with `order=newest` the newest. `more` is the number of entries beyond the page. Where entries
/// have left the database, a page reads a part of a segment: it may be short or empty and still have a `next`, and `more` is
/// null. The entries are shown as the log has them, with the texts and names behind their digests and ids beside them.
async fn entries(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<OfEntries>) -> Result<Json<Entries>, Problem> {
    let wanted = query_of(&broker, &page)?;
    let found = broker.journal.page(&wanted).await?;
    let more = broker.journal.beyond(&wanted, &found).await?;
    let items: Vec<Value> = found.entries.iter().filter_map(|stored| serde_json::from_str(&stored.json).ok()).collect();
    let next = found.after.map(|after| cursor(&after.to_string()));
    let view = broker.journal.view();
    let subjects: BTreeMap<String, String> = found
        .entries
        .iter()
        .map(|stored| stored.entry.subject())
        .filter_map(|subject| words(&subject, &view.state).map(|told| (subject, told)))
        .collect();
    let texts = texts(&broker, &items).await?;
    Ok(Json(Entries { items, next, more, subjects, texts }))
}

fn query_of(broker: &Broker, page: &Page<OfEntries>) -> Result<Query, Problem> {
    let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
    let number = |name: &str| page.filters.get(name).map(str::parse::<u64>).transpose().map_err(|_| malformed());
    let time = |name: &str, later| {
        let text = page.filters.get(name);
        text.map(|text| moment_or_day(text, later).ok_or_else(malformed)).transpose()
    };
    let after = page.after.as_deref().map(str::parse::<u64>).transpose().map_err(|_| malformed())?;
    let newest_first = match page.filters.get("order") {
        None | Some("oldest") => false,
        Some("newest") => true,
        Some(_) => return Err(malformed()),
    };
    let partner: Option<PartnerName> = page.filters.get("partner").map(str::parse).transpose().map_err(|_| malformed())?;
    let (mut from, mut to) = (number("from")?.unwrap_or(0), number("to")?);
    match after {
        Some(after) if newest_first => to = Some(to.map_or(after, |to| to.min(after))),
        Some(after) => from = from.max(after.saturating_add(1)),
        None => {}
    }
    Ok(Query {
        from,
        to,
        kind: page.filters.get("kind").map(kind).transpose()?.map(str::to_owned),
        subject: page.filters.get("subject").map(str::to_owned),
        request_id: page.filters.get("requestId").map(str::parse::<RequestId>).transpose().map_err(|_| malformed())?,
        since: time("since", 0)?,
        // A day that is named is included.
        until: time("until", 1)?,
        actor: page.filters.get("actor").map(str::to_owned),
        changes_alone: false,
        about: partner.map(|partner| About::of(&partner, &broker.journal.view().state)),
        newest_first,
        limit: Some(u32::try_from(page.limit).unwrap_or(u32::MAX)),
        token: None,
    })
}

/// The texts behind the digests in these entries, except those that were erased.
async fn texts(broker: &Broker, items: &[Value]) -> Result<BTreeMap<String, String>, Problem> {
    fn collect(value: &Value, found: &mut Vec<Text>) {
        match value {
            Value::String(text) => found.extend(Text::try_from(text.clone()).ok().filter(|text| text.digest().is_some())),
            Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
            Value::Object(members) => members.values().for_each(|member| collect(member, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut found = Vec::new();
    items.iter().for_each(|item| collect(item, &mut found));
    let words = Words::of(broker, sealed(found.iter())).await?;
    let told = found.iter().filter_map(|text| Some((text.digest()?.to_string(), words.plain(text)?.to_owned())));
    Ok(told.collect())
}

/// `GET /v1/journal/checkpoint`.
async fn checkpoint(State(broker): State<Broker>, _by: Admitted<Read>) -> Result<Json<Checkpoint>, Problem> {
    let checkpoint = broker.journal.checkpoint()?;
    Ok(Json(Checkpoint { checkpoint, key: broker.journal.verifier_key().to_string() }))
}

/// `GET /v1/journal/proof?index=N`, or `?size=N`.
async fn proof(State(broker): State<Broker>, _by: Admitted<Read>, asked: Asked<OfProof>) -> Result<Json<Proof>, Problem> {
    let number = |name: &str| asked.filters.get(name).map(str::parse::<u64>).transpose();
    let malformed = |_| Problem::of(&reason::REQUEST_MALFORMED);
    let missing =
        || Problem::missing(format!("entry {}", asked.filters.get("index").or(asked.filters.get("size")).unwrap_or("-")));
    let key = broker.journal.verifier_key().to_string();
    match (number("index").map_err(malformed)?, number("size").map_err(malformed)?) {
        (Some(index), None) => {
            let proof = broker.journal.prove(index).await?.ok_or_else(missing)?;
            let text = proof.text();
            Ok(Json(Proof::Inclusion(InclusionProof { key, entry: proof.entry, proof: text })))
        }
        (None, Some(size)) => {
            let proof = broker.journal.prove_consistency(size).await?.ok_or_else(missing)?;
            let hashes = proof.hashes.iter().map(ToString::to_string).collect();
            Ok(Json(Proof::Consistency(ConsistencyProof { key, size, hashes, checkpoint: proof.checkpoint })))
        }
        _ => Err(Problem::of(&reason::REQUEST_MALFORMED)),
    }
}

/// `GET /v1/explain/{request_id}`.
async fn explain(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(request): Path<String>,
) -> Result<Json<Explanation>, Problem> {
    let request: RequestId = named(&request)?;
    let found = broker.explain(&request).await?;
    Ok(Json(Explanation {
        request: found.request,
        environment: found.environment,
        time: found.time,
        client: found.client,
        entry: found.entry,
        outcome: if found.reason.is_some() { Outcome::Refused } else { Outcome::Issued },
        reason: found.reason.map(|reason| reason.code),
        tree: Check::all(found.tree),
    }))
}

/// `GET /v1/tokens/{id}`. A token that has expired is not found.
async fn token(State(broker): State<Broker>, _by: Admitted<Read>, Path(id): Path<String>) -> Result<Json<Token>, Problem> {
    let id: TokenId = named(&id)?;
    let (issued, cut) = broker.living_token(&id).await?;
    Ok(Json(Token {
        id: issued.jti,
        version: issued.claims,
        state: if cut { TokenState::Revoked } else { TokenState::Active },
        client: issued.subject,
        environment: issued.environment,
        api: issued.api,
        scope: issued.scope,
        issued: issued.time,
        expires: issued.exp,
        entry: issued.index,
    }))
}

/// `GET /v1/can-i?integration=P/I&environment=E&api=A&scope=S[&source=IP]`.
async fn can_i(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    asked: Asked<OfExchange>,
) -> Result<Json<Rehearsal>, Problem> {
    let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
    let value = |name: &str| asked.filters.get(name).ok_or_else(malformed);
    let question = Question {
        integration: named(value("integration")?)?,
        environment: named(value("environment")?)?,
        api: named(value("api")?)?,
        scope: value("scope")?.to_owned(),
        source: asked.filters.get("source").map(str::parse).transpose().map_err(|_| malformed())?,
    };
    let view = broker.journal.view();
    if !view.state.integrations.contains_key(&question.integration) {
        return Err(Problem::missing(format!("integration {}", question.integration)));
    }
    if view.state.environment(&question.environment).is_none() {
        return Err(Problem::missing(format!("environment {}", question.environment)));
    }
    let guard = broker.guards(&view).await.of(&view.state);
    let found = rehearse(&question, Guarded { state: &view.state, guard: &*guard }, broker.now());
    Ok(Json(Rehearsal {
        allowed: found.reason.is_none(),
        reason: found.reason.map(|reason| reason.code),
        detail: found.reason.map(|reason| reason.what),
        integration: question.integration,
        environment: question.environment,
        api: question.api,
        scope: question.scope,
        binding: found.binding,
        tree: Check::all(found.tree),
    }))
}
