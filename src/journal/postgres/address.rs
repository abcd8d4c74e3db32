//! The address of a database.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use crate::journal::fault::StoreFault;

/// How long a connection may take to come about, and how long a server that is silent is believed to be there.
pub const LONGEST: Duration = Duration::from_secs(5);

/// Where a database is, and as whom to speak to it. Shown without the password.
#[derive(Clone)]
pub struct PostgresAddress(Config);

impl PostgresAddress {
    /// Reads a URL or a list of parameters, as libpq does; `password` lies elsewhere.
    ///
    /// Of several hosts the one that takes writes is used. No TLS is spoken yet: `sslmode=require` fails.
    pub fn parse(url: &str, password: Option<&[u8]>) -> Result<Self, StoreFault> {
        let mut config: Config = url.parse()?;
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name("carnet").target_session_attrs(TargetSessionAttrs::ReadWrite).connect_timeout(LONGEST);
        config.keepalives_idle(LONGEST).keepalives_interval(Duration::from_secs(1)).keepalives_retries(3);
        config.tcp_user_timeout(LONGEST);
        Ok(Self(config))
    }

    pub(super) fn config(&self) -> &Config {
        &self.0
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the PostgreSQL database {}", self.0.get_dbname().unwrap_or_default())
    }
}
