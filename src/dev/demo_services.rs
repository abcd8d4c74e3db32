//! The services of a development broker: its issuers of proofs, and an API that takes its tokens.

use std::sync::Arc;

use tokio::sync::watch;

use crate::authn::{IssuerKeys, Verifier, tls};
use crate::http::demo::{self, DemoIssuer, Introspect, Kind, Orders, SignIn};
use crate::http::front::{self, BodyLimits, ErrorShape, Front, Hosts, RequestIds};
use crate::http::metrics::{Metrics, Socket};
use crate::outbound::operator::{Call, OperatorClient};
use crate::outbound::{Origin, OutboundSettings};
use crate::serve::System;
use crate::server::{Listener, Settings as Limits};

/// The audience of the demo API in production.
pub const AUDIENCE: &str = "https://orders.acme.example";

/// The demo services of a development broker.
pub struct DemoServices {
    /// The issuer of demo workloads' proofs.
    pub workloads: Arc<DemoIssuer>,
    /// The issuer of demo people's tokens.
    pub staff: Arc<DemoIssuer>,
    /// The URL of the issuers.
    pub url: String,
    orders: Arc<Orders>,
    sign_in: Arc<SignIn>,
}

impl DemoServices {
    /// The services at `url`, for the broker at `broker` and its console at `console`.
    pub fn new(url: &str, (broker, console): (&str, &str), system: &System) -> Option<Self> {
        let outside = || (Arc::clone(&system.clock), Arc::clone(&system.entropy));
        let workloads = Arc::new(DemoIssuer::new(format!("{url}/workloads"), Kind::Workloads, outside())?);
        let staff = Arc::new(DemoIssuer::new(format!("{url}/staff"), Kind::Staff, outside())?);
        let allowed = vec![broker.parse::<Origin>().ok()?];
        let outbound = tls::outbound(OutboundSettings { issuers: allowed, ..OutboundSettings::default() }, &[]).ok()?;
        let orders = Arc::new(Orders {
            issuer: format!("{broker}/production").parse().ok()?,
            audience: AUDIENCE.to_owned(),
            verifier: Verifier::new(IssuerKeys::new(Arc::new(outbound), Arc::clone(&system.clock))),
            workloads: Arc::clone(&workloads),
            introspect: introspection(broker)?,
            clock: Arc::clone(&system.clock),
        });
        let sign_in = Arc::new(SignIn::new(Arc::clone(&staff), console));
        Some(Self { workloads, staff, url: url.to_owned(), orders, sign_in })
    }

    /// Serves the demo socket until `stop`.
    pub fn serve(
        &self,
        listener: Listener,
        system: &System,
        stop: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let routes = demo::routes(
            Arc::clone(&self.workloads),
            Arc::clone(&self.staff),
            Arc::clone(&self.sign_in),
            Arc::clone(&self.orders),
        );
        let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
        let router = front::wrap(
            routes,
            Front {
                socket: Socket::Demo,
                shape: ErrorShape::OAuth,
                hosts: Hosts::Named(Vec::new()),
                bodies: BodyLimits { default: 64 * 1024, routes: Vec::new() },
                body_time: Front::BODY_TIME,
                handler_time: Front::HANDLER_TIME,
                trusted_proxies: Vec::new(),
                ids: RequestIds::new(Arc::clone(&system.entropy)),
                metrics: Arc::clone(&metrics),
            },
        );
        listener.serve(router, Limits::default(), metrics, stop)
    }
}

/// The demo API's introspection at the broker (RFC 7662, with the proof of RFC 7523 section 2.2).
///
/// No character of a JWT needs escaping in a form.
fn introspection(broker: &str) -> Option<Introspect> {
    let client = OperatorClient::new(broker, &tls::client().ok()?).ok()?;
    Some(Box::new(move |proof, token| {
        let client = client.clone();
        Box::pin(async move {
            let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
            let form = format!("token={token}&client_assertion_type={kind}&client_assertion={proof}");
            let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
            let call = Call { method: "POST", path: "/production/introspect", body, ..Call::default() };
            let reply = client.call(call).await.ok()?;
            if reply.status == 200 { serde_json::from_slice(&reply.body).ok() } else { None }
        })
    }))
}
