//! The inventory, and the life cycle of its integrations and partners.

use std::ops::Bound;

use axum::Json;
use axum::extract::{Path, State};

use super::admitted::Admitted;
use super::answer::{Accepted, Listed, Written};
use super::idempotency::confirmed;
use super::input::{Filter, Filters, Page, Sent, named};
use super::inventory::{IntegrationView, PartnerView, StopView, keys, waits_for};
use super::people::Why;
use super::problem::Problem;
use super::revocations::{ApprovalAsked, EndedView};
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::lifecycle::Party;
use crate::broker::view::approval::OwnersView;
use crate::broker::words::{Words, names, sealed};
use crate::domain::credential::revocation::Clients;
use crate::domain::people::actor::{Contain, Read, Submit};
use crate::domain::reason;
use crate::domain::record::Record;
use crate::domain::registry::integration::Owners;
use crate::domain::state::PartnerState;
use crate::domain::state::integration::IntegrationState;
use crate::domain::value::names::{ClientId, IntegrationId, PartnerName};

/// The routes.
pub fn routes() -> Vec<Route> {
    let stopped = "Suspend it at once, and cut the tokens that were issued";
    let resumed = "Ask to let it go on";
    let one = "One integration: its record, owners, last use, what ends next";
    vec![
        get("/v1/integrations", "listIntegrations", "The inventory", integrations),
        get("/v1/integrations/{p}/{i}", "getIntegration", one, integration).names("integration"),
        post("/v1/integrations/{p}/{i}/resume", "resumeIntegration", resumed, resume_integration).names("integration"),
        post("/v1/integrations/{p}/{i}/submit", "submitIntegration", "Ask for approval of the draft", submit)
            .names("integration"),
        post("/v1/integrations/{p}/{i}/suspend", "suspendIntegration", stopped, suspend_integration).names("integration"),
        get("/v1/partners", "listPartners", "The partners", partners),
        get("/v1/partners/{p}", "getPartner", "One partner with its record", partner).names("partner"),
        post("/v1/partners/{p}/resume", "resumePartner", resumed, resume_partner).names("partner"),
        post("/v1/partners/{p}/suspend", "suspendPartner", stopped, suspend_partner).names("partner"),
    ]
}

/// The filters of a list of integrations.
struct OfIntegrations;

impl Filters for OfIntegrations {
    const ALL: &'static [Filter] = &[Filter::text("partner", "Of this partner"), Filter::text("state", "In this state")];
}

/// The filters of a list of partners.
struct OfPartners;

impl Filters for OfPartners {
    const ALL: &'static [Filter] = &[Filter::text("state", "submitted, verified, verification-expired or suspended")];
}

/// `GET /v1/integrations`.
async fn integrations(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfIntegrations>,
) -> Result<Listed<IntegrationView>, Problem> {
    let view = broker.journal.view();
    let wanted = |(id, integration): &(&IntegrationId, &IntegrationState)| {
        page.takes("partner", id.partner.as_str()) && page.takes("state", integration.phase().name())
    };
    // Those of one partner stand together.
    let partner: Option<PartnerName> = page.filters.get("partner").and_then(|name| name.parse().ok());
    let (mut from, until) = page.after::<IntegrationId>()?;
    if let Some(least) = partner.as_ref().map(IntegrationId::least_of)
        && !matches!(&from, Bound::Excluded(after) if *after >= least)
    {
        from = Bound::Included(least);
    }
    let here = view.state.integrations.range((from, until)).map(|(id, integration)| (id, &**integration));
    let found = here.take_while(|(id, _)| partner.as_ref().is_none_or(|own| id.partner == *own)).filter(wanted);
    let part = page.first(found.map(|(id, integration)| (id.to_string(), (id, integration))));
    let shown = part.items.iter().filter_map(|(_, integration)| integration.shown());
    let owners = shown.flat_map(|version| [&version.record.owners.business, &version.record.owners.application]);
    let words = Words::of(&broker, sealed(owners)).await?;
    let uses = broker.journal.last_uses_of(part.items.iter().map(|(id, _)| clients_of(id)).collect()).await?;
    let lacking = broker.lacking(&view, part.items.iter().map(|(id, _)| *id)).await?;
    let mut uses = uses.into_iter();
    Ok(part.map(|(id, integration)| {
        let mut shown = IntegrationView::brief(&view.state, id, integration, broker.now());
        shown.waits_for = waits_for(&lacking, id);
        shown.owners = integration.shown().map(|version| owners_of(&version.record.owners, &words));
        shown.last_use = uses.next().flatten();
        shown
    }))
}

/// `GET /v1/integrations/{p}/{i}`: the record with its texts, owners, last use and next end.
async fn integration(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path((partner, name)): Path<(String, String)>,
) -> Result<Json<IntegrationView>, Problem> {
    let id: IntegrationId = named(&format!("{partner}/{name}"))?;
    let view = broker.journal.view();
    let integration = view.state.integrations.get(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let mut shown = IntegrationView::brief(&view.state, &id, integration, broker.now());
    shown.waits_for = waits_for(&broker.lacking(&view, std::iter::once(&id)).await?, &id);
    if let Some(version) = integration.shown() {
        let (record, _) = broker.unsealed(Record::Integration(version.record.as_ref().clone())).await?;
        let Record::Integration(record) = record else { return Err(Problem::of(&reason::NOT_FOUND)) };
        // Its texts are in plain. A text that was erased is still shown by its digest, as in the record.
        shown.owners = Some(OwnersView::of_record(&record.owners));
        shown.keys = Some(keys(&view.state, &record, broker.now()));
        shown.record = Some(record);
    }
    shown.last_use = broker.journal.last_use_of(clients_of(&id)).await?;
    Ok(Json(shown))
}

/// `GET /v1/partners`.
async fn partners(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfPartners>,
) -> Result<Listed<PartnerView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let wanted = |partner: &PartnerState| page.takes("state", partner.standing(now).name());
    let found = view.state.partners.range(page.after::<PartnerName>()?).filter(|(_, partner)| wanted(partner));
    let part = page.first(found.map(|(name, partner)| (name.to_string(), (name, partner))));
    let names = part.items.iter().map(|(name, _)| Clients::Of((*name).clone()));
    let mut uses = broker.journal.last_uses_of(names.collect()).await?.into_iter();
    Ok(part.map(|(name, partner)| {
        let mut shown = PartnerView::brief(&view.state, name, partner, now);
        shown.last_use = uses.next().flatten();
        shown
    }))
}

/// `GET /v1/partners/{p}`.
async fn partner(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    Path(name): Path<String>,
) -> Result<Json<PartnerView>, Problem> {
    let name: PartnerName = named(&name)?;
    let view = broker.journal.view();
    let partner = view.state.partners.get(&name).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let mut shown = PartnerView::brief(&view.state, &name, partner, broker.now());
    shown.last_use = broker.journal.last_use_of(Clients::Of(name.clone())).await?;
    let version = partner.current.as_ref().or(partner.held.as_ref().map(|held| &held.version));
    if let Some(version) = version {
        let (record, _) = broker.unsealed(Record::Partner(version.record.as_ref().clone())).await?;
        if let Record::Partner(record) = record {
            shown.record = Some(record);
        }
    }
    if let Some(stop) = &partner.suspended {
        let words = Words::of(&broker, sealed(names(&stop.by).chain([&stop.reason]))).await?;
        let reason = words.plain(&stop.reason).map(str::to_owned);
        shown.suspended = Some(StopView { by: words.actor(&stop.by), at: stop.at, reason });
    }
    Ok(Json(shown))
}

fn clients_of(id: &IntegrationId) -> Clients {
    Clients::One(ClientId::Integration(id.clone()))
}

fn owners_of(owners: &Owners, words: &Words) -> OwnersView {
    let say = |text| words.plain(text).map(str::to_owned);
    OwnersView { business: say(&owners.business), application: say(&owners.application) }
}

/// `POST /v1/integrations/{p}/{i}/submit`.
async fn submit(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path((partner, name)): Path<(String, String)>,
    Sent(why): Sent<Why>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    let id = named(&format!("{partner}/{name}"))?;
    let approval = broker.submit(&by.by, &id, &why.reason, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}

/// `POST /v1/integrations/{p}/{i}/suspend`.
async fn suspend_integration(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path((partner, name)): Path<(String, String)>,
    Sent(why): Sent<Why>,
) -> Result<Written<Json<EndedView>>, Problem> {
    suspend(&broker, &by, &Party::Integration(named(&format!("{partner}/{name}"))?), &why.reason).await
}

/// `POST /v1/integrations/{p}/{i}/resume`.
async fn resume_integration(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path((partner, name)): Path<(String, String)>,
    Sent(why): Sent<Why>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    resume(&broker, &by, &Party::Integration(named(&format!("{partner}/{name}"))?), &why.reason).await
}

/// `POST /v1/partners/{p}/suspend`.
async fn suspend_partner(
    State(broker): State<Broker>,
    by: Admitted<Contain>,
    Path(name): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Written<Json<EndedView>>, Problem> {
    suspend(&broker, &by, &Party::Partner(named(&name)?), &why.reason).await
}

/// `POST /v1/partners/{p}/resume`.
async fn resume_partner(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path(name): Path<String>,
    Sent(why): Sent<Why>,
) -> Result<Accepted<ApprovalAsked>, Problem> {
    resume(&broker, &by, &Party::Partner(named(&name)?), &why.reason).await
}

async fn suspend(
    broker: &Broker,
    by: &Admitted<Contain>,
    party: &Party,
    why: &str,
) -> Result<Written<Json<EndedView>>, Problem> {
    let cut = broker.suspend(&by.by, party, why, by.made_for()).await?;
    let told = Written::of(Json(EndedView::of(broker.ended(&cut).await)));
    Ok(Written::as_is(confirmed(broker, &by.request, cut.unconfirmed, told.into()).await))
}

async fn resume(broker: &Broker, by: &Admitted<Submit>, party: &Party, why: &str) -> Result<Accepted<ApprovalAsked>, Problem> {
    let approval = broker.ask_resume(&by.by, party, why, by.made_for()).await?;
    Ok(Accepted(ApprovalAsked { approval }))
}
