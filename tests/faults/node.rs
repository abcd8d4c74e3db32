//! One `carnet serve`: its folder, its configuration, and a proxy before each of its peers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Guard, Process};
use super::proxy::{Mode, Proxy};
use super::wire::{Answer, Request};

/// A store of a node, of which there can be several.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Peer {
    /// A PostgreSQL server: primary and standby.
    Postgres(usize),
    /// A Redis server: master and replica.
    Redis(usize),
    /// A Sentinel.
    Sentinel(usize),
}

impl Peer {
    /// Its name in the table of faults.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Redis(_) => "redis",
            Self::Sentinel(_) => "sentinel",
        }
    }
}

/// A node.
pub struct Node {
    /// The public socket.
    pub public: SocketAddr,
    /// The admin socket.
    pub admin: SocketAddr,
    /// The proxies to its peers.
    pub proxies: BTreeMap<Peer, Proxy>,
    /// The program that it runs.
    pub program: PathBuf,
    /// Its folder, with `carnet.toml`.
    pub folder: PathBuf,
    process: Option<Process>,
    guard: Guard,
    library: String,
}

/// What a node needs to be made.
pub struct Plan<'a> {
    /// Its folder.
    pub folder: PathBuf,
    /// The public and the admin port.
    pub ports: (u16, u16),
    /// The guard of the processes.
    pub guard: &'a Guard,
    /// The proxies to its peers.
    pub proxies: BTreeMap<Peer, Proxy>,
    /// The program.
    pub program: &'a Path,
}

impl Node {
    /// A node that does not run yet.
    pub fn new(plan: Plan<'_>) -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let library = Command::new("faketime").args(["-m", "-f", "+0s", "sh", "-c", "echo $LD_PRELOAD"]).output();
        let library = library.expect("faketime is installed (make setup)").stdout;
        let node = Self {
            public: at(plan.ports.0),
            admin: at(plan.ports.1),
            proxies: plan.proxies,
            program: plan.program.to_owned(),
            process: None,
            folder: plan.folder,
            guard: plan.guard.clone(),
            library: String::from_utf8(library).expect("a path").trim().to_owned(),
        };
        node.set_clock(0);
        node
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.folder.join("carnet.toml")
    }

    /// What it wrote to its log.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Starts it, if it does not run. Its clock is right then: one that started under a wrong clock would have to be started again.
    pub fn start(&mut self) {
        if self.process.as_mut().is_none_or(|process| process.is_killed() || process.ended().is_some()) {
            self.set_clock(0);
            let mut command = Command::new(&self.program);
            command.args(["serve", "-c"]).arg(self.config());
            command.env("LD_PRELOAD", &self.library).env("FAKETIME_TIMESTAMP_FILE", self.clock_file());
            command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            self.process = Some(Process::start(&self.guard, &mut command, &self.log()));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        if let Some(process) = &self.process {
            process.signal(name);
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// Asks it to end, and waits; false if it did not within this time, and was killed.
    pub async fn stop(&mut self, longest: Duration) -> bool {
        self.signal("-TERM");
        let begun = Instant::now();
        while begun.elapsed() < longest {
            if self.process.as_mut().is_none_or(|process| process.ended().is_some()) {
                self.process = None;
                return true;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.kill();
        false
    }

    /// Whether it ended though nobody ended it.
    pub fn ended_by_itself(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| !process.is_killed() && process.ended().is_some())
    }

    /// Sets its wall clock, and it alone.
    pub fn set_clock(&self, seconds: i64) {
        // One call: the program may read the file at any moment.
        let beside = self.folder.join("wall-clock.new");
        std::fs::write(&beside, format!("{seconds:+}")).expect("written");
        std::fs::rename(&beside, self.clock_file()).expect("in its place");
    }

    fn clock_file(&self) -> PathBuf {
        self.folder.join("wall-clock")
    }

    /// Ends every fault of its network.
    pub fn pass(&self) {
        self.proxies.values().for_each(|proxy| proxy.set(Mode::Pass));
    }

    /// Whether it says that it is ready.
    pub async fn is_ready(&self) -> bool {
        is_ready_at(self.public).await
    }

    /// Whether it answers at once, and its start is over.
    pub async fn is_up(&self) -> bool {
        let asked = Request::get("/readyz?verbose");
        let answer = asked.send(self.public, "127.0.0.1");
        let checks = |answer: Answer| answer.body["checks"].as_array().map_or(0, Vec::len);
        tokio::time::timeout(Duration::from_millis(300), answer).await.is_ok_and(|answer| checks(answer) > 1)
    }

    /// Whether it says that it lives.
    pub async fn is_alive(&self) -> bool {
        let asked = Request::get("/livez");
        let answer = asked.send(self.public, "127.0.0.1");
        tokio::time::timeout(Duration::from_millis(300), answer).await.is_ok_and(|answer| answer.status == 200)
    }

    /// What it says of itself.
    pub async fn checks(&self) -> String {
        Request::get("/readyz?verbose").send(self.admin, &self.admin.to_string()).await.body.to_string()
    }
}

/// Whether the node with this public socket says that it is ready.
pub async fn is_ready_at(public: SocketAddr) -> bool {
    Request::get("/readyz").send(public, &public.to_string()).await.status == 200
}
