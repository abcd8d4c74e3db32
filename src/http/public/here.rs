//! A request, as the handlers of the public socket see it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::prepared::Documents;
use crate::broker::Broker;
use crate::domain::decision::peer::Peer;
use crate::domain::value::names::{EnvironmentName, Issuer, RequestId};
use crate::http::metrics::Metrics;

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
    /// The client's address.
    pub peer: IpAddr,
    /// True if the operator lists that address among those that may ask for verdicts.
    pub may_verify: bool,
    /// The published `https://…` URL of the mTLS socket.
    pub mtls: Option<Arc<str>>,
    /// The client certificate, verified by this environment's authorities or its bindings' bundle.
    pub certificate: Option<Peer>,
    /// The published documents of the environment.
    pub documents: Arc<Documents>,
    /// The time at which the request began, for the histogram.
    pub started: Instant,
}

impl Here {
    /// The issuer's URL on the mTLS socket.
    pub fn mtls_base(&self) -> Option<String> {
        let (_, rest) = self.issuer.as_str().split_once("://")?;
        let path = rest.find('/').map_or("", |at| rest.split_at(at).1);
        Some(format!("{}{path}", self.mtls.as_deref()?))
    }
}
