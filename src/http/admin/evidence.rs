//! Evidence: the journal's entries, checkpoints and proofs, and why one exchange came out as it did.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::{Page, cursor, named};
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::actor::Read;
use crate::domain::names::RequestId;
use crate::domain::reason;
use crate::domain::rehearsal::{Question, rehearse};
use crate::journal::Query;

/// `GET /v1/journal`: entries in their order, by kind, subject or request. Where they have left the database, a page looks through a part
/// of a segment: it may be short, or empty, and have a `next`.
pub async fn entries(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["kind", "subject", "requestId", "from", "to"])?;
        let malformed = || Problem::of(&reason::REQUEST_MALFORMED);
        let number = |name: &str| page.filters.get(name).map(str::parse::<u64>).transpose().map_err(|_| malformed());
        let after = page.after.as_deref().map(str::parse::<u64>).transpose().map_err(|_| malformed())?;
        let request = page.filters.get("requestId").map(str::parse::<RequestId>).transpose().map_err(|_| malformed())?;
        let from = number("from")?.unwrap_or(0).max(after.map_or(0, |after| after.saturating_add(1)));
        // One more than a page tells whether there is a next.
        let limit = u32::try_from(page.limit).unwrap_or(u32::MAX);
        let query = Query {
            from,
            to: number("to")?,
            kind: page.filters.get("kind").map(str::to_owned),
            subject: page.filters.get("subject").map(str::to_owned),
            request_id: request,
            limit: Some(limit),
            ..Query::default()
        };
        let found = broker.journal.page(&query).await?;
        let items: Vec<Value> = found.entries.iter().filter_map(|stored| serde_json::from_str(&stored.json).ok()).collect();
        let next = found.after.map(|after| cursor(&after.to_string()));
        Ok(axum::Json(json!({"items": items, "next": next})).into_response())
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
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
        let missing = || Problem::of(&reason::NOT_FOUND);
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
        if !view.state.integrations.contains_key(&question.integration)
            || view.state.environment(&question.environment).is_none()
        {
            return Err(Problem::of(&reason::NOT_FOUND));
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
