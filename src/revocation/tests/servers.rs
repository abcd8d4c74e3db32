//! Real servers for the tests: one, over TLS, with sentinels, a cluster.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use super::{Machine, free_port};
use crate::revocation::{Address, Index, Place, Servers, acl};

/// What a run of the contract over another kind of servers is told where they are.
pub const GIVEN: &str = "CARNET_TEST_REDIS";

/// A kind of servers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    One,
    /// As the user of `carnet doctor --redis-acl`, without any other right.
    User,
    Tls,
    Sentinels,
    Cluster,
}

impl Kind {
    const ALL: [Self; 5] = [Self::One, Self::User, Self::Tls, Self::Sentinels, Self::Cluster];
}

/// Running servers, ended with this.
pub struct Running {
    pub kind: Kind,
    /// The servers, or the masters of a cluster.
    pub ports: Vec<u16>,
    pub sentinels: Vec<u16>,
    children: Vec<Child>,
    /// Certificates and the files that servers write.
    folder: PathBuf,
    _own: Option<tempfile::TempDir>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The password of the user, and of every server over TLS.
const PASSWORD: &str = "correct horse";

impl Running {
    /// Starts servers of a kind, and waits until they answer.
    pub fn start(kind: Kind) -> Self {
        let own = tempfile::tempdir().expect("a folder");
        let folder = own.path().to_owned();
        let mut running =
            Self { kind, ports: Vec::new(), sentinels: Vec::new(), children: Vec::new(), folder, _own: Some(own) };
        match kind {
            Kind::One => drop(running.server(&[])),
            Kind::User => {
                let port = running.server(&[]);
                let rules = acl(PASSWORD);
                // A word of the rules may hold a space: the password's.
                let (before, after) = rules.split_once(&format!(">{PASSWORD}")).expect("a password");
                let password = format!(">{PASSWORD}");
                let words: Vec<&str> =
                    before.split_whitespace().chain([password.as_str()]).chain(after.split_whitespace()).collect();
                let told = cli(&["-p", &port.to_string()], &[&["ACL", "SETUSER", "carnet"][..], &words].concat());
                assert_eq!(told, "OK");
            }
            Kind::Tls => {
                running.certificates();
                let file = |name: &str| running.folder.join(name).display().to_string();
                let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
                let port = free_port();
                let tls = port.to_string();
                let own =
                    ["--tls-port", &tls, "--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
                let rest = ["--tls-auth-clients", "no", "--requirepass", PASSWORD];
                running.spawn(0, &[&own[..], &rest].concat());
                running.ports.push(port);
                wait(port);
            }
            Kind::Sentinels => {
                let master = running.server(&[]);
                let replica = running.server(&["--replicaof", "127.0.0.1", &master.to_string()]);
                for _ in 0..3 {
                    running.sentinel(master);
                }
                let linked = || cli(&["-p", &replica.to_string()], &["INFO", "replication"]).contains("master_link_status:up");
                until("the replica follows", linked);
                let sentinels = running.sentinels.clone();
                until("the sentinels know each other", || {
                    sentinels.iter().all(|port| {
                        let told = cli(&["-p", &port.to_string()], &["SENTINEL", "MASTER", "mymaster"]);
                        let lines: Vec<&str> = told.lines().collect();
                        let number =
                            |name: &str| lines.iter().position(|line| *line == name).and_then(|at| lines.get(at + 1)).copied();
                        number("num-slaves") == Some("1") && number("num-other-sentinels") == Some("2")
                    })
                });
            }
            Kind::Cluster => {
                for _ in 0..3 {
                    let name = format!("nodes{}.conf", running.ports.len());
                    // Its usual port is ten thousand more, among those of connections that others make.
                    let bus = free_port().to_string();
                    running.server(&[
                        "--cluster-enabled",
                        "yes",
                        "--cluster-port",
                        &bus,
                        "--cluster-config-file",
                        &name,
                        "--cluster-node-timeout",
                        "2000",
                    ]);
                }
                let nodes: Vec<String> = running.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
                let nodes: Vec<&str> = nodes.iter().map(String::as_str).collect();
                cli(&[], &[&["--cluster", "create"][..], &nodes, &["--cluster-replicas", "0", "--cluster-yes"]].concat());
                let ports = running.ports.clone();
                until("the cluster is whole", || {
                    ports.iter().all(|port| {
                        let told = cli(&["-p", &port.to_string()], &["CLUSTER", "INFO"]);
                        told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:3")
                    })
                });
            }
        }
        running
    }

    /// Those of the process that runs this one, if it gives any.
    pub fn given() -> Option<Self> {
        let told = std::env::var(GIVEN).ok()?;
        let [kind, ports, sentinels, folder]: [&str; 4] =
            told.splitn(4, ' ').collect::<Vec<_>>().try_into().expect("four words");
        let kind = Kind::ALL.into_iter().find(|one| format!("{one:?}") == kind).expect("a kind");
        let numbers = |list: &str| list.split(',').filter_map(|number| number.parse().ok()).collect();
        let (ports, sentinels) = (numbers(ports), numbers(sentinels));
        Some(Self { kind, ports, sentinels, children: Vec::new(), folder: PathBuf::from(folder), _own: None })
    }

    /// What another process is told in [`GIVEN`].
    pub fn told(&self) -> String {
        let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(",");
        format!("{:?} {} {} {}", self.kind, list(&self.ports), list(&self.sentinels), self.folder.display())
    }

    /// Where they are.
    pub fn place(&self) -> Place {
        let at = |port: &u16| Address::new("127.0.0.1", *port);
        let servers = match self.kind {
            Kind::One | Kind::User => Servers::One(at(&self.ports[0])),
            Kind::Tls => Servers::One(Address::new("localhost", self.ports[0])),
            Kind::Sentinels => {
                Servers::Sentinels { at: self.sentinels.iter().map(at).collect(), master: "mymaster".to_owned() }
            }
            Kind::Cluster => Servers::Cluster(self.ports.iter().map(at).collect()),
        };
        let password = || Some(Zeroizing::new(PASSWORD.to_owned()));
        let plain = Place { servers, ..Place::plain("127.0.0.1", 0) };
        match self.kind {
            Kind::One | Kind::Sentinels | Kind::Cluster => plain,
            Kind::User => Place { username: Some("carnet".to_owned()), password: password(), ..plain },
            Kind::Tls => Place { password: password(), tls: Some(self.trusting("ca.pem")), ..plain },
        }
    }

    /// TLS that trusts the roots of a file and no others.
    pub fn trusting(&self, file: &str) -> Arc<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        let pem = std::fs::read(self.folder.join(file)).expect("a file");
        for root in rustls::pki_types::CertificateDer::pem_slice_iter(&pem) {
            roots.add(root.expect("a certificate")).expect("a root");
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// An index in them, of a process of its own.
    pub fn index(&self) -> Index {
        Index::redis(self.place(), Arc::new(Machine))
    }

    /// Runs a command as an operator does, where its key is.
    pub fn command(&self, arguments: &[&str]) -> String {
        self.command_at(0, arguments)
    }

    /// The same at one of the servers. In a cluster it goes on to where the key is.
    pub fn command_at(&self, number: usize, arguments: &[&str]) -> String {
        let port = self.ports[number].to_string();
        let ca = self.folder.join("ca.pem").display().to_string();
        let way: &[&str] = match self.kind {
            Kind::One | Kind::User | Kind::Sentinels => &[],
            Kind::Tls => &["--tls", "--cacert", &ca, "--no-auth-warning", "-a", PASSWORD],
            Kind::Cluster => &["-c"],
        };
        let host = if self.kind == Kind::Tls { "localhost" } else { "127.0.0.1" };
        cli(&[&["-h", host, "-p", &port][..], way].concat(), arguments)
    }

    /// Empties all of them.
    pub fn flush(&self) {
        let number = if self.kind == Kind::Cluster { self.ports.len() } else { 1 };
        for at in 0..number {
            self.command_at(at, &["FLUSHALL"]);
        }
    }

    /// Sends a signal to one of the servers.
    pub fn signal(&self, number: usize, signal: &str) {
        let pid = self.children[number].id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    }

    /// Ends one of the servers at once.
    pub fn kill(&mut self, number: usize) {
        let _ = self.children[number].kill();
        let _ = self.children[number].wait();
    }

    fn server(&mut self, more: &[&str]) -> u16 {
        let port = free_port();
        self.spawn(port, more);
        self.ports.push(port);
        wait(port);
        port
    }

    fn spawn(&mut self, port: u16, more: &[&str]) {
        let folder = self.folder.display().to_string();
        let port = port.to_string();
        let usual = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &folder];
        let quick = ["--repl-diskless-sync-delay", "0"];
        let child = Command::new("redis-server").args(usual).args(quick).args(more).stdout(Stdio::null()).spawn();
        self.children.push(child.expect("redis-server (make setup)"));
    }

    fn sentinel(&mut self, master: u16) {
        let port = free_port();
        let file = self.folder.join(format!("sentinel{port}.conf"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {master} 2\nsentinel down-after-milliseconds mymaster 500\n\
             sentinel failover-timeout mymaster 2000\n",
            self.folder.display()
        );
        std::fs::write(&file, text).expect("written");
        let child =
            Command::new("redis-server").arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().expect("a sentinel");
        self.children.push(child);
        self.sentinels.push(port);
        wait(port);
    }

    /// An authority of `localhost`, and another one that signed nothing here.
    fn certificates(&self) {
        let authority = || {
            let mut params = CertificateParams::new(Vec::new()).expect("parameters");
            // Else it has the name of what it signs, which then passes for its own issuer.
            params.distinguished_name.push(rcgen::DnType::CommonName, "an authority");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().expect("a key");
            let own = params.self_signed(&key).expect("signs");
            (own.pem(), Issuer::new(params, key))
        };
        let ((ca, issuer), (other, _)) = (authority(), authority());
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let leaf = params.signed_by(&key, &issuer).expect("signs");
        for (name, text) in
            [("ca.pem", ca), ("other.pem", other), ("server.pem", leaf.pem()), ("server.key", key.serialize_pem())]
        {
            std::fs::write(self.folder.join(name), text).expect("written");
        }
    }
}

/// Runs `redis-cli`.
pub fn cli(way: &[&str], arguments: &[&str]) -> String {
    let ran = Command::new("redis-cli").args(way).args(arguments).output().expect("redis-cli runs");
    let said = String::from_utf8_lossy(&ran.stdout).trim_end().to_owned();
    assert!(ran.status.success() && !said.starts_with("ERR") && !said.starts_with("NOAUTH"), "{arguments:?}: {said}");
    said
}

fn wait(port: u16) {
    until("a server answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Waits until it is so.
pub fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..750 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it does not come to pass: {what}");
}
