//! Authorities and their rotation, certificates on record, and requests for enrolment.

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Created, Listed, Written};
use super::idempotency::ShownOnce;
use super::input::{Filter, Filters, Page, Sent, named};
use super::people::Why;
use super::problem::Problem;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::domain::credential::certificate::{AuthorityState, Der, Leaf};
use crate::domain::people::actor::{Operate, Read, Submit};
use crate::domain::reason;
use crate::domain::state::State as House;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, EnrolmentId, EnvironmentName, IntegrationId, KeyId, Serial};

/// The routes.
pub fn routes() -> Vec<Route> {
    let asked = "Ask for a one-time enrolment token; it works once another person of security has approved it, for ten minutes";
    vec![
        get("/v1/authorities", "listAuthorities", "The authorities for certificates", authorities),
        post(
            "/v1/authorities/{environment}/rotate",
            "rotateAuthority",
            "Make the next issuing key under the same root",
            rotate,
        )
        .names("environment"),
        get("/v1/certificates", "listCertificates", "Certificates of workloads on record", list),
        post("/v1/enrolments", "askEnrolment", asked, ask),
    ]
}

/// The machine that an enrolment token is requested for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AskEnrolment {
    integration: String,
    environment: String,
    reason: String,
}

/// An enrolment that was requested.
#[derive(Serialize, ToSchema)]
struct Enrolment {
    id: EnrolmentId,
    approval: ApprovalId,
    /// The one-time token. It is shown once: an answer that is repeated lacks it.
    #[schema(required = false)]
    token: String,
}

/// An authority for certificates.
#[derive(Serialize, ToSchema)]
#[schema(as = Authority)]
struct AuthorityView {
    /// `ENVIRONMENT/KID`
    id: String,
    version: Digest,
    /// `active`, `retiring`, `expired` or `tainted`.
    state: &'static str,
    environment: EnvironmentName,
    kid: KeyId,
    ends: Timestamp,
    /// The root's certificate.
    root: Der,
    /// The issuing key's certificate.
    issuing: Der,
}

/// A certificate of a workload.
#[derive(Serialize, ToSchema)]
struct Certificate {
    /// `ENVIRONMENT/SERIAL`
    id: String,
    version: Digest,
    /// `valid`, `expired` or `revoked`.
    state: &'static str,
    environment: EnvironmentName,
    integration: IntegrationId,
    serial: Serial,
    /// The `kid` of the authority.
    authority: KeyId,
    /// SHA-256 of the SubjectPublicKeyInfo.
    key: Digest,
    starts: Timestamp,
    ends: Timestamp,
}

/// The filters of a list of authorities.
struct OfAuthorities;

impl Filters for OfAuthorities {
    const ALL: &'static [Filter] = &[Filter::text("environment", "Of this environment")];
}

/// The filters of a list of certificates.
struct OfCertificates;

impl Filters for OfCertificates {
    const ALL: &'static [Filter] = &[
        Filter::text("environment", "Of this environment"),
        Filter::text("integration", "Of this integration"),
        Filter::text("state", "valid, expired or revoked"),
    ];
}

/// `POST /v1/enrolments`.
///
/// Only this answer shows the token. It works once somebody else of security has approved it.
async fn ask(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Sent(wanted): Sent<AskEnrolment>,
) -> Result<Written<Created<Enrolment>>, Problem> {
    let (integration, environment): (IntegrationId, EnvironmentName) =
        (named(&wanted.integration)?, named(&wanted.environment)?);
    let state = &broker.journal.view().state;
    if !state.integrations.contains_key(&integration) {
        return Err(Problem::missing(format!("integration {integration}")));
    }
    if state.environment(&environment).is_none() {
        return Err(Problem::missing(format!("environment {environment}")));
    }
    let request = by.made_for();
    let asked = broker.ask_enrolment(&by.by, &integration, &environment, &wanted.reason, request).await?;
    let told = Created(Enrolment { id: asked.id, approval: asked.approval, token: asked.token });
    Ok(Written::of(told).beside(ShownOnce("token")))
}

/// `GET /v1/authorities`.
async fn authorities(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfAuthorities>,
) -> Result<Listed<AuthorityView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let all = view.state.certificates.all_authorities();
    let wanted = all.filter(|known| page.takes("environment", known.authority.environment.as_str()));
    let mut wanted: Vec<_> = wanted.map(|known| (id(known), known)).collect();
    wanted.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(page.part(wanted.into_iter()).map(|known| show_authority(&view.state, known, now)))
}

/// `POST /v1/authorities/{environment}/rotate`: makes another issuing key under the same root.
async fn rotate(
    State(broker): State<Broker>,
    by: Admitted<Operate>,
    Path(environment): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Created<AuthorityView>, Problem> {
    let environment = named(&environment)?;
    let kid = broker.rotate_authority(&by.by, &environment, &why.reason, by.made_for()).await?;
    let (view, now) = (broker.journal.view(), broker.now());
    let made = view.state.certificates.all_authorities().find(|known| known.authority.kid == kid);
    let made = made.ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    Ok(Created(show_authority(&view.state, made, now)))
}

/// `GET /v1/certificates`: the valid ones, and those that ended within the last two days.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfCertificates>,
) -> Result<Listed<Certificate>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let wanted = |leaf: &&Leaf| {
        page.takes("environment", leaf.environment.as_str())
            && page.takes("integration", &leaf.integration.to_string())
            && page.takes("state", view.state.leaf_standing(leaf, now).name())
    };
    let all = view.state.certificates.leaves().filter(wanted);
    let all = all.map(|leaf| (format!("{}/{}", leaf.environment, leaf.serial), leaf));
    Ok(page.part(all).map(|leaf| show(&view.state, leaf, now)))
}

fn id(known: &AuthorityState) -> String {
    format!("{}/{}", known.authority.environment, known.authority.kid)
}

fn show(house: &House, leaf: &Leaf, now: Timestamp) -> Certificate {
    Certificate {
        id: format!("{}/{}", leaf.environment, leaf.serial),
        version: Digest::of_json(leaf),
        state: house.leaf_standing(leaf, now).name(),
        environment: leaf.environment.clone(),
        integration: leaf.integration.clone(),
        serial: leaf.serial.clone(),
        authority: leaf.authority.clone(),
        key: leaf.key,
        starts: leaf.starts,
        ends: leaf.ends,
    }
}

fn show_authority(house: &House, known: &AuthorityState, now: Timestamp) -> AuthorityView {
    let authority = &known.authority;
    AuthorityView {
        id: id(known),
        version: Digest::of_json(authority),
        state: house.authority_standing(known, now).name(),
        environment: authority.environment.clone(),
        kid: authority.kid.clone(),
        ends: authority.ends,
        root: authority.root.clone(),
        issuing: authority.issuing.clone(),
    }
}
