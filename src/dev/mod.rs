//! `carnet dev`: a whole broker with demo services, in one process and on loopback addresses alone.
//!
//! It needs no Redis, no file and no account. Enter through [`start`]. It is the broker that `serve` runs, on a journal that
//! says `dev` in its first entry. A demo workload issuer, demo staff and a demo API have their own socket (`http::demo`). The
//! demo partner is onboarded like any other: applied, submitted and approved by two people, over the admin API.
//!
//! The commands `dev` and `demo` are in `cli`; the steps of `demo` are in [`demo`].

pub mod demo;
mod demo_offboarding;
mod demo_services;
mod onboard;
mod records;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::{
    Config, EnvironmentSection, GovernanceSection, JournalSection, KeysSection, ListenSection, NodeSection, OutboundSection,
    StaffSection, default_trust_domain,
};
use crate::domain::people::actor::Role;
use crate::domain::value::clock::{Clock as _, Seconds};
use crate::domain::value::names::{EnvironmentName, Issuer};
use crate::domain::value::network::Cidr;
use crate::http::demo::{CONSOLE, PEOPLE};
use crate::http::metrics::Socket;
use crate::journal::key::kek::KekFault;
use crate::journal::{Kek, Location, Settings as JournalSettings};
use crate::serve::StartFault;
use crate::serve::{self, Foundation, Running, Sockets, System};
use crate::server::{Listener, OsEntropy, SystemClock};

pub use demo_services::DemoServices;

/// The addresses of a development broker, and the folder of its data.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address for workloads and APIs.
    pub public: SocketAddr,
    /// The address for staff.
    pub admin: SocketAddr,
    /// The address for workloads with a certificate.
    pub mtls: SocketAddr,
    /// The address for the demo issuers and the demo API.
    pub demo: SocketAddr,
    /// The folder for journal and key-encryption key. Without it they are gone on exit.
    pub data: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { public: loopback(7400), admin: loopback(7401), mtls: loopback(7443), demo: loopback(7402), data: None }
    }
}

/// A running development broker.
pub struct DevBroker {
    /// The broker.
    pub running: Running,
    /// The `http://…` URL of the demo socket.
    pub demo_url: String,
    /// The `http://localhost:…` URL of the console.
    pub console_url: String,
    /// Its environments: name and issuer.
    pub environments: Vec<(String, String)>,
    stop: watch::Sender<bool>,
    demo: JoinHandle<()>,
}

/// The reason why a development broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum DevFault {
    /// An address is not a loopback address.
    #[error("{0} is not a loopback address: everybody could be anybody there")]
    NotLoopback(SocketAddr),
    /// A socket is taken.
    #[error("{address}: {cause}; name another with --public, --admin, --mtls or --demo, or port 0")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The cause.
        cause: std::io::Error,
    },
    /// The data folder cannot be used.
    #[error("{path}: {cause}")]
    Data {
        /// The path.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// The key-encryption key in the data folder cannot be used.
    #[error(transparent)]
    Kek(#[from] KekFault),
    /// The configuration that it makes for itself is invalid: a defect.
    #[error("the development configuration does not hold: {0}")]
    Configuration(String),
    /// The broker does not start.
    #[error(transparent)]
    Start(#[from] StartFault),
    /// The demo's issuers or API cannot be made.
    #[error("the demo services cannot be made")]
    DemoServices,
    /// The demo partner could not be onboarded.
    #[error("the demo partner could not be onboarded: {0}")]
    Onboard(String),
}

/// Starts a development broker.
///
/// Once this returns, everything answers and the demo partner is active.
///
/// # Errors
/// Taken ports, an unusable data folder, or a defect.
pub async fn start(options: Options) -> Result<DevBroker, DevFault> {
    for address in [options.public, options.admin, options.mtls, options.demo] {
        if !address.ip().is_loopback() {
            return Err(DevFault::NotLoopback(address));
        }
    }
    let bind =
        async |socket, address| Listener::bind(socket, address, None).await.map_err(|cause| DevFault::Bind { address, cause });
    let sockets = Sockets::of(
        bind(Socket::Public, options.public).await?,
        bind(Socket::Admin, options.admin).await?,
        bind(Socket::Mtls, options.mtls).await?,
    );
    let demo = bind(Socket::Demo, options.demo).await?;
    let (public, admin) = sockets.addresses();
    let (demo_url, public_url) = (demo.url(), format!("http://{public}"));
    let folder = data_folder(&options)?;
    let config = configuration(&folder, (public, admin), &demo_url)?;
    let foundation = foundation(&options, &config)?;
    let system = System { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) };
    let environments: Vec<(String, String)> =
        config.environments.iter().map(|(name, environment)| (name.to_string(), environment.issuer.to_string())).collect();
    let console_url = serve::console_origin(&config, admin);
    // The issuers answer before the broker fetches their keys.
    let services = DemoServices::new(&demo_url, (&public_url, &console_url), &system).ok_or(DevFault::DemoServices)?;
    let (stop, stopped) = watch::channel(false);
    let demo = tokio::spawn(services.serve(demo, &system, stopped));
    let running = serve::launch(config, sockets, foundation, system).await?;
    onboard::onboard(&running.admin_url, &services, SystemClock.now()).await.map_err(DevFault::Onboard)?;
    Ok(DevBroker { running, demo_url, console_url, environments, stop, demo })
}

/// The folder of the configuration: the data folder, or an existing one that stays unchanged.
fn data_folder(options: &Options) -> Result<PathBuf, DevFault> {
    let Some(path) = &options.data else { return Ok(std::env::temp_dir()) };
    let fault = |cause| DevFault::Data { path: path.clone(), cause };
    std::fs::create_dir_all(path).map_err(fault)?;
    std::path::absolute(path).map_err(fault)
}

/// The key-encryption key and the journal: fresh and gone on exit, or in the data folder.
fn foundation(options: &Options, config: &Config) -> Result<Foundation, DevFault> {
    let journal = JournalSettings { dev: true, ..serve::journal_settings(config)? };
    if options.data.is_none() {
        let journal = JournalSettings { location: Location::Temporary, anchor: None, ..journal };
        return Ok(Foundation { kek: Kek::ephemeral(&OsEntropy), journal });
    }
    let path = &config.keys.kek_file;
    let kek = if path.exists() { Kek::load(path)? } else { Kek::create(path, &OsEntropy)? };
    Ok(Foundation { kek, journal })
}

/// The networks of this machine alone.
fn loopback() -> Result<Vec<Cidr>, DevFault> {
    let network = |text: &str| text.parse().map_err(|_| DevFault::Configuration(format!("the network {text}")));
    ["127.0.0.0/8", "::1/128"].into_iter().map(network).collect()
}

/// The configuration that `serve` would load from a file.
fn configuration(folder: &Path, (public, admin): (SocketAddr, SocketAddr), demo: &str) -> Result<Config, DevFault> {
    let defect = |what: String| DevFault::Configuration(what);
    let environment = |name: &str, max_ttl| {
        let issuer: Issuer = format!("http://{public}/{name}").parse().map_err(|_| defect(format!("the issuer of {name}")))?;
        let trust_domain =
            default_trust_domain(name, issuer.as_str()).ok_or_else(|| defect(format!("the trust domain of {name}")))?;
        let name: EnvironmentName = name.parse().map_err(|_| defect(name.to_owned()))?;
        Ok::<_, DevFault>((name, EnvironmentSection { issuer, max_ttl, trust_domain, production: None }))
    };
    let groups = [Role::Administrator, Role::Auditor, Role::Owner, Role::Security].map(|role| {
        let group = PEOPLE.iter().filter(|(_, held, _)| *held == role).map(|(_, _, group)| (*group).to_owned());
        (role, group.collect::<BTreeSet<_>>())
    });
    Ok(Config {
        signals: Vec::new(),
        folder: folder.to_owned(),
        // Only this machine reaches it, so a proxy beside it may ask for verdicts as the how-to pages show.
        listen: ListenSection { public, admin, verify_callers: loopback()?, ..ListenSection::default() },
        node: NodeSection { id: "dev".parse().map_err(|_| defect("the node".to_owned()))?, grace: Seconds(0) },
        journal: JournalSection {
            origin: Some("localhost/carnet-dev".to_owned()),
            ..JournalSection::in_file(folder.join("journal.db"))
        },
        redis: None,
        keys: KeysSection { kek_file: folder.join("kek") },
        staff: StaffSection {
            issuer: format!("{demo}/staff").parse().map_err(|_| defect("the staff issuer".to_owned()))?,
            audience: "carnet".to_owned(),
            person_claim: "sub".to_owned(),
            max_age: Seconds::hours(1),
            roles_claim: "groups".to_owned(),
            roles: groups.into_iter().collect(),
            client_id: Some(CONSOLE.to_owned()),
            client_secret_file: None,
        },
        governance: GovernanceSection::default(),
        outbound: OutboundSection { issuers: vec![demo.parse().map_err(defect)?], ..OutboundSection::default() },
        environments: [environment("sandbox", Seconds::minutes(15))?, environment("production", Seconds::minutes(10))?].into(),
        tickets: None,
        directory: None,
        mail: None,
        webhooks: std::collections::BTreeMap::new(),
    })
}

impl DevBroker {
    /// Stops the broker. Everything outside `--data` is gone.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        let _ended = self.demo.await;
        self.running.shutdown().await;
    }
}
