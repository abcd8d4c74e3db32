//! Revocations: what is cut, by whom, and asking to lift it.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::idempotency::confirmed;
use super::input::{Page, body, named};
use super::people::{Why, Words, names, sealed};
use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::revocation::{Fault, Revoke};
use crate::domain::actor::{Contain, Read};
use crate::domain::digest::Digest;
use crate::domain::entry::Entry;
use crate::domain::names::{BindingName, ClientId, EnvironmentName, RevocationId, TokenId};
use crate::domain::reason;
use crate::domain::revocation::Subject;
use crate::domain::state::{Revocation, State as House};
use crate::journal::Query;

/// What is to be cut: exactly one of these, and why.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    token: Option<String>,
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
        let subject = subject(&broker, wanted).await?;
        let member = subject.member();
        let asked = Revoke { subject, tokens_only, reason };
        let (id, cut) = broker.revoke(by.by.staff().actor(), asked, by.made_for()).await?;
        let view = broker.journal.view();
        let (state, version) = view.state.revocations.get(&id).map_or(("done", None), |one| (state(one), Some(version(one))));
        let told = json!({"id": id, "version": version, "state": state, "subject": member, "tokensOnly": tokens_only});
        let mut response = (StatusCode::CREATED, axum::Json(told)).into_response();
        // That of a single token stands in the journal alone: there is no place to look at it.
        if let (Some(_), Ok(location)) = (version, format!("/v1/revocations/{id}").parse()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(confirmed(&broker, &by.request, cut, response).await)
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/revocations`: all but those of single tokens, which stand in the journal.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["state", "subject"])?;
        let view = broker.journal.view();
        let is = |name: &str, value: &str| page.filters.get(name).is_none_or(|wanted| wanted == value);
        let wanted = |one: &&Revocation| is("state", state(one)) && is("subject", &one.subject.member());
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

/// The one thing that is named. A thing that is not there cannot be cut: a typing error must not look like a revocation.
async fn subject(broker: &Broker, wanted: Wanted) -> Result<Subject, Problem> {
    let named_things = [
        ("token", wanted.token),
        ("binding", wanted.binding),
        ("elevation", wanted.elevation),
        ("integration", wanted.integration),
        ("partner", wanted.partner),
        ("environment", wanted.environment),
        ("issuer", wanted.issuer),
        ("certificate", wanted.certificate),
        ("key", wanted.key),
    ];
    let mut things = named_things.into_iter().filter_map(|(kind, text)| Some((kind, text?)));
    let (Some((kind, text)), None) = (things.next(), things.next()) else {
        let message =
            "name exactly one of token, elevation, binding, integration, partner, environment, issuer, certificate, key"
                .to_owned();
        return Err(Problem::faults(vec![Fault { at: String::new(), reason: &reason::REQUEST_INVALID, message }]));
    };
    let missing = || Problem::of(&reason::NOT_FOUND);
    let view = broker.journal.view();
    let state = &view.state;
    let parts: Vec<&str> = text.split('/').collect();
    match (kind, parts.as_slice()) {
        ("token", _) => token(broker, named(&text)?).await,
        ("binding", [partner, integration, environment, binding]) => {
            let client = named(&format!("{partner}/{integration}"))?;
            let (environment, binding) = (named(environment)?, named(binding)?);
            let known = state
                .candidates
                .all()
                .any(|one| one.client == client && one.environment == environment && one.binding == binding);
            let known = known || has_binding(state, &client, &environment, &binding);
            known.then_some(Subject::Binding { client, environment, binding }).ok_or_else(missing)
        }
        ("elevation", _) => {
            let request = state.elevations.find(&named(&text)?).ok_or_else(missing)?;
            let (environment, elevation) = (request.elevation.environment.clone(), request.elevation.id.clone());
            Ok(Subject::Elevation { environment, elevation })
        }
        ("integration", _) => {
            let integration = named(&text)?;
            state.integrations.contains_key(&integration).then_some(Subject::Integration { integration }).ok_or_else(missing)
        }
        ("partner", _) => {
            let partner = named(&text)?;
            state.partners.contains_key(&partner).then_some(Subject::Partner { partner }).ok_or_else(missing)
        }
        ("environment", [environment]) => {
            let environment = named(environment)?;
            state.environment(&environment).ok_or_else(missing)?;
            Ok(Subject::Environment { environment })
        }
        ("environment", [partner, integration, environment]) => {
            let integration = named(&format!("{partner}/{integration}"))?;
            let environment = named(environment)?;
            state.integrations.get(&integration).ok_or_else(missing)?;
            state.environment(&environment).ok_or_else(missing)?;
            Ok(Subject::IntegrationEnvironment { integration, environment })
        }
        ("issuer", _) => {
            let issuer = named(&text)?;
            let known = state.candidates.all().any(|one| one.rule.issuer == issuer);
            known.then_some(Subject::Issuer { issuer }).ok_or_else(missing)
        }
        ("certificate", [environment, serial]) => {
            let (environment, serial) = (named(environment)?, named(serial)?);
            let known = state.certificates.leaf(&environment, &serial).is_some();
            known.then_some(Subject::Certificate { environment, serial }).ok_or_else(missing)
        }
        ("key", [environment, kid]) => {
            let (environment, kid) = (named(environment)?, named(kid)?);
            state.keys.find(&environment, &kid).ok_or_else(missing)?;
            Ok(Subject::Key { environment, kid })
        }
        _ => Err(missing()),
    }
}

/// Whether the record in force has a binding: those by certificate are in no index of issuers.
fn has_binding(state: &House, client: &ClientId, environment: &EnvironmentName, binding: &BindingName) -> bool {
    let ClientId::Integration(id) = client else { return false };
    let current = state.integrations.get(id).and_then(|integration| integration.current.as_ref());
    let access = current.and_then(|current| current.record.environments.get(environment));
    access.is_some_and(|access| access.bindings.iter().any(|one| one.name == *binding))
}

/// A token by its `jti`: its entry tells its environment and end.
async fn token(broker: &Broker, id: TokenId) -> Result<Subject, Problem> {
    let query = Query { token: Some(id), newest_first: true, limit: Some(1), ..Query::default() };
    let found = broker.journal.entries(&query).await?.into_iter().next();
    match found.map(|stored| stored.entry) {
        Some(Entry::Issued(issued)) => {
            Ok(Subject::Token { environment: issued.environment, id: issued.jti, expires: issued.exp })
        }
        _ => Err(Problem::of(&reason::NOT_FOUND)),
    }
}

fn state(one: &Revocation) -> &'static str {
    match (one.lifted, one.tokens_only) {
        (true, _) => "lifted",
        (false, true) => "done",
        (false, false) => "standing",
    }
}

fn version(one: &Revocation) -> Digest {
    Digest::of(format!("{} {} {:?}", one.id, one.lifted, one.lift).as_bytes())
}

fn show(one: &Revocation, words: &Words) -> Value {
    json!({
        "id": one.id, "version": version(one), "state": state(one), "subject": one.subject.member(), "tokensOnly": one.tokens_only,
        "by": words.actor(&one.by), "reason": words.plain(&one.reason), "at": one.at, "entry": one.index, "lift": one.lift,
    })
}
