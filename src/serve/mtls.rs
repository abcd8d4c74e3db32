//! The certificates of the mTLS socket: it trusts and presents them, and both follow the journal.
//!
//! Enter through [`Door::open`] before the socket serves; [`keep`] then keeps them current. Revocation is not here: it is
//! checked at every request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::fault::{StartFault, at};
use crate::broker::Broker;
use crate::config::Config;
use crate::domain::credential::certificate::{Purpose, SERVER_LIFE};
use crate::domain::registry::environment::Environment;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{EnvironmentName, Issuer};
use crate::server::mtls::{Mtls, Presented};
use crate::server::tls;

/// The longest pause between two looks: our own certificate is renewed at half of its life.
const LOOK: Duration = Duration::from_secs(300);

/// The interval at which bundles are checked for changes.
const BUNDLES: Duration = Duration::from_secs(1);

/// The certificates of the mTLS socket.
pub struct Door {
    mtls: Mtls,
    broker: Broker,
    /// Who else is named in the certificate of each environment; none if files are presented.
    named: Option<Named>,
    /// The certificates that are presented now, each with its host.
    current: BTreeMap<EnvironmentName, (String, Presented)>,
    /// The number of the partners' bundles that the socket knows.
    bundles: u64,
}

impl Door {
    /// Trusts the authorities of every environment and presents a certificate.
    ///
    /// It is the configured one, or for each environment one by its own authority for its own host. `earlier` is the TLS side of a socket
    /// that serves already.
    ///
    /// # Errors
    /// Files that cannot be used, or an authority that cannot sign.
    pub async fn open(broker: Broker, config: &Config, bound: SocketAddr, earlier: Option<Mtls>) -> Result<Self, StartFault> {
        let prepare = |_| StartFault::Prepare("the mTLS socket has no certificates");
        let mtls = match earlier {
            Some(earlier) => {
                earlier.go_by(Arc::clone(&broker.clock));
                earlier
            }
            None => Mtls::new(Arc::clone(&broker.clock)).map_err(prepare)?,
        };
        let files = config.listen.mtls_tls.as_ref();
        let named = files.is_none().then(|| Named::of(config, bound));
        let mut door = Self { mtls, broker, named, current: BTreeMap::new(), bundles: 0 };
        if let Some(files) = files {
            let certified = tls::load_certified(&files.cert, &files.key).map_err(|fault| {
                let fix = "name a PEM chain, leaf first, and its PEM key";
                StartFault::Configuration(vec![at("listen.mtls_tls", fault.to_string(), fix)])
            })?;
            door.mtls.present_file(certified);
        }
        door.trust()?;
        door.present().await?;
        if files.is_none() && door.current.is_empty() {
            // After a restore every authority is tainted until an operator makes new ones. The node runs, and this socket waits.
            tracing::warn!("the mTLS socket presents no certificate yet; `carnet ca rotate` makes an authority");
        }
        Ok(door)
    }

    /// The TLS side, for the listener.
    pub fn tls(&self) -> &Mtls {
        &self.mtls
    }

    fn trust(&mut self) -> Result<(), StartFault> {
        let view = self.broker.journal.view();
        let environments = view.state.configuration.iter().flat_map(|configuration| configuration.environments.keys());
        let own = environments.flat_map(|name| self.broker.authority_certificates(name));
        // Any bundle will do in the handshake. Each request checks the chain against its own trust domain's bundle.
        let (bundles, partners) = self.broker.issuers.authorities();
        self.bundles = bundles;
        let authorities: Vec<_> = own.chain(partners).collect();
        self.mtls.trust(&authorities).map_err(|_| StartFault::Prepare("an authority cannot be trusted by the mTLS socket"))
    }

    /// Renews the certificates that are due, each environment by itself.
    ///
    /// An authority that cannot sign does not keep the other environments from being served.
    async fn present(&mut self) -> Result<(), StartFault> {
        let Some(named) = &self.named else { return Ok(()) };
        let view = self.broker.journal.view();
        let recorded = view.state.configuration.iter().flat_map(|configuration| &configuration.environments);
        let due: Vec<_> = recorded.filter(|(environment, _)| self.is_due(environment)).collect();
        for (environment, recorded) in &due {
            let (host, names) = named.names(&recorded.issuer);
            match self.broker.own_certificate(environment, Purpose::Socket, &names).await {
                Ok(identity) => {
                    let presented = Presented { chain: identity.chain, key: identity.key };
                    self.current.insert((*environment).clone(), (host, presented));
                }
                Err(_) => tracing::warn!(%environment, "no certificate of the mTLS socket could be signed"),
            }
        }
        if due.is_empty() || self.current.is_empty() {
            return Ok(());
        }
        self.mtls
            .present(self.current.values())
            .map_err(|_| StartFault::Prepare("the mTLS socket's certificate cannot be used"))
    }

    /// Returns once a bundle arrived that the socket does not know.
    async fn other_bundles(&self) {
        while self.broker.issuers.authorities_number() == self.bundles {
            tokio::time::sleep(BUNDLES).await;
        }
    }

    /// True if the certificate of an environment should be renewed and an authority can sign it.
    ///
    /// It is renewed if there is none yet, if half of its life is over, or if its authority no longer counts.
    fn is_due(&self, environment: &EnvironmentName) -> bool {
        let (view, now) = (self.broker.journal.view(), self.broker.now());
        let certificates = &view.state.certificates;
        let fresh = certificates.own(environment, Purpose::Socket).is_some_and(|leaf| {
            let counts = certificates.authorities(environment, now).any(|authority| authority.kid == leaf.authority);
            counts && leaf.ends.since(now) >= Seconds(SERVER_LIFE.0 / 2)
        });
        let held = self.current.contains_key(environment);
        !(fresh && held) && certificates.issuing(environment, now).is_some()
    }
}

/// Follows the journal, so that the socket knows a new or tainted authority at once.
pub async fn keep(mut door: Door) {
    let mut heads = door.broker.journal.follow();
    loop {
        // Before the state is read: a change that comes meanwhile is one that this round may not have seen.
        let seen = heads.borrow_and_update().index;
        if door.trust().is_err() || door.present().await.is_err() {
            tracing::error!("the certificates of the mTLS socket could not be brought up to date; trying again");
            tokio::time::sleep(Duration::from_secs(5)).await;
            continue;
        }
        // A change, a bundle, or the time for a look; in each case the state is read again.
        let moved = async { heads.wait_for(|head| head.index != seen).await.is_ok() };
        let _changed = timeout(LOOK, async {
            tokio::select! { _ = moved => {}, () = door.other_bundles() => {} }
        })
        .await;
    }
}

/// The `https://…` of the mTLS socket in the metadata: as configured, else the bound address.
///
/// `None` if the socket is bound to every address and `mtls_url` is not configured: others could not use that address.
pub fn published(config: &Config, bound: SocketAddr) -> Option<String> {
    let own = || (!bound.ip().is_unspecified()).then(|| format!("https://{bound}"));
    config.listen.mtls_url.as_ref().map(|url| url.as_str().to_owned()).or_else(own)
}

/// The hosts that the mTLS socket answers to besides those of the issuers.
///
/// They are the published one, the bound address, and the issuers' own names with its port.
pub fn hosts(config: &Config, environments: &BTreeMap<EnvironmentName, Environment>, bound: SocketAddr) -> Vec<String> {
    let published = config.listen.mtls_url.iter().map(|url| url.authority().to_owned());
    let issuers = environments.values().map(|environment| {
        let authority = authority(&environment.issuer);
        let host = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host);
        format!("{host}:{}", bound.port())
    });
    published.chain(issuers).chain([bound.to_string(), format!("localhost:{}", bound.port())]).collect()
}

/// Host and port of an issuer.
fn authority(issuer: &Issuer) -> &str {
    let rest = issuer.as_str().split_once("://").map_or(issuer.as_str(), |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(authority, _)| authority)
}

fn host(authority: &str) -> String {
    let bare = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    bare.trim_start_matches('[').trim_end_matches(']').to_owned()
}

/// The names in the certificate of each environment besides the host of its issuer: the published host, and the bound address.
struct Named(Vec<String>);

impl Named {
    fn of(config: &Config, bound: SocketAddr) -> Self {
        let published = config.listen.mtls_url.as_ref().map(|url| host(url.authority()));
        let address = Some(bound.ip()).filter(|ip| !ip.is_unspecified());
        let local = address.filter(std::net::IpAddr::is_loopback).map(|_| "localhost".to_owned());
        Self([published, local, address.map(|ip| ip.to_string())].into_iter().flatten().collect())
    }

    /// The host of the issuer, and all names.
    fn names(&self, issuer: &Issuer) -> (String, Vec<String>) {
        let own = host(authority(issuer));
        let mut names = vec![own.clone()];
        for more in &self.0 {
            if !names.contains(more) {
                names.push(more.clone());
            }
        }
        (own, names)
    }
}
