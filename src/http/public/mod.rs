//! The public socket, which partners' workloads and internal APIs call, for every environment.
//!
//! Enter through [`Public::router`]. The host and path of the issuers, which operators choose, tell environments apart. Each
//! path is a literal route, so no path is normalised into another (ABUSE D-17). This module compares the host: if no
//! environment has the host at this path, the answer is 421.

pub mod elevations;
pub mod enrolment;
mod held;
mod here;
pub mod introspection;
mod offboardings;
mod prepared;
pub mod publication;
pub mod signals;
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
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, any, get, post};

use crate::broker::Broker;
use crate::broker::failure::Denied;
use crate::domain::decision::peer::Peer;
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::environment::Environment;
use crate::domain::value::names::{EnvironmentName, Issuer};
use crate::domain::value::network::Cidr;
use crate::http::error::{Slotted, refuse};
use crate::http::front::{self, Arrival, ErrorShape, Fault, PeerCertificate};
use crate::http::media;
use crate::http::metrics::Metrics;
use crate::issuance::KeySet;
use enrolment::Operation;
use here::Here;
use prepared::Documents;
use publication::Flavour;

/// The longest body that a handler reads; the front already limits it to `body_limit`.
const MOST: usize = 2 * 1024 * 1024;

/// The public socket of a node.
pub struct Public {
    broker: Broker,
    metrics: Arc<Metrics>,
    places: Vec<Place>,
    /// The hosts of the mTLS socket, if this is the mTLS side.
    mtls: Option<Vec<String>>,
    /// The published `https://…` URL of the mTLS socket.
    mtls_url: Option<Arc<str>>,
    /// The networks of proxies that may ask for verdicts without a proof.
    verify_callers: Vec<Cidr>,
}

/// An environment's address.
struct Place {
    environment: EnvironmentName,
    issuer: Issuer,
    authority: String,
    path: String,
    documents: Arc<Documents>,
}

/// A route below an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Route {
    Acknowledgements,
    Bundle,
    Elevation,
    Elevations,
    Enrolment(Operation),
    Introspect,
    Jwks(KeySet),
    List,
    Metadata(Flavour),
    Offboardings,
    Status,
    StatusInPath,
    Revoke,
    Signals,
    Token,
    Verify,
    VerifyInPath,
}

const ROUTES: [(&str, Route); 20] = [
    ("/.well-known/oauth-authorization-server", Route::Metadata(Flavour::OAuth)),
    ("/.well-known/openid-configuration", Route::Metadata(Flavour::OpenId)),
    ("/bundle", Route::Bundle),
    ("/elevations", Route::Elevations),
    ("/signals", Route::Signals),
    ("/elevations/{id}", Route::Elevation),
    ("/crl", Route::List),
    ("/crl/{kid}", Route::List),
    ("/introspect", Route::Introspect),
    ("/ocsp", Route::Status),
    ("/ocsp/{*question}", Route::StatusInPath),
    ("/jwks", Route::Jwks(KeySet::Default)),
    ("/jwks/ed25519", Route::Jwks(KeySet::Edwards)),
    ("/offboardings", Route::Offboardings),
    ("/offboardings/{id}/acknowledgements", Route::Acknowledgements),
    ("/revoke", Route::Revoke),
    ("/token", Route::Token),
    ("/verify", Route::Verify),
    // A wildcard does not match an empty rest, and `/` is a path that a proxy appends.
    ("/verify/", Route::VerifyInPath),
    ("/verify/{*path}", Route::VerifyInPath),
];

/// The routes below `/.well-known/est/ENVIRONMENT` of the mTLS socket (RFC 7030 section 3.2.2).
const ENROLMENT: [(&str, Operation); 3] =
    [("cacerts", Operation::CaCerts), ("simpleenroll", Operation::Enroll), ("simplereenroll", Operation::Reenroll)];

impl Public {
    /// Creates the public socket of these environments.
    pub fn new(broker: Broker, metrics: Arc<Metrics>, environments: &BTreeMap<EnvironmentName, Environment>) -> Self {
        let place = |(name, environment): (&EnvironmentName, &Environment)| {
            let (_, rest) = environment.issuer.as_str().split_once("://")?;
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let (authority, path) = (authority.to_owned(), path.to_owned());
            let documents = Arc::default();
            Some(Place { environment: name.clone(), issuer: environment.issuer.clone(), authority, path, documents })
        };
        Self {
            broker,
            metrics,
            places: environments.iter().filter_map(place).collect(),
            mtls: None,
            mtls_url: None,
            verify_callers: Vec::new(),
        }
    }

    /// Adds proxies that may ask for verdicts without a proof.
    #[must_use]
    pub fn telling(self, verify_callers: &[Cidr]) -> Self {
        Self { verify_callers: verify_callers.to_vec(), ..self }
    }

    /// Adds the address of the mTLS socket to the metadata.
    #[must_use]
    pub fn naming(self, mtls_url: Option<&str>) -> Self {
        Self { mtls_url: mtls_url.map(Arc::from), ..self }
    }

    /// The same routes for the mTLS socket, which also answers to `hosts`, and enrolment.
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

    /// The environment at a path, whatever the host.
    ///
    /// If several environments have the path, the host decides, first with its port and then without. `None` if that is ambiguous.
    fn find_by_path(&self, path: &str, named: Option<&str>) -> Option<&Place> {
        let only = |is: &dyn Fn(&Place) -> bool| {
            let mut at_path = self.places.iter().filter(|place| place.path == path && is(place));
            at_path.next().filter(|_| at_path.next().is_none())
        };
        let at_host = |place: &Place| named.is_some_and(|named| front::host_matches(named, &place.authority));
        let but_for_port = |place: &Place| {
            let name = front::without_port(&place.authority);
            named.is_some_and(|named| front::without_port(named).eq_ignore_ascii_case(name))
        };
        only(&|_| true).or_else(|| only(&at_host)).or_else(|| only(&but_for_port))
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
                    // The path names the environment, so any host in the socket's certificate may serve it.
                    router = router.route(&path, Route::Enrolment(operation).handler(place.path.clone()));
                }
            }
        }
        let mut taken = BTreeSet::new();
        for (path, number, below) in routes {
            // Two environments on two hosts may have the same path: one route, and the host tells them apart.
            if taken.insert(path.clone()) {
                router = router.route(&path, ROUTES[number].1.handler(below));
            }
        }
        router.with_state(public)
    }

    fn find(&self, request: &Request, path: &str, route: Route) -> Option<&Place> {
        let named = front::host_of(request.uri(), request.headers());
        let Some(named) = named.filter(|_| !route.is_found_by_path()) else {
            return if route.is_found_by_path() { self.find_by_path(path, named) } else { None };
        };
        let own = self.mtls.iter().flatten().any(|host| front::host_matches(named, host));
        let here = |place: &&Place| own || front::host_matches(named, &place.authority);
        match request.uri().path().strip_prefix("/.well-known/est/").and_then(|rest| rest.split_once('/')) {
            Some((environment, _)) => self.places.iter().find(|place| place.environment.as_str() == environment && here(place)),
            None => self.places.iter().find(|place| place.path == path && here(place)),
        }
    }
}

impl Route {
    /// True if the path alone names the environment.
    ///
    /// An `ext_authz` filter sends the host of the API. `openssl ocsp` sends a host without its port, or none, and its answer
    /// is signed. Where only the host tells environments apart, neither can be served; the refusal says so
    /// ([`Fault::Environment`]).
    fn is_found_by_path(self) -> bool {
        match self {
            Self::List | Self::Status | Self::StatusInPath | Self::VerifyInPath => true,
            Self::Acknowledgements
            | Self::Bundle
            | Self::Elevation
            | Self::Elevations
            | Self::Enrolment(_)
            | Self::Introspect
            | Self::Jwks(_)
            | Self::Metadata(_)
            | Self::Offboardings
            | Self::Revoke
            | Self::Signals
            | Self::Token
            | Self::Verify => false,
        }
    }

    /// True if a certificate authenticates the client of this route, or its token is bound to one.
    fn takes_certificate(self) -> bool {
        match self {
            Self::Acknowledgements
            | Self::Elevations
            | Self::Enrolment(Operation::Reenroll)
            | Self::Introspect
            | Self::Offboardings
            | Self::Revoke
            | Self::Signals
            | Self::Token => true,
            Self::Bundle
            | Self::Elevation
            | Self::Enrolment(Operation::CaCerts | Operation::Enroll)
            | Self::Jwks(_)
            | Self::List
            | Self::Metadata(_)
            | Self::Status
            | Self::StatusInPath
            | Self::Verify
            | Self::VerifyInPath => false,
        }
    }

    fn handler(self, path: String) -> MethodRouter<Arc<Public>> {
        let path: Arc<str> = path.into();
        let handle = move |Shared(public): Shared<Arc<Public>>, request: Request| self.answer(&public, &path, request);
        match self {
            Self::Acknowledgements
            | Self::Elevations
            | Self::Introspect
            | Self::Revoke
            | Self::Signals
            | Self::Status
            | Self::Token
            | Self::Enrolment(Operation::Enroll | Operation::Reenroll) => post(handle),
            // A proxy may ask with the method of the request that it holds back, whatever that is.
            Self::Verify | Self::VerifyInPath => any(handle),
            Self::StatusInPath => get(handle),
            Self::Bundle
            | Self::Elevation
            | Self::Enrolment(Operation::CaCerts)
            | Self::Jwks(_)
            | Self::List
            | Self::Metadata(_)
            | Self::Offboardings => get(handle),
        }
    }

    /// The answer, or a future of it.
    ///
    /// Each route has its own future, no larger than it must be. One future of all routes would be as large as the largest,
    /// and would be moved with every request.
    fn answer(self, public: &Public, path: &str, request: Request) -> Answer {
        let Some(place) = public.find(&request, path, self) else {
            let fault = if self.is_found_by_path() { Fault::Environment } else { Fault::Host };
            return at_once(fault.response(ErrorShape::OAuth));
        };
        if public.broker.is_gone(&place.environment) {
            return at_once(Fault::Closed.response(ErrorShape::OAuth));
        }
        // A token in a query ends up in logs (ABUSE A-15), so the routes that take a token take no query.
        let takes_query = matches!(self, Self::Bundle | Self::Jwks(_) | Self::Metadata(_) | Self::Verify | Self::VerifyInPath);
        if request.uri().query().is_some() && !takes_query {
            return at_once(StatusCode::BAD_REQUEST.into_response());
        }
        let shows_certificate = request.extensions().get::<PeerCertificate>().is_some();
        let Some(here) = here(public, place, &request) else {
            return at_once(StatusCode::INTERNAL_SERVER_ERROR.into_response());
        };
        // Without a certificate only these two answer on the mTLS socket: no request falls back to an assertion alone (ABUSE
        // M-01).
        let open = matches!(self, Self::Enrolment(Operation::CaCerts | Operation::Enroll));
        if public.mtls.is_some() && here.certificate.is_none() && !open {
            return at_once(uncertified(&here, &reason::CERTIFICATE_MISSING));
        }
        // A certificate that does not verify here is not ignored: its owner would get an unbound token.
        if shows_certificate && here.certificate.is_none() && self.takes_certificate() {
            if matches!(self, Self::Introspect | Self::Revoke) {
                let denied = Denied::from(Refused::unknown(&reason::CERTIFICATE_PROFILE));
                return at_once(introspection::refused(&here, &denied, request.headers()));
            }
            return at_once(uncertified(&here, &reason::CERTIFICATE_PROFILE));
        }
        let (parts, body) = request.into_parts();
        let (headers, uri) = (parts.headers, parts.uri);
        match self {
            Self::Metadata(flavour) => at_once(publication::metadata(&here, flavour, &headers)),
            Self::Jwks(set) => at_once(publication::jwks(&here, set, &headers)),
            Self::Bundle => at_once(publication::trust_bundle(&here, &headers)),
            Self::List => {
                let kid = uri.path().rsplit_once("/crl/").map(|(_, kid)| kid);
                at_once(enrolment::revocation_list(&here, kid, &headers))
            }
            Self::Enrolment(Operation::CaCerts) => at_once(enrolment::authorities(&here)),
            Self::Elevation => {
                let id = uri.path().rsplit_once("/elevations/").map_or_else(String::new, |(_, id)| id.to_owned());
                Box::pin(elevations::poll(here, headers, id))
            }
            Self::Verify | Self::VerifyInPath => {
                let appended = (self == Self::VerifyInPath).then(|| below(&uri, path, "/verify")).flatten();
                let asked = verification::Question { method: parts.method, uri, appended, headers };
                Box::pin(async move { verification::verify(here, &asked).await })
            }
            Self::StatusInPath => {
                let question = below(&uri, path, "/ocsp/").and_then(|text| enrolment::asked_in_path(&text)).unwrap_or_default();
                Box::pin(async move { enrolment::certificate_status(&here, &question).await })
            }
            Self::Elevations => whole(body, |body| elevations::ask(here, headers, body)),
            Self::Offboardings => Box::pin(offboardings::list(here, headers)),
            Self::Acknowledgements => {
                let rest = uri.path().rsplit_once("/offboardings/").map_or("", |(_, rest)| rest);
                let id = rest.strip_suffix("/acknowledgements").unwrap_or_default().to_owned();
                whole(body, |body| offboardings::acknowledge(here, headers, id, body))
            }
            Self::Signals => whole(body, |body| signals::send(here, headers, body)),
            Self::Introspect => whole(body, |body| introspection::introspect(here, headers, body)),
            Self::Revoke => whole(body, |body| introspection::revoke(here, headers, body)),
            // Without a content type the body is parsed. A content type that says something else is believed.
            Self::Status if headers.contains_key(CONTENT_TYPE) && !media::is(&headers, enrolment::OCSP_REQUEST) => {
                Box::pin(async move { enrolment::certificate_status(&here, &[]).await })
            }
            Self::Status => whole(body, async move |body| enrolment::certificate_status(&here, &body).await),
            Self::Enrolment(operation) => whole(body, move |body| enrolment::enrol(here, operation, headers, body)),
            Self::Token => whole(body, |body| token::token(here, headers, body)),
        }
    }
}

fn uncertified(here: &Here, reason: &'static Reason) -> Response {
    let denied = Denied::from(Refused::unknown(reason));
    here.broker.note(&here.environment, &here.request, &denied.refused);
    here.metrics.refused(reason);
    refuse(&denied, Slotted::ClientCredentials, &here.request)
}

/// The rest of the path below a route of the issuer with this path.
fn below(uri: &Uri, issuer: &str, route: &str) -> Option<String> {
    uri.path().strip_prefix(issuer)?.strip_prefix(route).map(str::to_owned)
}

/// The future of an answer.
type Answer = Pin<Box<dyn Future<Output = Response> + Send>>;

fn at_once(response: Response) -> Answer {
    Box::pin(ready(response))
}

/// Reads the body, which the front limits, and continues with it.
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

fn here(public: &Public, place: &Place, request: &Request) -> Option<Here> {
    let extensions = request.extensions();
    let arrival = extensions.get::<Arrival>()?;
    // A certificate that does not verify here counts as absent; `answer` refuses it on routes that take one.
    let certificate = extensions.get::<PeerCertificate>().and_then(|peer| {
        let own = peer.verified(&place.environment, |leaf| public.broker.certificate(&place.environment, leaf));
        own.map(Peer::Own).or_else(|| public.broker.svid(&place.environment, peer.chain()).map(Peer::Svid))
    });
    Some(Here {
        certificate,
        may_verify: arrival.client.is_some_and(|client| public.verify_callers.iter().any(|network| network.contains(client))),
        mtls: public.mtls_url.clone(),
        broker: public.broker.clone(),
        metrics: Arc::clone(&public.metrics),
        environment: place.environment.clone(),
        issuer: place.issuer.clone(),
        request: arrival.id.clone(),
        documents: Arc::clone(&place.documents),
        // An unknown peer is in no partner's network.
        peer: arrival.client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        started: Instant::now(),
    })
}
