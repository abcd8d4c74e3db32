//! The mTLS socket's certificates: whom it trusts, what it presents, and that both follow the journal.
//!
//! Enter through [`Door::open`] before the socket serves; [`keep`] is its keeper. Revocation is not here: it is judged at every request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{StartFault, at};
use crate::broker::Broker;
use crate::config::Config;
use crate::domain::certificate::{Purpose, SERVER_LIFE};
use crate::domain::clock::Seconds;
use crate::domain::names::EnvironmentName;
use crate::server::mtls::{Mtls, Presented};
use crate::server::tls;

/// How often the keeper looks although nothing changed: our own certificate is made anew at half of its life.
const LOOK: Duration = Duration::from_secs(300);

/// The certificates of the mTLS socket.
pub struct Door {
    mtls: Mtls,
    broker: Broker,
    /// Each environment with the host that leads to it, and the names that its certificate has; nothing where files are presented.
    names: Vec<(EnvironmentName, String, Vec<String>)>,
}

impl Door {
    /// Trusts the authorities of every environment and presents a certificate: the configured one, or one by each environment's
    /// authority for its own host.
    ///
    /// # Errors
    /// Files that cannot be used, or an authority that cannot sign.
    pub async fn open(broker: Broker, config: &Config, bound: SocketAddr) -> Result<Self, StartFault> {
        let prepare = |_| StartFault::Prepare("the mTLS socket has no certificates");
        let mtls = Mtls::new(Arc::clone(&broker.clock)).map_err(prepare)?;
        let files = config.listen.mtls_tls.as_ref();
        let names = if files.is_some() { Vec::new() } else { names(config, bound) };
        let door = Self { mtls, broker, names };
        if let Some(files) = files {
            let certified = tls::load_certified(&files.cert, &files.key).map_err(|fault| {
                let fix = "name a PEM chain, leaf first, and its PEM key";
                StartFault::Configuration(vec![at("listen.mtls_tls", fault.to_string(), fix)])
            })?;
            door.mtls.present_file(certified);
        }
        door.trust()?;
        if let Err(fault) = door.present().await {
            // After a restore every authority is tainted until an operator makes new ones: the node runs, and this socket waits.
            tracing::warn!(%fault, "the mTLS socket presents no certificate yet; carnet ca rotate makes an authority");
        }
        Ok(door)
    }

    /// The TLS side, for the listener.
    pub fn tls(&self) -> &Mtls {
        &self.mtls
    }

    fn trust(&self) -> Result<(), StartFault> {
        let view = self.broker.journal.view();
        let environments = view.state.configuration.iter().flat_map(|configuration| configuration.environments.keys());
        let authorities: Vec<_> = environments.flat_map(|name| self.broker.authority_certificates(name)).collect();
        self.mtls.trust(&authorities).map_err(|_| StartFault::Prepare("an authority cannot be trusted by the mTLS socket"))
    }

    async fn present(&self) -> Result<(), StartFault> {
        let mut certificates = Vec::new();
        for (environment, host, names) in &self.names {
            let identity = self.broker.own_certificate(environment, Purpose::Socket, names).await;
            let identity = identity.map_err(|_| StartFault::Prepare("the mTLS socket's certificate cannot be signed"))?;
            certificates.push((host.clone(), Presented { chain: identity.chain, key: identity.key }));
        }
        if certificates.is_empty() {
            return Ok(());
        }
        self.mtls.present(&certificates).map_err(|_| StartFault::Prepare("the mTLS socket's certificate cannot be used"))
    }

    /// Whether one of our own certificates should be made anew: half of its life is over, or its authority counts no more.
    fn is_due(&self) -> bool {
        let (view, now) = (self.broker.journal.view(), self.broker.now());
        let certificates = &view.state.certificates;
        self.names.iter().any(|(environment, _, _)| {
            certificates.own(environment, Purpose::Socket).is_none_or(|leaf| {
                let counts = certificates.authorities(environment, now).any(|authority| authority.kid == leaf.authority);
                !counts || leaf.ends.since(now) < Seconds(SERVER_LIFE.0 / 2)
            })
        })
    }
}

/// Follows the journal: a new or tainted authority is known to the socket at once.
pub async fn keep(door: Door) {
    let mut heads = door.broker.journal.follow();
    loop {
        let change = heads.borrow_and_update().index;
        // A change, or the time for a look; either way the state is read.
        let moved = async { heads.wait_for(|head| head.index != change).await.is_ok() };
        let _changed = timeout(LOOK, moved).await;
        if door.trust().is_err() || (door.is_due() && door.present().await.is_err()) {
            tracing::error!("the certificates of the mTLS socket could not be brought up to date; trying again");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    }
}

/// The names that a certificate of each environment has: the host of its issuer, the published host, the bound address.
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
