//! People: the end of one person's access, and how the answers of this room name them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::input::body;
use super::problem::Problem;
use crate::broker::Broker;
pub use crate::broker::words::{Words, names, sealed};
use crate::domain::people::actor::{Contain, Person, Read};
use crate::domain::reason;

/// Why something is done: every action that ends or restores a right takes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// For the journal, and whoever reads it later.
    pub reason: String,
}

/// `GET /v1/whoami`: the caller, their roles, and until when this sign-in counts.
pub async fn whoami(by: Admitted<Read>) -> Json<Value> {
    let staff = by.by.staff();
    // The name is the token's own: nothing is unsealed for it.
    let person = Words::none().person(&staff.person);
    Json(json!({
        "person": person, "roles": staff.roles, "machine": staff.machine, "until": staff.until, "freshForReviews": staff.fresh,
    }))
}

/// `POST /v1/staff/{id}/cut`.
pub async fn cut(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        // Only the staff issuer's people have access that could end; the id is what its person claim says. What no token can
        // say is a typing error, and must not look like a cut.
        if id.is_empty() || id.len() > 255 || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Problem::of(&reason::NOT_FOUND));
        }
        let person = Person { iss: by.by.staff().person.iss.clone(), id, name: None };
        broker.cut_staff(&by.by, person, &why.reason, by.made_for()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}
