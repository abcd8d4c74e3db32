//! Revocations: what is cut, by whom, and asking to lift it.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::idempotency::confirmed;
use super::input::{Page, body, named};
use super::people::{Why, Words, names, sealed};
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::revocation::{Failure, Fault, Named, Revoke};
use crate::domain::decision::revocable::Thing;
use crate::domain::people::actor::{Contain, Read};
use crate::domain::reason;
use crate::domain::state::Revocation;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, RevocationId};
use crate::journal::Ended;

/// What is to be cut: exactly one of these, and why.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    token: Option<String>,
    api: Option<String>,
    binding: Option<String>,
    elevation: Option<String>,
    integration: Option<String>,
    partner: Option<String>,
    environment: Option<String>,
    issuer: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    #[serde(default)]
    tokens_only: bool,
    reason: String,
}

impl Wanted {
    /// What is named, in words.
    fn sought(&self) -> String {
        let things = [
            ("api", &self.api),
            ("binding", &self.binding),
            ("certificate", &self.certificate),
            ("elevation", &self.elevation),
            ("environment", &self.environment),
            ("integration", &self.integration),
            ("issuer", &self.issuer),
            ("key", &self.key),
            ("partner", &self.partner),
            ("token", &self.token),
        ];
        let first = things.into_iter().find_map(|(kind, name)| Some(format!("{kind} {}", name.as_ref()?)));
        first.map_or_else(|| "such thing".to_owned(), |words| words.chars().take(200).collect())
    }
}

/// `POST /v1/revocations`. Answers once the journal has it and the live index confirms it.
pub async fn revoke(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Wanted = body(&headers, &bytes)?;
        let (tokens_only, reason) = (wanted.tokens_only, wanted.reason.clone());
        let sought = wanted.sought();
        let (subject, client) = broker.revocable(named_thing(wanted)?).await.map_err(|failure| match failure {
            Failure::Refused(reason) if *reason == reason::NOT_FOUND => Problem::missing(&sought),
            other @ (Failure::Refused(_) | Failure::Stopped(_) | Failure::Faults(_) | Failure::Collides(_)) => {
                Problem::from(other)
            }
        })?;
        let key = subject.key();
        let asked = Revoke { subject, client, tokens_only, reason };
        let (id, cut) = broker.revoke(by.by.staff().actor(), asked, by.made_for()).await?;
        let view = broker.journal.view();
        let (state, version) = view.state.revocations.get(&id).map_or(("done", None), |one| (state(one), Some(version(one))));
        let mut told = json!({"id": id, "version": version, "state": state, "subject": key, "tokensOnly": tokens_only});
        tell_ended(&mut told, broker.ended(&cut).await);
        let mut response = (StatusCode::CREATED, axum::Json(told)).into_response();
        // That of a single token stands in the journal alone: there is no place to look at it.
        if let (Some(_), Ok(location)) = (version, format!("/v1/revocations/{id}").parse()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(confirmed(&broker, &by.request, cut.unconfirmed, response).await)
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// Adds how many living tokens a cut ended, and when the last of them ends for who verifies it offline; null where it was not counted.
pub fn tell_ended(told: &mut Value, ended: Option<Ended>) {
    told["cut"] = json!(ended.map(|ended| ended.tokens));
    told["lastExpires"] = json!(ended.and_then(|ended| ended.last));
}

/// `GET /v1/revocations`: all but those of single tokens, which stand in the journal.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["state", "subject"])?;
        let view = broker.journal.view();
        let is = |name: &str, value: &str| page.filters.get(name).is_none_or(|wanted| wanted == value);
        let wanted = |one: &&Revocation| is("state", state(one)) && is("subject", one.target.key().as_str());
        let all = view.state.revocations.values().filter(wanted);
        let part = page.part(all.map(|one| (one.id.to_string(), one)));
        let words = Words::of(&broker, sealed(part.items.iter().flat_map(|one| names(&one.by).chain([&one.reason])))).await?;
        Ok(part.show(|one| show(one, &words)))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/revocations/{id}`.
pub async fn one(State(broker): State<Broker>, by: Admitted<Read>, Path(id): Path<String>) -> Result<Response, Problem> {
    let shown = async {
        let id: RevocationId = named(&id)?;
        let view = broker.journal.view();
        let one = view.state.revocations.get(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        let words = Words::of(&broker, sealed(names(&one.by).chain([&one.reason]))).await?;
        Ok(axum::Json(show(one, &words)).into_response())
    };
    shown.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `POST /v1/revocations/{id}/lift`: opens the approval of somebody who did not revoke.
pub async fn lift(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        let id: RevocationId = named(&id)?;
        let approval = broker.ask_lift(&by.by, &id, &why.reason, by.made_for()).await?;
        Ok((StatusCode::ACCEPTED, axum::Json(json!({"approval": approval}))).into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// The one thing that is named.
fn named_thing(wanted: Wanted) -> Result<Named, Problem> {
    let things = [
        (Thing::Api, wanted.api),
        (Thing::Binding, wanted.binding),
        (Thing::Certificate, wanted.certificate),
        (Thing::Elevation, wanted.elevation),
        (Thing::Environment, wanted.environment),
        (Thing::Integration, wanted.integration),
        (Thing::Issuer, wanted.issuer),
        (Thing::Key, wanted.key),
        (Thing::Partner, wanted.partner),
    ];
    let things = things.into_iter().filter_map(|(thing, name)| Some(Named::Thing(thing, name?)));
    let token = wanted.token.map(|token| named(&token).map(Named::Token)).transpose()?;
    let mut things = token.into_iter().chain(things);
    let (Some(one), None) = (things.next(), things.next()) else {
        let message =
            "name exactly one of token, elevation, binding, api, integration, partner, environment, issuer, certificate, key"
                .to_owned();
        return Err(Problem::faults(vec![Fault { at: String::new(), reason: &reason::REQUEST_INVALID, message }]));
    };
    Ok(one)
}

fn state(one: &Revocation) -> &'static str {
    match (one.lifted, one.tokens_only) {
        (true, _) => "lifted",
        (false, true) => "done",
        (false, false) => "standing",
    }
}

/// All that may change of a revocation.
#[derive(Serialize)]
struct Version<'r> {
    id: &'r RevocationId,
    lifted: bool,
    lift: Option<&'r ApprovalId>,
}

fn version(one: &Revocation) -> Digest {
    Digest::of_json(&Version { id: &one.id, lifted: one.lifted, lift: one.lift.as_ref() })
}

fn show(one: &Revocation, words: &Words) -> Value {
    json!({
        "id": one.id, "version": version(one), "state": state(one), "subject": one.target.key(), "tokensOnly": one.tokens_only,
        "by": words.actor(&one.by), "reason": words.plain(&one.reason), "at": one.at, "entry": one.index, "lift": one.lift,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_revocation_is_made_of_this() {
        let (id, lift) = ("revocation-1".parse().expect("an id"), "approval-1".parse().expect("an id"));
        for (lifted, lift, wanted) in [
            (false, None, r#"{"id":"revocation-1","lifted":false,"lift":null}"#),
            (true, Some(&lift), r#"{"id":"revocation-1","lifted":true,"lift":"approval-1"}"#),
        ] {
            assert_eq!(serde_json::to_string(&Version { id: &id, lifted, lift }).expect("JSON"), wanted);
        }
    }
}
