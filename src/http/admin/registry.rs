//! The inventory, and the life cycle of what is in it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::admitted::Admitted;
use super::idempotency::confirmed;
use super::input::{Page, body, named};
use super::people::{Why, Words, names, sealed};
use super::problem::Problem;
use super::revocations::tell_ended;
use crate::broker::Broker;
use crate::broker::judged::Lacking;
use crate::broker::lifecycle::Party;
use crate::domain::decision::effective::{Effective, effective, of_partner};
use crate::domain::decision::rotation::issuer_key_due;
use crate::domain::decision::rotation::rotation_due;
use crate::domain::people::actor::{Contain, Read, Submit};
use crate::domain::reason;
use crate::domain::record::Record;
use crate::domain::registry::binding::Admits;
use crate::domain::registry::integration::Integration;
use crate::domain::state::integration::IntegrationState;
use crate::domain::state::{PartnerState, State as House};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, IntegrationId, PartnerName};

/// `GET /v1/integrations`.
pub async fn integrations(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["partner", "state"])?;
        let view = broker.journal.view();
        let wanted = |(id, integration): &(&IntegrationId, &IntegrationState)| {
            page.filters.get("partner").is_none_or(|partner| id.partner.as_str() == partner)
                && page.filters.get("state").is_none_or(|state| integration.phase().name() == state)
        };
        let found = view.state.integrations.iter().filter(wanted);
        let part = page.part(found.map(|(id, integration)| (id.to_string(), (id, integration))));
        let owners = part.items.iter().filter_map(|(_, integration)| integration.shown()).flat_map(|version| {
            let owners = &version.record.owners;
            [&owners.business, &owners.application]
        });
        let words = Words::of(&broker, sealed(owners)).await?;
        let uses = broker.journal.last_uses().await?;
        let lacking = broker.lacking(&view, part.items.iter().map(|(id, _)| *id)).await?;
        Ok(part.show(|(id, integration)| {
            let mut shown = brief(&view.state, id, integration, broker.now());
            shown["waitsFor"] = waits_for(&lacking, id);
            if let Some(version) = integration.shown() {
                let owners = &version.record.owners;
                shown["owners"] =
                    json!({"business": words.plain(&owners.business), "application": words.plain(&owners.application)});
            }
            shown["lastUse"] = json!(uses.get(&id.to_string()));
            shown
        }))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/integrations/{p}/{i}`: the record with its texts, who owns it, its last token, and what ends next.
pub async fn integration(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    Path((partner, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let shown = async {
        let id: IntegrationId = named(&format!("{partner}/{name}"))?;
        let view = broker.journal.view();
        let integration = view.state.integrations.get(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        let mut shown = brief(&view.state, &id, integration, broker.now());
        shown["waitsFor"] = waits_for(&broker.lacking(&view, std::iter::once(&id)).await?, &id);
        if let Some(version) = integration.shown() {
            let (record, _) = broker.unsealed(Record::Integration(version.record.as_ref().clone())).await?;
            let Record::Integration(record) = record else { return Err(Problem::of(&reason::NOT_FOUND)) };
            shown["owners"] = json!(record.owners);
            shown["keys"] = keys_in_use(&view.state, &record, broker.now());
            shown["record"] = json!(record);
        }
        shown["lastUse"] = json!(broker.journal.last_uses().await?.get(&id.to_string()));
        Ok(axum::Json(shown).into_response())
    };
    shown.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/partners`.
pub async fn partners(
    State(broker): State<Broker>,
    by: Admitted<Read>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["state"])?;
        let (view, now) = (broker.journal.view(), broker.now());
        let uses = broker.journal.last_uses().await?;
        let wanted = |partner: &PartnerState| page.filters.get("state").is_none_or(|state| state_of(partner, now) == state);
        let found = view.state.partners.iter().filter(|(_, partner)| wanted(partner));
        Ok(page.cut(found.map(|(name, partner)| (name.to_string(), (name, partner))), |(name, partner)| {
            let mut shown = brief_partner(&view.state, name, partner, now);
            shown["lastUse"] = json!(last_use(&uses, name));
            shown
        }))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/partners/{p}`.
pub async fn partner(State(broker): State<Broker>, by: Admitted<Read>, Path(name): Path<String>) -> Result<Response, Problem> {
    let shown = async {
        let name: PartnerName = named(&name)?;
        let view = broker.journal.view();
        let partner = view.state.partners.get(&name).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        let mut shown = brief_partner(&view.state, &name, partner, broker.now());
        shown["lastUse"] = json!(last_use(&broker.journal.last_uses().await?, &name));
        let version = partner.current.as_ref().or(partner.held.as_ref().map(|held| &held.version));
        if let Some(version) = version {
            let (record, _) = broker.unsealed(Record::Partner(version.record.as_ref().clone())).await?;
            if let Record::Partner(record) = record {
                shown["record"] = json!(record);
            }
        }
        if let Some(stop) = &partner.suspended {
            let words = Words::of(&broker, sealed(names(&stop.by).chain([&stop.reason]))).await?;
            shown["suspended"] = json!({"by": words.actor(&stop.by), "at": stop.at, "reason": words.plain(&stop.reason)});
        }
        Ok(axum::Json(shown).into_response())
    };
    shown.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `POST /v1/integrations/{p}/{i}/submit`.
pub async fn submit(
    State(broker): State<Broker>,
    by: Admitted<Submit>,
    Path((partner, name)): Path<(String, String)>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        let id = named(&format!("{partner}/{name}"))?;
        let approval = broker.submit(&by.by, &id, &why.reason, by.made_for()).await?;
        Ok((StatusCode::ACCEPTED, axum::Json(json!({"approval": approval}))).into_response())
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

macro_rules! acts {
    ($($name:ident: $permission:ty, $path:ty, $party:expr, $act:ident;)+) => {$(
        /// The life-cycle route of this name.
        pub async fn $name(
            State(broker): State<Broker>,
            by: Admitted<$permission>,
            Path(path): Path<$path>,
            headers: HeaderMap,
            bytes: Bytes,
        ) -> Result<Response, Problem> {
            let done = async {
                let why: Why = body(&headers, &bytes)?;
                let party: Party = $party(path)?;
                $act(&broker, &by, &party, &why.reason).await
            };
            done.await.map_err(|problem: Problem| problem.at(&by.request))
        }
    )+};
}

acts! {
    suspend_integration: Contain, (String, String), an_integration, suspend;
    resume_integration: Submit, (String, String), an_integration, resume;
    suspend_partner: Contain, String, a_partner, suspend;
    resume_partner: Submit, String, a_partner, resume;
}

fn an_integration((partner, name): (String, String)) -> Result<Party, Problem> {
    named(&format!("{partner}/{name}")).map(Party::Integration)
}

fn a_partner(name: String) -> Result<Party, Problem> {
    named(&name).map(Party::Partner)
}

async fn suspend(broker: &Broker, by: &Admitted<Contain>, party: &Party, why: &str) -> Result<Response, Problem> {
    let cut = broker.suspend(&by.by, party, why, by.made_for()).await?;
    let mut told = json!({});
    tell_ended(&mut told, broker.ended(&cut).await);
    Ok(confirmed(broker, &by.request, cut.unconfirmed, axum::Json(told).into_response()).await)
}

async fn resume(broker: &Broker, by: &Admitted<Submit>, party: &Party, why: &str) -> Result<Response, Problem> {
    let approval = broker.ask_resume(&by.by, party, why, by.made_for()).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(json!({"approval": approval}))).into_response())
}

/// When any integration of a partner was last issued a token.
fn last_use(uses: &BTreeMap<String, Timestamp>, partner: &PartnerName) -> Option<Timestamp> {
    let before = format!("{partner}/");
    uses.range(before.clone()..).take_while(|(client, _)| client.starts_with(&before)).map(|(_, time)| *time).max()
}

/// The reasons for which its waiting version does not take force.
fn waits_for(lacking: &Lacking, id: &IntegrationId) -> Value {
    lacking.get(id).into_iter().flatten().map(|reason| reason.code).collect()
}

fn brief(state: &House, id: &IntegrationId, integration: &IntegrationState, now: Timestamp) -> Value {
    let shown = integration.shown();
    json!({
        "id": id, "state": integration.phase().name(), "version": shown.map(|version| version.version),
        "held": integration.held.as_ref().filter(|_| integration.current.is_some()).map(|held| json!({
            "version": held.version.version, "approval": held.approval,
        })),
        "contract": shown.map(|version| json!(version.record.contract)),
        "environments": shown.map(|version| version.record.environments.keys().collect::<Vec<_>>()),
        "effective": effective_of(state, id, integration, now),
        "endsNext": shown.and_then(|version| ends_next(state, &version.record, now)),
    })
}

/// By environment, whether an exchange would be granted now, and what refuses it.
fn effective_of<'a>(
    state: &House,
    id: &IntegrationId,
    integration: &'a IntegrationState,
    now: Timestamp,
) -> BTreeMap<&'a EnvironmentName, Effective> {
    let environments = integration.shown().into_iter().flat_map(|version| version.record.environments.keys());
    environments.map(|environment| (environment, effective(id, environment, state, now))).collect()
}

/// The keys that live certificates are for: how old they are, and when the record's cadence has them changed.
fn keys_in_use(state: &House, record: &Integration, now: Timestamp) -> Value {
    let live = state.certificates.leaves().filter(|leaf| leaf.integration == record.id && now < leaf.ends);
    let shown = live.map(|leaf| {
        let since = state.certificates.key_since(&leaf.environment, leaf.key);
        let due = rotation_due(record, since).map(|due| due.at);
        json!({
            "environment": leaf.environment, "certificate": leaf.serial, "ends": leaf.ends, "since": since, "due": due,
            "late": due.is_some_and(|due| now >= due),
        })
    });
    let certificates = shown.collect::<Vec<_>>();
    // Of an issuer's keys the newest counts: while there is none newer, it is the one in use.
    let bindings = record.environments.iter().flat_map(|(environment, access)| {
        access.bindings.iter().filter_map(move |binding| match &binding.admits {
            Admits::Jwt(rule) => Some((environment, &binding.name, &rule.issuer)),
            Admits::Certificate => None,
        })
    });
    let issuers = bindings.filter_map(|(environment, binding, issuer)| {
        let (key, since) = state.issuer_keys.newest(issuer)?;
        let due = issuer_key_due(record, Some(since)).map(|due| due.at);
        Some(json!({
            "environment": environment, "binding": binding, "issuer": issuer, "key": key, "since": since, "due": due,
            "late": due.is_some_and(|due| now >= due),
        }))
    });
    certificates.into_iter().chain(issuers).collect()
}

/// The first date that ends a right of this integration.
fn ends_next(state: &House, record: &Integration, now: Timestamp) -> Option<Value> {
    let partner = state.partners.get(&record.id.partner).and_then(|partner| partner.current.as_ref());
    let exceptions = record.exceptions.iter().map(|exception| ("exception", exception.ends));
    let ends = [("contract", record.contract.ends)].into_iter().chain(exceptions);
    let ends = ends.chain(partner.map(|partner| ("verification", partner.record.verification.expires)));
    let next = ends.filter(|(_, end)| *end > now).min_by_key(|(_, end)| *end)?;
    Some(json!({"what": next.0, "at": next.1}))
}

/// The first date that ends a right of this partner or of one of its integrations.
fn ends_next_of(state: &House, name: &PartnerName, now: Timestamp) -> Option<Value> {
    let of_partner = state.integrations.values().filter_map(|integration| integration.current.as_ref());
    let own = of_partner.filter(|version| version.record.id.partner == *name);
    own.filter_map(|version| ends_next(state, &version.record, now)).min_by_key(|end| end["at"].as_i64())
}

fn state_of(partner: &PartnerState, now: Timestamp) -> &'static str {
    match (&partner.suspended, &partner.current) {
        (Some(_), _) => "suspended",
        (None, Some(current)) if now < current.record.verification.expires => "verified",
        (None, Some(_)) => "verification-expired",
        (None, None) => "submitted",
    }
}

fn brief_partner(state: &House, name: &PartnerName, partner: &PartnerState, now: Timestamp) -> Value {
    let version = partner.current.as_ref().or(partner.held.as_ref().map(|held| &held.version));
    let integrations: Vec<_> = state.integrations.keys().filter(|id| id.partner == *name).collect();
    let environments = state.configuration.iter().flat_map(|configuration| configuration.environments.keys());
    let effective: BTreeMap<_, _> =
        environments.map(|environment| (environment, of_partner(name, environment, state, now))).collect();
    json!({
        "id": name, "state": state_of(partner, now), "version": version.map(|version| version.version),
        "verification": version.map(|version| version.record.verification.expires), "integrations": integrations,
        "effective": effective,
        "endsNext": ends_next_of(state, name, now),
    })
}
