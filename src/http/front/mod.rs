//! The front of every socket: request id, host, body limits, panic, headers and log of each request.
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

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;
use axum::routing::Route;
use tokio::time::timeout;
use tower::layer::layer_fn;
use tower::{Service, ServiceExt as _};

pub use address::PeerAddress;
pub use body::BodyLimits;
pub use certificate::{PeerCertificate, Unreadable, client_cert};
pub use fault::{ErrorShape, Fault};
pub use host::{Hosts, host_matches, host_of, without_port};
pub use ids::RequestIds;

use self::body::Reading;
use super::metrics::{Metrics, Socket};
use crate::domain::value::names::RequestId;
use crate::domain::value::network::Cidr;

/// The arrival of a request, as the front saw it: an extension of the request.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its id.
    pub id: RequestId,
    /// Where it comes from, as far as we trust what is said of it: the peer of the connection, or the client that a trusted proxy names.
    /// Nothing where the peer is unknown, or the proxy names no client.
    pub client: Option<IpAddr>,
}

/// The settings of a socket's front.
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

/// Puts the front before a complete router: routes that are added later are not covered.
///
/// Handlers find an [`Arrival`] among the request's extensions, and a body that is bounded in size and time.
pub fn wrap(router: Router, front: Front) -> Router {
    let shape = front.shape;
    router
        .fallback(move || std::future::ready(Fault::NoRoute.response(shape)))
        .method_not_allowed_fallback(move || std::future::ready(Fault::Method.response(shape)))
        .layer({
            let front = Arc::new(front);
            layer_fn(move |route| Behind { front: Arc::clone(&front), route })
        })
}

/// A route behind the front. axum's own middleware would do the same with two more objects for each request.
#[derive(Clone)]
struct Behind {
    front: Arc<Front>,
    route: Route,
}

impl Service<Request> for Behind {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        <Route as Service<Request>>::poll_ready(&mut self.route, cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Box::pin(pass(Arc::clone(&self.front), request, self.route.clone()))
    }
}

async fn pass(front: Arc<Front>, mut request: Request, route: Route) -> Result<Response, Infallible> {
    let started = Instant::now();
    // 1. An id of our own: one that a caller chose could be made to match somebody else's in journal and logs.
    let id = front.ids.next();
    let facts = log::Facts::taken(&mut request);
    // 2. Whose it is. Probes are answered whatever a proxy says of them.
    let told = origin(&front, facts.peer, &mut request);
    let client = told.ok().flatten();
    request.extensions_mut().insert(Arrival { id: id.clone(), client });
    // 3. The message, then the route.
    let admitted = match told {
        Err(fault) if !is_probe(facts.route()) => Err(fault),
        _ => admit(&front, request),
    };
    let mut response = match admitted {
        Ok((request, reading)) => {
            let response = handle(&front, request, route, &id).await;
            // A handler that could not have the body knows no more than that. One that did not want it leaves it on the connection.
            match reading.fault() {
                Some(fault) => fault.response(front.shape),
                None if reading.is_whole() => response,
                None => closing(response),
            }
        }
        Err(fault) => fault.response(front.shape),
    };
    // 4. What every answer carries, and what is kept of it.
    add_headers(&mut response, &id);
    front.metrics.request(front.socket, facts.route(), response.status().as_u16());
    facts.write(front.socket, &id, response.status(), started.elapsed());
    Ok(response)
}

/// Where a request comes from; what a trusted proxy says of its client's certificate is put on the request. What such a proxy sends is
/// taken or refused, never dropped.
fn origin(front: &Front, peer: Option<PeerAddress>, request: &mut Request) -> Result<Option<IpAddr>, Fault> {
    let Some(PeerAddress(peer)) = peer else { return Ok(None) };
    if !front.trusted_proxies.iter().any(|network| network.contains(peer)) {
        return Ok(Some(peer));
    }
    let client = address::client_address(peer, request.headers(), &front.trusted_proxies).map_err(|_| Fault::Forwarded)?;
    let certificate = certificate::forwarded(request.headers()).map_err(|_| Fault::ClientCert)?;
    // What a handshake of our own proved stands; a proxy's word counts only where there was none.
    if let Some(certificate) = certificate
        && request.extensions().get::<PeerCertificate>().is_none()
    {
        request.extensions_mut().insert(certificate);
    }
    Ok(client)
}

/// Routes that answer to every host and every proxy: whoever asks names an address of its own making.
fn is_probe(route: &str) -> bool {
    matches!(route, "/livez" | "/readyz")
}

/// Host, and a body that is read when a handler asks for it: whoever sends it is known first (ABUSE A-01, I-21).
fn admit(front: &Front, request: Request) -> Result<(Request, Arc<Reading>), Fault> {
    let (parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map_or(log::NO_ROUTE, MatchedPath::as_str);
    if !is_probe(route) && !front.hosts.admit(&parts) {
        return Err(Fault::Host);
    }
    let (body, reading) = body::bounded(body, body::is_coded(&parts.headers), front.bodies.of(route), front.body_time);
    Ok((Request::from_parts(parts, body), reading))
}

/// The connection ends with this answer: what is left of the request on it is not read.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Runs the route. A panic becomes an answer, so that a defect is a 500 with an id and not a closed connection (ABUSE S10).
async fn handle(front: &Front, request: Request, route: Route, id: &RequestId) -> Response {
    let mut running = pin!(route.oneshot(request));
    let caught = std::future::poll_fn(|cx| {
        // The future is not polled again after a panic, and what it shares with others is behind locks of their own.
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    });
    match timeout(front.handler_time, caught).await {
        Ok(Some(Ok(response))) => response,
        Ok(None) => {
            front.metrics.panicked();
            tracing::error!(request_id = id.as_str(), "a handler panicked; this is a defect");
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

fn add_headers(response: &mut Response, id: &RequestId) {
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
}

#[cfg(test)]
pub(crate) mod tests;
