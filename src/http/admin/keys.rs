//! The signing keys and their ladder, as administrators see and move it.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Created, Listed, NoContent, Written};
use super::idempotency::confirmed;
use super::input::{Filter, Filters, Page, Sent, named};
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::broker::view::schema::TokenAlg;
use crate::domain::credential::keys::KeyState;
use crate::domain::people::actor::{Operate, Read};
use crate::domain::reason;
use crate::domain::state::State as House;
use crate::domain::value::alg::Alg;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, KeyId};

/// The routes.
pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/keys", "listKeys", "The keys that sign tokens", list),
        post("/v1/keys/{environment}/rotate", "rotateKey", "Make the next key of an algorithm", rotate).names("environment"),
        post("/v1/keys/{environment}/taint", "taintKey", "Stop a key at once, and revoke what it signed", taint)
            .names("key with that kid in environment"),
    ]
}

/// The key to make.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Rotate {
    #[schema(value_type = TokenAlg)]
    alg: Alg,
    /// Sign with the key at once, although verifiers refuse its tokens until they fetch it.
    #[serde(default)]
    accept_outage: bool,
}

/// The key to taint, and the reason.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Taint {
    kid: String,
    reason: String,
}

/// A key that signs tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Key {
    /// `ENVIRONMENT/KID`
    id: String,
    version: Digest,
    /// Its rung of the ladder.
    state: &'static str,
    environment: EnvironmentName,
    kid: KeyId,
    alg: Alg,
    created: Timestamp,
    usable_from: Timestamp,
    /// The public key, as a JWK.
    public: serde_json::Value,
}

/// The filters of a list of keys.
struct ByEnvironment;

impl Filters for ByEnvironment {
    const ALL: &'static [Filter] = &[Filter::text("environment", "Of this environment")];
}

/// `GET /v1/keys`.
async fn list(State(broker): State<Broker>, _by: Admitted<Read>, page: Page<ByEnvironment>) -> Result<Listed<Key>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let wanted = view.state.keys.all().filter(|key| page.takes("environment", key.key.environment.as_str()));
    let mut keys: Vec<_> = wanted.map(|key| (id(key), key)).collect();
    keys.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(page.part(keys.into_iter()).map(|key| show(&view.state, key, now)))
}

/// `POST /v1/keys/{env}/rotate`.
async fn rotate(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(environment): Path<String>,
    Sent(wanted): Sent<Rotate>,
) -> Result<Created<Key>, Problem> {
    if wanted.alg == Alg::Ps256 {
        let message = "tokens are signed with ES256, RS256, EdDSA or Ed25519";
        return Err(Problem::faults(vec![Fault::invalid("alg", message)]));
    }
    let environment = named(&environment)?;
    let request = by.made_for();
    let kid = broker.rotate(&by.by, &environment, wanted.alg, wanted.accept_outage, request).await?;
    let view = broker.journal.view();
    let made = view.state.keys.find(&environment, &kid).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    Ok(Created(show(&view.state, made, broker.now())))
}

/// `POST /v1/keys/{env}/taint`.
async fn taint(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(environment): Path<String>,
    Sent(wanted): Sent<Taint>,
) -> Result<Written<NoContent>, Problem> {
    let (environment, kid) = (named(&environment)?, named(&wanted.kid)?);
    let cut = broker.taint(&by.by, &environment, &kid, &wanted.reason, by.made_for()).await?;
    Ok(Written::as_is(confirmed(&broker, &by.request, cut, NoContent.into_response()).await))
}

fn id(key: &KeyState) -> String {
    format!("{}/{}", key.key.environment, key.key.kid)
}

fn show(state: &House, key: &KeyState, now: Timestamp) -> Key {
    Key {
        id: id(key),
        version: key.key.sealed,
        state: state.keys.rung(key, now).name(),
        environment: key.key.environment.clone(),
        kid: key.key.kid.clone(),
        alg: key.key.alg,
        created: key.created,
        usable_from: key.key.usable_from,
        public: key.key.public.clone(),
    }
}
