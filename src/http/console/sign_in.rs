//! Signs people in and out in a browser.
//!
//! [`super::begun`] has the state of a sign-in that was begun. Nothing that the identity provider or the address bar sends is
//! shown (ABUSE A-03). The visit goes on at a page of ours, or at the first one.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::begun::Pending;
use super::node::{Console, away};
use super::page::{self, Message};
use super::place::ours;
use super::session::Visitor;
use crate::authn::sign_in::{Recency, Returned};
use crate::http::form::Form;
use crate::revocation::Away;

/// `GET /console/sign-in`: redirects to the identity provider.
///
/// `anew` demands a fresh sign-in there.
pub async fn begin(State(console): State<Arc<Console>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let Ok(form) = Form::parse(&query) else { return failed("The address is not one of ours.") };
    let Some(client) = &console.client else {
        return failed("Sign-in in a browser is not configured: [staff] client_id is missing in carnet.toml.");
    };
    let entropy = console.broker.entropy.as_ref();
    let recency = if form.get("anew").is_some() { Recency::Anew } else { Recency::Any };
    let Ok(sign_in) = client.begin(recency, entropy).await else {
        let heading = "The identity provider does not answer";
        let message =
            Message::plain(heading, &["Try again in a moment. Whoever holds a staff token can use the command line."]);
        return page::show(StatusCode::SERVICE_UNAVAILABLE, &message);
    };
    let (id, (sign_in, url)) = (entropy.identifier(), sign_in);
    let pending = Pending { sign_in, to: ours(form.get("to")).to_owned(), since: console.broker.now() };
    if console.begun.add(&console.broker.shelf, &id, &pending).await.is_err() {
        return console.told(None, &away());
    }
    let (Some(cookie), Ok(url)) = (console.begun.cookie.set(&id), HeaderValue::from_str(&url)) else {
        return failed("The identity provider's address cannot be followed.");
    };
    (StatusCode::SEE_OTHER, [(header::SET_COOKIE, cookie), (header::LOCATION, url)]).into_response()
}

/// `GET /console/callback`: the return from the identity provider.
pub async fn callback(State(console): State<Arc<Console>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let now = console.broker.now();
    let query = query.unwrap_or_default();
    let form = Form::parse(&query);
    let Ok(pending) = console.begun.take(&console.broker.shelf, &headers, now).await else {
        return console.told(None, &away());
    };
    let (Ok(mut form), Some(client), Some(pending)) = (form, &console.client, pending) else {
        return failed("This is no answer to a sign-in that was begun in this browser within ten minutes.");
    };
    let mut take = |name: &str| form.take(name);
    let returned = Returned { code: take("code"), state: take("state"), issuer: take("iss"), error: take("error") };
    let token = match client.finish(pending.sign_in, returned).await {
        Ok(token) => token,
        Err(fault) => {
            tracing::info!(cause = %fault, "a sign-in failed");
            return failed("The identity provider's answer is not one to this sign-in, or says no.");
        }
    };
    let who = match console.broker.staff.signed_in(&token, client.id(), now).await {
        Ok(who) => who,
        Err(fault) => {
            tracing::info!(cause = fault.cause, "a sign-in was refused");
            return failed("The identity provider's token does not count here.");
        }
    };
    // A person without a role has nothing to see. A person whose access was ended gets it back by a decision, not by a sign-in.
    let view = console.broker.journal.view();
    let known = who.at(now).filter(|staff| !staff.machine && !staff.roles.is_empty());
    if known.is_none_or(|staff| view.state.ensure_not_cut(&staff.person).is_err()) {
        let message =
            Message::plain("You have no role here", &["Your sign-in is good, and none of your groups makes you one of ours."]);
        return page::show(StatusCode::FORBIDDEN, &message);
    }
    let shelf = &console.broker.shelf;
    let opened = async {
        let forget = console.sessions.close(shelf, &headers).await?;
        let cookie = console.sessions.open(shelf, who, now, console.broker.entropy.as_ref()).await?;
        Ok::<_, Away>(cookie.unwrap_or(forget))
    };
    let Ok(cookie) = opened.await else { return console.told(None, &away()) };
    let mut response = Redirect::to(&pending.to).into_response();
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response.headers_mut().append(header::SET_COOKIE, console.begun.cookie.forget());
    response
}

/// `POST /console/sign-out`.
pub async fn end(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Response {
    if let Err(refused) = console.form(&visitor, &headers, &body) {
        return refused;
    }
    let Ok(cookie) = console.sessions.close(&console.broker.shelf, &headers).await else {
        return console.told(Some(&visitor), &away());
    };
    let mut message = Message::plain("You are signed out", &["At the identity provider you may still be signed in."]);
    message.sign_in = Some("/console/sign-in");
    let mut response = page::show(StatusCode::OK, &message);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// The page of a failed sign-in, in fixed words.
fn failed(why: &str) -> Response {
    let mut message = Message::plain("The sign-in failed", &[why]);
    message.sign_in = Some("/console/sign-in");
    page::show(StatusCode::BAD_REQUEST, &message)
}
