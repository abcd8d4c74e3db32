//! The address of a database.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio_postgres::Config;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use zeroize::Zeroizing;

use super::tls::VerifyFull;

/// How long a connection may take to come about, and how long a server that is silent is believed to be there.
pub const LONGEST: Duration = Duration::from_secs(5);

/// Where a database is, as whom to speak to it, and how the way there is protected.
#[derive(Default)]
pub struct PostgresPlace {
    /// Our user.
    pub user: String,
    /// The password of that user.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// The name of the database.
    pub database: String,
    /// Hosts with their ports, in the order in which they are tried; an absolute path is the folder of a local socket.
    pub hosts: Vec<(String, u16)>,
    /// By what the certificate of a host is verified. None: there is no TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A [`PostgresPlace`] as the driver takes it. Shown without the password.
#[derive(Clone)]
pub struct PostgresAddress {
    config: Config,
    tls: Option<VerifyFull>,
}

impl PostgresAddress {
    /// The address of a place. Of several hosts the one that takes writes is used.
    pub fn new(place: PostgresPlace) -> Self {
        let mut config = Config::new();
        config.user(place.user).dbname(place.database).application_name("carnet");
        if let Some(password) = &place.password {
            config.password(password.as_slice());
        }
        for (host, port) in place.hosts {
            config.host(host).port(port);
        }
        // `Require` of the driver means TLS or nothing; the certificate is verified by what is in `tls`.
        config.ssl_mode(if place.tls.is_some() { SslMode::Require } else { SslMode::Disable });
        config.target_session_attrs(TargetSessionAttrs::ReadWrite).connect_timeout(LONGEST);
        config.keepalives_idle(LONGEST).keepalives_interval(Duration::from_secs(1)).keepalives_retries(3);
        config.tcp_user_timeout(LONGEST);
        Self { config, tls: place.tls.map(VerifyFull::by) }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// What verifies the server, if there is TLS.
    pub(super) fn tls(&self) -> Option<&VerifyFull> {
        self.tls.as_ref()
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the PostgreSQL database {}", self.config.get_dbname().unwrap_or_default())
    }
}
