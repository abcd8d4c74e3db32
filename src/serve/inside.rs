//! What stands behind the sockets of a node: its journal, broker, background tasks and routes.
//!
//! The sockets stay as long as the process; what is behind them is loaded once at the start, and once more when an operator has reopened a
//! journal that had stopped ([`super::again`]). While nothing is loaded they answer probes, and everything else with 503.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::doors::{self, Doors};
use super::fault::StartFault;
use super::front_of::front_of;
use super::furnish::{Foundation, System, furnish};
use super::gateways::console_origin;
use super::prepare::prepared;
use super::recorded::environments;
use super::tasks::Tasks;
use super::{background, directory, mtls, ready};
use crate::authn::sign_in::Client;
use crate::broker::{self, Broker};
use crate::config::Config;
use crate::http;
use crate::http::admin;
use crate::http::console::{self, Console};
use crate::http::front::{self, Doorway, Front, Routes};
use crate::http::health::{self, Audience, NodeAt, Waits};
use crate::http::metrics::{Metrics, Socket};
use crate::server::mtls::Mtls;

/// The time that a start waits for the live index.
///
/// After it the node starts all the same, not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// The bound addresses of a node.
pub struct Addresses {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    pub mtls: SocketAddr,
}

/// What stays when the rest is loaded again.
pub struct Shell {
    pub config: Config,
    pub foundation: Foundation,
    pub system: System,
    pub metrics: Arc<Metrics>,
    pub waits: Waits,
    /// The origin of the console.
    origin: String,
    at: Addresses,
    pub public: Doorway,
    pub admin: Doorway,
    pub mtls: Doorway,
    pub directory: Doorway,
}

/// What is loaded.
pub struct Inside {
    pub broker: Broker,
    pub background: Tasks,
    /// The TLS side of the mTLS socket.
    pub tls: Mtls,
}

impl Shell {
    /// The doorways of a node that has loaded nothing yet.
    pub fn new(config: Config, (foundation, system): (Foundation, System), at: Addresses) -> Self {
        let (metrics, waits) = (Metrics::new(env!("CARGO_PKG_VERSION")), Waits::default());
        let doorway = |socket| Doorway::new(starting(&waits, front_of(socket, &config, &system.entropy, &metrics)));
        let (public, admin) = (doorway(Socket::Public), doorway(Socket::Admin));
        let (mtls, directory) = (doorway(Socket::Mtls), doorway(Socket::Directory));
        let origin = console_origin(&config, at.admin);
        Self { config, foundation, system, metrics, waits, origin, at, public, admin, mtls, directory }
    }

    fn front(&self, socket: Socket) -> Front {
        front_of(socket, &self.config, &self.system.entropy, &self.metrics)
    }

    /// Requests that come from now on find a node that starts.
    pub fn close(&self) {
        let doorways = [
            (&self.public, Socket::Public),
            (&self.admin, Socket::Admin),
            (&self.mtls, Socket::Mtls),
            (&self.directory, Socket::Directory),
        ];
        for (doorway, socket) in doorways {
            doorway.open(starting(&self.waits, self.front(socket)));
        }
    }
}

/// The routes of a socket behind which nothing is loaded.
fn starting(waits: &Waits, front: Front) -> Routes {
    let audience = if front.socket == Socket::Admin { Audience::Operators } else { Audience::Strangers };
    let routes = health::starting(waits, audience, front.shape);
    front::wrap(routes, front)
}

/// Loads a node: the journal is opened and proved, and what rests on it made. The doorways are open once this returns.
///
/// `tls` is the TLS side of an mTLS socket that serves already.
pub async fn load(shell: &Arc<Shell>, tls: Option<Mtls>) -> Result<Inside, StartFault> {
    let (broker, client) = furnish(&shell.config, &shell.foundation, &shell.system, (&shell.origin, &shell.waits)).await?;
    match fit_out(shell, &broker, client, tls).await {
        Ok((background, tls)) => Ok(Inside { broker, background, tls }),
        Err(fault) => {
            // Its lease is given back: the next try need not wait for it.
            broker.journal.close().await;
            Err(fault)
        }
    }
}

/// Prepares the broker, and makes its tasks and routes.
async fn fit_out(
    shell: &Arc<Shell>,
    broker: &Broker,
    client: Option<Client>,
    tls: Option<Mtls>,
) -> Result<(Tasks, Mtls), StartFault> {
    let (config, metrics) = (&shell.config, &shell.metrics);
    let console = Console::new(broker.clone(), client, &shell.origin);
    prepared(broker, config).await?;
    let mut background = tasks_of(broker, config, metrics);
    let _ready = broker.follower.reached(0, PATIENCE).await;
    // Every revocation is known before the first client certificate is checked (ABUSE M-12): the journal was read above.
    let door = mtls::Door::open(broker.clone(), config, shell.at.mtls, tls).await?;
    let tls = door.tls().clone();
    background.spawn("mTLS socket", mtls::keep(door));
    let at = NodeAt {
        log: broker.journal.verifier_key().to_string(),
        public: shell.at.public.to_string(),
        admin: shell.at.admin.to_string(),
        mtls: shell.at.mtls.to_string(),
    };
    let check = ready::check(broker.clone(), background.ended(), at);
    let doors = Doors {
        broker: broker.clone(),
        config: config.clone(),
        metrics: Arc::clone(metrics),
        ready: Arc::clone(&check),
        front: {
            let shell = Arc::clone(shell);
            Box::new(move |socket| shell.front(socket))
        },
        mtls: shell.at.mtls,
    };
    let recorded = config.journal.is_shared().then(|| doors::recorded(broker)).flatten();
    let first = recorded.unwrap_or_else(|| environments(config));
    let [public_router, mtls_router] = doors.of(&first);
    if config.journal.is_shared() {
        background.spawn("environments on record", doors.follow([shell.public.clone(), shell.mtls.clone()], first));
    }
    let admin_router = admin::routes(broker.clone())
        .merge(health::routes(check, Audience::Operators))
        .merge(health::metrics_route(Arc::clone(metrics)));
    let admin_router = console::beside(admin_router, console);
    if let Some(section) = &config.directory {
        let router = http::directory::router(broker.clone(), directory::tokens(section)?);
        shell.directory.open(front::wrap(router, shell.front(Socket::Directory)));
    }
    // The public address opens last: when it says ready, the others are open.
    shell.admin.open(front::wrap(admin_router, shell.front(Socket::Admin)));
    shell.mtls.open(mtls_router);
    shell.public.open(public_router);
    Ok((background, tls))
}

/// The tasks of a broker, which run as long as it is loaded.
fn tasks_of(broker: &Broker, config: &Config, metrics: &Arc<Metrics>) -> Tasks {
    let mut background = Tasks::default();
    background.spawn("live index", broker.clone().follow());
    background.spawn("news", broker.clone().follow_at_once());
    background.spawn("issuers' keys", background::issuers(broker.clone()));
    background.spawn("cursors", broker.clone().share_cursors());
    background.spawn("configuration", broker.clone().watch_configuration());
    background.spawn("own keys", background::own_keys(broker.clone()));
    background.spawn("activations of keys", background::alone(broker.clone(), background::activations));
    background.spawn("consequences", background::alone(broker.clone(), background::consequences));
    background.spawn("cuts by versions", broker.clone().list_cuts());
    background.spawn("counts of uses", broker.clone().keep_counting());
    background.spawn("non-use", background::alone(broker.clone(), Broker::watch_non_use));
    background.spawn("dates", background::alone(broker.clone(), Broker::watch_dates));
    if let Some(retention) = config.journal.retention {
        let metrics = Arc::clone(metrics);
        let task = move |broker| background::retention(broker, Arc::clone(&metrics), retention);
        background.spawn("retention", background::alone(broker.clone(), task));
    }
    if config.journal.is_shared() {
        background.spawn("sealed files", background::read_back(broker.clone(), Arc::clone(metrics)));
    }
    if broker.tickets.is_some() {
        background.spawn("tickets", broker.clone().watch_tickets());
    }
    for receiver in &broker.receivers {
        let receiver = Arc::clone(receiver);
        let task = move |broker| broker::delivery::deliver(broker, Arc::clone(&receiver));
        background.spawn("webhooks", background::alone(broker.clone(), task));
    }
    if let Some(mail) = &broker.mail {
        let mail = Arc::clone(mail);
        let task = move |broker| broker::mail::tell(broker, Arc::clone(&mail));
        background.spawn("mail", background::alone(broker.clone(), task));
    }
    background.spawn("metrics", background::gauges(broker.clone(), Arc::clone(metrics)));
    if config.directory.is_some() {
        background.spawn("people directory", background::alone(broker.clone(), background::people));
        background.spawn("owners", background::alone(broker.clone(), background::owners));
    }
    background
}
