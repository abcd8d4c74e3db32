//! Elevations: who asks for what, for how long and why, who agreed, and the end of it.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::admitted::Admitted;
use super::idempotency::confirmed;
use super::input::{Page, body, named, shaped};
use super::people::{Why, Words, names, sealed};
use super::problem::Problem;
use super::revocations::tell_ended;
use crate::broker::Broker;
use crate::broker::elevation::Word;
use crate::broker::revocation::Fault;
use crate::domain::decision::elevation::{Wish, briefing};
use crate::domain::elevation::{Elevation, Narrowing, Request};
use crate::domain::log::entry::Entry;
use crate::domain::people::actor::{Elevate, Read, Review};
use crate::domain::reason;
use crate::domain::registry::api::Risk;
use crate::domain::registry::approval::Verdict;
use crate::domain::state::State as House;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::endpoint::Endpoint;
use crate::domain::value::names::{ApiName, ElevationId, EnvironmentName, IntegrationId, Ticket};
use crate::domain::value::scope::{Scope, ScopeSet};
use crate::domain::value::text::Text;
use crate::http::console::address;
use crate::journal::{Query, StoredEntry};

/// More environments than any house has; bounds one request.
const MOST_ENVIRONMENTS: usize = 16;

/// What somebody asks for; a workload names neither integration nor environments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    api: ApiName,
    scopes: Vec<Scope>,
    #[serde(default)]
    allow: Vec<Endpoint>,
    duration: String,
    reason: String,
    ticket: Option<Ticket>,
    starts: Option<String>,
    #[serde(default)]
    break_glass: bool,
}

/// What a reviewer sends; the version seen is required, and what is named besides can only take away.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reviewed {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) version: Digest,
    scopes: Option<Vec<Scope>>,
    allow: Option<Vec<Endpoint>>,
    duration: Option<String>,
}

impl Asked {
    /// As the broker takes it.
    pub fn wish(self) -> Result<Wish, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut add = |at: &str, message: &str| {
            faults.push(Fault { at: at.to_owned(), reason: &reason::REQUEST_INVALID, message: message.to_owned() });
        };
        let number = self.scopes.len();
        let scopes: ScopeSet = self.scopes.into_iter().collect();
        if scopes.is_empty() || scopes.len() != number {
            add("scopes", "expected at least one scope, and none twice");
        }
        let duration = duration(&self.duration);
        if duration.is_none() {
            add("duration", DURATION);
        }
        let starts = self.starts.as_deref().map(instant);
        if starts == Some(None) {
            add("starts", "expected a time as RFC 3339 has it, such as 2026-12-01T08:00:00Z");
        }
        match (duration, faults.is_empty()) {
            (Some(duration), true) => Ok(Wish {
                api: self.api,
                scopes,
                allow: self.allow,
                duration,
                reason: self.reason,
                ticket: self.ticket,
                starts: starts.flatten(),
                break_glass: self.break_glass,
            }),
            _ => Err(faults),
        }
    }
}

const DURATION: &str = "expected a duration such as 30m or 1h";

fn duration(text: &str) -> Option<Seconds> {
    Seconds::parse(text)
}

fn instant(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().and_then(|time| Timestamp::from_seconds(time.as_second()))
}

impl Reviewed {
    pub(super) fn narrowing(&self) -> Result<Narrowing, Problem> {
        let fault =
            || vec![Fault { at: "duration".to_owned(), reason: &reason::REQUEST_INVALID, message: DURATION.to_owned() }];
        let duration = self.duration.as_deref().map(|text| duration(text).ok_or_else(|| Problem::faults(fault())));
        Ok(Narrowing {
            scopes: self.scopes.as_ref().map(|scopes| scopes.iter().cloned().collect()),
            allow: self.allow.clone(),
            duration: duration.transpose()?,
        })
    }
}

/// `POST /v1/elevations`: one elevation for each environment.
pub async fn ask(
    State(broker): State<Broker>,
    by: Admitted<Elevate>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        // For whom and where stands beside what a workload sends too.
        let mut members: Map<String, Value> = body(&headers, &bytes)?;
        let integration: IntegrationId = taken(&mut members, "integration")?;
        let environments: Vec<EnvironmentName> = taken(&mut members, "environments")?;
        let asked: Asked = shaped(members.into())?;
        let mut known: Vec<&EnvironmentName> = Vec::new();
        for environment in &environments {
            if !known.contains(&environment) {
                known.push(environment);
            }
        }
        if environments.is_empty() || environments.len() > MOST_ENVIRONMENTS || known.len() != environments.len() {
            let message = "expected at least one environment, and none twice".to_owned();
            return Err(Problem::faults(vec![Fault {
                at: "environments".to_owned(),
                reason: &reason::REQUEST_INVALID,
                message,
            }]));
        }
        if !broker.journal.view().state.integrations.contains_key(&integration) {
            return Err(Problem::missing(format!("integration {integration}")));
        }
        let wish = asked.wish().map_err(Problem::faults)?;
        let ids = broker.elevate(&by.by, &integration, environments, wish, by.made_for()).await?;
        let view = broker.journal.view();
        let made: Vec<&Request> = ids.iter().filter_map(|id| view.state.elevations.find(id)).collect();
        let words = Words::of(&broker, sealed(made.iter().flat_map(|request| texts(request)))).await?;
        let items: Vec<Value> = made.iter().map(|request| show(&view.state, request, &words, broker.now())).collect();
        // One environment is the usual case: then the answer is that elevation as well.
        let mut told = match items.as_slice() {
            [only] => only.clone(),
            _ => json!({}),
        };
        told["items"] = json!(items);
        told["next"] = Value::Null;
        let mut response = (StatusCode::CREATED, axum::Json(told)).into_response();
        if let [only] = ids.as_slice()
            && let Ok(place) = format!("/v1/elevations/{only}").parse()
        {
            response.headers_mut().insert(header::LOCATION, place);
        }
        Ok(response)
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/elevations`.
pub async fn list(State(broker): State<Broker>, by: Admitted<Read>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let listed = async {
        let page = Page::of(query.as_deref(), &["state", "integration", "environment"])?;
        let (view, now) = (broker.journal.view(), broker.now());
        let is = |name: &str, value: &str| page.filters.get(name).is_none_or(|wanted| wanted == value);
        let wanted = |request: &&Request| {
            let state = page.filters.get("state").is_none_or(|wanted| match wanted {
                "unreviewed" => request.lacks_review(),
                wanted => json!(request.standing(now)) == wanted,
            });
            state
                && is("integration", &request.elevation.integration.to_string())
                && is("environment", request.elevation.environment.as_str())
        };
        let all = view.state.elevations.all().filter(wanted);
        let part = page.part(all.map(|request| (request.elevation.id.to_string(), request)));
        let words = Words::of(&broker, sealed(part.items.iter().flat_map(|request| texts(request)))).await?;
        Ok(part.show(|request| show(&view.state, request, &words, now)))
    };
    listed.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// `GET /v1/elevations/{id}`: all that an approver must see.
pub async fn one(State(broker): State<Broker>, by: Admitted<Read>, Path(id): Path<String>) -> Result<Response, Problem> {
    let shown = seen(&broker, &id).await.map_err(|problem| problem.at(&by.request))?;
    Ok(axum::Json(shown).into_response())
}

/// `POST /v1/elevations/{id}/reviews`.
pub async fn review(
    State(broker): State<Broker>,
    by: Admitted<Review>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let wanted: Reviewed = body(&headers, &bytes)?;
        reviewed(&broker, &by, &named(&id)?, wanted).await
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// Reviews; also for who names an elevation among the approvals.
pub(super) async fn reviewed(
    broker: &Broker,
    by: &Admitted<Review>,
    id: &ElevationId,
    wanted: Reviewed,
) -> Result<Response, Problem> {
    let narrowing = wanted.narrowing()?;
    let request = by.made_for();
    let word = Word { verdict: wanted.verdict, why: wanted.reason, seen: wanted.version, narrowing, signature: None };
    let cut = broker.review_elevation(&by.by, id, word, request).await?;
    let answer = answer(broker, id.as_str()).await?;
    Ok(match cut {
        Some(cut) => confirmed(broker, &by.request, cut, answer).await,
        None => answer,
    })
}

/// `POST /v1/elevations/{id}/end`.
pub async fn end(
    State(broker): State<Broker>,
    by: Admitted<Elevate>,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Problem> {
    let done = async {
        let why: Why = body(&headers, &bytes)?;
        let name: ElevationId = named(&id)?;
        let cut = broker.end_elevation(&by.by, &name, &why.reason, by.made_for()).await?;
        let mut told = whole(&broker, &id).await?;
        tell_ended(&mut told, broker.ended(&cut).await);
        Ok(confirmed(&broker, &by.request, cut.unconfirmed, axum::Json(told).into_response()).await)
    };
    done.await.map_err(|problem: Problem| problem.at(&by.request))
}

/// How many of the last refusals are shown.
const REFUSALS: u32 = 5;

/// How many of the newest entries are counted for what is usual: an approver who looks costs a journal of years no more than this.
const COUNTED: u64 = 100_000;

/// The days that are shown.
const DAYS: u32 = 30;

/// The integration's tokens of each of the last days, today last; null where they are not all in the database any more.
async fn by_day(broker: &Broker, integration: &IntegrationId) -> Result<Vec<Option<u64>>, Problem> {
    let now = broker.now();
    let asked = now.minus(Seconds::days(DAYS));
    let (counted, since) = broker.journal.issued_by_day(&integration.to_string(), COUNTED, asked).await?;
    let day = |time: Timestamp| time.as_seconds().div_euclid(86_400);
    // The day on which the counting begins is not whole, but for the oldest that is asked for.
    let whole = if since > asked { day(since) + 1 } else { day(since) };
    let on = |day: i64| counted.iter().find(|(known, _)| *known == day).map_or(0, |(_, number)| *number);
    Ok((0..i64::from(DAYS)).rev().map(|ago| day(now) - ago).map(|day| (day >= whole).then(|| on(day))).collect())
}

/// How the integration behaves otherwise: its last token, and why it was refused lately.
async fn usual(broker: &Broker, integration: &IntegrationId) -> Result<Value, Problem> {
    let query = Query {
        from: broker.journal.view().size.saturating_sub(COUNTED),
        kind: Some("refused".to_owned()),
        subject: Some(integration.to_string()),
        newest_first: true,
        limit: Some(REFUSALS),
        ..Query::default()
    };
    let refused = broker.journal.entries(&query).await?;
    let refusal = |stored: &StoredEntry| match &stored.entry {
        Entry::Refused(refused) => {
            Some(json!({"at": refused.time, "reason": refused.reason, "environment": refused.environment}))
        }
        _ => None,
    };
    Ok(json!({
        "lastToken": broker.journal.last_uses().await?.get(&integration.to_string()),
        "lastRefusals": refused.iter().filter_map(refusal).collect::<Vec<_>>(),
    }))
}

/// A member of a body.
fn taken<T: DeserializeOwned>(members: &mut Map<String, Value>, name: &str) -> Result<T, Problem> {
    shaped(members.remove(name).unwrap_or(Value::Null))
}

async fn answer(broker: &Broker, id: &str) -> Result<Response, Problem> {
    Ok(axum::Json(whole(broker, id).await?).into_response())
}

/// All that an approver must see: what is told of an elevation, and what takes longer to find out. Only for who looks: a decision waits
/// neither for the ticket system nor for a look through the log.
pub async fn seen(broker: &Broker, id: &str) -> Result<Value, Problem> {
    let mut shown = whole(broker, id).await?;
    let (view, id): (_, ElevationId) = (broker.journal.view(), named(id)?);
    let request = view.state.elevations.find(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    if shown["briefing"].is_object() {
        shown["briefing"]["usual"]["tokensByDay"] = json!(by_day(broker, &request.elevation.integration).await?);
    }
    if let (Some(tickets), Some(ticket)) = (&broker.tickets, &request.elevation.ticket) {
        shown["ticketState"] = tickets.look(ticket).await.into();
    }
    Ok(shown)
}

/// What is told of an elevation.
pub async fn whole(broker: &Broker, id: &str) -> Result<Value, Problem> {
    let id: ElevationId = named(id)?;
    let (view, now) = (broker.journal.view(), broker.now());
    let request = view.state.elevations.find(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let seen = briefing(request, &view.state, now);
    let owners = seen.iter().flat_map(|(_, record)| [&record.purpose, &record.owners.business, &record.owners.application]);
    let words = Words::of(broker, sealed(texts(request).chain(owners))).await?;
    let mut shown = show(&view.state, request, &words, now);
    if let Some((seen, record)) = &seen {
        shown["briefing"] = json!(seen);
        shown["briefing"]["purpose"] = json!(words.plain(&record.purpose));
        shown["briefing"]["usual"] = usual(broker, &request.elevation.integration).await?;
        let owner = |text: &Text| words.plain(text).map(str::to_owned);
        shown["briefing"]["owners"] =
            json!({"business": owner(&record.owners.business), "application": owner(&record.owners.application)});
    }
    if let Some(passkeys) = broker.passkeys.as_ref().filter(|_| shown["signed"] == true) {
        shown["page"] = address(passkeys.origin(), request.elevation.id.as_str()).into();
    }
    Ok(shown)
}

/// The texts that it is shown with.
pub(super) fn texts(request: &Request) -> impl Iterator<Item = &Text> {
    let of_reviews = request.reviews.iter().flat_map(|review| review.by.name.iter().chain([&review.reason]));
    let of_end = request.ended.iter().flat_map(|ended| names(&ended.by).chain(&ended.reason));
    names(&request.elevation.requested_by).chain([&request.elevation.reason]).chain(of_reviews).chain(of_end)
}

/// An elevation as it is shown: what was asked, what is left of it, who must agree and who did.
pub(super) fn show(house: &House, request: &Request, words: &Words, now: Timestamp) -> Value {
    let asked = &request.elevation;
    let terms = request.terms();
    let review = |review: &crate::domain::elevation::Review| {
        json!({
            "by": words.person(&review.by), "verdict": review.verdict, "reason": words.plain(&review.reason), "at": review.at,
            "roles": review.roles, "scopes": review.narrowing.scopes, "allow": review.narrowing.allow,
            "duration": review.narrowing.duration.map(|duration| duration.to_string()), "signed": review.signature.is_some(),
        })
    };
    let period = request.period();
    let starts = period.map(|(starts, _)| starts).or(asked.starts);
    let ended = request.ended.as_ref().map(|ended| {
        let why = ended.reason.as_ref().and_then(|reason| words.plain(reason));
        json!({"by": words.actor(&ended.by), "at": ended.at, "reason": why})
    });
    let demand = |demand: &crate::domain::registry::integration::Approvers| {
        json!({
            "role": demand.role, "people": demand.people, "count": demand.count,
            "fallback": demand.fallback.as_ref().map(|one| json!({"role": one.role, "after": one.after.to_string()})),
        })
    };
    let open = request.open(now);
    json!({
        "id": asked.id, "version": request.version(house), "state": request.standing(now), "kind": "elevation",
        "subject": asked.integration.to_string(), "integration": asked.integration, "environment": asked.environment,
        "api": asked.api, "scopes": terms.scopes, "allow": terms.allow, "duration": terms.duration.to_string(),
        "asked": {
            "at": request.asked, "scopes": asked.scopes, "allow": asked.allow, "duration": asked.duration.to_string(),
            "starts": asked.starts,
        },
        "reason": words.plain(&asked.reason), "ticket": asked.ticket, "tied": asked.tied, "breakGlass": asked.break_glass, "binding": asked.binding,
        "requestedBy": words.actor(&asked.requested_by), "expires": asked.expires, "starts": starts,
        "ends": period.map(|(_, ends)| ends), "needs": asked.rule.demands.iter().map(demand).collect::<Vec<_>>(),
        "open": open.into_iter().map(demand).collect::<Vec<_>>(),
        "reviews": request.reviews.iter().map(review).collect::<Vec<_>>(), "unreviewed": request.lacks_review(), "ended": ended,
        "signed": request.is_signed(house), "risk": risk(house, asked),
    })
}

/// The highest risk among the scopes that were asked for, as the catalogue has them.
fn risk(house: &House, asked: &Elevation) -> Option<Risk> {
    let catalogue = &house.apis.get(&asked.api)?.current.as_ref()?.record.scopes;
    asked.scopes.iter().filter_map(|scope| catalogue.get(scope)).map(|entry| entry.risk).max()
}
