//! The public socket: what partners' workloads and internal APIs call, for every environment.
//!
//! Environments are told apart by host and path of their issuers, which operators choose; so the routes are matched here, byte for
//! byte, and not by a framework's patterns (ABUSE D-17). A host that no environment has is answered 421.

pub mod introspection;
mod peer;
pub mod publication;
pub mod token;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{Request, State as Shared};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::broker::Broker;
use crate::domain::change::Environment;
use crate::domain::names::{EnvironmentName, Issuer, RequestId};
use crate::domain::network::Cidr;
use crate::http::front;
use crate::http::metrics::Metrics;
use crate::issuance::KeySet;
use publication::Flavour;

/// What the public socket needs.
pub struct Public {
    broker: Broker,
    metrics: Arc<Metrics>,
    places: Vec<Place>,
    trusted_proxies: Vec<Cidr>,
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

impl Public {
    /// The public socket of these environments.
    pub fn new(
        broker: Broker,
        metrics: Arc<Metrics>,
        environments: &BTreeMap<EnvironmentName, Environment>,
        trusted_proxies: Vec<Cidr>,
    ) -> Arc<Self> {
        let place = |(name, environment): (&EnvironmentName, &Environment)| {
            let (scheme, rest) = environment.issuer.as_str().split_once("://")?;
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            let default = if scheme == "https" { ":443" } else { ":80" };
            let authority = authority.strip_suffix(default).unwrap_or(authority).to_ascii_lowercase();
            Some(Place { environment: name.clone(), issuer: environment.issuer.clone(), authority, path: path.to_owned() })
        };
        Arc::new(Self { broker, metrics, places: environments.iter().filter_map(place).collect(), trusted_proxies })
    }

    /// The environment and route that a request names.
    fn find(&self, authority: &str, path: &str) -> Result<(&Place, Route), StatusCode> {
        let host = authority.to_ascii_lowercase();
        let host = host.strip_suffix(":443").or_else(|| host.strip_suffix(":80")).unwrap_or(&host);
        let mut here = self.places.iter().filter(|place| place.authority == host).peekable();
        if here.peek().is_none() {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        let mut found = here.filter_map(|place| Some((place, place.route(path)?)));
        found.next().ok_or(StatusCode::NOT_FOUND)
    }
}

impl Place {
    fn route(&self, path: &str) -> Option<Route> {
        // RFC 8414 section 3.1 inserts the well-known part before the issuer's path; OIDC Discovery appends it.
        for (name, flavour) in [("oauth-authorization-server", Flavour::OAuth), ("openid-configuration", Flavour::OpenId)] {
            let inserted = path.strip_prefix("/.well-known/").and_then(|rest| rest.strip_prefix(name)) == Some(self.path.as_str());
            let appended = path.strip_prefix(self.path.as_str()).and_then(|rest| rest.strip_prefix("/.well-known/")) == Some(name);
            if inserted || appended {
                return Some(Route::Metadata(flavour));
            }
        }
        match path.strip_prefix(self.path.as_str())? {
            "/token" => Some(Route::Token),
            "/introspect" => Some(Route::Introspect),
            "/revoke" => Some(Route::Revoke),
            "/jwks" => Some(Route::Jwks(KeySet::Default)),
            "/jwks/ed25519" => Some(Route::Jwks(KeySet::Edwards)),
            _ => None,
        }
    }
}

impl Route {
    fn template(self) -> &'static str {
        match self {
            Self::Introspect => "/introspect",
            Self::Jwks(_) => "/jwks",
            Self::Metadata(_) => "/.well-known",
            Self::Revoke => "/revoke",
            Self::Token => "/token",
        }
    }

    fn takes(self, method: &Method) -> bool {
        match self {
            Self::Introspect | Self::Revoke | Self::Token => method == Method::POST,
            Self::Jwks(_) | Self::Metadata(_) => method == Method::GET || method == Method::HEAD,
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Introspect | Self::Revoke | Self::Token => "POST",
            Self::Jwks(_) | Self::Metadata(_) => "GET, HEAD",
        }
    }
}

/// Answers every request of the public socket that is not for health.
pub async fn dispatch(Shared(public): Shared<Arc<Public>>, request: Request) -> Response {
    let started = front::now();
    let authority = match front::authority(&request) {
        Some(authority) => authority,
        None => return front::plain_error(StatusCode::MISDIRECTED_REQUEST),
    };
    let (place, route) = match public.find(&authority, request.uri().path()) {
        Ok(found) => found,
        Err(status) => return front::plain_error(status),
    };
    if !route.takes(request.method()) {
        let mut response = front::plain_error(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, axum::http::HeaderValue::from_static(route.allow()));
        return front::routed(response, route.template());
    }
    // A token in a query ends in logs (ABUSE A-15): these routes take none.
    let posts = matches!(route, Route::Introspect | Route::Revoke | Route::Token);
    if posts && request.uri().query().is_some() {
        return front::routed(front::plain_error(StatusCode::BAD_REQUEST), route.template());
    }
    let Some(here) = here(&public, place, &request, started) else {
        return front::plain_error(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let response = answer(route, here, request).await;
    front::routed(response, route.template())
}

fn here(public: &Public, place: &Place, request: &Request, started: Instant) -> Option<Here> {
    let peer = request.extensions().get::<front::PeerAddress>()?.0;
    Some(Here {
        broker: public.broker.clone(),
        metrics: Arc::clone(&public.metrics),
        environment: place.environment.clone(),
        issuer: place.issuer.clone(),
        request: request.extensions().get::<RequestId>()?.clone(),
        peer: peer::source(peer, request.headers(), &public.trusted_proxies),
        started,
    })
}

async fn answer(route: Route, here: Here, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    match route {
        Route::Metadata(flavour) => publication::metadata(&here, flavour, &headers),
        Route::Jwks(set) => publication::jwks(&here, set, &headers),
        Route::Token | Route::Introspect | Route::Revoke => {
            // The layers in front bound size and time of the body.
            let body: Bytes = match front::read_body(body).await {
                Ok(body) => body,
                Err(refused) => return refused.into_response(),
            };
            match route {
                Route::Token => token::token(here, headers, body).await,
                Route::Introspect => introspection::introspect(here, headers, body).await,
                _ => introspection::revoke(here, headers, body).await,
            }
        }
    }
}
