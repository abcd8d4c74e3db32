//! Suspends partners and integrations, and asks to let them go on.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::admitted::Admitted;
use super::answer::{Created, Written};
use super::idempotency::confirmed;
use super::input::{Sent, named};
use super::problem::Problem;
use super::revocations::EndedView;
use super::route::{Route, post};
use crate::broker::Broker;
use crate::broker::approval_view::row;
use crate::broker::view::approval::ApprovalView;
use crate::broker::view::suspension::SuspensionView;
use crate::broker::words::Words;
use crate::domain::people::actor::{Contain, Submit};
use crate::domain::state::Party;
use crate::domain::value::names::{ApprovalId, EnvironmentName, SuspensionId};

/// The routes.
pub fn routes() -> Vec<Route> {
    let stopped = "Suspend it at once, and cut the tokens that were issued";
    let resumed = "Ask to let it go on";
    vec![
        post("/v1/integrations/{p}/{i}/resume", "resumeIntegration", resumed, resume_integration).names("integration"),
        post("/v1/integrations/{p}/{i}/suspend", "suspendIntegration", stopped, suspend_integration).names("integration"),
        post("/v1/partners/{p}/resume", "resumePartner", resumed, resume_partner).names("partner"),
        post("/v1/partners/{p}/suspend", "suspendPartner", stopped, suspend_partner).names("partner"),
    ]
}

/// A suspension that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Suspend)]
struct Suspend {
    /// The reason. It is recorded.
    reason: String,
    /// The environments that it covers; all, if none is named.
    #[serde(default)]
    environments: BTreeSet<EnvironmentName>,
}

/// A wish to let something go on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Resume)]
struct Resume {
    /// The reason. It is recorded.
    reason: String,
    /// The suspensions to lift; all that are in force, if none is named.
    #[serde(default)]
    suspensions: Vec<SuspensionId>,
}

/// A suspension that was made, and what it cut.
#[derive(Serialize, ToSchema)]
#[schema(as = Suspended)]
struct SuspendedView {
    #[serde(flatten)]
    suspension: SuspensionView,
    #[serde(flatten)]
    ended: EndedView,
}

/// The approval that a wish to resume opened.
#[derive(Serialize, ToSchema)]
#[schema(as = ResumeAsked)]
struct ResumeAsked {
    /// The id of the approval, by the name that other requests answer it under.
    approval: ApprovalId,
    /// The suspensions that it lifts. It lifts no other.
    lifts: Vec<SuspensionId>,
    #[serde(flatten)]
    opened: ApprovalView,
}

/// `POST /v1/integrations/{p}/{i}/suspend`.
async fn suspend_integration(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path((partner, name)): Path<(String, String)>,
    Sent(wanted): Sent<Suspend>,
) -> Result<Written<Created<SuspendedView>>, Problem> {
    suspend(&broker, &by, &Party::Integration(named(&format!("{partner}/{name}"))?), &wanted).await
}

/// `POST /v1/integrations/{p}/{i}/resume`.
async fn resume_integration(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path((partner, name)): Path<(String, String)>,
    Sent(wanted): Sent<Resume>,
) -> Result<Written<Created<ResumeAsked>>, Problem> {
    resume(&broker, &by, &Party::Integration(named(&format!("{partner}/{name}"))?), &wanted).await
}

/// `POST /v1/partners/{p}/suspend`.
async fn suspend_partner(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(name): Path<String>,
    Sent(wanted): Sent<Suspend>,
) -> Result<Written<Created<SuspendedView>>, Problem> {
    suspend(&broker, &by, &Party::Partner(named(&name)?), &wanted).await
}

/// `POST /v1/partners/{p}/resume`.
async fn resume_partner(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path(name): Path<String>,
    Sent(wanted): Sent<Resume>,
) -> Result<Written<Created<ResumeAsked>>, Problem> {
    resume(&broker, &by, &Party::Partner(named(&name)?), &wanted).await
}

/// Answers once the journal has it and the live index confirms the cut.
async fn suspend(
    broker: &Broker,
    by: &Admitted<Contain>,
    party: &Party,
    wanted: &Suspend,
) -> Result<Written<Created<SuspendedView>>, Problem> {
    let made = broker.suspend(&by.by, party, &wanted.environments, &wanted.reason, by.made_for()).await?;
    // Its texts are in plain, so that nothing which is done already waits for a look-up.
    let suspension = SuspensionView::of(&made.suspension, &Words::none());
    let ended = EndedView::of(broker.ended(&made.cut).await);
    let told = Written::of(Created(SuspendedView { suspension, ended }));
    Ok(Written::as_is(confirmed(broker, &by.request, made.cut.unconfirmed, told.into()).await))
}

async fn resume(
    broker: &Broker,
    by: &Admitted<Submit>,
    party: &Party,
    wanted: &Resume,
) -> Result<Written<Created<ResumeAsked>>, Problem> {
    let asked = broker.ask_resume(&by.by, party, &wanted.suspensions, &wanted.reason, by.made_for()).await?;
    // Its texts are in plain as well.
    let opened = row(&asked, &broker.journal.view().state, &Words::none(), broker.now());
    let (approval, lifts) = (asked.id.clone(), asked.opened.lifts.iter().map(|one| one.id.clone()).collect());
    Ok(Written::of(Created(ResumeAsked { approval, lifts, opened })).at(&format!("/v1/approvals/{}", asked.id)))
}
