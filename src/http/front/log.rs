//! One log line per request, of our own words only: no text of the caller (ABUSE A-15, D-15, L-05).

use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::response::Response;

use super::PeerAddress;
use crate::domain::value::names::RequestId;
use crate::http::error::Because;
use crate::http::metrics::Socket;

/// The route label of requests that no route matched, in logs and metrics.
pub(super) const NO_ROUTE: &str = "none";

/// The parts of a request that its log line is made of.
pub(super) struct Facts {
    method: &'static str,
    route: Option<MatchedPath>,
    pub(super) peer: Option<PeerAddress>,
}

impl Facts {
    /// Takes the facts from the request, and removes the peer.
    ///
    /// From here on [`super::Arrival`] names the client.
    pub(super) fn taken(request: &mut Request) -> Self {
        Self {
            method: method(request.method()),
            route: request.extensions().get().cloned(),
            peer: request.extensions_mut().remove(),
        }
    }

    /// The route template that matched (ABUSE A-15).
    ///
    /// Never the path: it may contain a token, or anything else.
    pub(super) fn route(&self) -> &str {
        self.route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str)
    }

    /// Writes the line. A refusal's reason is in it, also where the answer keeps it from a stranger.
    pub(super) fn write(&self, socket: Socket, id: &RequestId, response: &Response, took: Duration) {
        tracing::info!(
            target: "carnet::access",
            socket = socket.as_str(),
            method = self.method,
            route = self.route(),
            status = response.status().as_u16(),
            reason = response.extensions().get().map(|Because(reason)| reason.code),
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            request_id = id.as_str(),
            peer = self.peer.map(|PeerAddress(peer)| tracing::field::display(peer)),
        );
    }
}

/// The method as one of ten words, since on the wire a method is free text.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("other")
}
