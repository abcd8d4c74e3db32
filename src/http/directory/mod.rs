//! The people directory as SCIM 2.0 (RFC 7643, RFC 7644), for the company's identity provider.
//!
//! Enter through [`router`]. It has a listener of its own, since Entra and Okta call from the Internet, and it serves `/scim/v2` and nothing
//! else: `Users`, `ServiceProviderConfig`, `ResourceTypes` and `Schemas`; `Groups` is answered 404. The bearer tokens of `[directory]` open
//! it ([`bearer`]), and open nothing else.
//!
//! The protocol is pure: [`body`] reads what a source sends, by [`attribute`] and [`draft`]; [`filter`] what it looks for; [`documents`] is
//! what it is answered, and [`fault`] what it is refused. A source's words differ from vendor to vendor, and a refused word leaves somebody
//! who left active. So everything that is not kept here is dropped with 200, and only a value of ours that cannot be one is refused.
//!
//! Deliberately not here: rules about people (`domain::people`), and what follows from them for integrations
//! (`broker::owners`).

mod attribute;
mod bearer;
pub mod body;
mod documents;
mod draft;
mod fault;
mod filter;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use serde_json::Value;

pub use bearer::{Token, Tokens};
pub use fault::Fault;
pub use filter::Filter;

use self::attribute::USER;
use self::documents::{BASE, MOST_USERS, Shown};
use self::fault::MEDIA;
use super::form::Form;
use super::media;
use crate::broker::Broker;
use crate::broker::directory::{Refused, Wanted};
use crate::domain::people::member::Member;

const QUERY: Fault = Fault::Value("Expected a query in which no parameter stands twice");

/// The routes, for whoever shows one of the tokens.
pub fn router(broker: Broker, tokens: Tokens) -> Router {
    let at = |path: &str| format!("{BASE}{path}");
    let nothing = || any(async || Fault::NotFound);
    Router::new()
        .route(&at("/ServiceProviderConfig"), get(async || document(StatusCode::OK, &documents::provider())))
        .route(&at("/ResourceTypes"), get(async || document(StatusCode::OK, &whole_list(documents::user_type()))))
        .route(&at("/ResourceTypes/{name}"), get(resource_type))
        .route(&at("/Schemas"), get(async || document(StatusCode::OK, &whole_list(documents::user_schema()))))
        .route(&at("/Schemas/{id}"), get(schema))
        .route(&at("/Users"), get(search).post(create))
        .route(&at("/Users/{id}"), get(show).put(replace).patch(change).delete(delete))
        .route(&at("/Groups"), nothing())
        .route(&at("/Groups/{id}"), nothing())
        // Inside the check of the token: only the source itself shows that it is not silent.
        .route_layer(from_fn_with_state(broker.clone(), heard))
        .route_layer(from_fn_with_state(tokens, bearer::pass))
        .with_state(broker)
}

/// Knows that the source spoke. A question counts as a word.
async fn heard(State(broker): State<Broker>, request: Request, next: Next) -> Response {
    broker.hear_directory().await;
    next.run(request).await
}

/// `GET /ResourceTypes/{name}`.
async fn resource_type(Path(name): Path<String>) -> Result<Response, Fault> {
    if name == "User" { Ok(document(StatusCode::OK, &documents::user_type())) } else { Err(Fault::NotFound) }
}

/// `GET /Schemas/{id}`.
async fn schema(Path(id): Path<String>) -> Result<Response, Fault> {
    if id == USER { Ok(document(StatusCode::OK, &documents::user_schema())) } else { Err(Fault::NotFound) }
}

/// `GET /Users`: by a filter, or all of them in pages.
async fn search(State(broker): State<Broker>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    let query = query.unwrap_or_default();
    let query = Form::parse(&query).map_err(|_| QUERY)?;
    let (start, count) = page(&query)?;
    let (total, found) = match query.get("filter") {
        None => broker.people_from(start - 1, count).await?,
        Some(filter) => {
            let filter = Filter::parse(filter)?;
            let wanted = match &filter {
                Filter::UserName(name) => Wanted::UserName(name),
                Filter::ExternalId(id) => Wanted::ExternalId(id),
            };
            let found: Vec<Member> = broker.person(wanted).await?.into_iter().collect();
            (found.len(), found.into_iter().skip(start - 1).take(count).collect())
        }
    };
    let shown = Shown::of(&query);
    let users: Vec<Value> = found.iter().map(|member| documents::shown(member, &shown)).collect();
    Ok(document(StatusCode::OK, &documents::list(&users, start, total)))
}

/// The first user, counted from 1, and how many (RFC 7644 section 3.4.2.4: less than 1 is 1, and less than 0 is 0).
fn page(query: &Form<'_>) -> Result<(usize, usize), Fault> {
    let number = |name: &str| {
        let number = query.get(name).map(|text| text.parse::<i64>().map_err(|_| Fault::Value("Expected whole numbers")));
        number.transpose()
    };
    let within = |number: i64, least: usize, most: usize| usize::try_from(number).unwrap_or(least).clamp(least, most);
    let start = number("startIndex")?.map_or(1, |start| within(start, 1, usize::MAX));
    Ok((start, number("count")?.map_or(MOST_USERS, |count| within(count, 0, MOST_USERS))))
}

/// `POST /Users`.
async fn create(State(broker): State<Broker>, headers: HeaderMap, body: Bytes) -> Result<Response, Fault> {
    ensure_media(&headers)?;
    let member = broker.add_person(body::whole(&body, None)?).await?;
    let mut response = document(StatusCode::CREATED, &documents::user(&member));
    // RFC 7644 section 3.3. Invariant: an id of ours is a valid header.
    if let Ok(place) = documents::place(&member).parse() {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// `GET /Users/{id}`.
async fn show(State(broker): State<Broker>, Path(id): Path<String>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    let query = query.unwrap_or_default();
    let shown = Shown::of(&Form::parse(&query).map_err(|_| QUERY)?);
    let member = broker.person(Wanted::Id(&id)).await?.ok_or(Fault::NotFound)?;
    Ok(document(StatusCode::OK, &documents::shown(&member, &shown)))
}

/// `PUT /Users/{id}`.
async fn replace(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    ensure_media(&headers)?;
    let member = broker.change_person(&id, |before| body::whole(&body, Some(before))).await?;
    Ok(document(StatusCode::OK, &documents::user(&member)))
}

/// `PATCH /Users/{id}`.
async fn change(
    State(broker): State<Broker>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    ensure_media(&headers)?;
    let member = broker.change_person(&id, |before| body::patch(&body, before)).await?;
    Ok(document(StatusCode::OK, &documents::user(&member)))
}

/// `DELETE /Users/{id}`.
async fn delete(State(broker): State<Broker>, Path(id): Path<String>) -> Result<Response, Fault> {
    broker.delete_person(&id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// RFC 7644 section 3.1: `application/scim+json`, and `application/json` is taken too.
fn ensure_media(headers: &HeaderMap) -> Result<(), Fault> {
    if media::is(headers, MEDIA) || media::is(headers, "application/json") { Ok(()) } else { Err(Fault::Media) }
}

fn whole_list(only: Value) -> Value {
    documents::list(&[only], 1, 1)
}

fn document(status: StatusCode, document: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, MEDIA)], document.to_string()).into_response()
}

impl From<Refused<Fault>> for Fault {
    fn from(refused: Refused<Fault>) -> Self {
        match refused {
            Refused::Unknown => Self::NotFound,
            Refused::Clash(clash) => clash.into(),
            Refused::Said(fault) => fault,
            Refused::Away => Self::Away,
            Refused::Unsound => Self::Unsound,
        }
    }
}
