//! Receivers of events: the progress of each, and replaying events.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::Listed;
use super::input::{Page, Sent};
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::delivery::Receiver;
use crate::domain::people::actor::{Operate, Read};
use crate::domain::reason;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/webhooks", "listWebhooks", "Receivers of events, and how far each is", list),
        post("/v1/webhooks/{name}/replay", "replayWebhook", "Send every event from an entry on again", replay).names("webhook"),
    ]
}

/// The entry to replay from.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// Its index.
    from: u64,
}

/// A receiver of events.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Webhook {
    id: String,
    version: Digest,
    state: WebhookState,
    url: String,
    /// The kinds of events that it gets; empty for all.
    kinds: Vec<String>,
    /// The first entry that it has not been sent.
    next: u64,
    /// The number of entries in the log.
    size: u64,
    /// Entries that it did not accept in time.
    aside: Vec<u64>,
    #[schema(required)]
    failing_since: Option<Timestamp>,
    /// The failure of the last try.
    #[schema(required)]
    last: Option<String>,
    #[schema(required)]
    tries: Option<u32>,
}

/// The state of a receiver.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum WebhookState {
    Failing,
    Well,
}

/// `GET /v1/webhooks`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<()>) -> Result<Listed<Webhook>, Problem> {
    let size = broker.journal.view().size;
    let all = broker.receivers.iter().map(|receiver| (receiver.name.clone(), receiver));
    Ok(page.part(all).map(|receiver| show(receiver, size)))
}

/// `POST /v1/webhooks/{name}/replay`.
async fn replay(
    State(broker): State<Broker>,
    _by: Admitted<Operate>,
    Path(name): Path<String>,
    Sent(wanted): Sent<Replay>,
) -> Result<Json<Webhook>, Problem> {
    let receiver = broker.receivers.iter().find(|receiver| receiver.name == name);
    let receiver = receiver.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let size = broker.journal.view().size;
    receiver.replay(wanted.from.min(size)).map_err(|_| Problem::of(&reason::STORE_UNAVAILABLE))?;
    Ok(Json(show(receiver, size)))
}

fn show(receiver: &Receiver, size: u64) -> Webhook {
    let progress = receiver.progress();
    let version = Digest::of_json(&progress);
    let failing = progress.failing;
    Webhook {
        id: receiver.name.clone(),
        version,
        state: if failing.is_some() { WebhookState::Failing } else { WebhookState::Well },
        url: receiver.url.as_str().to_owned(),
        kinds: receiver.kinds.clone(),
        next: progress.next,
        size,
        aside: progress.aside,
        failing_since: failing.as_ref().map(|failing| failing.since),
        tries: failing.as_ref().map(|failing| failing.tries),
        last: failing.map(|failing| failing.last),
    }
}
