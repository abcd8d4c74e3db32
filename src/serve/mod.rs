//! The composition: turns a configuration into a running broker.
//!
//! Only this module knows all the others.
//!
//! Enter through [`start`]. Each step begins only once the one above it has succeeded:
//!
//! 1. files: the key-encryption key and certificates; the PostgreSQL server, if the journal is there;
//! 2. sockets are bound; of requests only those of probes are answered yet, with 503;
//! 3. the journal is opened and verified;
//! 4. the configuration is recorded if it changed and the journal has one node, and first keys are made;
//! 5. the live index follows;
//! 6. the sockets serve.
//!
//! All faults of steps 1 and 2 are reported at once. If stores or issuers are away at the start, the node is up and not ready
//! (ABUSE F-15, K-24). A journal that does not verify keeps it from starting.
//!
//! The text of the configuration is in `config`, commands and signals in `cli`, the demo's services in `dev`.

mod again;
mod background;
mod bucket;
pub mod checks;
mod database;
mod directory;
mod doors;
mod fault;
mod finding;
mod front_of;
mod furnish;
mod gateways;
mod inside;
mod mtls;
mod outside;
mod owners;
mod prepare;
mod ready;
mod recorded;
mod tasks;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

pub use self::fault::StartFault;
pub use self::furnish::{Foundation, System};
pub use self::gateways::{ANCHOR, console_origin, journal_settings};
pub use self::recorded::{configuration, environments};

use self::fault::at;
use self::inside::{Addresses, Inside, Shell};
use self::tasks::Tasks;
use crate::broker::Broker;
use crate::config::{Config, ConfigFault};
use crate::http::front::Doorway;
use crate::http::metrics::Socket;
use crate::journal::Kek;
use crate::server::mtls::Mtls;
use crate::server::{Listener, Settings as Limits};

/// The sockets of a node, bound but not yet served.
pub struct Sockets {
    public: Listener,
    admin: Listener,
    mtls: Listener,
    /// That of the people directory, if it is configured.
    directory: Option<Listener>,
}

impl Sockets {
    /// Takes listeners that are already bound.
    pub fn of(public: Listener, admin: Listener, mtls: Listener) -> Self {
        Self { public, admin, mtls, directory: None }
    }

    /// The bound addresses: public, admin.
    pub fn addresses(&self) -> (SocketAddr, SocketAddr) {
        (self.public.address(), self.admin.address())
    }
}

/// A running broker.
pub struct Running {
    /// The broker inside; another one after [`Self::go_on`] began anew.
    pub broker: Broker,
    /// The public socket.
    pub public: SocketAddr,
    /// `http://…` or `https://…` of the public socket.
    pub public_url: String,
    /// The admin socket.
    pub admin: SocketAddr,
    /// `http://…` of the admin socket.
    pub admin_url: String,
    /// The mTLS socket.
    pub mtls: SocketAddr,
    /// `https://…` of the mTLS socket.
    pub mtls_url: String,
    /// `http://…` or `https://…` of the people directory's socket, if there is one.
    pub directory_url: Option<String>,
    stop: watch::Sender<bool>,
    sockets: JoinSet<()>,
    background: Tasks,
    shell: Arc<Shell>,
    tls: Mtls,
    /// Whether anything is loaded behind the sockets: false between two journals.
    is_loaded: bool,
    /// When a journal that stopped was last looked at.
    looked: Option<Instant>,
}

/// Starts the broker that `config` describes. Every socket accepts once this returns.
///
/// # Errors
/// All faults of files and addresses at once, or the first fault of a later step.
pub async fn start(config: Config, system: System) -> Result<Running, StartFault> {
    let mut found = checks::settings(&config);
    found.extend(database::look(&config).await);
    found.extend(checks::keeps_all(&config).await);
    let mut faults = checks::faults(&found);
    let sockets = bind(&config, &mut faults).await;
    let kek = Kek::load(&config.keys.kek_file);
    let (Ok(kek), Some(sockets), true) = (kek, sockets, faults.is_empty()) else {
        return Err(StartFault::Configuration(faults));
    };
    checks::log(&found);
    let journal = journal_settings(&config)?;
    let surroundings = config.clone();
    let running = launch(config, sockets, Foundation { kek, journal }, system).await?;
    // Nobody waits for a service that is away; the log reports it.
    tokio::spawn(async move { checks::log(&checks::outside(&surroundings).await) });
    Ok(running)
}

/// Binds the sockets of `config`, and adds each failure to `faults`.
pub async fn bind(config: &Config, faults: &mut Vec<ConfigFault>) -> Option<Sockets> {
    let listen = &config.listen;
    let tls = match listen.public_tls.as_ref().map(|files| crate::server::tls::load(&files.cert, &files.key)).transpose() {
        Ok(tls) => tls,
        // The checks of the files already have this fault.
        Err(_) => return None,
    };
    let mut bound = |field: &'static str, outcome: std::io::Result<Listener>| {
        outcome.map_err(|error| faults.push(at(field, error.to_string(), "name an address of this machine that is free"))).ok()
    };
    let public = bound("listen.public", Listener::bind(Socket::Public, listen.public, tls).await);
    let admin = bound("listen.admin", Listener::bind(Socket::Admin, listen.admin, None).await);
    let mtls = bound("listen.mtls", Listener::bind(Socket::Mtls, listen.mtls, None).await);
    let directory = match &config.directory {
        None => None,
        Some(section) => Some(bound("directory.listen", directory::bind(section).await)?),
    };
    Some(Sockets { public: public?, admin: admin?, mtls: mtls?, directory })
}

/// Starts a broker on bound sockets.
///
/// # Errors
/// The first fault.
pub async fn launch(config: Config, sockets: Sockets, foundation: Foundation, system: System) -> Result<Running, StartFault> {
    let mut served = JoinSet::new();
    match behind(&mut served, config, sockets, (foundation, system)).await {
        Ok(running) => Ok(Running { sockets: served, ..running }),
        Err(fault) => {
            // The addresses are free again before the caller knows.
            served.shutdown().await;
            Err(fault)
        }
    }
}

/// Serves the sockets by tasks of `served`: at first the doorway, and then the broker.
async fn behind(
    served: &mut JoinSet<()>,
    config: Config,
    sockets: Sockets,
    (foundation, system): (Foundation, System),
) -> Result<Running, StartFault> {
    let (stop, stopped) = watch::channel(false);
    let limits = Limits {
        connections_per_address: config.listen.connections_per_address,
        uncounted: [config.listen.trusted_proxies.as_slice(), &config.listen.verify_callers].concat(),
        ..Limits::default()
    };
    let (public, admin) = sockets.addresses();
    let Sockets { public: public_socket, admin: admin_socket, mtls: mtls_socket, directory: directory_socket } = sockets;
    let (public_url, admin_url, mtls) = (public_socket.url(), admin_socket.url(), mtls_socket.address());
    let shell = Arc::new(Shell::new(config, (foundation, system), Addresses { public, admin, mtls }));
    let mut serve = |socket: Listener, doorway: &Doorway| {
        served.spawn(socket.serve(doorway.clone(), limits.clone(), Arc::clone(&shell.metrics), stopped.clone()));
    };
    serve(public_socket, &shell.public);
    serve(admin_socket, &shell.admin);
    let Inside { broker, background, tls } = inside::load(&shell, None).await?;
    let directory_url = directory_socket.as_ref().map(Listener::url);
    directory_socket.into_iter().for_each(|socket| serve(socket, &shell.directory));
    let listener = mtls_socket.with_mtls(&tls);
    let mtls_url = listener.url();
    serve(listener, &shell.mtls);
    Ok(Running {
        broker,
        public,
        public_url,
        admin,
        admin_url,
        mtls,
        mtls_url,
        directory_url,
        stop,
        sockets: JoinSet::new(),
        background,
        shell,
        tls,
        is_loaded: true,
        looked: None,
    })
}

/// The time that requests have to finish when the node stops (ABUSE F-03).
///
/// A request whose sender went away has at least [`SHORTEST_END`].
const LONGEST_END: Duration = Duration::from_secs(10);
const SHORTEST_END: Duration = Duration::from_secs(1);

impl Running {
    /// True if every task of the broker is alive.
    ///
    /// A task that died is a defect, and readiness reports it.
    pub fn is_sound(&mut self) -> bool {
        self.background.ended().names().is_empty() && self.sockets.try_join_next().is_none()
    }

    /// Stops accepting, finishes requests in flight, writes what waits, and closes the journal.
    ///
    /// Requests whose sender went away finish too.
    pub async fn shutdown(mut self) {
        let begun = Instant::now();
        self.stop.send_replace(true);
        while self.sockets.join_next().await.is_some() {}
        let left = LONGEST_END.saturating_sub(begun.elapsed()).max(SHORTEST_END);
        if !self.broker.in_flight.end(left).await {
            tracing::warn!("some requests do not come to their end");
        }
        self.background.shutdown().await;
        self.broker.share_cursors_at_the_end().await;
        self.broker.journal.close().await;
    }
}
