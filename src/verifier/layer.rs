//! The tower layer: passes accepted requests on, and answers refused ones itself.
//!
//! A request that is passed on has an [`Access`](super::Access) among its extensions.
//!
//! ```text
//! let router = Router::new().route("/v1/orders", get(list)).layer(Layer::new(verifier, "orders:read".parse()?));
//! ```
//!
//! A layer needs one set of scopes; routes that need another have another layer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use tower::Service;

use super::Verifier;
use super::shown::Shown;
use crate::domain::value::digest::Digest;
use crate::domain::value::scope::ScopeSet;

const DPOP: HeaderName = HeaderName::from_static("dpop");

/// The DER of the connection's client certificate.
///
/// The API's server must add it to the extensions of each request, from the TLS stack and never from a header.
#[derive(Clone, Debug)]
pub struct ClientCertificate(pub Arc<[u8]>);

/// `scheme://host` of the API as clients write it, for DPoP.
#[derive(Clone, Debug)]
struct Origin(Arc<str>);

/// A layer that checks each request before the service that it wraps.
#[derive(Clone)]
pub struct Layer {
    verifier: Arc<Verifier>,
    scope: Arc<ScopeSet>,
    origin: Option<Origin>,
}

impl Layer {
    /// Passes on requests whose token has all of `scope`.
    pub fn new(verifier: Arc<Verifier>, scope: ScopeSet) -> Self {
        Self { verifier, scope: Arc::new(scope), origin: None }
    }

    /// Sets the `scheme://host` at which clients reach the API.
    ///
    /// Without it no DPoP-bound token is accepted.
    #[must_use]
    pub fn at(self, origin: &str) -> Self {
        Self { origin: Some(Origin(origin.into())), ..self }
    }
}

impl<S> tower::Layer<S> for Layer {
    type Service = Guarded<S>;
    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { guard: self.clone(), inner }
    }
}

/// A service behind the layer.
#[derive(Clone)]
pub struct Guarded<S> {
    guard: Layer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    R: Default + Send + 'static,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let guard = self.guard.clone();
        // The service that is ready must take this request; its clone is for the next one.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        // Owned, so that nothing of the request is borrowed while keys and revocations are looked up.
        let facts = Facts::of(&request);
        Box::pin(async move {
            let outcome = guard.verifier.check(&facts.shown(guard.origin.as_ref()), &guard.scope).await;
            match outcome {
                Ok(access) => {
                    request.extensions_mut().insert(access);
                    inner.call(request).await
                }
                Err(refusal) => Ok(answer(refusal.status(), &refusal.challenges())),
            }
        })
    }
}

/// The credentials of a request, as they came.
struct Facts {
    method: Method,
    uri: Uri,
    authorization: Vec<String>,
    proofs: Vec<String>,
    certificate: Option<Digest>,
}

impl Facts {
    fn of<B>(request: &Request<B>) -> Self {
        let texts = |name: &HeaderName| {
            let values = request.headers().get_all(name).iter();
            // A value that is not text still counts as one, and is accepted nowhere.
            values.map(|value| value.to_str().unwrap_or_default().to_owned()).collect()
        };
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            authorization: texts(&header::AUTHORIZATION),
            proofs: texts(&DPOP),
            certificate: request.extensions().get::<ClientCertificate>().map(|shown| Digest::of(&shown.0)),
        }
    }

    fn shown<'a>(&'a self, origin: Option<&'a Origin>) -> Shown<'a> {
        Shown {
            method: self.method.as_str(),
            path: self.uri.path(),
            query: self.uri.query(),
            origin: origin.map(|origin| &*origin.0),
            authorization: self.authorization.iter().map(String::as_str).collect(),
            proofs: self.proofs.iter().map(String::as_str).collect(),
            certificate: self.certificate,
        }
    }
}

fn answer<R: Default>(status: u16, challenges: &[String]) -> Response<R> {
    let mut response = Response::new(R::default());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == 503 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    for challenge in challenges {
        // Invariant: scopes and algorithm names are visible ASCII without quotes.
        if let Ok(value) = HeaderValue::from_str(challenge) {
            headers.append(header::WWW_AUTHENTICATE, value);
        }
    }
    response
}
