//! The composition: turns a configuration into a running broker.
//!
//! Only this module knows all the others.
//!
//! Enter through [`start`]. Each step begins only once the one above it has succeeded:
//!
//! 1. files: the key-encryption key and certificates; the PostgreSQL server, if the journal is there;
//! 2. sockets are bound (no request is answered yet);
//! 3. the journal is opened and verified;
//! 4. the configuration is recorded if it changed, and first keys are made;
//! 5. the live index follows;
//! 6. the sockets serve.
//!
//! All faults of steps 1 and 2 are reported at once. If stores or issuers are away at the start, the node is up and not ready
//! (ABUSE F-15, K-24). A journal that does not verify keeps it from starting.
//!
//! The text of the configuration is in `config`, commands and signals in `cli`, the demo's services in `dev`.

mod background;
pub mod checks;
mod database;
mod directory;
mod fault;
mod finding;
mod gateways;
mod mtls;
mod outside;
mod owners;
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
pub use self::gateways::{ANCHOR, console_origin, journal_settings};
pub use self::recorded::environments;

use self::fault::at;
use self::gateways::{live_index, opened, outbound, staff_settings};
use self::recorded::configuration;
use self::tasks::Tasks;
use crate::authn::dpop::Nonces;
use crate::authn::passkey::Passkeys;
use crate::authn::sign_in::Client;
use crate::authn::{IssuerKeys, StaffVerifier, Verifier};
use crate::broker::in_flight::InFlight;
use crate::broker::{Broker, Gateways};
use crate::config::{Config, ConfigFault};
use crate::domain::value::clock::{Clock, Entropy};
use crate::http;
use crate::http::admin;
use crate::http::console::{self, Console};
use crate::http::front::{self, BodyLimits, ErrorShape, Front, Hosts, RequestIds};
use crate::http::health::{self, Audience, NodeAt};
use crate::http::metrics::{Metrics, Socket};
use crate::http::public::Public;
use crate::issuance::Issuance;
use crate::journal::{Kek, NodeSettings, Settings as JournalSettings};
use crate::server::{Listener, Settings as Limits};

/// Time and randomness, for the whole process.
#[derive(Clone)]
pub struct System {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of unguessable bytes.
    pub entropy: Arc<dyn Entropy>,
}

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

/// The journal's place and the key that seals it: they differ between `serve` and `dev`.
pub struct Foundation {
    /// The key-encryption key.
    pub kek: Kek,
    /// The settings of the journal.
    pub journal: JournalSettings,
}

/// A running broker.
pub struct Running {
    /// The broker inside.
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
}

/// The time that a start waits for the live index.
///
/// After it the node starts all the same, not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The longest body of records, and of any other request to the admin API, in bytes.
const RECORDS_LIMIT: usize = 1024 * 1024;
const ADMIN_LIMIT: usize = 64 * 1024;

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
    let metrics = Metrics::new(env!("CARGO_PKG_VERSION"));
    let origin = console_origin(&config, sockets.admin.address());
    let (broker, client) = furnish(&config, foundation, &system, &origin).await?;
    let console = Console::new(broker.clone(), client, &origin);
    prepare(&broker, &config).await?;
    let mut background = Tasks::default();
    background.spawn("live index", broker.clone().follow());
    background.spawn("issuers' keys", background::issuers(broker.clone()));
    background.spawn("cursors", broker.clone().share_cursors());
    background.spawn("own keys", background::own_keys(broker.clone()));
    background.spawn("consequences", background::alone(broker.clone(), background::consequences));
    background.spawn("cuts by versions", broker.clone().list_cuts());
    background.spawn("counts of uses", broker.clone().keep_counting());
    background.spawn("non-use", background::alone(broker.clone(), Broker::watch_non_use));
    background.spawn("dates", background::alone(broker.clone(), Broker::watch_dates));
    if let Some(retention) = config.journal.retention {
        let task = move |broker| background::retention(broker, retention);
        background.spawn("retention", background::alone(broker.clone(), task));
    }
    if broker.tickets.is_some() {
        background.spawn("tickets", broker.clone().watch_tickets());
    }
    for receiver in &broker.receivers {
        let receiver = Arc::clone(receiver);
        let task = move |broker| crate::broker::delivery::deliver(broker, Arc::clone(&receiver));
        background.spawn("webhooks", background::alone(broker.clone(), task));
    }
    if let Some(mail) = &broker.mail {
        let mail = Arc::clone(mail);
        background.spawn(
            "mail",
            background::alone(broker.clone(), move |broker| crate::broker::mail::tell(broker, Arc::clone(&mail))),
        );
    }
    background.spawn("metrics", background::gauges(broker.clone(), Arc::clone(&metrics)));
    let _ready = broker.follower.reached(0, PATIENCE).await;
    // Every revocation is known before the first client certificate is checked (ABUSE M-12): the journal was read above.
    let (public, admin) = sockets.addresses();
    let Sockets { public: public_socket, admin: admin_socket, mtls: mtls_socket, directory: directory_socket } = sockets;
    let door = mtls::Door::open(broker.clone(), &config, mtls_socket.address()).await?;
    let listener = mtls_socket.with_mtls(door.tls());
    let (mtls, mtls_url) = (listener.address(), listener.url());
    background.spawn("mTLS socket", mtls::keep(door));
    let (stop, stopped) = watch::channel(false);
    let (public_url, admin_url) = (public_socket.url(), admin_socket.url());
    let mut served = JoinSet::new();
    let limits = Limits {
        connections_per_address: config.listen.connections_per_address,
        uncounted: [config.listen.trusted_proxies.as_slice(), &config.listen.verify_callers].concat(),
        ..Limits::default()
    };
    let front = |socket| front_of(socket, &config, &system, &metrics);
    let at = NodeAt {
        log: broker.journal.verifier_key().to_string(),
        public: public.to_string(),
        admin: admin.to_string(),
        mtls: mtls.to_string(),
    };
    let check = ready::check(broker.clone(), background.ended(), at);
    let published = mtls::published(&config, mtls);
    let public_router = Public::new(broker.clone(), Arc::clone(&metrics), &environments(&config))
        .naming(published.as_deref())
        .telling(&config.listen.verify_callers)
        .router();
    let public_router = public_router.merge(health::routes(Arc::clone(&check), Audience::Strangers));
    let public_router = front::wrap(public_router, front(Socket::Public));
    let admin_router = admin::routes(broker.clone())
        .merge(health::routes(check, Audience::Operators))
        .merge(health::metrics_route(Arc::clone(&metrics)));
    let admin_router = console::beside(admin_router, console);
    let admin_router = front::wrap(admin_router, front(Socket::Admin));
    let hosts = mtls::hosts(&config, mtls);
    let mtls_router = Public::on_mtls(broker.clone(), Arc::clone(&metrics), &environments(&config), hosts)
        .naming(published.as_deref())
        .telling(&config.listen.verify_callers)
        .router();
    let mtls_router = front::wrap(mtls_router, front(Socket::Mtls));
    let directory_url = directory_socket.as_ref().map(Listener::url);
    if let (Some(socket), Some(section)) = (directory_socket, &config.directory) {
        let router = http::directory::router(broker.clone(), directory::tokens(section)?);
        let router = front::wrap(router, front(Socket::Directory));
        served.spawn(socket.serve(router, limits.clone(), Arc::clone(&metrics), stopped.clone()));
        background.spawn("people directory", background::alone(broker.clone(), background::people));
        background.spawn("owners", background::alone(broker.clone(), background::owners));
    }
    served.spawn(listener.serve(mtls_router, limits.clone(), Arc::clone(&metrics), stopped.clone()));
    served.spawn(public_socket.serve(public_router, limits.clone(), Arc::clone(&metrics), stopped.clone()));
    served.spawn(admin_socket.serve(admin_router, limits, metrics, stopped));
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
        sockets: served,
        background,
    })
}

/// Records the configuration, and the consequences that follow by themselves.
///
/// Nothing can be recorded while the clock cannot be believed: the node is then up and not ready, unless it would serve
/// another configuration than the recorded one. A journal that stopped itself records nothing either, and mints no token
/// under any configuration: the node is up, and reports it.
async fn prepare(broker: &Broker, config: &Config) -> Result<(), StartFault> {
    let doubted = || broker.journal.health().clock;
    let is_stopped = || broker.journal.health().stopped.is_some();
    broker.journal.view().state.fits(&environments(config)).map_err(StartFault::Misfit)?;
    if broker.prepare(Some(&configuration(config))).await.is_err() {
        let unprepared = StartFault::Prepare("its configuration is not on record");
        return Err(doubted().map_or(unprepared, StartFault::Clock));
    }
    checks::log(&checks::records(&broker.journal.view().state, &environments(config)));
    // Owners whom it cannot resolve yet are looked up again in the background, and dates that cannot be recorded yet.
    broker.settle_owners_soon().await;
    let _soon = broker.notice_dates().await;
    match (broker.settle().await, doubted()) {
        (Ok(()), _) => Ok(()),
        (Err(_), Some(fault)) => {
            tracing::error!(%fault, "what follows from the journal cannot be recorded yet");
            Ok(())
        }
        // It lost entries, as a checkpoint kept elsewhere proves: the node is up, reports it, and mints no token.
        (Err(_), None) if is_stopped() => Ok(()),
        (Err(_), None) => Err(StartFault::Prepare("what follows from the journal cannot be recorded")),
    }
}

/// Builds the broker with its gateways.
async fn furnish(
    config: &Config,
    foundation: Foundation,
    system: &System,
    origin: &str,
) -> Result<(Broker, Option<Client>), StartFault> {
    let entropy = &system.entropy;
    let live = live_index(config)?;
    let journal = opened(&foundation.journal, &foundation.kek, (&system.clock, entropy)).await?;
    let settings = NodeSettings { id: config.node.id.clone(), compares_clocks: !system.clock.is_set_at_will() };
    journal.join(&settings).await?;
    // Every module uses one clock: the one that the journal believes.
    let clock = journal.clock();
    let outbound = Arc::new(outbound(config)?);
    let receivers = outside::receivers(config, &outbound, Some(journal.view().size))?;
    let tickets = outside::tickets(config, &outbound)?;
    let client = outside::console(config, &outbound, origin)?;
    let secret = foundation.kek.derive("recipients of mail");
    let mail = outside::mail(config, secret, Some(journal.view().size), client.as_ref().map(|_| origin))?;
    let passkeys = client.as_ref().and_then(|_| Passkeys::at(origin));
    let issuers = IssuerKeys::new(outbound, Arc::clone(&clock));
    let staff = StaffVerifier::new(staff_settings(config)?, issuers.clone());
    let broker = Broker::new(Gateways {
        journal,
        verifier: Verifier::new(issuers.clone()),
        issuers,
        staff,
        nonces: Nonces::new(&foundation.kek.derive("dpop nonces")),
        issuance: Issuance::new(foundation.kek, Arc::clone(entropy)),
        live,
        follower: crate::broker::follow::Follower::default(),
        answers: crate::broker::answers::Answers::default(),
        guardrails: crate::broker::compiling::Compiling::default(),
        told: crate::broker::told::Told::default(),
        views: crate::broker::viewed::Views::default(),
        uses: crate::broker::counting::Uses::default(),
        found_lately: crate::broker::found_lately::FoundLately::default(),
        recent: crate::broker::explain::Recent::default(),
        tickets,
        mail: mail.map(Arc::new),
        receivers,
        clock,
        entropy: Arc::clone(entropy),
        passkeys,
        in_flight: InFlight::default(),
        people: crate::broker::people::People::default(),
        desk: crate::broker::desk::Desk::default(),
        reading: crate::broker::reading::Reading::default(),
        offboarding_turn: tokio::sync::Mutex::default(),
    });
    Ok((broker, client))
}

fn front_of(socket: Socket, config: &Config, system: &System, metrics: &Arc<Metrics>) -> Front {
    let is_public = matches!(socket, Socket::Public | Socket::Mtls);
    // Its callers have a bearer token that no browser sends, so a page that rebinds its name reaches nothing.
    let is_directory = socket == Socket::Directory;
    let admin_names = config.listen.admin_url.iter().map(|origin| origin.authority().to_owned()).collect();
    let records =
        ["/v1/records/plan", "/v1/records/apply", "/v1/directory/import"].map(|route| (route, RECORDS_LIMIT)).to_vec();
    Front {
        socket,
        shape: match socket {
            Socket::Public | Socket::Mtls => ErrorShape::OAuth,
            Socket::Directory => ErrorShape::Scim,
            Socket::Admin | Socket::Demo | Socket::Agent => ErrorShape::Problem,
        },
        hosts: if is_public || is_directory { Hosts::RoutesLook } else { Hosts::Named(admin_names) },
        bodies: if is_public {
            BodyLimits { default: config.listen.body_limit, routes: Vec::new() }
        } else {
            BodyLimits { default: ADMIN_LIMIT, routes: if is_directory { Vec::new() } else { records } }
        },
        body_time: Front::BODY_TIME,
        handler_time: Front::HANDLER_TIME,
        trusted_proxies: config.listen.trusted_proxies.clone(),
        ids: RequestIds::new(Arc::clone(&system.entropy)),
        metrics: Arc::clone(metrics),
    }
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
        self.broker.journal.close().await;
    }
}
