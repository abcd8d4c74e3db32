//! A socket whose routes are replaced while it serves: by those behind it, once they are there, and by later ones.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use axum::Router;
use axum::response::Response;
use hyper::body::Incoming;
use tower::util::Oneshot;
use tower::{Service, ServiceExt as _};

/// The routes of a socket.
pub type Routes = Router;

/// The service of a socket.
#[derive(Clone)]
pub struct Doorway(Arc<ArcSwap<Router>>);

impl Doorway {
    /// A doorway at which `router` answers.
    pub fn new(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(router)))
    }

    /// Requests that come from now on meet `router`.
    pub fn open(&self, router: Router) {
        self.0.store(Arc::new(router));
    }
}

impl Service<hyper::Request<Incoming>> for Doorway {
    type Response = Response;
    type Error = Infallible;
    type Future = Oneshot<Router, hyper::Request<Incoming>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: hyper::Request<Incoming>) -> Self::Future {
        Router::clone(&self.0.load()).oneshot(request)
    }
}
