//! The console: pages for people on the admin socket. Its first room is the approval page.
//!
//! Enter through [`Console::new`] and [`beside`]. A page is HTML from the server (askama, every value escaped); there is no
//! framework, and the one script does nothing but hand what an authenticator says to a form and write times in the reader's own zone.
//! Everything works by keyboard and, but for passkeys, without the script.
//!
//! What holds for every page:
//! - **Who.** A session begins at the company's identity provider ([`sign_in`]) and is a cookie of an unguessable name ([`session`]). The
//!   same cookie is a bearer for `/v1` (docs/reference/admin-api.md).
//! - **From where.** A request that changes something must come from a page of ours: its `Origin` is the console's own, and the form holds
//!   the session's token (ABUSE A-05). `GET` changes nothing (E-18).
//! - **At which address.** Pages, cookies and passkeys live at the host of `admin_url`; who comes by another name is sent there.
//!
//! Sessions are a node's own: where several nodes stand behind one address, the proxy keeps a browser at one of them.

mod approvals;
pub mod briefing;
mod decision;
pub mod dossier;
mod page;
mod passkeys;
pub mod session;
mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};

use self::page::{Frame, Message};
use self::session::{Sessions, Visitor};
use self::sign_in::Begun;
use super::admin::Problem;
use super::cached::{self, Kept};
use super::form::Form;
use super::front::{ErrorShape, Fault, host_matches, host_of};
use crate::authn::sign_in::Client;
use crate::broker::Broker;
use crate::domain::reason;
use crate::domain::value::text::visible;

/// The console of one node.
pub struct Console {
    broker: Broker,
    /// Nothing where no sign-in in a browser is configured: the pages say so.
    client: Option<Client>,
    /// `https://HOST[:PORT]` of `admin_url`.
    origin: String,
    sessions: Sessions,
    begun: Begun,
}

impl Console {
    /// The console at `origin`, where people sign in by `client`.
    pub fn new(broker: Broker, client: Option<Client>, origin: &str) -> Self {
        let is_secure = origin.starts_with("https://");
        Self { broker, client, origin: origin.to_owned(), sessions: Sessions::new(is_secure), begun: Begun::new(is_secure) }
    }

    /// `HOST[:PORT]`.
    fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// Whether a request that changes something was made by a page of ours. A browser tells where each of them comes from, and no page can
    /// make it lie; a sibling under the same registered domain is another origin too (ABUSE A-05).
    fn is_own(&self, headers: &HeaderMap) -> bool {
        let only = |name| {
            let mut values = headers.get_all(name).iter();
            values.next().filter(|_| values.next().is_none()).and_then(|value| value.to_str().ok())
        };
        let site = headers.get("sec-fetch-site").is_none() || only("sec-fetch-site") == Some("same-origin");
        only("origin") == Some(self.origin.as_str()) && site
    }
}

impl FromRef<Arc<Console>> for Broker {
    fn from_ref(console: &Arc<Console>) -> Self {
        console.broker.clone()
    }
}

/// What a page may do: load our own style and script, and send forms to us. No frame around it, no base, nothing inline (ABUSE ).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; form-action 'self'; base-uri 'none'; \
    frame-ancestors 'none'";

/// The pages, beside the other routes of the admin socket; whose session a request shows is looked at for all of them.
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

/// Where a visit begins.
const QUEUE: &str = "/console/approvals";

/// Somebody's text as a page shows it: lines stay lines, and nothing hides or reorders what is beside it.
fn shown(text: &str) -> String {
    visible(text, |c| c == '\n')
}

/// The page of one approval.
pub fn address(origin: &str, approval: &str) -> String {
    format!("{origin}{QUEUE}/{approval}")
}

fn asset(headers: &HeaderMap, media: &'static str, text: &'static str) -> Response {
    cached::document(headers, Kept { media, control: "no-cache" }, text)
}

async fn guard(request: Request, next: Next) -> Response {
    // axum answers HEAD like GET; nobody asks for a page so (ABUSE E-18).
    if request.method() == Method::HEAD {
        return Fault::Method.response(ErrorShape::Problem);
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With `no-referrer` a browser names no origin when it sends a form either (Fetch, "append a request Origin header"), and ours must.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

/// What every request of the admin socket passes: whose session it shows, if any; and pages have one address.
async fn recognise(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let is_page = request.uri().path() == "/" || request.uri().path().starts_with("/console");
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if is_page && reads {
        let named = host_of(request.uri(), request.headers());
        if !named.is_some_and(|host| host_matches(host, console.authority())) {
            let query = request.uri().query().map_or(String::new(), |query| format!("?{query}"));
            let place = HeaderValue::from_str(&format!("{}{}{query}", console.origin, request.uri().path()));
            // A path or query of bytes that no header can hold is no address of ours.
            let Ok(place) = place else { return Fault::NoRoute.response(ErrorShape::Problem) };
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, place)]).into_response();
        }
    }
    // A bearer is its own proof, and no browser sends one by itself.
    if !request.headers().contains_key(header::AUTHORIZATION)
        && let Some(visitor) = console.visitor(request.headers())
    {
        if !reads && !console.is_own(request.headers()) {
            let refused = Problem::of(&reason::STAFF_OTHER_SITE);
            return if is_page { console.told(None, &refused) } else { refused.into_response() };
        }
        request.extensions_mut().insert(visitor);
    }
    next.run(request).await
}

impl Console {
    /// Whose session the cookie names, if it counts and the person's access was not ended.
    fn visitor(&self, headers: &HeaderMap) -> Option<Visitor> {
        let visitor = self.sessions.find(headers, self.broker.now())?;
        match self.broker.journal.view().state.ensure_not_cut(&visitor.staff.person) {
            Ok(()) => Some(visitor),
            Err(_) => {
                self.sessions.close(headers);
                None
            }
        }
    }

    /// A form of a page of this session; the page that refuses it otherwise.
    fn form<'b>(&self, visitor: &Visitor, headers: &HeaderMap, body: &'b [u8]) -> Result<Form<'b>, Response> {
        let refuse = |reason| self.told(Some(visitor), &Problem::of(reason));
        let form = Form::read(headers, body).map_err(|_| refuse(&reason::REQUEST_MALFORMED))?;
        if visitor.owns(form.get("token")) { Ok(form) } else { Err(refuse(&reason::STAFF_OTHER_SITE)) }
    }

    /// A problem as a page.
    fn told(&self, visitor: Option<&Visitor>, problem: &Problem) -> Response {
        self.told_of(visitor, problem, None)
    }

    /// The same, with the way back to the approval that it is about.
    fn told_of(&self, visitor: Option<&Visitor>, problem: &Problem, back: Option<String>) -> Response {
        let (status, reason, faults) = problem.parts();
        let mut lines: Vec<String> = faults.iter().map(|fault| fault.message.clone()).collect();
        lines.push(reason.why.to_owned());
        lines.push(reason.fix.to_owned());
        let message = Message {
            frame: visitor.map(Frame::of),
            heading: reason.what.to_owned(),
            lines,
            code: reason.code,
            back,
            sign_in: (reason == &reason::STAFF_STALE).then_some("/console/sign-in?anew=yes"),
        };
        page::show(status, &message)
    }

    /// What is shown to who has no session: where to get one, and back to here.
    fn to_sign_in(&self, request: &axum::http::request::Parts) -> Response {
        if self.client.is_none() {
            return page::show(
                StatusCode::NOT_FOUND,
                &Message::plain(
                    "Nobody can sign in here",
                    &[
                        "Sign-in in a browser is not configured: [staff] client_id in carnet.toml names the client that the company's identity provider knows.",
                        "The command line and the API work without it.",
                    ],
                ),
            );
        }
        if request.method == Method::GET {
            return Redirect::to(&format!("/console/sign-in?to={}", sign_in::ours(Some(request.uri.path())))).into_response();
        }
        let mut message = Message::plain("Your session is over", &["Nothing was changed. Sign in, and do it again."]);
        message.sign_in = Some("/console/sign-in");
        page::show(StatusCode::UNAUTHORIZED, &message)
    }
}
