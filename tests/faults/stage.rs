//! The stage: nodes with their stores on this machine, each connection behind a proxy, and records in force.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clients::Reach;
use super::history::History;
use super::node::{Node, Peer, Plan};
use super::postgres::Pair;
use super::process::Guard;
use super::proxy::Proxy;
use super::records;
use super::redis;
use super::wire::Request;
use crate::world::Provider;
use crate::world::client::free_port;

/// Where the journal is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Store {
    /// In a file of the one node.
    Sqlite,
    /// In PostgreSQL, with a synchronous standby.
    Postgres,
}

/// Where the live index is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Index {
    /// In one Redis.
    Single,
    /// In a master with a replica, behind three Sentinels.
    Sentinels,
    /// In a cluster of three masters.
    Cluster,
}

/// The parts of a stage.
#[derive(Clone, Debug)]
pub struct Shape {
    /// How many nodes.
    pub nodes: usize,
    /// The journal.
    pub store: Store,
    /// The live index.
    pub index: Index,
    /// The program that they run.
    pub program: PathBuf,
    /// The time within which a healed stage must mint, revoke and introspect.
    pub heals_within: Duration,
}

impl Shape {
    /// So many nodes; one has SQLite and a single Redis, several have all that can fail over.
    pub fn of_nodes(nodes: usize) -> Self {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_carnet"));
        let (store, index) = if nodes == 1 { (Store::Sqlite, Index::Single) } else { (Store::Postgres, Index::Sentinels) };
        Self { nodes, store, index, program, heals_within: Duration::from_secs(10) }
    }

    /// What `make faults` names: `NODES`, `JOURNAL`, `REDIS` and `PROGRAM`.
    pub fn of_variables() -> Self {
        let mut shape = Self::of_nodes(variable("NODES").map_or(1, |nodes| nodes.parse().expect("NODES is a number")));
        match variable("JOURNAL").as_deref() {
            None => {}
            Some("sqlite") => shape.store = Store::Sqlite,
            Some("postgres") => shape.store = Store::Postgres,
            Some(other) => panic!("JOURNAL is sqlite or postgres, and not {other}"),
        }
        match variable("REDIS").as_deref() {
            None => {}
            Some("single") => shape.index = Index::Single,
            Some("sentinel") => shape.index = Index::Sentinels,
            Some("cluster") => shape.index = Index::Cluster,
            Some(other) => panic!("REDIS is single, sentinel or cluster, and not {other}"),
        }
        if let Some(program) = variable("PROGRAM") {
            shape.program = program.into();
        }
        shape
    }
}

/// A variable of `make faults`, if it is set.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(format!("FAULTS_{name}")).ok().filter(|text| !text.is_empty())
}

/// A stage that runs.
pub struct Stage {
    /// Its parts.
    pub shape: Shape,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// PostgreSQL.
    pub postgres: Option<Pair>,
    /// The Redis servers.
    pub redis: Vec<redis::Server>,
    /// Their Sentinels.
    pub sentinels: Vec<redis::Server>,
    /// What clients need.
    pub reach: Arc<Reach>,
    host: String,
    /// Where everything lies.
    pub folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything, and brings the records into force.
    pub async fn start(shape: Shape) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let guard = Guard::start();
        let (partner, staff) = (Provider::start().await, Provider::start().await);
        let postgres = match shape.store {
            Store::Sqlite => None,
            Store::Postgres => Some(Pair::start(&guard).await),
        };
        let (redis, sentinels) = match shape.index {
            Index::Single => (vec![redis::Server::start(&guard, folder.path(), "").await], Vec::new()),
            Index::Sentinels => redis::trio(&guard, folder.path()).await,
            Index::Cluster => (redis::cluster(&guard, folder.path()).await, Vec::new()),
        };
        let ports: Vec<(u16, u16)> = (0..shape.nodes).map(|_| (free_port(), free_port())).collect();
        let host = format!("127.0.0.1:{}", ports[0].0);
        carnet::journal::Kek::create(&folder.path().join("kek"), &carnet::server::OsEntropy).expect("a key-encryption key");
        let mut nodes = Vec::new();
        for (number, &ports) in ports.iter().enumerate() {
            let own = folder.path().join(format!("node-{number}"));
            std::fs::create_dir(&own).expect("a folder");
            let proxies = proxies(postgres.as_ref(), &redis, &sentinels).await;
            nodes.push(Node::new(Plan { folder: own, ports, guard: &guard, proxies, program: &shape.program }));
        }
        let history = History::begin(&folder.path().join("history.ndjson"));
        let sockets = nodes.iter().map(|node| (node.public, node.admin)).collect();
        let reach = Arc::new(Reach::new(sockets, host.clone(), (partner, staff), history));
        let mut stage = Self { shape, nodes, postgres, redis, sentinels, reach, host, folder };
        for at in 0..stage.nodes.len() {
            stage.configure(at, "10m");
            stage.nodes[at].start();
            assert!(stage.becomes_ready(at, Duration::from_secs(60)).await, "{}", stage.told(at).await);
        }
        records::onboard(&stage.reach).await;
        stage
    }

    /// Writes a node's configuration, with this longest life of a token. It is read at the node's next start.
    pub fn configure(&self, node: usize, max_ttl: &str) {
        let Node { public, admin, proxies, folder, .. } = &self.nodes[node];
        let issuers = [self.reach.partner.issuer.as_str(), self.reach.company.issuer.as_str()];
        let (number, ports, host) = (node, (public.port(), admin.port()), self.host.as_str());
        let settings = Settings { number, shape: &self.shape, folder, ports, host, issuers, proxies, max_ttl };
        std::fs::write(folder.join("carnet.toml"), settings.text()).expect("written");
    }

    /// Puts the configuration of a node's file on record, as an administrator does: as soon as the node answers, and again after an answer that
    /// says so.
    pub async fn applies_configuration(&self, node: usize, longest: Duration) -> Result<(), String> {
        let (begun, mut last) = (Instant::now(), "it does not answer".to_owned());
        while begun.elapsed() < longest {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if self.nodes[node].is_up().await {
                let found = self.reach.staff(node, "adam", Request::get("/v1/configuration")).await;
                // A build whose nodes agree on no configuration has no such route: each serves that of its file.
                if found.status == 404 || (found.status == 200 && found.body["recorded"] == found.body["file"]) {
                    return Ok(());
                }
                if found.status != 200 {
                    last = format!("{} {}", found.status, found.body);
                    continue;
                }
                let seen = serde_json::json!({"recorded": found.body["recorded"], "file": found.body["file"]});
                let applied = self.reach.staff(node, "adam", Request::json("/v1/configuration/apply", &seen)).await;
                match applied.status {
                    200 => return Ok(()),
                    0 | 409 | 503 => last = format!("{} {} {}", applied.status, found.body, applied.body),
                    status => return Err(format!("{status} {} {}", found.body, applied.body)),
                }
            }
        }
        Err(last)
    }

    /// Waits until a node is ready.
    pub async fn becomes_ready(&mut self, node: usize, longest: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < longest {
            if self.nodes[node].is_ready().await {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        false
    }

    /// What a node says of itself, and the end of its log.
    pub async fn told(&self, node: usize) -> String {
        let log = std::fs::read_to_string(self.nodes[node].log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(8)..].join("\n");
        format!("node {node}: {}\n{last}", self.nodes[node].checks().await)
    }

    /// Exports the journal, and verifies it as an operator does. Returns the export, the key, and the fault that the command names.
    ///
    /// The command exports nothing that does not hold. Then the export is the plain entries, without a checkpoint.
    pub fn export(&self) -> (PathBuf, String, Result<(), String>) {
        let config = self.nodes[0].config().display().to_string();
        let export = self.folder.path().join(format!("export-{}", self.reach.history.now()));
        let place = export.display().to_string();
        let run = |arguments: &[&str]| carnet(&self.shape.program, &[arguments, &["-c", &config]].concat());
        let verified = run(&["journal", "verify"]).and_then(|_| run(&["journal", "export", &place])).map(drop);
        if verified.is_err() {
            let events = run(&["journal", "export", "--as", "cloudevents"]).unwrap_or_default();
            let entry =
                |line: &str| serde_json::from_str::<serde_json::Value>(line).map(|event| format!("{}\n", event["data"]));
            let entries: String = events.lines().filter_map(|line| entry(line).ok()).collect();
            let _there = std::fs::create_dir(&export);
            std::fs::write(export.join("entries.ndjson"), entries).expect("written");
            std::fs::write(export.join("checkpoint"), "").expect("written");
        }
        let key = run(&["key", "show", "--checkpoint"]).unwrap_or_default();
        (export, key.trim().to_owned(), verified)
    }
}

/// A node's own proxies to each server. To the node a Sentinel, or a server of a cluster, names these, in the place of the servers.
async fn proxies(postgres: Option<&Pair>, redis: &[redis::Server], sentinels: &[redis::Server]) -> BTreeMap<Peer, Proxy> {
    let mut proxies = BTreeMap::new();
    for (which, pair) in postgres.iter().flat_map(|pair| [(0, pair), (1, pair)]) {
        proxies.insert(Peer::Postgres(which), Proxy::before(pair.address(which)).await);
    }
    let renamed: Vec<(u16, u16)> = redis.iter().map(|server| (server.port, free_port())).collect();
    // Only the servers of a cluster name each other.
    let others = if sentinels.is_empty() && redis.len() > 1 { renamed.clone() } else { Vec::new() };
    for (which, (server, &(_, port))) in redis.iter().zip(&renamed).enumerate() {
        proxies.insert(Peer::Redis(which), Proxy::at(port, server.address(), others.clone()).await);
    }
    for (which, sentinel) in sentinels.iter().enumerate() {
        proxies.insert(Peer::Sentinel(which), Proxy::renaming(sentinel.address(), renamed.clone()).await);
    }
    proxies
}

/// The standard output of a command that ends well; else its messages.
fn carnet(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).env("CARNET_LOG", "off").output().expect("the program runs");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("carnet {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr)))
    }
}

/// What stands in a node's `carnet.toml`.
struct Settings<'a> {
    number: usize,
    shape: &'a Shape,
    folder: &'a Path,
    ports: (u16, u16),
    /// Host and port of every environment's issuer: the first node's.
    host: &'a str,
    /// The partner's issuer and the company's.
    issuers: [&'a str; 2],
    proxies: &'a BTreeMap<Peer, Proxy>,
    max_ttl: &'a str,
}

impl Settings<'_> {
    fn text(&self) -> String {
        let [partner, staff] = self.issuers;
        let (host, (public, admin)) = (self.host, self.ports);
        format!(
            r#"{stores}
[keys]
kek_file = "../kek"
[staff]
issuer = "{staff}"
audience = "carnet"
roles = {{ administrator = ["admins"], security = ["security"], owner = ["owners"], auditor = ["audit"] }}
[outbound]
issuers = ["{partner}", "{staff}"]
[environments.production]
issuer = "http://{host}/production"
max_ttl = "{max_ttl}"
[listen]
public = "127.0.0.1:{public}"
admin = "127.0.0.1:{admin}"
mtls = "127.0.0.1:0"
verify_callers = ["127.0.0.0/8"]
"#,
            stores = self.stores(),
            max_ttl = self.max_ttl,
        )
    }

    /// `[node]`, `[journal]` and `[redis]`.
    fn stores(&self) -> String {
        let journal = match self.shape.store {
            Store::Sqlite => format!("[journal]\nurl = \"sqlite://{}/journal.db\"", self.folder.display()),
            Store::Postgres => {
                let hosts = self.hosts(|peer| matches!(peer, Peer::Postgres(_)));
                let options = "target_session_attrs=read-write&sslmode=disable";
                let url = format!("postgres://carnet@{hosts}/carnet?{options}");
                format!("[node]\nid = \"sts-{}\"\n[journal]\nurl = \"{url}\"\nreplication = \"synchronous\"", self.number + 1)
            }
        };
        let servers = || self.hosts(|peer| matches!(peer, Peer::Redis(_)));
        let redis = match self.shape.index {
            Index::Single => format!("redis://{}/0", servers()),
            Index::Cluster => format!("redis+cluster://{}", servers()),
            Index::Sentinels => {
                format!("redis+sentinel://{}/{}/0", self.hosts(|peer| matches!(peer, Peer::Sentinel(_))), redis::MASTER)
            }
        };
        format!("{journal}\norigin = \"faults.example/carnet\"\n[redis]\nurl = \"{redis}\"")
    }

    /// The proxies before these peers, as a URL lists hosts.
    fn hosts(&self, which: impl Fn(&Peer) -> bool) -> String {
        let proxies = self.proxies.iter().filter(|(peer, _)| which(peer));
        proxies.map(|(_, proxy)| format!("127.0.0.1:{}", proxy.port)).collect::<Vec<_>>().join(",")
    }
}
