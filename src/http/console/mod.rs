//! The console: pages for people on the admin socket. So far it has the pages about approvals.
//!
//! Enter through [`Console::new`] and [`beside`]. A page is HTML from the server (askama, every value escaped). There is no
//! framework. The one script only puts an authenticator's answer into a form and shows times in the reader's own zone.
//! Everything works by keyboard and, except passkeys, without the script.
//!
//! Every page obeys these rules:
//! - **Who.** A session begins at the company's identity provider ([`sign_in`]) and is a cookie with an unguessable value
//!   ([`session`]). The same cookie authenticates for `/v1` (docs/reference/admin-api.md).
//! - **From where.** A request that changes something must come from a page of ours: its `Origin` is the console's own, and the
//!   form has the session's token (ABUSE A-05). `GET` changes nothing (E-18).
//! - **At which address.** Pages, cookies and passkeys belong to the host of `admin_url`; a request to another name is
//!   redirected there.
//!
//! Sessions and what was begun lie where all nodes see them, so a browser may go from node to node.

mod approvals;
mod begun;
mod bound;
pub mod briefing;
mod decision;
pub mod dossier;
mod node;
mod page;
mod passkeys;
pub mod place;
pub mod session;
mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};

use self::place::QUEUE;
use self::session::Unread;
use super::admin::Problem;
use super::cached::{self, Kept};
use super::front::{ErrorShape, Fault, host_matches, host_of};
use crate::domain::reason;

pub use self::node::Console;

/// The policy of every page: our own style, script and forms; no frame, no base, nothing inline.
///
/// ABUSE.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// Adds the pages to the other routes of the admin socket, and recognises sessions on all of them.
pub fn beside(others: Router, console: Console) -> Router {
    let console = Arc::new(console);
    others.merge(routes(&console)).layer(from_fn_with_state(console, recognise))
}

fn routes(console: &Arc<Console>) -> Router {
    Router::new()
        .route("/", get(async || Redirect::to(QUEUE)))
        .route("/console", get(async || Redirect::to(QUEUE)))
        .route(QUEUE, get(approvals::queue))
        .route("/console/approvals/{id}", get(approvals::one).post(approvals::review))
        .route("/console/passkeys", get(passkeys::list).post(passkeys::register))
        .route("/console/passkeys/{id}/revoke", post(passkeys::revoke))
        .route("/console/sign-in", get(sign_in::begin))
        .route("/console/callback", get(sign_in::callback))
        .route("/console/sign-out", post(sign_in::end))
        .route(
            "/console/console.css",
            get(async |headers: HeaderMap| asset(&headers, "text/css", include_str!("pages/console.css"))),
        )
        .route(
            "/console/console.js",
            get(async |headers: HeaderMap| asset(&headers, "text/javascript", include_str!("pages/console.js"))),
        )
        .layer(from_fn(guard))
        .with_state(Arc::clone(console))
}

fn asset(headers: &HeaderMap, media: &'static str, text: &'static str) -> Response {
    cached::document(headers, Kept { media, control: "no-cache" }, text)
}

async fn guard(request: Request, next: Next) -> Response {
    // axum answers HEAD like GET. Nobody sends HEAD for a page (ABUSE E-18).
    if request.method() == Method::HEAD {
        return Fault::Method.response(ErrorShape::Problem);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With `no-referrer` a browser sends no origin with a form either (Fetch, "append a request Origin header"), and we need it.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// Recognises the session of a request to the admin socket, and redirects pages to their address.
async fn recognise(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let is_page = request.uri().path() == "/" || request.uri().path().starts_with("/console");
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_page && reads {
        let named = host_of(request.uri(), request.headers());
        if !named.is_some_and(|host| host_matches(host, console.authority())) {
            let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
            let place = HeaderValue::from_str(&format!("{}{}{query}", console.origin, request.uri().path()));
            // A path or query with bytes that a header cannot have is not an address of ours.
            let Ok(place) = place else { return Fault::NoRoute.response(ErrorShape::Problem) };
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response();
        }
    }
    // A bearer token proves itself, and no browser sends one by itself.
    if request.headers().contains_key(header::AUTHORIZATION) {
        return next.run(request).await;
    }
    match console.visitor(request.headers()).await {
        Ok(Some(visitor)) => {
            if !reads && !console.is_own(request.headers()) {
                let refused = Problem::of(&reason::STAFF_OTHER_SITE);
                return if is_page { console.told(None, &refused) } else { refused.into_response() };
            }
            request.extensions_mut().insert(visitor);
        }
        Ok(None) => {}
        // Whatever needs to know who it is refuses. Whatever does not, such as a style sheet, answers.
        Err(_) => drop(request.extensions_mut().insert(Unread)),
    }
    next.run(request).await
}
