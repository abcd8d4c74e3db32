//! The visitor's own passkeys: lists, registers and revokes them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::node::{Console, away};
use super::page::{self, Frame, Own, Shown};
use super::session::Visitor;
use crate::broker::passkey::Registered;
use crate::broker::words::{Words, sealed};
use crate::domain::people::actor::{Retire, Review};
use crate::domain::people::passkey::Passkey;
use crate::domain::reason;
use crate::domain::value::names::PasskeyId;
use crate::http::admin::{Admitted, Problem};
use crate::http::form::Form;

/// The path of the page.
const PAGE: &str = "/console/passkeys";

/// `GET /console/passkeys`.
///
/// It begins a registration, which changes only what this session may answer.
pub async fn list(State(console): State<Arc<Console>>, visitor: Visitor, by: Result<Admitted<Review>, Problem>) -> Response {
    let shown = async {
        let view = console.broker.journal.view();
        let own: Vec<&Passkey> = view.state.passkeys.of(&visitor.staff.person).collect();
        let words = Words::of(&console.broker, sealed(own.iter().map(|passkey| &passkey.label))).await?;
        let show = |passkey: &&Passkey| Shown {
            id: passkey.id.to_string(),
            label: words.plain(&passkey.label).unwrap_or("-").to_owned(),
            registered: passkey.registered.to_string(),
        };
        let passkeys = own.iter().map(show).collect();
        let (options, confirm, why_not) = match (by, &console.broker.passkeys) {
            (Ok(by), Some(library)) => {
                let refused = |_| Problem::of(&reason::PASSKEY_REFUSED);
                let person = &by.by.staff().person;
                let registration = library.begin(person, own.iter().copied()).map_err(refused)?;
                let confirm = if own.is_empty() {
                    String::new()
                } else {
                    library.ask(own.iter().copied(), registration.confirmation).map_err(refused)?
                };
                let options = registration.options.clone();
                let begun = console.sessions.begin(&console.broker.shelf, &visitor, registration, console.broker.now()).await;
                begun.map_err(|_| away())?;
                (options, confirm, "")
            }
            (Err(problem), Some(_)) => (String::new(), String::new(), problem.parts().1.what),
            (_, None) => (String::new(), String::new(), "The host of admin_url is an address, and no passkey can live there."),
        };
        Ok(Own { frame: Some(Frame::of(&visitor)), passkeys, options, confirm, why_not })
    };
    match shown.await {
        Ok(own) => page::show(StatusCode::OK, &own),
        Err(problem) => console.told(Some(&visitor), &problem),
    }
}

/// `POST /console/passkeys`.
pub async fn register(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    by: Result<Admitted<Review>, Problem>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = async |form: Form<'_>| {
        let by = by?;
        let refused = || Problem::of(&reason::PASSKEY_REFUSED);
        let begun = console.sessions.begun(&console.broker.shelf, &visitor, console.broker.now()).await;
        let registration = begun.map_err(|_| away())?.ok_or_else(refused)?;
        let answer = form.get("answer").ok_or_else(refused)?;
        let label = form.get("label").map(str::trim).filter(|label| !label.is_empty() && label.chars().count() <= 60);
        let label = label.ok_or_else(|| Problem::of(&reason::REQUEST_INVALID))?;
        let wanted = Registered { registration: &registration, answer, confirmation: form.get("confirmation"), label };
        console.broker.register_passkey(&by.by, wanted, by.made_for()).await?;
        Ok(())
    };
    match console.form(&visitor, &headers, &body) {
        Ok(form) => finished(&console, &visitor, done(form).await),
        Err(refused) => refused,
    }
}

/// `POST /console/passkeys/{id}/revoke`.
pub async fn revoke(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    by: Result<Admitted<Retire>, Problem>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let done = async |form: Form<'_>| {
        let by = by?;
        let id: PasskeyId = id.parse().map_err(|_| Problem::of(&reason::NOT_FOUND))?;
        let why = form.get("reason").ok_or_else(|| Problem::of(&reason::REQUEST_INVALID))?;
        let cut = console.broker.revoke_passkey(&by.by, &id, why, by.made_for()).await?;
        console.broker.confirm(cut).await?;
        Ok(())
    };
    match console.form(&visitor, &headers, &body) {
        Ok(form) => finished(&console, &visitor, done(form).await),
        Err(refused) => refused,
    }
}

fn finished(console: &Console, visitor: &Visitor, outcome: Result<(), Problem>) -> Response {
    match outcome {
        Ok(()) => Redirect::to(PAGE).into_response(),
        Err(problem) => console.told(Some(visitor), &problem),
    }
}
