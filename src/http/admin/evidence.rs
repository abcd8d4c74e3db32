//! Evidence: the journal's entries, checkpoints and proofs, and why one exchange came out as it did.

use std::collections::BTreeMap;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::{Page, cursor, named};
use super::past::moment_or_day;
use super::people::{Words, sealed};
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::decision::rehearsal::{Question, rehearse};
use crate::domain::people::actor::Read;
use crate::domain::reason;
use crate::domain::state::about::{About, words};
use crate::domain::value::names::{PartnerName, RequestId, TokenId};
use crate::domain::value::text::Text;
use crate::journal::Query;

/// `GET /v1/journal`: entries, oldest first or with `order=newest` newest first, by kind, subject, request, time, actor or partner; `more`
/// says how many there are beyond the page. Where they have left the database, a page looks through a part of a segment: it may be
/// short, or empty, and have a `next`, and `more` is not known. The entries are told as they stand in the log; what their digests and
/// ids stand for is told beside them.
pub async fn entries(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let wanted = query_of(&broker, query.as_deref())?;
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
        let told = json!({"items": items, "next": next, "more": more, "subjects": subjects, "texts": texts});
        Ok(axum::Json(told).into_response())
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

fn query_of(broker: &Broker, query: Option<&str>) -> Result<Query, Problem> {
    const FILTERS: [&str; 10] = ["kind", "subject", "requestId", "from", "to", "since", "until", "actor", "partner", "order"];
    let page = Page::of(query, &FILTERS)?;
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
        kind: page.filters.get("kind").map(str::to_owned),
        subject: page.filters.get("subject").map(str::to_owned),
        request_id: page.filters.get("requestId").map(str::parse::<RequestId>).transpose().map_err(|_| malformed())?,
        since: time("since", 0)?,
        // A day that is named belongs to what is asked for.
        until: time("until", 1)?,
        actor: page.filters.get("actor").map(str::to_owned),
        about: partner.map(|partner| About::of(&partner, &broker.journal.view().state)),
        newest_first,
        limit: Some(u32::try_from(page.limit).unwrap_or(u32::MAX)),
        token: None,
    })
}

/// What the digests in these entries stand for, as far as it was not forgotten.
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

/// `GET /v1/journal/checkpoint`: the newest signed note and the key that it verifies with.
pub async fn checkpoint(State(broker): State<Broker>, by: Admitted<Read>) -> Result<Response, Problem> {
    let note = broker.journal.checkpoint().map_err(|fault| Problem::from(fault).at(&by.request))?;
    let key = broker.journal.verifier_key().to_string();
    Ok(axum::Json(json!({"checkpoint": note, "key": key})).into_response())
}

/// `GET /v1/journal/proof?index=N`: that an entry stands in the newest checkpoint (C2SP tlog-proof), with its exact bytes;
/// `?size=N`: that the newest checkpoint extends the tree of the first N entries.
pub async fn proof(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let proved = async {
        let page = Page::of(query.as_deref(), &["index", "size"])?;
        let number = |name: &str| page.filters.get(name).map(str::parse::<u64>).transpose();
        let malformed = |_| Problem::of(&reason::REQUEST_MALFORMED);
        let missing =
            || Problem::missing(format!("entry {}", page.filters.get("index").or(page.filters.get("size")).unwrap_or("-")));
        let key = broker.journal.verifier_key().to_string();
        match (number("index").map_err(malformed)?, number("size").map_err(malformed)?) {
            (Some(index), None) => {
                let proof = broker.journal.prove(index).await?.ok_or_else(missing)?;
                Ok(axum::Json(json!({"key": key, "entry": proof.entry, "proof": proof.text()})).into_response())
            }
            (None, Some(size)) => {
                let proof = broker.journal.prove_consistency(size).await?.ok_or_else(missing)?;
                let hashes: Vec<String> = proof.hashes.iter().map(ToString::to_string).collect();
                let told = json!({"key": key, "size": size, "hashes": hashes, "checkpoint": proof.checkpoint});
                Ok(axum::Json(told).into_response())
            }
            _ => Err(Problem::of(&reason::REQUEST_MALFORMED)),
        }
    };
    proved.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/explain/{request_id}`.
pub async fn explain(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    Path(request): Path<String>,
) -> Result<Response, Problem> {
    let explained = async {
        let request: RequestId = named(&request)?;
        let found = broker.explain(&request).await?;
        Ok(axum::Json(json!({
            "request": found.request, "environment": found.environment, "time": found.time, "client": found.client,
            "entry": found.entry, "outcome": if found.reason.is_some() { "refused" } else { "issued" },
            "reason": found.reason.map(|reason| reason.code), "tree": found.tree,
        }))
        .into_response())
    };
    explained.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/tokens/{id}`: whether a living token, by its `jti`, is active or revoked. One that is expired is not found any more.
pub async fn token(State(broker): State<Broker>, by: Admitted<Read>, Path(id): Path<String>) -> Result<Response, Problem> {
    let told = async {
        let id: TokenId = named(&id)?;
        let (issued, cut) = broker.living_token(&id).await?;
        Ok(axum::Json(json!({
            "id": issued.jti, "version": issued.claims, "state": if cut { "revoked" } else { "active" },
            "client": issued.subject, "environment": issued.environment, "api": issued.api, "scope": issued.scope,
            "issued": issued.time, "expires": issued.exp, "entry": issued.index,
        }))
        .into_response())
    };
    told.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/can-i?integration=P/I&environment=E&api=A&scope=S[&source=IP]`: what an exchange would come to now, if a good proof came.
pub async fn can_i(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let told = || {
        let page = Page::of(query.as_deref(), &["integration", "environment", "api", "scope", "source"])?;
        let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
        let value = |name: &str| page.filters.get(name).ok_or_else(malformed);
        let question = Question {
            integration: named(value("integration")?)?,
            environment: named(value("environment")?)?,
            api: named(value("api")?)?,
            scope: value("scope")?.to_owned(),
            source: page.filters.get("source").map(str::parse).transpose().map_err(|_| malformed())?,
        };
        let view = broker.journal.view();
        if !view.state.integrations.contains_key(&question.integration) {
            return Err(Problem::missing(format!("integration {}", question.integration)));
        }
        if view.state.environment(&question.environment).is_none() {
            return Err(Problem::missing(format!("environment {}", question.environment)));
        }
        let found = rehearse(&question, &view.state, broker.now());
        Ok(axum::Json(json!({
            "allowed": found.reason.is_none(), "reason": found.reason.map(|reason| reason.code),
            "detail": found.reason.map(|reason| reason.what), "integration": question.integration,
            "environment": question.environment, "api": question.api, "scope": question.scope, "binding": found.binding,
            "tree": found.tree,
        }))
        .into_response())
    };
    told().map_err(|problem: Problem| problem.at(&by.request))
}
