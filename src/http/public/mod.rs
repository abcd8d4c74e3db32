//! The public socket: what partners' workloads and internal APIs call, for every environment.
//!
//! Environments are told apart by host and path of their issuers, which operators choose. Each path is a literal route, so nothing is
//! normalised into another (ABUSE D-17); the host is compared here, and one that no environment has at this path is answered 421.

pub mod introspection;
pub mod publication;
pub mod token;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};

use crate::broker::Broker;
use crate::domain::certificate::ClientCertificate;
use crate::domain::change::Environment;
use crate::domain::names::{EnvironmentName, Issuer, RequestId};
use crate::domain::proof::Verified;
use crate::http::front::{self, ClientAddress, ErrorShape, Fault, PeerCertificate};
use crate::http::metrics::Metrics;
use crate::issuance::KeySet;
use publication::Flavour;

/// The longest body of the OAuth endpoints that a handler reads; the front has refused what is over `body_limit`.
const MOST: usize = 2 * 1024 * 1024;

/// What the public socket needs.
pub struct Public {
    broker: Broker,
    metrics: Arc<Metrics>,
    places: Vec<Place>,
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
    /// The client certificate of its connection, verified by this environment's authorities.
    pub certificate: Option<Verified<ClientCertificate>>,
    /// When it began, for the histogram.
    pub started: Instant,
}

/// A route below an issuer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Route {
    Introspect,
    Jwks(KeySet),
    Metadata(Flavour),
    Revoke,
    Token,
}

const ROUTES: [(&str, Route); 7] = [
    ("/.well-known/oauth-authorization-server", Route::Metadata(Flavour::OAuth)),
    ("/.well-known/openid-configuration", Route::Metadata(Flavour::OpenId)),
    ("/introspect", Route::Introspect),
    ("/jwks", Route::Jwks(KeySet::Default)),
    ("/jwks/ed25519", Route::Jwks(KeySet::Edwards)),
    ("/revoke", Route::Revoke),
    ("/token", Route::Token),
];

impl Public {
    /// The public socket of these environments.
    pub fn new(broker: Broker, metrics: Arc<Metrics>, environments: &BTreeMap<EnvironmentName, Environment>) -> Self {
        let place = |(name, environment): (&EnvironmentName, &Environment)| {
            let (_, rest) = environment.issuer.as_str().split_once("://")?;
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let (authority, path) = (authority.to_owned(), path.to_owned());
            Some(Place { environment: name.clone(), issuer: environment.issuer.clone(), authority, path })
        };
        Self { broker, metrics, places: environments.iter().filter_map(place).collect() }
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
        self.places.iter().find(|place| place.path == path && front::host_matches(named, &place.authority))
    }
}

impl Route {
    fn handler(self, path: String) -> MethodRouter<Arc<Public>> {
        let path: Arc<str> = path.into();
        let handle = move |Shared(public): Shared<Arc<Public>>, request: Request| {
            let path = Arc::clone(&path);
            async move { self.answer(&public, &path, request).await }
        };
        match self {
            Self::Introspect | Self::Revoke | Self::Token => post(handle),
            Self::Jwks(_) | Self::Metadata(_) => get(handle),
        }
    }

    async fn answer(self, public: &Public, path: &str, request: Request) -> Response {
        let Some(place) = public.find(&request, path) else {
            return Fault::Host.response(ErrorShape::OAuth);
        };
        // A token in a query ends in logs (ABUSE A-15): the routes that take one take no query.
        let takes_query = matches!(self, Self::Jwks(_) | Self::Metadata(_));
        if request.uri().query().is_some() && !takes_query {
            return StatusCode::BAD_REQUEST.into_response();
        }
        let Some(here) = here(public, place, &request) else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let (parts, body) = request.into_parts();
        let headers = parts.headers;
        match self {
            Self::Metadata(flavour) => publication::metadata(&here, flavour, &headers),
            Self::Jwks(set) => publication::jwks(&here, set, &headers),
            Self::Introspect | Self::Revoke | Self::Token => {
                // The front has read the body whole, within its limits.
                let Ok(body) = axum::body::to_bytes(body, MOST).await else {
                    return Fault::TooLarge.response(ErrorShape::OAuth);
                };
                self.post(here, headers, body).await
            }
        }
    }

    async fn post(self, here: Here, headers: axum::http::HeaderMap, body: Bytes) -> Response {
        match self {
            Self::Introspect => introspection::introspect(here, headers, body).await,
            Self::Revoke => introspection::revoke(here, headers, body).await,
            Self::Jwks(_) | Self::Metadata(_) | Self::Token => token::token(here, headers, body).await,
        }
    }
}

fn here(public: &Public, place: &Place, request: &Request) -> Option<Here> {
    let extensions = request.extensions();
    // One that does not verify here is none here: the routes that need one say so.
    let certificate = extensions
        .get::<PeerCertificate>()
        .and_then(|peer| peer.verified(&place.environment, |leaf| public.broker.certificate(&place.environment, leaf)));
    Some(Here {
        certificate,
        broker: public.broker.clone(),
        metrics: Arc::clone(&public.metrics),
        environment: place.environment.clone(),
        issuer: place.issuer.clone(),
        request: extensions.get::<RequestId>()?.clone(),
        // An unknown peer lies in no partner's network.
        peer: extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.0),
        started: Instant::now(),
    })
}
