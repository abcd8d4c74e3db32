//! What every request passes before its route, and every answer after it: request id, host, body limits, panic, headers, log.
//!
//! Enter through [`wrap`]. It knows no token and no route: refusals here are faults of the message, in fixed words.
//!
//! Not here: connections and their time limits (`server`), refusals with a reason (`http::error`).

mod address;
mod body;
mod certificate;
mod fault;
mod host;
mod ids;
mod log;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tokio::time::timeout;

pub use address::{ClientAddress, PeerAddress};
pub use body::BodyLimits;
pub use certificate::{PeerCertificate, client_cert};
pub use fault::{ErrorShape, Fault};
pub use host::{Hosts, host_matches, host_of};
pub use ids::RequestIds;

use super::metrics::{Metrics, Socket};
use crate::domain::names::RequestId;
use crate::domain::network::Cidr;

/// On a request that comes from an address among the trusted proxies.
#[derive(Clone, Copy, Debug)]
pub struct TrustedProxy;

/// What the front of a socket needs to know.
pub struct Front {
    /// Which socket.
    pub socket: Socket,
    /// How it writes errors.
    pub shape: ErrorShape,
    /// Which hosts it answers to. `/livez` and `/readyz` answer to all: a probe names an address of its own making.
    pub hosts: Hosts,
    /// How large bodies may be.
    pub bodies: BodyLimits,
    /// How long a body may take to arrive.
    pub body_time: Duration,
    /// How long a handler may take after that.
    pub handler_time: Duration,
    /// Proxies that may say whose request it is.
    pub trusted_proxies: Vec<Cidr>,
    /// Request ids.
    pub ids: RequestIds,
    /// Where answers and panics are counted.
    pub metrics: Arc<Metrics>,
}

impl Front {
    /// Eight seconds for a body (ABUSE D-02), thirty for a handler.
    pub const BODY_TIME: Duration = Duration::from_secs(8);
    /// See [`Self::BODY_TIME`].
    pub const HANDLER_TIME: Duration = Duration::from_secs(30);
}

/// The name of the header that carries a request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The route of requests that no route matched, in logs and metrics.
const NO_ROUTE: &str = "none";

/// Puts the front before a complete router: routes that are added later are not covered.
///
/// Handlers find a [`RequestId`] and, where the peer is known, a [`ClientAddress`] among the request's extensions, and a body
/// that is whole.
pub fn wrap(router: Router, front: Front) -> Router {
    let shape = front.shape;
    router
        .fallback(move || std::future::ready(Fault::NoRoute.response(shape)))
        .method_not_allowed_fallback(move || std::future::ready(Fault::Method.response(shape)))
        .layer(from_fn_with_state(Arc::new(front), pass))
}

async fn pass(State(front): State<Arc<Front>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    // 1. An id of our own: one that a caller chose could be made to match somebody else's in journal and logs.
    let id = front.ids.next();
    let facts = log::Facts::of(&request);
    // 22 characters of base64url are a RequestId; should that ever change, the request goes on without one in its extensions.
    if let Ok(id) = id.parse::<RequestId>() {
        request.extensions_mut().insert(id);
    }
    if let Some(PeerAddress(peer)) = facts.peer {
        if front.trusted_proxies.iter().any(|network| network.contains(peer)) {
            request.extensions_mut().insert(TrustedProxy);
        }
        let client = address::client_address(peer, request.headers(), &front.trusted_proxies);
        request.extensions_mut().insert(client);
        // What a handshake of our own proved stands; a proxy's word counts only where there was none.
        if request.extensions().get::<PeerCertificate>().is_none()
            && let Some(certificate) = certificate::forwarded(peer, request.headers(), &front.trusted_proxies)
        {
            request.extensions_mut().insert(certificate);
        }
    }
    // 2. The message, then the route.
    let mut response = match admit(&front, request).await {
        Ok(request) => handle(&front, request, next, &id).await,
        Err(fault) => fault.response(front.shape),
    };
    // 3. What every answer carries, and what is kept of it.
    add_headers(&mut response, &id);
    front.metrics.request(front.socket, facts.route(), response.status().as_u16());
    facts.write(front.socket, &id, response.status(), started.elapsed());
    response
}

/// Host, content coding, body: in the order of what they cost.
async fn admit(front: &Front, request: Request) -> Result<Request, Fault> {
    let (parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map_or(NO_ROUTE, MatchedPath::as_str);
    if !matches!(route, "/livez" | "/readyz") && !front.hosts.admit(&parts) {
        return Err(Fault::Host);
    }
    body::check_coding(&parts.headers)?;
    let whole = body::read(body, front.bodies.of(route), front.body_time).await?;
    Ok(Request::from_parts(parts, Body::from(whole)))
}

/// Runs the route. A panic becomes an answer, so that a defect is a 500 with an id and not a closed connection (ABUSE S10).
async fn handle(front: &Front, request: Request, next: Next, id: &str) -> Response {
    let mut running = pin!(next.run(request));
    let caught = std::future::poll_fn(|cx| {
        // The future is not polled again after a panic, and what it shares with others is behind locks of their own.
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    });
    match timeout(front.handler_time, caught).await {
        Ok(Some(response)) => response,
        Ok(None) => {
            front.metrics.panicked();
            tracing::error!(request_id = id, "a handler panicked; this is a defect");
            Fault::Panic.response(front.shape)
        }
        Err(_) => Fault::Late.response(front.shape),
    }
}

/// Safe defaults; a route that knows better has set its own.
const DEFAULTS: [(HeaderName, &str); 4] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

fn add_headers(response: &mut Response, id: &str) {
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
}

#[cfg(test)]
pub(crate) mod tests;
