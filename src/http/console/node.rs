//! The console of one node: its sessions, and the answers to a visitor whose page is refused.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};

use super::begun::Begun;
use super::page::{self, Frame, Message};
use super::place::ours;
use super::session::{Sessions, Unread, Visitor};
use crate::authn::sign_in::Client;
use crate::broker::Broker;
use crate::domain::reason;
use crate::http::admin::Problem;
use crate::http::form::Form;
use crate::revocation::Away;

/// The console of a node.
pub struct Console {
    pub(super) broker: Broker,
    /// `None` if sign-in in a browser is not configured; the pages then say so.
    pub(super) client: Option<Client>,
    /// `https://HOST[:PORT]` of `admin_url`.
    pub(super) origin: String,
    pub(super) sessions: Sessions,
    pub(super) begun: Begun,
}

impl Console {
    /// The console at `origin`, where people sign in through `client`.
    pub fn new(broker: Broker, client: Option<Client>, origin: &str) -> Self {
        let is_secure = origin.starts_with("https://");
        Self { broker, client, origin: origin.to_owned(), sessions: Sessions::new(is_secure), begun: Begun::new(is_secure) }
    }

    /// `HOST[:PORT]`.
    pub(super) fn authority(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, authority)| authority)
    }

    /// True if a page of ours made a request that changes something.
    ///
    /// A browser sends the origin of each such request, and no page can make it lie. A sibling under the same registered
    /// domain is another origin too (ABUSE A-05).
    pub(super) fn is_own(&self, headers: &HeaderMap) -> bool {
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

/// The refusal while nobody can say who is signed in: Redis is away.
pub(super) fn away() -> Problem {
    Problem::of(&reason::STORE_UNAVAILABLE)
}

impl FromRequestParts<Arc<Console>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Self, Response> {
        if parts.extensions.get::<Unread>().is_some() {
            return Err(console.told(None, &away()));
        }
        parts.extensions.get::<Self>().cloned().ok_or_else(|| console.to_sign_in(parts))
    }
}

impl Console {
    /// The visitor whose session the cookie names, if it is valid and their access was not ended.
    pub(super) async fn visitor(&self, headers: &HeaderMap) -> Result<Option<Visitor>, Away> {
        let shelf = &self.broker.shelf;
        let found = self.sessions.find(shelf, headers, self.broker.now()).await.inspect_err(|cause| {
            tracing::warn!(%cause, "nobody can say who is signed in");
        })?;
        let is_cut = |visitor: &Visitor| self.broker.journal.view().state.ensure_not_cut(&visitor.staff.person).is_err();
        if found.as_ref().is_some_and(is_cut) {
            self.sessions.close(shelf, headers).await?;
            return Ok(None);
        }
        Ok(found)
    }

    /// Parses a form of a page of this session; otherwise returns the page that refuses it.
    pub(super) fn form<'b>(&self, visitor: &Visitor, headers: &HeaderMap, body: &'b [u8]) -> Result<Form<'b>, Response> {
        let refuse = |reason| self.told(Some(visitor), &Problem::of(reason));
        let form = Form::read(headers, body).map_err(|_| refuse(&reason::REQUEST_MALFORMED))?;
        if visitor.owns(form.get("token")) { Ok(form) } else { Err(refuse(&reason::STAFF_OTHER_SITE)) }
    }

    /// Shows a problem as a page.
    pub(super) fn told(&self, visitor: Option<&Visitor>, problem: &Problem) -> Response {
        self.told_of(visitor, problem, None)
    }

    /// The same, with a link back to the approval that it is about.
    pub(super) fn told_of(&self, visitor: Option<&Visitor>, problem: &Problem, back: Option<String>) -> Response {
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

    /// Redirects a visitor without a session to the sign-in, which then leads back here.
    pub(super) fn to_sign_in(&self, request: &Parts) -> Response {
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
            return Redirect::to(&format!("/console/sign-in?to={}", ours(Some(request.uri.path())))).into_response();
        }
        let mut message = Message::plain("Your session is over", &["Nothing was changed. Sign in, and do it again."]);
        message.sign_in = Some("/console/sign-in");
        page::show(StatusCode::UNAUTHORIZED, &message)
    }
}
