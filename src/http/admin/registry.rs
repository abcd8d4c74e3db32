//! The inventory, and the life cycle of its integrations. Suspensions have a file of their own.

use std::ops::Bound;

use axum::Json;
use axum::extract::{Path, State};

use super::admitted::Admitted;
use super::answer::{Accepted, Listed, NoContent};
use super::input::{Filter, Filters, Page, Sent, named};
use super::inventory::{IntegrationView, PartnerView, keys, waits_for};
use super::people::Why;
use super::problem::Problem;
use super::revocations::ApprovalAsked;
use super::route::{Route, get, post};
use crate::broker::Broker;
use crate::broker::view::approval::OwnersView;
use crate::broker::view::suspension;
use crate::broker::words::{Words, sealed};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::guard::{Guarded, Guards as _};
use crate::domain::people::actor::{Read, Submit};
use crate::domain::reason;
use crate::domain::record::Record;
use crate::domain::registry::integration::Owners;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::{PartnerPhase, PartnerState};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ClientId, IntegrationId, PartnerName};

/// The routes.
pub fn routes() -> Vec<Route> {
    let one = "One integration: its record, owners, last use, what ends next";
    vec![
        get("/v1/integrations", "listIntegrations", "The inventory", integrations),
        get("/v1/integrations/{p}/{i}", "getIntegration", one, integration).names("integration"),
        post("/v1/integrations/{p}/{i}/submit", "submitIntegration", "Ask for approval of the draft", submit)
            .names("integration"),
        post("/v1/integrations/{p}/{i}/discard", "discardIntegration", "Discard the draft; its name stays free", discard)
            .names("integration"),
        get("/v1/partners", "listPartners", "The partners", partners),
        get("/v1/partners/{p}", "getPartner", "One partner with its record", partner).names("partner"),
    ]
}

/// The filters of a list of integrations.
struct OfIntegrations;

impl Filters for OfIntegrations {
    const ALL: &'static [Filter] = &[
        Filter::text("partner", "Of this partner"),
        Filter::text(
            "state",
            "draft, submitted, active, offboarding or ended; or suspended: some suspension is in force, whatever the state",
        ),
    ];
}

/// The filters of a list of partners.
struct OfPartners;

impl Filters for OfPartners {
    const ALL: &'static [Filter] = &[Filter::text(
        "state",
        "submitted, active, offboarding or ended; or suspended: some suspension is in force; or verified or verification-expired: active, and so now",
    )];
}

/// Whether an integration is what `state` asks for: a phase of its life, or that it is suspended.
fn integration_is(wanted: &str, integration: &IntegrationState) -> bool {
    match wanted {
        SUSPENDED => !integration.suspensions.is_empty(),
        phase => integration.phase().name() == phase,
    }
}

/// The same for a partner, or how its verification stands.
fn partner_is(wanted: &str, partner: &PartnerState, now: Timestamp) -> bool {
    let active = partner.phase() == PartnerPhase::Active;
    match wanted {
        SUSPENDED => !partner.suspensions.is_empty(),
        "verified" => active && partner.is_verified(now),
        "verification-expired" => active && !partner.is_verified(now),
        phase => partner.phase().name() == phase,
    }
}

const SUSPENDED: &str = "suspended";

/// `GET /v1/integrations`.
async fn integrations(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfIntegrations>,
) -> Result<Listed<IntegrationView>, Problem> {
    let view = broker.journal.view();
    let wanted = |(id, integration): &(&IntegrationId, &IntegrationState)| {
        let state = page.filters.get("state");
        page.takes("partner", id.partner.as_str()) && state.is_none_or(|state| integration_is(state, integration))
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
    let suspended = part.items.iter().flat_map(|(_, integration)| suspension::texts(integration.suspensions.iter()));
    let words = Words::of(&broker, sealed(owners.chain(suspended))).await?;
    let uses = broker.journal.last_uses_of(part.items.iter().map(|(id, _)| clients_of(id)).collect()).await?;
    let lacking = broker.lacking(&view, part.items.iter().map(|(id, _)| *id)).await?;
    let mut uses = uses.into_iter();
    let guard = broker.guards(&view).await.of(&view.state);
    Ok(part.map(|(id, integration)| {
        let on = Guarded { state: &view.state, guard: &*guard };
        let mut shown = IntegrationView::brief(on, (id, integration), &words, broker.now());
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
    let words = Words::of(&broker, sealed(suspension::texts(integration.suspensions.iter()))).await?;
    let guard = broker.guards(&view).await.of(&view.state);
    let on = Guarded { state: &view.state, guard: &*guard };
    let mut shown = IntegrationView::brief(on, (&id, integration), &words, broker.now());
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
    shown.uses = Some(broker.uses_of(&id).await.map_err(crate::broker::failure::Failure::from)?);
    Ok(Json(shown))
}

/// `GET /v1/partners`.
async fn partners(
    State(broker): State<Broker>,
    _by: Admitted<Read>,
    page: Page<OfPartners>,
) -> Result<Listed<PartnerView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let state = page.filters.get("state");
    let wanted = |partner: &PartnerState| state.is_none_or(|state| partner_is(state, partner, now));
    let found = view.state.partners.range(page.after::<PartnerName>()?).filter(|(_, partner)| wanted(partner));
    let part = page.first(found.map(|(name, partner)| (name.to_string(), (name, partner))));
    let suspended = part.items.iter().flat_map(|(_, partner)| suspension::texts(partner.suspensions.iter()));
    let words = Words::of(&broker, sealed(suspended)).await?;
    let names = part.items.iter().map(|(name, _)| Clients::Of((*name).clone()));
    let mut uses = broker.journal.last_uses_of(names.collect()).await?.into_iter();
    Ok(part.map(|(name, partner)| {
        let mut shown = PartnerView::brief(&view.state, (name, partner), &words, now);
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
    let words = Words::of(&broker, sealed(suspension::texts(partner.suspensions.iter()))).await?;
    let mut shown = PartnerView::brief(&view.state, (&name, partner), &words, broker.now());
    shown.last_use = broker.journal.last_use_of(Clients::Of(name.clone())).await?;
    let version = partner.current.as_ref().or(partner.held.as_ref().map(|held| &held.version));
    if let Some(version) = version {
        let (record, _) = broker.unsealed(Record::Partner(version.record.as_ref().clone())).await?;
        if let Record::Partner(record) = record {
            shown.record = Some(record);
        }
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

/// `POST /v1/integrations/{p}/{i}/discard`.
async fn discard(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path((partner, name)): Path<(String, String)>,
    Sent(why): Sent<Why>,
) -> Result<NoContent, Problem> {
    broker.discard(&by.by, &named(&format!("{partner}/{name}"))?, &why.reason, by.made_for()).await?;
    Ok(NoContent)
}
