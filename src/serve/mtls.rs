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
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::EnvironmentName;
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
    /// Each environment, its host, and its certificate's names; empty if files are presented.
    names: Vec<(EnvironmentName, String, Vec<String>)>,
    /// The certificates that are presented now, each with its host.
    current: BTreeMap<EnvironmentName, (String, Presented)>,
    /// The number of the partners' bundles that the socket knows.
    bundles: u64,
}

impl Door {
    /// Trusts the authorities of every environment and presents a certificate.
    ///
    /// It is the configured one, or for each environment one by its own authority for its own host.
    ///
    /// # Errors
    /// Files that cannot be used, or an authority that cannot sign.
    pub async fn open(broker: Broker, config: &Config, bound: SocketAddr) -> Result<Self, StartFault> {
        let prepare = |_| StartFault::Prepare("the mTLS socket has no certificates");
        let mtls = Mtls::new(Arc::clone(&broker.clock)).map_err(prepare)?;
        let files = config.listen.mtls_tls.as_ref();
        let names = if files.is_some() { Vec::new() } else { names(config, bound) };
        let mut door = Self { mtls, broker, names, current: BTreeMap::new(), bundles: 0 };
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
        let due: Vec<_> = self.names.iter().filter(|(environment, _, _)| self.is_due(environment)).cloned().collect();
        for (environment, host, names) in &due {
            match self.broker.own_certificate(environment, Purpose::Socket, names).await {
                Ok(identity) => {
                    let presented = Presented { chain: identity.chain, key: identity.key };
                    self.current.insert(environment.clone(), (host.clone(), presented));
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
pub fn hosts(config: &Config, bound: SocketAddr) -> Vec<String> {
    let published = config.listen.mtls_url.iter().map(|url| url.authority().to_owned());
    let issuers = config.environments.values().map(|section| {
        let authority = section.authority();
        let host = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')).map_or(authority, |(host, _)| host);
        format!("{host}:{}", bound.port())
    });
    published.chain(issuers).chain([bound.to_string(), format!("localhost:{}", bound.port())]).collect()
}

/// The names in the certificate of each environment.
///
/// They are the host of its issuer, the published host, and the bound address.
fn names(config: &Config, bound: SocketAddr) -> Vec<(EnvironmentName, String, Vec<String>)> {
    let host = |authority: &str| {
        let bare = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        bare.trim_start_matches('[').trim_end_matches(']').to_owned()
    };
    let published = config.listen.mtls_url.as_ref().map(|url| host(url.authority()));
    let address = Some(bound.ip()).filter(|ip| !ip.is_unspecified());
    let local = address.filter(std::net::IpAddr::is_loopback).map(|_| "localhost".to_owned());
    let one = |(name, section): (&EnvironmentName, &crate::config::EnvironmentSection)| {
        let own = host(section.authority());
        let mut names = vec![own.clone()];
        for more in [published.clone(), local.clone(), address.map(|ip| ip.to_string())].into_iter().flatten() {
            if !names.contains(&more) {
                names.push(more);
            }
        }
        (name.clone(), own, names)
    };
    config.environments.iter().map(one).collect()
}
