//! Approvals: the queue, and the decision on one elevation with everything on one screen.
//!
//! A decision is a plain form. Where the API takes signed approvals alone, the first answer to it is a page that says once more what
//! exactly is given, and has the approver's passkey sign that.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};

use super::page::{self, Choice, Decision, Frame, Sign, Waiting};
use super::session::Visitor;
use super::{Console, QUEUE, briefing};
use crate::broker::elevation::Word;
use crate::domain::actor::{Read, Review};
use crate::domain::approval::Verdict;
use crate::domain::clock::Seconds;
use crate::domain::elevation::{Narrowing, Request, Terms};
use crate::domain::endpoint::Endpoint;
use crate::domain::names::ElevationId;
use crate::domain::reason;
use crate::domain::scope::Scope;
use crate::http::admin::{Admitted, Problem, approvals, elevations};
use crate::http::form::Form;

/// Lists and forms are numbered so far: more scopes or endpoints than a record of ours has.
const MOST: usize = 50;

/// `GET /console/approvals`.
pub async fn queue(State(console): State<Arc<Console>>, visitor: Visitor, by: Result<Admitted<Read>, Problem>) -> Response {
    let waiting = async {
        by?;
        approvals::pending(&console.broker).await
    };
    match waiting.await {
        Err(problem) => console.told(Some(&visitor), &problem),
        Ok(mut waiting) => {
            waiting.sort_by_key(|one| one["expires"].as_i64());
            let waiting = waiting.iter().map(row).collect();
            page::show(StatusCode::OK, &page::Queue { frame: Some(Frame::of(&visitor)), waiting })
        }
    }
}

fn row(one: &Value) -> Waiting {
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let words = one[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    let here = text("kind") == "elevation";
    let what = if here {
        format!("{} at {} in {}, {}", list("scopes"), text("api"), text("environment"), text("duration"))
    } else {
        text("kind")
    };
    let expires = serde_json::from_value::<crate::domain::clock::Timestamp>(one["expires"].clone());
    Waiting {
        id: text("id"),
        about: text("subject"),
        what,
        by: briefing::who(&one["requestedBy"]),
        needs: list("openSlots"),
        expires: expires.map(|time| time.to_string()).unwrap_or_default(),
        here,
    }
}

/// `GET /console/approvals/{id}`.
pub async fn one(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    by: Result<Admitted<Read>, Problem>,
    Path(id): Path<String>,
) -> Response {
    let shown = async {
        by?;
        decision(&console, &visitor, &id).await
    };
    match shown.await {
        Ok(decision) => page::show(StatusCode::OK, &decision),
        Err(problem) => console.told(Some(&visitor), &problem),
    }
}

async fn decision(console: &Console, visitor: &Visitor, id: &str) -> Result<Decision, Problem> {
    let told = elevations::seen(&console.broker, id).await?;
    let view = console.broker.journal.view();
    let id: ElevationId = id.parse().map_err(|_| Problem::of(&reason::NOT_FOUND))?;
    let request = view.state.elevations.find(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
    let terms = request.terms();
    let meaning = |scope: &Scope| {
        let asked = told["briefing"]["asked"].as_array().into_iter().flatten();
        let found = asked.into_iter().find(|one| one["scope"] == scope.as_str());
        found.and_then(|one| one["meaning"].as_str()).unwrap_or("no longer in the catalogue").to_owned()
    };
    let scope = |(number, scope): (usize, &Scope)| Choice {
        field: format!("scope-{number}"),
        value: scope.to_string(),
        says: meaning(scope),
    };
    let endpoint = |(number, endpoint): (usize, Endpoint)| Choice {
        field: format!("allow-{number}"),
        value: endpoint.to_string(),
        says: String::new(),
    };
    let state = told["state"].as_str().unwrap_or_default();
    Ok(Decision {
        frame: Some(Frame::of(visitor)),
        title: format!("{} asks for more in {}", request.elevation.integration, request.elevation.environment),
        state: if request.lacks_review() { format!("{state}, and nobody has looked at it") } else { state.to_owned() },
        rows: briefing::lines(&told),
        flags: briefing::flags(&told),
        version: told["version"].as_str().unwrap_or_default().to_owned(),
        scopes: terms.scopes.iter().enumerate().take(MOST).map(scope).collect(),
        allow: endpoints(&told, &terms).into_iter().enumerate().take(MOST).map(endpoint).collect(),
        duration: terms.duration.to_string(),
        sentence: briefing::sentence(&told, true),
        refusal: briefing::sentence(&told, false),
        open: told["open"].as_array().is_some_and(|open| !open.is_empty()),
        signed: told["signed"] == true,
        id: id.to_string(),
    })
}

/// The endpoints that can be chosen among: those that were asked for, else those of the record, where all scopes have the same.
fn endpoints(told: &Value, terms: &Terms) -> Vec<Endpoint> {
    if !terms.allow.is_empty() {
        return terms.allow.clone();
    }
    let lists: Vec<&Value> = told["briefing"]["asked"].as_array().into_iter().flatten().map(|one| &one["allow"]).collect();
    match lists.split_first() {
        Some((first, others)) if others.iter().all(|other| other == first) => {
            serde_json::from_value((*first).clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// `POST /console/approvals/{id}`: a decision, or its signature.
pub async fn review(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    by: Result<Admitted<Review>, Problem>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form = match console.form(&visitor, &headers, &body) {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let done = async {
        let by = by?;
        let wanted = Wanted::read(&console, &id, &form).await?;
        wanted.decide(&console, &visitor, &by, form).await
    };
    done.await.unwrap_or_else(|problem: Problem| console.told(Some(&visitor), &problem))
}

/// What a form says.
struct Wanted {
    id: ElevationId,
    told: Value,
    word: Word,
    signed: bool,
}

impl Wanted {
    async fn read(console: &Console, id: &str, form: &Form<'_>) -> Result<Self, Problem> {
        let told = elevations::whole(&console.broker, id).await?;
        let id: ElevationId = id.parse().map_err(|_| Problem::of(&reason::NOT_FOUND))?;
        let view = console.broker.journal.view();
        let request = view.state.elevations.find(&id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        let verdict = match form.get("verdict") {
            Some("approve") => Verdict::Approve,
            Some("deny") => Verdict::Deny,
            _ => return Err(Problem::of(&reason::REQUEST_INVALID)),
        };
        let seen = form.get("version").and_then(|version| version.to_owned().try_into().ok());
        let seen = seen.ok_or_else(|| Problem::of(&reason::APPROVAL_STALE))?;
        let why = form.get("reason").map(str::trim).filter(|why| !why.is_empty() && why.chars().count() <= 1000);
        let why = why.ok_or_else(|| Problem::of(&reason::REQUEST_INVALID))?.to_owned();
        // Who is against is against all of it.
        let narrowing = if verdict == Verdict::Approve { narrowing(form, request, &told)? } else { Narrowing::default() };
        let signature = match (form.get("answer"), &console.broker.passkeys) {
            (Some(answer), Some(passkeys)) => {
                Some(passkeys.read(answer, seen).map_err(|_| Problem::of(&reason::ELEVATION_SIGNATURE_INVALID))?)
            }
            _ => None,
        };
        let signed = request.is_signed(&view.state);
        Ok(Self { id, told, signed, word: Word { verdict, why, seen, narrowing, signature } })
    }

    async fn decide(
        self,
        console: &Console,
        visitor: &Visitor,
        by: &Admitted<Review>,
        form: Form<'_>,
    ) -> Result<Response, Problem> {
        if self.signed && self.word.verdict == Verdict::Approve && self.word.signature.is_none() {
            return self.have_signed(console, visitor, by, form);
        }
        let Self { id, word, .. } = self;
        if let Some(cut) = console.broker.review_elevation(&by.by, &id, word, by.made_for()).await? {
            console.broker.confirm(cut).await?;
        }
        Ok(Redirect::to(&format!("{QUEUE}/{id}")).into_response())
    }

    /// The page on which the passkey signs: it says what is given as it will be, narrowed, and nothing of it can be changed there.
    fn have_signed(
        self,
        console: &Console,
        visitor: &Visitor,
        by: &Admitted<Review>,
        form: Form<'_>,
    ) -> Result<Response, Problem> {
        let narrowing = &self.word.narrowing;
        let Some(options) = console.broker.to_sign(&by.by, &self.id, self.word.seen, narrowing).map_err(Problem::of)? else {
            return Ok(Redirect::to("/console/passkeys").into_response());
        };
        let mut told = self.told;
        if let Some(scopes) = &narrowing.scopes {
            told["scopes"] = json!(scopes);
        }
        if let Some(duration) = narrowing.duration {
            told["duration"] = duration.to_string().into();
        }
        let mut sentence = briefing::sentence(&told, true);
        if let Some(allow) = &narrowing.allow {
            let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
            sentence += &format!(", only {}", allow.join(", "));
        }
        let fields = form.names().filter(|name| *name != "answer");
        let fields = fields.filter_map(|name| Some((name.to_owned(), form.get(name)?.to_owned()))).collect();
        let id = self.id.to_string();
        Ok(page::show(StatusCode::OK, &Sign { frame: Some(Frame::of(visitor)), id, sentence, fields, options }))
    }
}

/// What the approver took away: whatever of it is not there was unchecked, or is shorter.
fn narrowing(form: &Form<'_>, request: &Request, told: &Value) -> Result<Narrowing, Problem> {
    let invalid = || Problem::of(&reason::REQUEST_INVALID);
    let terms = request.terms();
    let chosen = |prefix: &str| (0..MOST).filter_map(|number| form.get(&format!("{prefix}-{number}"))).collect::<Vec<_>>();
    let scopes: Vec<Scope> = chosen("scope").into_iter().map(str::parse).collect::<Result<_, _>>().map_err(|_| invalid())?;
    let offered = endpoints(told, &terms);
    let allow: Vec<Endpoint> = chosen("allow").into_iter().map(str::parse).collect::<Result<_, _>>().map_err(|_| invalid())?;
    let duration = form.get("duration").map(str::trim).and_then(Seconds::parse).ok_or_else(invalid)?;
    let all_scopes = terms.scopes.iter().all(|scope| scopes.contains(scope)) && scopes.len() == terms.scopes.len();
    let all_endpoints = allow == offered;
    Ok(Narrowing {
        scopes: (!all_scopes).then(|| scopes.into_iter().collect()),
        allow: (!all_endpoints).then_some(allow),
        duration: (duration != terms.duration).then_some(duration),
    })
}
