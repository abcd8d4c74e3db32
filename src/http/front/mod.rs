//! The front of every socket: request id, host, body limits, panics, headers and log.
//!
//! Enter through [`wrap`]. It knows no token and no route: it refuses only faults of the message, in fixed words.
//!
//! `server` has connections and their time limits. `http::error` has refusals with a reason.

mod address;
mod body;
mod certificate;
mod doorway;
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
pub use doorway::{Doorway, Routes};
pub use fault::{ErrorShape, Fault};
pub use host::{Hosts, host_matches, host_of, without_port};
pub use ids::RequestIds;

use self::body::Reading;
use super::metrics::{Metrics, Socket};
use crate::domain::value::names::RequestId;
use crate::domain::value::network::Cidr;

/// A request's id and client. The front adds it to the request's extensions.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// Its id.
    pub id: RequestId,
    /// The client's address: the peer of the connection, or the client that a trusted proxy names.
    ///
    /// `None` if the peer is unknown, or the proxy names no client.
    pub client: Option<IpAddr>,
}

/// The settings of a socket's front.
pub struct Front {
    /// The socket.
    pub socket: Socket,
    /// The format in which it writes errors.
    pub shape: ErrorShape,
    /// The hosts it answers to.
    ///
    /// `/livez` and `/readyz` answer to all: a probe sends whatever host it likes.
    pub hosts: Hosts,
    /// The size limits of bodies.
    pub bodies: BodyLimits,
    /// The time a body may take to arrive.
    pub body_time: Duration,
    /// The time a handler may take after that.
    pub handler_time: Duration,
    /// Proxies that may name the client.
    pub trusted_proxies: Vec<Cidr>,
    /// The generator of request ids.
    pub ids: RequestIds,
    /// The metrics that count answers and panics.
    pub metrics: Arc<Metrics>,
}

impl Front {
    /// The time for a body: eight seconds (ABUSE D-02).
    pub const BODY_TIME: Duration = Duration::from_secs(8);
    /// The time for a handler: thirty seconds.
    pub const HANDLER_TIME: Duration = Duration::from_secs(30);
}

/// The header with a request's id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Adds the front to a complete router. It does not cover routes that are added later.
///
/// Handlers find an [`Arrival`] in the request's extensions, and a body that is bounded in size and time.
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

/// A route behind the front.
///
/// axum's own middleware would do the same with two more objects for each request.
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
    // 1. Our own id: a caller could choose one that matches somebody else's in journal and logs.
    let id = front.ids.next();
    let facts = log::Facts::taken(&mut request);
    // 2. The client. Probes get an answer whatever a proxy says about them.
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
            // A handler whose body failed has no answer of its own. If a handler did not read the body, the rest is still on
            // the connection.
            match reading.fault() {
                Some(fault) => fault.response(front.shape),
                None if reading.is_whole() => response,
                None => closing(response),
            }
        }
        Err(fault) => fault.response(front.shape),
    };
    // 4. The headers of every answer, the metrics, and the log line.
    add_headers(&mut response, &id);
    front.metrics.request(front.socket, facts.route(), response.status().as_u16());
    facts.write(front.socket, &id, &response, started.elapsed());
    Ok(response)
}

/// The client's address. It also adds the certificate that a trusted proxy sent to the request.
///
/// A trusted proxy's headers are accepted or refused, never dropped.
fn origin(front: &Front, peer: Option<PeerAddress>, request: &mut Request) -> Result<Option<IpAddr>, Fault> {
    let Some(PeerAddress(peer)) = peer else { return Ok(None) };
    if !front.trusted_proxies.iter().any(|network| network.contains(peer)) {
        return Ok(Some(peer));
    }
    let client = address::client_address(peer, request.headers(), &front.trusted_proxies).map_err(|_| Fault::Forwarded)?;
    let certificate = certificate::forwarded(request.headers()).map_err(|_| Fault::ClientCert)?;
    // A certificate of our own handshake wins; the proxy's counts only if there was none.
    if let Some(certificate) = certificate
        && request.extensions().get::<PeerCertificate>().is_none()
    {
        request.extensions_mut().insert(certificate);
    }
    Ok(client)
}

/// True for the routes that answer to every host and every proxy.
///
/// A probe sends whatever host it likes.
fn is_probe(route: &str) -> bool {
    matches!(route, "/livez" | "/readyz")
}

/// Checks the host and bounds the body.
///
/// A handler reads the body only once it knows the caller (ABUSE A-01, I-21).
fn admit(front: &Front, request: Request) -> Result<(Request, Arc<Reading>), Fault> {
    let (parts, body) = request.into_parts();
    let route = parts.extensions.get::<MatchedPath>().map_or(log::NO_ROUTE, MatchedPath::as_str);
    if !is_probe(route) && !front.hosts.admit(&parts) {
        return Err(Fault::Host);
    }
    let (body, reading) = body::bounded(body, body::is_coded(&parts.headers), front.bodies.of(route), front.body_time);
    Ok((Request::from_parts(parts, body), reading))
}

/// Closes the connection after this response: the rest of the request on it is not read.
fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Runs the route. A panic becomes a 500 with an id instead of a closed connection (ABUSE S10).
async fn handle(front: &Front, request: Request, route: Route, id: &RequestId) -> Response {
    let mut running = pin!(route.oneshot(request));
    let caught = std::future::poll_fn(|cx| {
        // The future is not polled again after a panic, and everything it shares with others has its own locks.
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

/// Safe default headers. A route may set its own.
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
