//! Redis with Sentinels: its master dies, and a replica that missed the last writes is promoted.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{Options, World, client, get, jti};

/// Servers of a test, ended with this: the master, its replica, three sentinels.
struct Servers {
    children: Vec<Child>,
    ports: Vec<u16>,
    sentinels: Vec<u16>,
    folder: tempfile::TempDir,
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Servers {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut servers = Self { children: Vec::new(), ports: Vec::new(), sentinels: Vec::new(), folder };
        let master = servers.server(&[]).await;
        let replica = servers.server(&["--replicaof", "127.0.0.1", &master.to_string()]).await;
        for _ in 0..3 {
            servers.sentinel(master).await;
        }
        let linked = || cli(replica, &["INFO", "replication"]).contains("master_link_status:up");
        until("the replica follows", linked).await;
        for sentinel in &servers.sentinels {
            until("the sentinels know each other", || {
                let told = cli(*sentinel, &["SENTINEL", "MASTER", "mymaster"]);
                let lines: Vec<&str> = told.lines().collect();
                let number = |name: &str| lines.iter().position(|line| *line == name).and_then(|at| lines.get(at + 1)).copied();
                number("num-slaves") == Some("1") && number("num-other-sentinels") == Some("2")
            })
            .await;
        }
        servers
    }

    fn url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis+sentinel://{}/mymaster/0", sentinels.join(","))
    }

    async fn server(&mut self, more: &[&str]) -> u16 {
        let port = client::free_port();
        let (at, folder) = (port.to_string(), self.folder.path().display().to_string());
        let usual = ["--port", &at, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let quick = ["--repl-diskless-sync-delay", "0", "--dir", &folder];
        let child = Command::new("redis-server").args(usual).args(quick).args(more).stdout(Stdio::null()).spawn();
        self.children.push(child.expect("redis-server (make setup)"));
        self.ports.push(port);
        until("a server answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
        port
    }

    async fn sentinel(&mut self, master: u16) {
        let port = client::free_port();
        let file = self.folder.path().join(format!("sentinel{port}.conf"));
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor mymaster 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n",
            self.folder.path().display()
        );
        std::fs::write(&file, text).expect("written");
        let child =
            Command::new("redis-server").arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().expect("a sentinel");
        self.children.push(child);
        self.sentinels.push(port);
        until("a sentinel answers", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    fn signal(&self, number: usize, name: &str) {
        let sent = Command::new("kill").args([name, &self.children[number].id().to_string()]).status().expect("kill runs");
        assert!(sent.success());
    }
}

fn cli(port: u16, arguments: &[&str]) -> String {
    let ran = Command::new("redis-cli").args(["-p", &port.to_string()]).args(arguments).output().expect("redis-cli runs");
    String::from_utf8_lossy(&ran.stdout).trim_end().to_owned()
}

async fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "it does not come to pass: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// F-06, S12: a revocation that was acknowledged and that the promoted replica never saw holds all the same: it is never called active, and the
/// new master has it soon.
#[tokio::test]
async fn f_06_an_acknowledged_revocation_survives_a_failover() {
    let mut servers = Servers::start().await;
    let configuration = format!("[redis]\nurl = \"{}\"\n", servers.url());
    let world = World::with(Options { configuration, file: true, ..Options::default() }).await;
    let (gone, lives) = (world.minted().await, world.minted().await);
    assert_eq!(world.introspect("production", &gone).await.json()["active"], true);
    // Its link is held, as that of a replica behind a broken network.
    servers.signal(1, "-STOP");
    cli(servers.ports[0], &["CLIENT", "KILL", "TYPE", "replica"]);
    let answer = world.admin_post("/v1/revocations", "sven", &json!({"token": jti(&gone), "reason": "leaked"})).await;
    assert!(answer.status < 300, "{}", answer.text());
    let _ = servers.children[0].kill();
    let _ = servers.children[0].wait();
    servers.signal(1, "-CONT");
    let (begun, mut away) = (Instant::now(), 0);
    loop {
        let told = world.introspect("production", &gone).await;
        assert!(told.status == 503 || told.json()["active"] == false, "{:?}: {}", begun.elapsed(), told.text());
        away += u32::from(told.status == 503);
        let is_promoted = cli(servers.ports[1], &["ROLE"]).starts_with("master");
        if is_promoted && told.status == 200 && get(world.admin, "/readyz").await.status == 200 {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{}", get(world.admin, "/readyz?verbose").await.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("ready again {:?} after the master died", begun.elapsed());
    assert!(away > 0, "there was no master for a while");
    assert_eq!(world.introspect("production", &gone).await.json()["active"], false);
    assert_eq!(world.introspect("production", &lives).await.json()["active"], true);
    assert!(!cli(servers.ports[1], &["ZSCORE", "carnet:{production}:revoked", &jti(&gone)]).is_empty());
    world.minted().await;
}
