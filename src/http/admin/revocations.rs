//! Makes, lists and lifts revocations.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Accepted, Created, Listed, Written};
use super::idempotency::confirmed;
use super::input::{Filter, Filters, Page, Sent, named};
use super::people::Why;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::failure::{Failure, Fault};
use crate::broker::revocation::{Named, Revoke};
use crate::broker::view::person::ActorView;
use crate::broker::words::{Words, names, sealed};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::decision::revocable::Thing;
use crate::domain::people::actor::{Contain, Read};
use crate::domain::reason;
use crate::domain::state::Revocation;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, RevocationId};
use crate::journal::Ended;

/// The routes.
pub fn routes() -> Vec<Route> {
    let revoked = "Revoke something; answered once every reader is certain to refuse it";
    vec![
        get("/v1/revocations", "listRevocations", "Revocations; those of single tokens stand in the journal", list),
        post("/v1/revocations", "revoke", revoked, revoke),
        get("/v1/revocations/{id}", "getRevocation", "One revocation", one).names("revocation"),
        post("/v1/revocations/{id}/lift", "liftRevocation", "Ask to lift it; somebody who did not revoke approves", lift)
            .names("revocation"),
    ]
}

/// The thing to revoke, exactly one of these, and the reason.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Revoke)]
struct Wanted {
    /// The `jti` of a token.
    #[schema(value_type = String, required = false)]
    token: Option<String>,
    /// The name of an API, such as `orders-api`.
    #[schema(value_type = String, required = false)]
    api: Option<String>,
    /// `PARTNER/INTEGRATION/ENVIRONMENT/BINDING`
    #[schema(value_type = String, required = false)]
    binding: Option<String>,
    /// The id of an elevation.
    #[schema(value_type = String, required = false)]
    elevation: Option<String>,
    /// `PARTNER/INTEGRATION`
    #[schema(value_type = String, required = false)]
    integration: Option<String>,
    #[schema(value_type = String, required = false)]
    partner: Option<String>,
    /// `production` or such, or one integration's environment: `PARTNER/INTEGRATION/ENVIRONMENT`.
    #[schema(value_type = String, required = false)]
    environment: Option<String>,
    /// The URL of an issuer, or a trust domain.
    #[schema(value_type = String, required = false)]
    issuer: Option<String>,
    /// `ENVIRONMENT/SERIAL`
    #[schema(value_type = String, required = false)]
    certificate: Option<String>,
    /// `ENVIRONMENT/KID`
    #[schema(value_type = String, required = false)]
    key: Option<String>,
    /// Revoke the tokens that were issued, and refuse no later exchange.
    #[serde(default)]
    tokens_only: bool,
    reason: String,
}

/// A revocation that was made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Revoked {
    id: RevocationId,
    /// Null for a single token: the journal alone has its revocation.
    #[schema(required)]
    version: Option<Digest>,
    /// `standing` or `done`.
    state: &'static str,
    subject: RevocationKey,
    tokens_only: bool,
    #[serde(flatten)]
    ended: EndedView,
}

/// The unexpired tokens that a revocation cut.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ended)]
pub struct EndedView {
    /// The number of tokens; null if they could not be counted in time.
    #[schema(required)]
    pub cut: Option<u64>,
    /// The time at which the last of them expires for an API that verifies offline.
    #[schema(required)]
    pub last_expires: Option<Timestamp>,
}

/// A revocation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Revocation)]
struct RevocationView {
    id: RevocationId,
    version: Digest,
    /// `standing`, `done` or `lifted`.
    state: &'static str,
    subject: RevocationKey,
    tokens_only: bool,
    by: ActorView,
    /// Null if the text was erased.
    #[schema(required)]
    reason: Option<String>,
    at: Timestamp,
    entry: u64,
    /// The approval that would lift it.
    #[schema(required)]
    lift: Option<ApprovalId>,
}

/// The approval that was opened.
#[derive(Serialize, ToSchema)]
pub struct ApprovalAsked {
    /// Its id.
    pub approval: ApprovalId,
}

/// The filters of a list of revocations.
struct OfRevocations;

impl Filters for OfRevocations {
    const ALL: &'static [Filter] =
        &[Filter::text("state", "standing, done or lifted"), Filter::text("subject", "Of this, as `subject` shows it")];
}

impl EndedView {
    /// Shows a count; null if nothing was counted.
    pub fn of(ended: Option<Ended>) -> Self {
        Self { cut: ended.map(|ended| ended.tokens), last_expires: ended.and_then(|ended| ended.last) }
    }
}

impl Wanted {
    /// The things that are named: usually one.
    fn things(&self) -> impl Iterator<Item = (Option<Thing>, &'static str, &String)> {
        let things = [
            (Some(Thing::Api), "api", &self.api),
            (Some(Thing::Binding), "binding", &self.binding),
            (Some(Thing::Certificate), "certificate", &self.certificate),
            (Some(Thing::Elevation), "elevation", &self.elevation),
            (Some(Thing::Environment), "environment", &self.environment),
            (Some(Thing::Integration), "integration", &self.integration),
            (Some(Thing::Issuer), "issuer", &self.issuer),
            (Some(Thing::Key), "key", &self.key),
            (Some(Thing::Partner), "partner", &self.partner),
            (None, "token", &self.token),
        ];
        things.into_iter().filter_map(|(thing, kind, name)| Some((thing, kind, name.as_ref()?)))
    }

    /// Words for the thing that is named.
    fn sought(&self) -> String {
        let first = self.things().next().map(|(_, kind, name)| format!("{kind} {name}"));
        first.map_or_else(|| "such thing".to_owned(), |words| words.chars().take(200).collect())
    }

    /// The one thing that is named.
    fn named(&self) -> Result<Named, Problem> {
        // A token that is not a valid name is refused before the check that nothing else is named.
        let token = self.token.as_deref().map(|token| named(token).map(Named::Token)).transpose()?;
        let mut things = self.things();
        let (Some((thing, _, name)), None) = (things.next(), things.next()) else {
            let message = "name exactly one of token, elevation, binding, api, integration, partner, environment, issuer, certificate, key";
            return Err(Problem::faults(vec![Fault::invalid("", message)]));
        };
        Ok(match (thing, token) {
            (Some(thing), _) => Named::Thing(thing, name.clone()),
            (None, Some(token)) => token,
            (None, None) => return Err(Problem::of(&reason::REQUEST_INVALID)),
        })
    }
}

/// `POST /v1/revocations`. Answers once the journal has it and the live index confirms it.
async fn revoke(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Sent(wanted): Sent<Wanted>,
) -> Result<Written<Created<Revoked>>, Problem> {
    let (target, client) = broker.revocable(wanted.named()?).await.map_err(|failure| match failure {
        Failure::Refused(reason) if *reason == reason::NOT_FOUND => Problem::missing(wanted.sought()),
        other @ (Failure::Refused(_)
        | Failure::State(_)
        | Failure::Stopped(_)
        | Failure::Faults(_)
        | Failure::Collides(_)
        | Failure::Refuses(_)) => Problem::from(other),
    })?;
    let (key, tokens_only) = (target.key(), wanted.tokens_only);
    let asked = Revoke { target, client, tokens_only, reason: wanted.reason };
    let (id, cut) = broker.revoke(&by.by, asked, by.made_for()).await?;
    let view = broker.journal.view();
    let known = view.state.revocations.get(&id);
    let (version, state) = (known.map(version), known.map_or("done", |one| one.standing().name()));
    let ended = EndedView::of(broker.ended(&cut).await);
    let place = format!("/v1/revocations/{id}");
    let told = Written::of(Created(Revoked { id, version, state, subject: key, tokens_only, ended }));
    // The journal alone has the revocation of a single token, so there is no address for it.
    let told = if version.is_some() { told.at(&place) } else { told };
    Ok(Written::as_is(confirmed(&broker, &by.request, cut.unconfirmed, told.into()).await))
}

/// `GET /v1/revocations`: all except those of single tokens, which only the journal has.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfRevocations>,
) -> Result<Listed<RevocationView>, Problem> {
    let view = broker.journal.view();
    let wanted =
        |one: &&Revocation| page.takes("state", one.standing().name()) && page.takes("subject", one.target.key().as_str());
    let all = view.state.revocations.range(page.after::<RevocationId>()?).map(|(_, one)| one).filter(wanted);
    let part = page.first(all.map(|one| (one.id.to_string(), one)));
    let words = Words::of(&broker, sealed(part.items.iter().flat_map(|one| names(&one.by).chain([&one.reason])))).await?;
    Ok(part.map(|one| show(one, &words)))
}

/// `GET /v1/revocations/{id}`.
async fn one(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(id): Path<String>,
) -> Result<Json<RevocationView>, Problem> {
    let id: RevocationId = named(&id)?;
    let view = broker.journal.view();
    let one = view.state.revocations.get(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let words = Words::of(&broker, sealed(names(&one.by).chain([&one.reason]))).await?;
    Ok(Json(show(one, &words)))
}

/// `POST /v1/revocations/{id}/lift`: opens an approval, for somebody who did not revoke.
async fn lift(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(id): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let id: RevocationId = named(&id)?;
    let approval = broker.ask_lift(&by.by, &id, &why.reason, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}

/// The members of a revocation that may change, for its version.
#[derive(Serialize)]
struct Version<'r> {
    id: &'r RevocationId,
    lifted: bool,
    lift: Option<&'r ApprovalId>,
}

fn version(one: &Revocation) -> Digest {
    Digest::of_json(&Version { id: &one.id, lifted: one.lifted, lift: one.lift.as_ref() })
}

fn show(one: &Revocation, words: &Words) -> RevocationView {
    RevocationView {
        id: one.id.clone(),
        version: version(one),
        state: one.standing().name(),
        subject: one.target.key(),
        tokens_only: one.tokens_only,
        by: words.actor(&one.by),
        reason: words.plain(&one.reason).map(str::to_owned),
        at: one.at,
        entry: one.index,
        lift: one.lift.clone(),
    }
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
