//! The public socket: what partners' workloads and internal APIs call, for every environment.
//!
//! Environments are told apart by host and path of their issuers, which operators choose. Each path is a literal route, so nothing is
//! normalised into another (ABUSE D-17); the host is compared here, and one that no environment has at this path is answered 421.

pub mod elevations;
pub mod enrolment;
mod held;
pub mod introspection;
pub mod publication;
pub mod token;
pub mod verification;

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

use crate::broker::Broker;
use crate::broker::exchange::Denied;
use crate::domain::change::Environment;
use crate::domain::decision::Refused;
use crate::domain::names::{EnvironmentName, Issuer, RequestId};
use crate::domain::peer::Peer;
use crate::domain::reason;
use crate::http::error::{Slotted, refuse};
use crate::http::front::{self, Arrival, ErrorShape, Fault, PeerCertificate};
use crate::http::metrics::Metrics;
use crate::issuance::KeySet;
use enrolment::Operation;
use publication::Flavour;

/// The longest body of the OAuth endpoints that a handler reads; the front has refused what is over `body_limit`.
const MOST: usize = 2 * 1024 * 1024;

/// What the public socket needs.
pub struct Public {
    broker: Broker,
    metrics: Arc<Metrics>,
    places: Vec<Place>,
    /// The hosts of the mTLS socket, where this is its side.
    mtls: Option<Vec<String>>,
    /// `https://…` of the mTLS socket, as it is published.
    mtls_url: Option<Arc<str>>,
}

/// An environment's address.
struct Place {
    environment: EnvironmentName,
    issuer: Issuer,
    authority: String,
    path: String,
}

/// One request in one environment.
pub struct Here {
    /// The broker.
    pub broker: Broker,
    /// The counters.
    pub metrics: Arc<Metrics>,
    /// The environment.
    pub environment: EnvironmentName,
    /// Its issuer.
    pub issuer: Issuer,
    /// The request's id.
    pub request: RequestId,
    /// Where it comes from.
    pub peer: IpAddr,
    /// Whether the operator lists its address among the trusted proxies.
    pub by_trusted_proxy: bool,
    /// `https://…` of the mTLS socket, as it is published.
    pub mtls: Option<Arc<str>>,
    /// The client certificate of its connection, verified by this environment's authorities or a bundle that its bindings name.
    pub certificate: Option<Peer>,
    /// When it began, for the histogram.
    pub started: Instant,
}

impl Here {
    /// What the issuer's URL is on the mTLS socket.
    pub fn mtls_base(&self) -> Option<String> {
        let (_, rest) = self.issuer.as_str().split_once("://")?;
        let path = rest.find('/').map_or("", |at| rest.split_at(at).1);
        Some(format!("{}{path}", self.mtls.as_deref()?))
    }
}

/// A route below an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Route {
    Bundle,
    Elevation,
    Elevations,
    Enrolment(Operation),
    Introspect,
    Jwks(KeySet),
    List,
    Metadata(Flavour),
    Status,
    StatusInPath,
    Revoke,
    Token,
    Verify,
}

const ROUTES: [(&str, Route); 15] = [
    ("/.well-known/oauth-authorization-server", Route::Metadata(Flavour::OAuth)),
    ("/.well-known/openid-configuration", Route::Metadata(Flavour::OpenId)),
    ("/bundle", Route::Bundle),
    ("/elevations", Route::Elevations),
    ("/elevations/{id}", Route::Elevation),
    ("/crl", Route::List),
    ("/crl/{kid}", Route::List),
    ("/introspect", Route::Introspect),
    ("/ocsp", Route::Status),
    ("/ocsp/{*question}", Route::StatusInPath),
    ("/jwks", Route::Jwks(KeySet::Default)),
    ("/jwks/ed25519", Route::Jwks(KeySet::Edwards)),
    ("/revoke", Route::Revoke),
    ("/token", Route::Token),
    ("/verify", Route::Verify),
];

/// Below `/.well-known/est/ENVIRONMENT` of the mTLS socket (RFC 7030 section 3.2.2).
const ENROLMENT: [(&str, Operation); 3] =
    [("cacerts", Operation::CaCerts), ("simpleenroll", Operation::Enroll), ("simplereenroll", Operation::Reenroll)];

impl Public {
    /// The public socket of these environments.
    pub fn new(broker: Broker, metrics: Arc<Metrics>, environments: &BTreeMap<EnvironmentName, Environment>) -> Self {
        let place = |(name, environment): (&EnvironmentName, &Environment)| {
            let (_, rest) = environment.issuer.as_str().split_once("://")?;
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let (authority, path) = (authority.to_owned(), path.to_owned());
            Some(Place { environment: name.clone(), issuer: environment.issuer.clone(), authority, path })
        };
        Self { broker, metrics, places: environments.iter().filter_map(place).collect(), mtls: None, mtls_url: None }
    }

    /// The same, with the address of the mTLS socket in its metadata.
    #[must_use]
    pub fn naming(self, mtls_url: Option<&str>) -> Self {
        Self { mtls_url: mtls_url.map(Arc::from), ..self }
    }

    /// The same routes on the mTLS socket, which answers to `hosts` besides, and enrolment.
    pub fn on_mtls(
        broker: Broker,
        metrics: Arc<Metrics>,
        environments: &BTreeMap<EnvironmentName, Environment>,
        hosts: Vec<String>,
    ) -> Self {
        Self { mtls: Some(hosts), ..Self::new(broker, metrics, environments) }
    }

    /// The hosts of all environments, for the front.
    pub fn hosts(&self) -> Vec<String> {
        self.places.iter().map(|place| place.authority.clone()).collect()
    }

    /// The routes of all environments.
    pub fn router(self) -> Router {
        let public = Arc::new(self);
        let mut routes: BTreeSet<(String, usize, String)> = BTreeSet::new();
        for place in &public.places {
            for (number, (suffix, route)) in ROUTES.iter().enumerate() {
                routes.insert((format!("{}{suffix}", place.path), number, place.path.clone()));
                if matches!(route, Route::Metadata(_)) {
                    // RFC 8414 section 3.1 inserts the well-known part before the issuer's path; OIDC Discovery appends it.
                    routes.insert((format!("{suffix}{}", place.path), number, place.path.clone()));
                }
            }
        }
        let mut router = Router::new();
        if public.mtls.is_some() {
            for place in &public.places {
                for (name, operation) in ENROLMENT {
                    let path = format!("/.well-known/est/{}/{name}", place.environment);
                    // The environment stands in the path: whatever host the certificate of the socket is for serves it.
                    router = router.route(&path, Route::Enrolment(operation).handler(place.path.clone()));
                }
            }
        }
        let mut taken = BTreeSet::new();
        for (path, number, below) in routes {
            // Two environments on two hosts may have one path: one route, told apart by the host.
            if taken.insert(path.clone()) {
                router = router.route(&path, ROUTES[number].1.handler(below));
            }
        }
        router.with_state(public)
    }

    fn find(&self, request: &Request, path: &str) -> Option<&Place> {
        let named = front::host_of(request.uri(), request.headers())?;
        let own = self.mtls.iter().flatten().any(|host| front::host_matches(named, host));
        let here = |place: &&Place| own || front::host_matches(named, &place.authority);
        match request.uri().path().strip_prefix("/.well-known/est/").and_then(|rest| rest.split_once('/')) {
            Some((environment, _)) => self.places.iter().find(|place| place.environment.as_str() == environment && here(place)),
            None => self.places.iter().find(|place| place.path == path && here(place)),
        }
    }
}

impl Route {
    fn handler(self, path: String) -> MethodRouter<Arc<Public>> {
        let path: Arc<str> = path.into();
        let handle = move |Shared(public): Shared<Arc<Public>>, request: Request| self.answer(&public, &path, request);
        match self {
            Self::Elevations
            | Self::Introspect
            | Self::Revoke
            | Self::Status
            | Self::Token
            | Self::Enrolment(Operation::Enroll | Operation::Reenroll) => post(handle),
            Self::Verify => get(handle.clone()).post(handle),
            Self::StatusInPath => get(handle),
            Self::Bundle
            | Self::Elevation
            | Self::Enrolment(Operation::CaCerts)
            | Self::Jwks(_)
            | Self::List
            | Self::Metadata(_) => get(handle),
        }
    }

    /// What is answered at once, or what will be: each route's own future, no larger than it must be. A future of all of them would be as
    /// large as the largest, and moved with every request.
    fn answer(self, public: &Public, path: &str, request: Request) -> Answer {
        let Some(place) = public.find(&request, path) else {
            return at_once(Fault::Host.response(ErrorShape::OAuth));
        };
        // A token in a query ends in logs (ABUSE A-15): the routes that take one take no query.
        let takes_query = matches!(self, Self::Bundle | Self::Jwks(_) | Self::Metadata(_) | Self::Verify);
        if request.uri().query().is_some() && !takes_query {
            return at_once(StatusCode::BAD_REQUEST.into_response());
        }
        let Some(here) = here(public, place, &request) else {
            return at_once(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        // Without a certificate only these two answer there: nothing falls through to what an assertion alone may do (ABUSE M-01).
        let open = matches!(self, Self::Enrolment(Operation::CaCerts | Operation::Enroll));
        if public.mtls.is_some() && here.certificate.is_none() && !open {
            return at_once(without_certificate(&here));
        }
        let (parts, body) = request.into_parts();
        let (headers, uri) = (parts.headers, parts.uri);
        match self {
            Self::Metadata(flavour) => at_once(publication::metadata(&here, flavour, &headers)),
            Self::Jwks(set) => at_once(publication::jwks(&here, set, &headers)),
            Self::Bundle => at_once(publication::trust_bundle(&here, &headers)),
            Self::List => {
                let kid = uri.path().rsplit_once("/crl/").map(|(_, kid)| kid);
                at_once(enrolment::revocation_list(&here, kid))
            }
            Self::Enrolment(Operation::CaCerts) => at_once(enrolment::authorities(&here)),
            Self::Elevation => {
                let id = uri.path().rsplit_once("/elevations/").map(|(_, id)| id);
                at_once(elevations::poll(&here, &headers, id.unwrap_or_default()))
            }
            Self::Verify => Box::pin(async move { verification::verify(here, uri.query(), headers).await }),
            Self::StatusInPath => {
                let question = enrolment::asked_in_path(uri.path()).unwrap_or_default();
                Box::pin(async move { enrolment::certificate_status(&here, &question).await })
            }
            Self::Elevations => whole(body, |body| elevations::ask(here, headers, body)),
            Self::Introspect => whole(body, |body| introspection::introspect(here, headers, body)),
            Self::Revoke => whole(body, |body| introspection::revoke(here, headers, body)),
            Self::Status => whole(body, async move |body| enrolment::certificate_status(&here, &body).await),
            Self::Enrolment(operation) => whole(body, move |body| enrolment::enrol(here, operation, headers, body)),
            Self::Token => whole(body, |body| token::token(here, headers, body)),
        }
    }
}

/// An answer on its way.
type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

fn at_once(response: Response) -> Answer {
    Box::pin(ready(response))
}

/// With the body, which the front has read whole, within its limits.
fn whole<F>(body: Body, then: impl FnOnce(Bytes) -> F + Send + 'static) -> Answer
where
    F: Future<Output = Response> + Send,
{
    Box::pin(async move {
        match axum::body::to_bytes(body, MOST).await {
            Ok(body) => then(body).await,
            Err(_) => Fault::TooLarge.response(ErrorShape::OAuth),
        }
    })
}

fn without_certificate(here: &Here) -> Response {
    let refused = Refused::unknown(&reason::CERTIFICATE_MISSING);
    here.broker.note(&here.environment, &here.request, &refused);
    here.metrics.refused(refused.reason);
    refuse(&Denied::from(refused), Slotted::ClientCredentials, &here.request)
}

fn here(public: &Public, place: &Place, request: &Request) -> Option<Here> {
    let extensions = request.extensions();
    let arrival = extensions.get::<Arrival>()?;
    // One that does not verify here is none here: the routes that need one say so.
    let certificate = extensions.get::<PeerCertificate>().and_then(|peer| {
        let own = peer.verified(&place.environment, |leaf| public.broker.certificate(&place.environment, leaf));
        own.map(Peer::Own).or_else(|| public.broker.svid(&place.environment, peer.chain()).map(Peer::Svid))
    });
    Some(Here {
        certificate,
        by_trusted_proxy: arrival.by_trusted_proxy,
        mtls: public.mtls_url.clone(),
        broker: public.broker.clone(),
        metrics: Arc::clone(&public.metrics),
        environment: place.environment.clone(),
        issuer: place.issuer.clone(),
        request: arrival.id.clone(),
        // An unknown peer lies in no partner's network.
        peer: arrival.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        started: Instant::now(),
    })
}
