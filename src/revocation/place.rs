//! Where Redis is, and as whom this process signs in.

use std::sync::Arc;

use rustls::ClientConfig;
use zeroize::Zeroizing;

/// A server.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Address {
    /// A name or an IP address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl Address {
    /// A server at this host and port.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

/// The servers of the live index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Servers {
    /// One, which is a master.
    One(Address),
    /// Sentinels, which know the master of a name.
    Sentinels {
        /// The sentinels.
        at: Vec<Address>,
        /// The name.
        master: String,
    },
    /// Nodes of a cluster, which know the others.
    Cluster(Vec<Address>),
}

/// All that it takes to reach Redis. It is never printed.
#[derive(Clone)]
pub struct Place {
    /// The servers.
    pub servers: Servers,
    /// The number of the database.
    pub database: u32,
    /// The user; if absent, the default user.
    pub username: Option<String>,
    /// The password, if it asks for one.
    pub password: Option<Zeroizing<String>>,
    /// The roots that are trusted, if it is reached over TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Place {
    /// One server without TLS and without a password.
    pub fn plain(host: &str, port: u16) -> Self {
        let servers = Servers::One(Address::new(host, port));
        Self { servers, database: 0, username: None, password: None, tls: None }
    }
}
