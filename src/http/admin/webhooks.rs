//! Receivers of events: how far each is, and sending again.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::{Page, body};
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::delivery::Receiver;
use crate::domain::people::actor::{Operate, Read};
use crate::domain::reason;
use crate::domain::value::digest::Digest;

/// From which entry on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    from: u64,
}

/// `GET /v1/webhooks`.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let page = Page::of(query.as_deref(), &[]).map_err(|problem| problem.at(&by.request))?;
    let size = broker.journal.view().size;
    Ok(page.cut(broker.receivers.iter().map(|receiver| (receiver.name.clone(), receiver)), |receiver| show(receiver, size)))
}

/// `POST /v1/webhooks/{name}/replay`: everything from an entry on goes out again.
pub async fn replay(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(name): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: From = body(&headers, &bytes)?;
        let receiver = broker.receivers.iter().find(|receiver| receiver.name == name);
        let receiver = receiver.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        let size = broker.journal.view().size;
        receiver.replay(wanted.from.min(size)).map_err(|_| Problem::of(&reason::STORE_UNAVAILABLE))?;
        Ok(axum::Json(show(receiver, size)).into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

fn show(receiver: &Receiver, size: u64) -> Value {
    let progress = receiver.progress();
    let failing = progress.failing.as_ref();
    json!({
        "id": receiver.name, "version": Digest::of_json(&progress), "state": if failing.is_some() { "failing" } else { "well" },
        "url": receiver.url.as_str(), "kinds": receiver.kinds, "next": progress.next, "size": size, "aside": progress.aside,
        "failingSince": failing.map(|failing| failing.since), "last": failing.map(|failing| failing.last.clone()),
        "tries": failing.map(|failing| failing.tries),
    })
}
