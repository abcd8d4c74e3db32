//! Environments: which there are, and the end of one for everybody.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Accepted, Listed};
use super::input::{Filter, Filters, Page, Sent, named};
use super::problem::Problem;
use super::revocations::ApprovalAsked;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::domain::people::actor::{Close, Read};
use crate::domain::state::State as House;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, EnvironmentName, Issuer};

/// The routes.
pub fn routes() -> Vec<Route> {
    let closed = "Ask to close it for everybody; an owner and a person of security approve, and it never opens again";
    vec![
        get("/v1/environments", "listEnvironments", "The environments, closed ones included", list),
        post("/v1/environments/{environment}/close", "closeEnvironment", closed, close).names("environment"),
    ]
}

/// An environment.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Environment)]
struct EnvironmentView {
    id: EnvironmentName,
    issuer: Issuer,
    /// `open` or `closed`.
    state: &'static str,
    /// Whether the rules for production hold.
    production: bool,
    /// When it was closed.
    #[schema(required)]
    closed: Option<Timestamp>,
    /// The newest approval to close it.
    #[schema(required)]
    approval: Option<ApprovalId>,
}

/// The filters of a list of environments.
struct OfEnvironments;

impl Filters for OfEnvironments {
    const ALL: &'static [Filter] = &[Filter::text("state", "open or closed")];
}

/// A wish to close an environment.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CloseEnvironment)]
struct Wanted {
    /// The reason. It is recorded.
    reason: String,
    /// The name of the environment once more.
    confirm: String,
}

fn view(name: &EnvironmentName, state: &House) -> Option<EnvironmentView> {
    let closing = state.closures.of(name);
    let issuer = closing.map(|closed| closed.issuer.clone());
    Some(EnvironmentView {
        id: name.clone(),
        issuer: issuer.or_else(|| Some(state.environment(name)?.issuer.clone()))?,
        state: if closing.is_some() { "closed" } else { "open" },
        production: state.is_production(name),
        closed: closing.map(|closed| closed.at),
        approval: state.closures.asked(name.as_str()).cloned(),
    })
}

/// `GET /v1/environments`.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfEnvironments>,
) -> Result<Listed<EnvironmentView>, Problem> {
    let state = &broker.journal.view().state;
    let configured = state.configuration.iter().flat_map(|configuration| configuration.environments.keys());
    let mut names: Vec<&EnvironmentName> = configured.chain(state.closures.iter().map(|(name, _)| name)).collect();
    names.sort();
    names.dedup();
    let all = names.into_iter().filter_map(|name| Some((name.to_string(), view(name, state)?)));
    let part = page.part(all.filter(|(_, one)| page.takes("state", one.state)));
    Ok(Listed { items: part.items, next: part.next })
}

/// `POST /v1/environments/{environment}/close`.
async fn close(
    State(broker): State<Broker>,
    by: Admitted<Close>,
    Path(name): Path<String>,
    Sent(wanted): Sent<Wanted>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let environment: EnvironmentName = named(&name)?;
    let asked = broker.ask_close(&by.by, &environment, (&wanted.reason, &wanted.confirm), by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval: asked.id }))
}
