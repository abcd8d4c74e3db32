//! Passkeys of approvers: whose they are, and the end of one. They are registered on a page (`http::console`).

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::{Page, body, named};
use super::people::{Why, Words, sealed};
use super::problem::Problem;
use crate::broker::Broker;
use crate::domain::people::actor::{Read, Retire};
use crate::domain::people::passkey::Passkey;
use crate::domain::reason;
use crate::domain::value::names::PasskeyId;

/// `GET /v1/passkeys`.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["person"])?;
        let view = broker.journal.view();
        let wanted = |passkey: &&Passkey| page.filters.get("person").is_none_or(|id| passkey.by.id == id);
        let all = view.state.passkeys.all().filter(wanted);
        let part = page.part(all.map(|passkey| (passkey.id.to_string(), passkey)));
        let texts = part.items.iter().flat_map(|passkey| passkey.by.name.iter().chain([&passkey.label]));
        let words = Words::of(&broker, sealed(texts)).await?;
        Ok(part.show(|passkey| show(passkey, &words)))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

fn show(passkey: &Passkey, words: &Words) -> Value {
    json!({
        "id": passkey.id, "version": passkey.id, "state": if passkey.revoked.is_some() { "revoked" } else { "active" },
        "person": words.person(&passkey.by), "label": words.plain(&passkey.label), "registered": passkey.registered,
        "revoked": passkey.revoked,
    })
}

/// `POST /v1/passkeys/{id}/revoke`.
pub async fn revoke(
    State(broker): State<Broker>,
    by: Admitted<Retire>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        let id: PasskeyId = named(&id)?;
        broker.revoke_passkey(&by.by, &id, &why.reason, by.made_for()).await.map_err(|failure| {
            let problem = Problem::from(failure);
            let role = *problem.parts().1 == reason::STAFF_ROLE;
            let told = "This passkey is somebody else's: that needs the role `administrator` or `security`.";
            if role { problem.saying(told.to_owned()) } else { problem }
        })?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}
