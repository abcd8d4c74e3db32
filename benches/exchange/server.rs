//! The real program in a process of its own, on a core of its own where the machine has two.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::client::try_raw;
use crate::world::{World, get};

/// A running `carnet serve`.
pub struct Server {
    child: Child,
    started: Instant,
    ready_after: f64,
}

/// Keeps this process and what it starts off the server's core.
pub fn pin_self() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores > 1 {
        let pid = std::process::id().to_string();
        let status = Command::new("taskset").args(["-acp", &format!("1-{}", cores - 1), &pid]).stdout(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "taskset (util-linux) pins processes to cores");
    }
}

/// One verify plus one sign on the server's core, in microseconds, with the other core as it is under load: awake. What a core does in
/// a microsecond depends on its neighbour.
pub fn floor() -> f64 {
    on_its_core(FLOOR)
}

/// The figure that this program prints there with the argument `what`.
pub fn on_its_core(what: &str) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new("taskset")
        .args(["-c", "0"])
        .arg(program)
        .args(["--bench", what])
        .stdout(Stdio::piped())
        .spawn()
        .expect("taskset (util-linux) pins processes to cores");
    while child.try_wait().expect("waits").is_none() {
        std::thread::yield_now();
    }
    let told = child.wait_with_output().expect("ended");
    String::from_utf8_lossy(&told.stdout).trim().parse().expect("a figure")
}

/// The argument that makes this program measure the floor and nothing else.
pub const FLOOR: &str = "floor";

impl Server {
    /// Starts it over the folder of `world` and waits until it is ready.
    pub async fn start(world: &World) -> Self {
        Self::start_program(env!("CARGO_BIN_EXE_carnet"), world).await
    }

    /// The same with another build's program.
    pub async fn start_program(program: &str, world: &World) -> Self {
        let started = Instant::now();
        let child = Command::new("taskset")
            .args(["-c", "0", program, "serve", "-c"])
            .arg(world.folder.path().join("carnet.toml"))
            .env("CARNET_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut server = Self { child, started, ready_after: 0.0 };
        while !is_ready(world.public).await {
            assert!(server.child.try_wait().expect("waits").is_none(), "the program ended instead of starting");
            assert!(started.elapsed() < Duration::from_secs(120), "the program is not ready");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.ready_after = started.elapsed().as_secs_f64() * 1e3;
        server
    }

    /// Its process: `taskset` becomes what it starts.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Milliseconds from start to ready.
    pub fn ready_after(&self) -> f64 {
        self.ready_after
    }

    /// Takes the first token; milliseconds since the start.
    pub async fn first_token(&self, world: &World) -> f64 {
        let answer = world.exchange("production", &world.assertion("production"), "orders:read").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        self.started.elapsed().as_secs_f64() * 1e3
    }

    /// Commits of the journal so far. The metric is brought up to date once a second.
    pub async fn commits(&self, world: &World) -> f64 {
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let metrics = get(world.admin, "/metrics").await.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix("carnet_journal_commits_total "));
        line.and_then(|figure| figure.trim().parse().ok()).expect("the metric of commits")
    }
}

async fn is_ready(public: SocketAddr) -> bool {
    let request = format!("GET /readyz HTTP/1.1\r\nhost: {public}\r\nconnection: close\r\n\r\n");
    try_raw(public, request.as_bytes()).await.is_some_and(|answer| answer.status == 200)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
