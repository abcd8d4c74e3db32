//! The Redis of a stage: one server, a master with a replica and three Sentinels, or a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Guard, Process};
use crate::world::client::free_port;

/// A server, or a Sentinel, that can be killed and started again on its port.
pub struct Server {
    /// Its port.
    pub port: u16,
    /// Its process.
    pub process: Process,
    arguments: Vec<String>,
    folder: PathBuf,
    guard: Guard,
}

impl Server {
    /// A server without persistence: started again it is empty. Whether it is a master or a replica then stands in its configuration, which
    /// Sentinels have it write anew.
    pub async fn start(guard: &Guard, folder: &Path, more: &str) -> Self {
        let port = free_port();
        let own = folder.join(format!("redis-{port}"));
        std::fs::create_dir_all(&own).expect("a folder");
        let file = own.join("redis.conf");
        let fixed = format!("port {port}\nbind 127.0.0.1\nsave \"\"\nappendonly no\ndir {}\n", own.display());
        std::fs::write(&file, fixed + more).expect("a file");
        let arguments = vec![file.display().to_string()];
        Self::run(guard, own, port, arguments).await
    }

    /// A Sentinel with this configuration, which it writes anew as it learns.
    pub async fn sentinel(guard: &Guard, folder: &Path, watches: &str) -> Self {
        let port = free_port();
        let own = folder.join(format!("sentinel-{port}"));
        std::fs::create_dir_all(&own).expect("a folder");
        let file = own.join("sentinel.conf");
        let text = format!("port {port}\nbind 127.0.0.1\ndir {}\n{watches}", own.display());
        std::fs::write(&file, text).expect("a file");
        let arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        Self::run(guard, own, port, arguments).await
    }

    async fn run(guard: &Guard, folder: PathBuf, port: u16, arguments: Vec<String>) -> Self {
        let process = spawn(guard, &folder, &arguments);
        let server = Self { port, process, arguments, folder, guard: guard.clone() };
        for _ in 0..400 {
            if server.try_command(&["ping"]).is_some() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("redis-server does not answer; is it installed? (make setup)");
    }

    /// Starts it again if it has ended.
    pub fn restart(&mut self) {
        if self.process.ended().is_some() || self.process.is_killed() {
            self.process = spawn(&self.guard, &self.folder, &self.arguments);
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The answer to a command, as an operator asks with `redis-cli`; nothing if it does not answer.
    pub fn try_command(&self, arguments: &[&str]) -> Option<String> {
        let port = self.port.to_string();
        let ran = Command::new("timeout").args(["2", "redis-cli", "-p", &port]).args(arguments).output().ok()?;
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        (ran.status.success() && !said.starts_with("ERR") && !said.is_empty()).then_some(said)
    }
}

/// What Sentinels call the master.
pub const MASTER: &str = "mymaster";

/// A master, its replica, and three Sentinels that agree on the master.
pub async fn trio(guard: &Guard, folder: &Path) -> (Vec<Server>, Vec<Server>) {
    let master = Server::start(guard, folder, "").await;
    let port = master.port;
    let replica = Server::start(guard, folder, &format!("replicaof 127.0.0.1 {port}\n")).await;
    let watches = format!(
        "sentinel monitor {MASTER} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {MASTER} 1000\n\
         sentinel failover-timeout {MASTER} 3000\nsentinel parallel-syncs {MASTER} 1\n"
    );
    let mut sentinels = Vec::new();
    for _ in 0..3 {
        sentinels.push(Server::sentinel(guard, folder, &watches).await);
    }
    let servers = vec![master, replica];
    // They know each other and the replica: only then can they fail over.
    for _ in 0..400 {
        let knows = |sentinel: &Server| {
            let told = sentinel.try_command(&["sentinel", "master", MASTER]).unwrap_or_default();
            let lines: Vec<&str> = told.lines().collect();
            let is = |name: &str, value: &str| lines.windows(2).any(|pair| pair == [name, value]);
            is("num-slaves", "1") && is("num-other-sentinels", "2") && is("flags", "master")
        };
        if sentinels.iter().all(knows) && servers[1].try_command(&["role"]).is_some_and(|role| role.contains("connected")) {
            return (servers, sentinels);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the Sentinels do not agree");
}

/// A cluster of three masters, which have a third of the slots each and no replica.
pub async fn cluster(guard: &Guard, folder: &Path) -> Vec<Server> {
    let mut servers = Vec::new();
    for _ in 0..3 {
        // Its usual port is ten thousand more, and may be none.
        let bus = free_port();
        let own = format!("cluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 1000\n");
        servers.push(Server::start(guard, folder, &own).await);
    }
    let nodes = servers.iter().map(|server| server.address().to_string());
    let create = Command::new("redis-cli").args(["--cluster", "create"]).args(nodes).args(["--cluster-yes"]).output();
    let create = create.expect("redis-cli runs");
    assert!(create.status.success(), "{}", String::from_utf8_lossy(&create.stdout));
    for _ in 0..400 {
        let is_whole = |server: &Server| {
            let told = server.try_command(&["cluster", "info"]).unwrap_or_default();
            told.contains("cluster_state:ok") && told.contains("cluster_known_nodes:3")
        };
        if servers.iter().all(is_whole) {
            return servers;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the servers make no cluster");
}

fn spawn(guard: &Guard, folder: &Path, arguments: &[String]) -> Process {
    Process::start(guard, Command::new("redis-server").args(arguments), &folder.join("log"))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::faults::proxy::{Mode, Proxy};

    /// The port that a Sentinel names, asked through a proxy that renames the servers' ports.
    fn named(proxy: &Proxy) -> Option<u16> {
        let port = proxy.port.to_string();
        let asks = ["-p", &port, "sentinel", "get-master-addr-by-name", MASTER];
        let ran = Command::new("timeout").args(["2", "redis-cli"]).args(asks).output().expect("redis-cli runs");
        String::from_utf8_lossy(&ran.stdout).lines().nth(1)?.trim().parse().ok()
    }

    /// The master dies, the Sentinels name the replica, and the node is told of the proxy before it; the old master comes back as a replica.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn sentinels_fail_over_and_a_node_is_told_of_its_own_proxies() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut servers, sentinels) = trio(&Guard::start(), folder.path()).await;
        let own = [Proxy::before(servers[0].address()).await, Proxy::before(servers[1].address()).await];
        let renamed = vec![(servers[0].port, own[0].port), (servers[1].port, own[1].port)];
        let proxy = Proxy::renaming(sentinels[0].address(), renamed).await;
        let asked = || tokio::task::block_in_place(|| named(&proxy));
        // On a machine that is busy they may have failed over already.
        let told = asked();
        let master = own.iter().position(|one| Some(one.port) == told).unwrap_or_else(|| panic!("{told:?} is no proxy"));
        proxy.set(Mode::Cut);
        assert_eq!(asked(), None);
        proxy.set(Mode::Pass);
        servers[master].process.kill();
        let begun = Instant::now();
        while asked() != Some(own[1 - master].port) {
            assert!(begun.elapsed() < Duration::from_secs(30), "the Sentinels name {:?}", asked());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(servers[1 - master].try_command(&["role"]).is_some_and(|role| role.starts_with("master")));
        servers[master].restart();
        let is = |server: &Server, role: &str| server.try_command(&["role"]).is_some_and(|told| told.starts_with(role));
        while !is(&servers[master], "slave") {
            let log = || std::fs::read_to_string(sentinels[0].folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "the old master is no replica: {}", log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The new master is there again before anybody misses it, and is what it was.
        servers[1 - master].process.kill();
        servers[1 - master].restart();
        while !is(&servers[1 - master], "master") {
            assert!(begun.elapsed() < Duration::from_secs(90), "the new master is a replica again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whatever a server of a cluster says of the others, a node is told of the proxies before them.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_of_a_cluster_is_told_of_its_own_proxies() {
        let folder = tempfile::tempdir().expect("a folder");
        let servers = cluster(&Guard::start(), folder.path()).await;
        let renamed: Vec<(u16, u16)> = servers.iter().map(|server| (server.port, free_port())).collect();
        let mut proxies = Vec::new();
        for (server, &(_, port)) in servers.iter().zip(&renamed) {
            proxies.push(Proxy::at(port, server.address(), renamed.clone()).await);
        }
        let asked = |words: &[&str]| {
            let port = proxies[0].port.to_string();
            let ran =
                Command::new("timeout").args(["2", "redis-cli", "-p", &port]).args(words).output().expect("redis-cli runs");
            String::from_utf8_lossy(&ran.stdout).into_owned()
        };
        let told = tokio::task::block_in_place(|| {
            let keys = ["a", "b", "c", "d", "e", "f"].map(|key| asked(&["get", key]));
            assert!(keys.iter().any(|answer| answer.starts_with("MOVED")), "{keys:?}");
            [asked(&["cluster", "slots"]), keys.concat()].concat()
        });
        for (own, proxy) in renamed {
            assert!(told.contains(&proxy.to_string()) && !told.contains(&own.to_string()), "{own} {proxy}: {told}");
        }
    }
}
