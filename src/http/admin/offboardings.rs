//! Offboardings of partners and integrations, and the dependencies that they wait for.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Accepted, Archive, Created, Listed, Written};
use super::idempotency::confirmed;
use super::input::{Filter, Filters, Page, Sent, named};
use super::problem::Problem;
use super::revocations::{ApprovalAsked, EndedView};
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::offboarding::Removed;
use crate::broker::view::offboarding::{OffboardingView, RegisteredView, registered, texts};
use crate::broker::words::{Words, names, sealed};
use crate::domain::decision::offboarding::standing;
use crate::domain::people::actor::{Acknowledge, Depend, Offboard, Read};
use crate::domain::reason;
use crate::domain::registry::offboarding::Dependency;
use crate::domain::state::Party;
use crate::domain::state::State as House;
use crate::domain::state::offboarding::Case;
use crate::domain::value::names::{ApiName, EnvironmentName, IntegrationId, OffboardingId};
use crate::journal::bundle::PlainTexts;

/// The routes.
pub fn routes() -> Vec<Route> {
    let started = "End it for good: nothing of it is to be had from now on, and what it had is cut";
    let acknowledged = "Say in the place of an API that it removed what it had for the subject";
    vec![
        post("/v1/integrations/{p}/{i}/offboard", "offboardIntegration", started, offboard_integration).names("integration"),
        post("/v1/partners/{p}/offboard", "offboardPartner", started, offboard_partner).names("partner"),
        get("/v1/offboardings", "listOffboardings", "Offboardings, ended ones included", list),
        get("/v1/offboardings/{id}", "getOffboarding", "One offboarding, with its steps, dependencies and tests", one)
            .names("offboarding"),
        post("/v1/offboardings/{id}/acknowledgements", "acknowledgeOffboarding", acknowledged, acknowledge)
            .names("offboarding"),
        post("/v1/offboardings/{id}/abort", "abortOffboarding", "Ask to give it up; an owner and security approve", abort)
            .names("offboarding"),
        get("/v1/offboardings/{id}/dossier", "getDossier", "The dossier of a closed offboarding, as a ZIP archive", dossier)
            .names("offboarding"),
        get("/v1/dependencies", "listDependencies", "What people registered that an offboarding has to wait for", dependencies),
        post("/v1/dependencies", "registerDependency", "Register that an API has something for an integration", register),
    ]
}

/// An offboarding that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StartOffboarding)]
struct Start {
    /// The reason. It is recorded.
    reason: String,
    /// The name of the partner or integration once more.
    confirm: String,
}

/// An offboarding that began, and what it cut.
#[derive(serde::Serialize, ToSchema)]
#[schema(as = OffboardingStarted)]
struct StartedView {
    #[serde(flatten)]
    offboarding: OffboardingView,
    #[serde(flatten)]
    ended: EndedView,
}

/// A wish to give an offboarding up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AbortOffboarding)]
struct Abort {
    /// The reason. It is recorded.
    reason: String,
}

/// A person's word in the place of an API.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Acknowledgement)]
struct Word {
    /// The API.
    api: ApiName,
    /// The environment.
    environment: EnvironmentName,
    /// What was removed there, such as lines of an allow list.
    removed: Vec<String>,
    /// What shows it.
    evidence: String,
}

/// A dependency to register.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RegisterDependency)]
struct Register {
    /// `PARTNER/INTEGRATION`.
    integration: IntegrationId,
    /// The API.
    api: ApiName,
    /// The environment.
    environment: EnvironmentName,
    /// What is there for the integration, such as a line of an allow list.
    what: String,
}

/// The filters of a list of offboardings.
struct OfOffboardings;

impl Filters for OfOffboardings {
    const ALL: &'static [Filter] = &[
        Filter::words("state", "Where it stands", &["open", "ready", "closed", "aborted"]),
        Filter::text("subject", "The partner or integration, exactly"),
    ];
}

/// The filters of a list of dependencies.
struct OfDependencies;

impl Filters for OfDependencies {
    const ALL: &'static [Filter] =
        &[Filter::text("integration", "`PARTNER/INTEGRATION`"), Filter::text("api", "The API, exactly")];
}

async fn words(broker: &Broker, cases: &[&Case], state: &House) -> Result<Words, Problem> {
    let all = cases.iter().flat_map(|case| texts(case).chain(registered(case, state)));
    Ok(Words::of(broker, sealed(all)).await?)
}

/// `GET /v1/offboardings`.
async fn list(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfOffboardings>,
) -> Result<Listed<OffboardingView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let state = &view.state;
    let wanted = |(_, case): &(&OffboardingId, &Case)| {
        page.takes("state", standing(case, state, now).name()) && page.takes("subject", &case.about.to_string())
    };
    let part = page.part(state.offboardings.all().filter(wanted).map(|(id, case)| (id.to_string(), case)));
    let words = words(&broker, &part.items, state).await?;
    Ok(part.map(|case| OffboardingView::of(case, (state, &words), now)))
}

/// `GET /v1/offboardings/{id}`.
async fn one(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(id): Path<String>,
) -> Result<Json<OffboardingView>, Problem> {
    let id: OffboardingId = named(&id)?;
    Ok(Json(shown(&broker, &id).await?))
}

async fn shown(broker: &Broker, id: &OffboardingId) -> Result<OffboardingView, Problem> {
    let view = broker.journal.view();
    let state = &view.state;
    let case = state.offboardings.find(id.as_str()).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let words = words(broker, &[case], state).await?;
    Ok(OffboardingView::of(case, (state, &words), broker.now()))
}

/// `POST /v1/integrations/{p}/{i}/offboard`.
async fn offboard_integration(
    State(broker): State<Broker>,
    by: Admitted<Offboard>,
    Path((partner, name)): Path<(String, String)>,
    Sent(wanted): Sent<Start>,
) -> Result<Written<Created<StartedView>>, Problem> {
    offboard(&broker, &by, &Party::Integration(named(&format!("{partner}/{name}"))?), &wanted).await
}

/// `POST /v1/partners/{p}/offboard`.
async fn offboard_partner(
    State(broker): State<Broker>,
    by: Admitted<Offboard>,
    Path(name): Path<String>,
    Sent(wanted): Sent<Start>,
) -> Result<Written<Created<StartedView>>, Problem> {
    offboard(&broker, &by, &Party::Partner(named(&name)?), &wanted).await
}

/// Answers once the journal has it and the live index confirms the cut.
async fn offboard(
    broker: &Broker,
    by: &Admitted<Offboard>,
    party: &Party,
    wanted: &Start,
) -> Result<Written<Created<StartedView>>, Problem> {
    let started = broker.offboard(&by.by, party, (&wanted.reason, &wanted.confirm), by.made_for()).await?;
    let view = broker.journal.view();
    let case = view.state.offboardings.find(started.id.as_str()).ok_or_else(|| Problem::of(&reason::STORE_UNAVAILABLE))?;
    // Its texts were sent a moment ago, and nothing that is done already waits for a look-up.
    let offboarding = OffboardingView {
        reason: Some(wanted.reason.clone()),
        ..OffboardingView::of(case, (&view.state, &Words::none()), broker.now())
    };
    let ended = EndedView::of(broker.ended(&started.cut).await);
    let told = Written::of(Created(StartedView { offboarding, ended })).at(&format!("/v1/offboardings/{}", started.id));
    Ok(Written::as_is(confirmed(broker, &by.request, started.cut.unconfirmed, told.into()).await))
}

/// `POST /v1/offboardings/{id}/acknowledgements`.
async fn acknowledge(
    State(broker): State<Broker>,
    by: Admitted<Acknowledge>,
    Path(id): Path<String>,
    Sent(word): Sent<Word>,
) -> Result<Created<OffboardingView>, Problem> {
    let id: OffboardingId = named(&id)?;
    let Word { api, environment, removed, evidence } = word;
    let word = Removed { removed, evidence: Some(evidence) };
    broker.acknowledge(&by.by, &id, (&Dependency { api, environment }, &word), by.made_for()).await?;
    Ok(Created(shown(&broker, &id).await?))
}

/// `POST /v1/offboardings/{id}/abort`.
async fn abort(
    State(broker): State<Broker>,
    by: Admitted<Depend>,
    Path(id): Path<String>,
    Sent(wanted): Sent<Abort>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let approval = broker.ask_abort(&by.by, &named(&id)?, &wanted.reason, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}

/// The filters of a dossier.
struct OfDossier;

impl Filters for OfDossier {
    const ALL: &'static [Filter] = &[Filter::words("for", "`partner` leaves the texts of people out", &["partner"])];
}

/// `GET /v1/offboardings/{id}/dossier`.
async fn dossier(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    Path(id): Path<String>,
    page: Page<OfDossier>,
) -> Result<Archive, Problem> {
    let id: OffboardingId = named(&id)?;
    let texts = if page.takes("for", "") { PlainTexts::Told } else { PlainTexts::LeftOut };
    Ok(Archive(broker.dossier(&by.by, &id, texts).await?))
}

/// `GET /v1/dependencies`.
async fn dependencies(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfDependencies>,
) -> Result<Listed<RegisteredView>, Problem> {
    let view = broker.journal.view();
    let all = view.state.offboardings.all_registered();
    let wanted = all.filter(|(integration, on, _)| {
        page.takes("integration", &integration.to_string()) && page.takes("api", on.api.as_str())
    });
    let part = page.part(wanted.map(|one| (format!("{}/{}/{}", one.0, one.1.api, one.1.environment), one)));
    let of_one = part.items.iter().flat_map(|(_, _, known)| names(&known.by).chain([&known.what]));
    let words = Words::of(&broker, sealed(of_one)).await?;
    Ok(part.map(|one| RegisteredView::of(one, &words)))
}

/// `POST /v1/dependencies`.
async fn register(
    State(broker): State<Broker>,
    by: Admitted<Depend>,
    Sent(wanted): Sent<Register>,
) -> Result<Created<RegisteredView>, Problem> {
    let Register { integration, api, environment, what } = wanted;
    let on = Dependency { api, environment };
    broker.register_dependency(&by.by, &integration, (&on, &what), by.made_for()).await?;
    let view = broker.journal.view();
    let known = view.state.offboardings.registered(&integration).find(|(known, _)| **known == on);
    let (_, known) = known.ok_or_else(|| Problem::of(&reason::STORE_UNAVAILABLE))?;
    let told = RegisteredView { what: Some(what), ..RegisteredView::of((&integration, &on, known), &Words::none()) };
    Ok(Created(told))
}
