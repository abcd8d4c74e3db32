//! Approvals: the queue, and the page that decides on one of any kind.
//!
//! A decision is a plain form. If the API takes only signed approvals, the first answer to the form is a page that repeats
//! exactly the terms, and has the approver's passkey sign them. The page after a decision confirms it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use serde_json::{Value, json};

use super::decision::{self, Unread, Which};
use super::node::Console;
use super::page::{self, Frame, Sign, Typed, Waiting, shown};
use super::place::QUEUE;
use super::session::Visitor;
use super::{briefing, dossier};
use crate::broker::Broker;
use crate::broker::elevation::Word;
use crate::broker::revocation::Unconfirmed;
use crate::broker::unsealed::ERASED;
use crate::broker::view::approvals::{Any, AnyView};
use crate::broker::words::{Words, sealed};
use crate::domain::people::actor::{Read, Review};
use crate::domain::reason;
use crate::domain::registry::approval::{Standing, Verdict};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{ApprovalId, ElevationId};
use crate::http::admin::{Admitted, Problem};
use crate::http::form::Form;

/// `GET /console/approvals`.
pub async fn queue(State(console): State<Arc<Console>>, visitor: Visitor, by: Result<Admitted<Read>, Problem>) -> Response {
    let waiting = async {
        by?;
        pending(&console.broker).await
    };
    match waiting.await {
        Err(problem) => console.told(Some(&visitor), &problem),
        Ok(waiting) => {
            let now = console.broker.now();
            let waiting = waiting.iter().map(|one| row(&json!(one), now)).collect();
            page::show(StatusCode::OK, &page::Queue { frame: Some(Frame::of(&visitor)), waiting })
        }
    }
}

/// The pending approvals of either kind, soonest deadline first.
async fn pending(broker: &Broker) -> Result<Vec<AnyView>, Problem> {
    let (view, now) = (broker.journal.view(), broker.now());
    let all: Vec<Any<'_>> = Any::all(&view.state).filter(|any| any.standing(now) == Standing::Pending).collect();
    let words = Words::of(broker, sealed(all.iter().flat_map(Any::texts))).await?;
    let mut all: Vec<AnyView> = all.iter().map(|any| any.show(&view.state, &words, now)).collect();
    all.sort_by_key(AnyView::expires);
    Ok(all)
}

fn row(one: &Value, now: Timestamp) -> Waiting {
    let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let list = |name: &str| {
        let words = one[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        words.collect::<Vec<_>>().join(", ")
    };
    let is_elevation = one["kind"] == "elevation";
    let what = if is_elevation {
        let (scopes, risk) = (list("scopes"), text("risk"));
        let what = format!("{scopes} (risk {risk}) at {} in {}, {}", text("api"), text("environment"), text("duration"));
        if one["unreviewed"] == true { format!("{what}; it began without an approval") } else { what }
    } else {
        dossier::kind(one).to_owned()
    };
    let ticket = one["ticket"].as_str().map(|ticket| format!(" (ticket {ticket})")).unwrap_or_default();
    // An elevation always had a reason.
    let without = if is_elevation { ERASED } else { "no reason was given" };
    let asked = if is_elevation { &one["asked"]["at"] } else { &one["asked"] };
    let time = |time: &Value| time.as_i64().and_then(Timestamp::from_seconds);
    let expires = time(&one["expires"]);
    Waiting {
        id: text("id"),
        about: shown(&text("subject")),
        what: shown(&what),
        why: shown(&format!("{}{ticket}", one["reason"].as_str().unwrap_or(without))),
        by: shown(&briefing::who(&one["requestedBy"])),
        asked: time(asked).map(|time| time.to_string()).unwrap_or_default(),
        needs: list("openSlots"),
        expires: expires.map(|time| time.to_string()).unwrap_or_default(),
        left: expires.map(|time| left(i64::from(time.since(now).0))).unwrap_or_default(),
    }
}

/// A remaining time in words.
fn left(seconds: i64) -> String {
    let (number, unit) = match seconds {
        ..3600 => (seconds / 60, "minute"),
        3600..172_800 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
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
        decision::page(&console, &visitor, &id, Typed::default()).await
    };
    match shown.await {
        Ok(decision) => page::show(StatusCode::OK, &decision),
        Err(problem) => console.told(Some(&visitor), &problem),
    }
}

/// `POST /console/approvals/{id}`: a decision, or the signature of one.
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
    let visit = Visit { console: &console, visitor: &visitor };
    let done = async {
        let by = by?;
        match Which::find(&console, &id)? {
            Which::Approval(name) => visit.decide(&by, &name, &form).await,
            Which::Elevation(name) => visit.decide_elevation(&by, &name, form).await,
        }
    };
    let unread = match done.await {
        Ok(response) => return response,
        Err(unread) => unread,
    };
    let again = match unread {
        Unread::Typed(typed) => decision::page(&console, &visitor, &id, typed).await,
        Unread::Problem(problem) => Err(problem),
    };
    match again {
        Ok(page) => page::show(StatusCode::UNPROCESSABLE_ENTITY, &page),
        Err(problem) => {
            let back = Which::find(&console, &id).ok().map(|_| format!("{QUEUE}/{id}"));
            console.told_of(Some(&visitor), &problem, back)
        }
    }
}

/// The page's console and visitor, for the decision that the visitor sends.
struct Visit<'a> {
    console: &'a Console,
    visitor: &'a Visitor,
}

impl Visit<'_> {
    async fn decide(&self, by: &Admitted<Review>, id: &ApprovalId, form: &Form<'_>) -> Result<Response, Unread> {
        let word = decision::read(self.console, form, None)?;
        let broker = &self.console.broker;
        let before = broker.before();
        let reviewed = broker.review(&by.by, id, word.verdict, &word.why, word.seen, by.made_for()).await;
        reviewed.map_err(Problem::from)?;
        if let Some(cut) = Unconfirmed::of_versions(before, &broker.journal.view().state) {
            broker.confirm(cut).await.map_err(Problem::from)?;
        }
        Ok(Redirect::to(&format!("{QUEUE}/{id}")).into_response())
    }

    async fn decide_elevation(&self, by: &Admitted<Review>, id: &ElevationId, form: Form<'_>) -> Result<Response, Unread> {
        let broker = &self.console.broker;
        let told = json!(broker.elevation_view(id).await.map_err(Problem::from)?);
        let view = broker.journal.view();
        let request = view.state.elevations.find(id).ok_or_else(|| Problem::of(&reason::NOT_FOUND))?;
        let word = decision::read(self.console, &form, Some((request, &told)))?;
        if request.is_signed(&view.state) && word.verdict == Verdict::Approve && word.signature.is_none() {
            return Ok(self.have_signed(by, id, (told, &word), form)?);
        }
        if let Some(cut) = broker.review_elevation(&by.by, id, word, by.made_for()).await.map_err(Problem::from)? {
            broker.confirm(cut).await.map_err(Problem::from)?;
        }
        Ok(Redirect::to(&format!("{QUEUE}/{id}")).into_response())
    }

    /// The page on which the passkey signs.
    ///
    /// It shows the terms as they will be, narrowed. Nothing can be changed on it.
    fn have_signed(
        &self,
        by: &Admitted<Review>,
        id: &ElevationId,
        (mut told, word): (Value, &Word),
        form: Form<'_>,
    ) -> Result<Response, Problem> {
        let narrowing = &word.narrowing;
        let Some(options) = self.console.broker.to_sign(&by.by, id, word.seen, narrowing).map_err(Problem::of)? else {
            return Ok(Redirect::to("/console/passkeys").into_response());
        };
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
        let (frame, id) = (Some(Frame::of(self.visitor)), id.to_string());
        Ok(page::show(StatusCode::OK, &Sign { frame, id, sentence, fields, options }))
    }
}
