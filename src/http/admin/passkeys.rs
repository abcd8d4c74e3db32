//! Lists and revokes approvers' passkeys. A page registers them (`http::console`).

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Listed, NoContent, Written};
use super::idempotency::confirmed;
use super::input::{Filter, Filters, Page, Sent, named};
use super::people::Why;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::view::person::PersonView;
use crate::broker::words::{Words, sealed};
use crate::domain::people::actor::{Read, Retire};
use crate::domain::people::passkey::Passkey;
use crate::domain::reason;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PasskeyId;

/// The routes.
pub fn routes() -> Vec<Route> {
    let revoked = "Revoke a passkey, one's own or as security or administrator anybody's: its signatures count no more";
    vec![
        get("/v1/passkeys", "listPasskeys", "Passkeys of approvers, also those that were revoked", list),
        post("/v1/passkeys/{id}/revoke", "revokePasskey", revoked, revoke).names("passkey"),
    ]
}

/// A passkey of an approver.
#[derive(Serialize, ToSchema)]
#[schema(as = Passkey)]
struct PasskeyView {
    id: PasskeyId,
    version: PasskeyId,
    state: PasskeyState,
    person: PersonView,
    /// The owner's name for it; null if the text was erased.
    #[schema(required)]
    label: Option<String>,
    registered: Timestamp,
    #[schema(required)]
    revoked: Option<Timestamp>,
}

/// The state of a passkey.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum PasskeyState {
    Active,
    Revoked,
}

/// The filters of a list of passkeys.
struct ByPerson;

impl Filters for ByPerson {
    const ALL: &'static [Filter] = &[Filter::text("person", "Of the person with this id")];
}

/// `GET /v1/passkeys`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<ByPerson>) -> Result<Listed<PasskeyView>, Problem> {
    let view = broker.journal.view();
    let all = view.state.passkeys.all().filter(|passkey| page.takes("person", &passkey.by.id));
    let part = page.part(all.map(|passkey| (passkey.id.to_string(), passkey)));
    let texts = part.items.iter().flat_map(|passkey| passkey.by.name.iter().chain([&passkey.label]));
    let words = Words::of(&broker, sealed(texts)).await?;
    Ok(part.map(|passkey| show(passkey, &words)))
}

fn show(passkey: &Passkey, words: &Words) -> PasskeyView {
    PasskeyView {
        id: passkey.id.clone(),
        version: passkey.id.clone(),
        state: if passkey.revoked.is_some() { PasskeyState::Revoked } else { PasskeyState::Active },
        person: words.person(&passkey.by),
        label: words.plain(&passkey.label).map(str::to_owned),
        registered: passkey.registered,
        revoked: passkey.revoked,
    }
}

/// `POST /v1/passkeys/{id}/revoke`.
async fn revoke(
    State(broker): State<Broker>,
    by: Admitted<Retire>,
    Path(id): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Written<NoContent>, Problem> {
    let id: PasskeyId = named(&id)?;
    let cut = broker.revoke_passkey(&by.by, &id, &why.reason, by.made_for()).await.map_err(|failure| {
        let problem = Problem::from(failure);
        let role = *problem.parts().1 == reason::STAFF_ROLE;
        let told = "This passkey is somebody else's: that needs the role `administrator` or `security`.";
        if role { problem.saying(told.to_owned()) } else { problem }
    })?;
    Ok(Written::as_is(confirmed(&broker, &by.request, cut, NoContent.into_response()).await))
}
