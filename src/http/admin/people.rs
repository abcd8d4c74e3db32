//! People: the caller, and ending one person's access.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{NoContent, Written};
use super::idempotency::confirmed;
use super::input::Sent;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::view::person::PersonView;
use crate::broker::words::Words;
use crate::domain::people::actor::{Contain, Person, Read, Role};
use crate::domain::reason;
use crate::domain::value::clock::Timestamp;

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        post("/v1/staff/{id}/cut", "cutStaff", "End one person's access at once", cut).names("person"),
        get("/v1/whoami", "whoami", "The caller: person, roles, and until when this sign-in counts", whoami),
    ]
}

/// The reason for an action. Every action that ends or restores a right requires one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The reason. It is recorded.
    pub reason: String,
}

/// The caller.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Caller {
    person: PersonView,
    #[schema(value_type = Vec<Role>)]
    roles: BTreeSet<Role>,
    machine: bool,
    /// The time at which this sign-in stops counting.
    until: Timestamp,
    /// True for a person who signed in within the last 15 minutes, as a review requires.
    fresh_for_reviews: bool,
}

/// `GET /v1/whoami`.
async fn whoami(by: Admitted<Read>) -> Result<Json<Caller>, Problem> {
    let staff = by.by.staff();
    Ok(Json(Caller {
        // The name comes from the token, so nothing is unsealed for it.
        person: Words::none().person(&staff.person),
        roles: staff.roles.clone(),
        machine: staff.machine,
        until: staff.until,
        fresh_for_reviews: staff.fresh,
    }))
}

/// `POST /v1/staff/{id}/cut`.
async fn cut(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(id): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Written<NoContent>, Problem> {
    // Only people of the staff issuer have access that could end, and the id is the value of their person claim. An id that
    // no token can have is a typing error, and must not look like a cut.
    if id.is_empty() || id.len() > 255 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Problem::of(&reason::NOT_FOUND));
    }
    let person = Person { iss: by.by.staff().person.iss.clone(), id: id.into(), name: None };
    let cut = broker.cut_staff(&by.by, person, &why.reason, by.made_for()).await?;
    Ok(Written::as_is(confirmed(&broker, &by.request, cut, NoContent.into_response()).await))
}
