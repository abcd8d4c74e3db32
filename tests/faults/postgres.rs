//! PostgreSQL of a stage: a primary, and a standby that confirms every commit.
//!
//! Commits wait for the standby (`synchronous_standby_names = 'ANY 1 (…)'`), so it has what was acknowledged when it is promoted. A server that
//! was primary comes back as the standby of the other, from a new base backup. PostgreSQL refuses to run as root, so a test run of root
//! starts it as another user.

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use super::process::{Guard, Process};
use crate::world::client::free_port;

/// Users that are not root, and of which a Debian with PostgreSQL has one.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The name under which a standby is known to its primary.
const STANDBY: &str = "carnet_standby";

/// The longest wait for a server to start or to be promoted.
const LONGEST: Duration = Duration::from_secs(60);

/// Two servers, one of them primary.
pub struct Pair {
    servers: [Server; 2],
    primary: usize,
    programs: PathBuf,
    user: Option<&'static str>,
    guard: Guard,
    _folder: tempfile::TempDir,
}

struct Server {
    port: u16,
    data: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Pair {
    /// Starts both, with an empty database `carnet`.
    pub async fn start(guard: &Guard) -> Self {
        // Not in the folder of the stage, which another user may not enter.
        let folder = tempfile::tempdir().expect("a folder");
        let user = (std::fs::metadata(folder.path()).expect("a folder").uid() == 0).then(|| owned_by_another(folder.path()));
        let server = |name: &str| Server {
            port: free_port(),
            data: folder.path().join(name),
            log: folder.path().join(format!("{name}.log")),
            process: None,
        };
        let servers = [server("a"), server("b")];
        let mut pair = Self { servers, primary: 0, programs: programs(), user, guard: guard.clone(), _folder: folder };
        let data = pair.servers[0].data.display().to_string();
        pair.run("initdb", &["-D", &data, "-U", "carnet", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        pair.spawn(0);
        pair.answers(0).await;
        pair.sql(0, "postgres", "CREATE DATABASE carnet TEMPLATE template0").await.expect("a database");
        pair.join(1).await;
        pair
    }

    /// Where a server listens.
    pub fn address(&self, server: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.servers[server].port))
    }

    /// The one that takes writes.
    pub fn primary(&self) -> usize {
        self.primary
    }

    /// Runs a statement on a server, and returns the first column of its rows.
    pub async fn sql(&self, server: usize, database: &str, statement: &str) -> Result<Vec<String>, tokio_postgres::Error> {
        ask(&format!("host=127.0.0.1 port={} user=carnet dbname={database}", self.servers[server].port), statement).await
    }

    /// `kill -9` of a server. Its other processes end when they see that, so those that are stopped go on first.
    pub fn kill(&mut self, server: usize) {
        self.signal_all(server, "-CONT");
        if let Some(mut process) = self.servers[server].process.take() {
            process.kill();
        }
    }

    /// Sends a signal to a server: `-INT` is a fast end, `-QUIT` one without a checkpoint.
    pub fn signal(&self, server: usize, name: &str) {
        if let Some(process) = &self.servers[server].process {
            process.signal(name);
        }
    }

    /// Stops a server with all its processes, or lets them go on.
    pub fn signal_all(&self, server: usize, name: &str) {
        if let Some(process) = &self.servers[server].process {
            process.signal_children(name);
            process.signal(name);
        }
    }

    /// Lets both go on, and starts those again that have ended, as what they were.
    pub async fn heal(&mut self) {
        for server in [self.primary, 1 - self.primary] {
            let begun = Instant::now();
            self.signal_all(server, "-CONT");
            while self.sql(server, "postgres", "SELECT '1'").await.is_err() {
                assert!(begun.elapsed() < LONGEST, "a server does not come back: {}", self.logs());
                // One that was told to end may take a while.
                if !self.runs(server) {
                    self.spawn(server);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn runs(&mut self, server: usize) -> bool {
        self.servers[server].process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// Promotes the standby in the place of a primary that is gone, and makes that one its standby.
    ///
    /// If both are gone nobody can be promoted, and the primary, which has everything, comes back as one.
    pub async fn fail_over(&mut self) {
        let (old, new) = (self.primary, 1 - self.primary);
        if !self.runs(new) {
            return self.heal().await;
        }
        self.kill(old);
        self.signal_all(new, "-CONT");
        self.promote(new).await;
        self.join(old).await;
    }

    /// Promotes a server. It waits for no standby until one joins.
    async fn promote(&mut self, server: usize) {
        let data = self.servers[server].data.display().to_string();
        self.run("pg_ctl", &["promote", "-D", &data, "-t", "60"]);
        self.primary = server;
        self.until("a promoted server", async |pair| {
            pair.sql(server, "postgres", "SELECT pg_is_in_recovery()::text").await.is_ok_and(|rows| rows == ["false"])
        })
        .await;
        self.waits_for(server, "").await;
    }

    /// Makes a server the standby of the primary, which waits for it from then on.
    async fn join(&mut self, server: usize) {
        self.kill(server);
        let (primary, data) = (self.primary, self.servers[server].data.clone());
        let _none_yet = std::fs::remove_dir_all(&data);
        let (port, place) = (self.servers[primary].port.to_string(), data.display().to_string());
        let from = format!("host=127.0.0.1 port={port} user=carnet application_name={STANDBY}");
        self.run("pg_basebackup", &["-d", &from, "-D", &place, "-R", "-X", "stream", "-c", "fast", "--no-sync"]);
        self.spawn(server);
        self.answers(server).await;
        self.waits_for(primary, &format!("ANY 1 ({STANDBY})")).await;
        self.until("a standby that confirms", async |pair| {
            // What was confirmed before commits waited for it must be there too: it may be promoted next.
            let asks = "SELECT sync_state || (flush_lsn >= pg_current_wal_lsn())::text FROM pg_stat_replication \
                        WHERE state = 'streaming'";
            pair.sql(primary, "postgres", asks).await.is_ok_and(|rows| rows == ["quorumtrue"])
        })
        .await;
    }

    async fn waits_for(&self, server: usize, names: &str) {
        let set = format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'");
        self.sql(server, "postgres", &set).await.expect("a setting");
        self.sql(server, "postgres", "SELECT pg_reload_conf()::text").await.expect("read again");
    }

    async fn answers(&self, server: usize) {
        self.until("an answer", async |pair| pair.sql(server, "postgres", "SELECT '1'").await.is_ok()).await;
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self).await {
            assert!(begun.elapsed() < LONGEST, "{what}: {}", self.logs());
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// The ends of both logs.
    fn logs(&self) -> String {
        let end = |server: &Server| {
            let log = std::fs::read_to_string(&server.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(20)..].join("\n")
        };
        self.servers.iter().map(end).collect::<Vec<_>>().join("\n---\n")
    }

    fn spawn(&mut self, server: usize) {
        let Server { port, data, log, .. } = &self.servers[server];
        let mut command = self.command("postgres");
        let port = port.to_string();
        command.arg("-D").arg(data).args([
            "-p",
            &port,
            "-k",
            "",
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "max_connections=200",
            // A standby that lost its primary asks for it again this soon: until it is there no commit is confirmed.
            "-c",
            "wal_retrieve_retry_interval=200ms",
        ]);
        let process = Process::start(&self.guard, &mut command, log);
        self.servers[server].process = Some(process);
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let ran = self.command(program).args(arguments).output().expect("it runs");
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A program of PostgreSQL, as a user who may run it.
    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let Some(user) = self.user else { return Command::new(path) };
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={user}"), "--clear-groups", "--"]).arg(path).current_dir("/");
        command
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.kill(0);
        self.kill(1);
    }
}

/// Runs a statement at a server that a list of parameters names, as libpq does.
async fn ask(parameters: &str, statement: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut config: tokio_postgres::Config = parameters.parse()?;
    config.connect_timeout(Duration::from_secs(2));
    let (client, connection) = config.connect(NoTls).await?;
    let carried = tokio::spawn(connection);
    let rows = client.simple_query(statement).await;
    carried.abort();
    let column = |message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    };
    Ok(rows?.into_iter().filter_map(column).collect())
}

/// Gives the folder to a user who is not root, and returns the user.
fn owned_by_another(folder: &Path) -> &'static str {
    let users = std::fs::read_to_string("/etc/passwd").expect("the users");
    let id = |user: &str| users.lines().find(|line| line.split(':').next() == Some(user))?.split(':').nth(2)?.parse().ok();
    let (user, id) = USERS.into_iter().find_map(|user| Some((user, id(user)?))).expect("a user who is not root");
    std::os::unix::fs::chown(folder, Some(id), None).expect("a folder of another user");
    user
}

/// The folder of the newest server's programs: Debian keeps them out of the path.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has_all = |bin: &PathBuf| ["initdb", "postgres", "pg_basebackup", "pg_ctl"].iter().all(|one| bin.join(one).exists());
    let mut found: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).filter(has_all).collect();
    found.sort();
    found.pop().expect("postgresql (make setup)")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Inserts rows one after the other, at whichever of both servers takes writes, until it is told to end; returns those acknowledged.
    async fn insert(parameters: String, from: i64, ended: Arc<AtomicBool>) -> Vec<i64> {
        let (mut acknowledged, mut row) = (Vec::new(), from);
        while !ended.load(Ordering::SeqCst) {
            let statement = format!("INSERT INTO rows VALUES ({row})");
            let inserted = tokio::time::timeout(Duration::from_secs(3), ask(&parameters, &statement)).await;
            if matches!(inserted, Ok(Ok(_))) {
                acknowledged.push(row);
            }
            row += 1;
        }
        acknowledged
    }

    async fn rows(pair: &Pair) -> Vec<i64> {
        let rows = pair.sql(pair.primary(), "carnet", "SELECT id FROM rows").await.expect("rows");
        rows.iter().map(|row| row.parse().expect("a number")).collect()
    }

    /// Two failovers, there and back, under inserts: what was acknowledged is at the new primary, and writers find it by the two addresses.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_promoted_standby_has_every_acknowledged_row() {
        let mut pair = Pair::start(&Guard::start()).await;
        pair.sql(0, "carnet", "CREATE TABLE rows (id bigint PRIMARY KEY)").await.expect("a table");
        let ports = format!("{},{}", pair.address(0).port(), pair.address(1).port());
        let both = format!("host=127.0.0.1,127.0.0.1 port={ports} user=carnet dbname=carnet target_session_attrs=read-write");
        let ended = Arc::new(AtomicBool::new(false));
        let writers: Vec<_> =
            (0..4).map(|writer| tokio::spawn(insert(both.clone(), writer * 1_000_000, Arc::clone(&ended)))).collect();
        for new in [1, 0] {
            tokio::time::sleep(Duration::from_millis(700)).await;
            let before = rows(&pair).await.len();
            pair.fail_over().await;
            assert_eq!(pair.primary(), new);
            tokio::time::sleep(Duration::from_millis(700)).await;
            assert!(rows(&pair).await.len() > before, "writers found the new primary");
        }
        ended.store(true, Ordering::SeqCst);
        let mut acknowledged = Vec::new();
        for writer in writers {
            acknowledged.extend(writer.await.expect("a writer"));
        }
        let rows: BTreeSet<i64> = rows(&pair).await.into_iter().collect();
        let lost: Vec<&i64> = acknowledged.iter().filter(|row| !rows.contains(row)).collect();
        assert!(lost.is_empty() && acknowledged.len() > 100, "of {} acknowledged rows {lost:?} are lost", acknowledged.len());
    }

    /// The test above can fail: while the standby is stopped nothing is acknowledged, and a primary that does not wait for it loses rows.
    #[tokio::test]
    async fn a_primary_acknowledges_nothing_alone() {
        let mut pair = Pair::start(&Guard::start()).await;
        pair.sql(0, "carnet", "CREATE TABLE rows (id bigint PRIMARY KEY)").await.expect("a table");
        pair.signal_all(1, "-STOP");
        let waits = tokio::time::timeout(Duration::from_secs(1), pair.sql(0, "carnet", "INSERT INTO rows VALUES (1)")).await;
        assert!(waits.is_err(), "acknowledged by the primary alone: {waits:?}");
        pair.signal_all(1, "-CONT");
        pair.kill(1);
        pair.waits_for(0, "").await;
        pair.sql(0, "carnet", "INSERT INTO rows VALUES (2)").await.expect("acknowledged without a standby");
        pair.kill(0);
        pair.spawn(1);
        pair.answers(1).await;
        pair.promote(1).await;
        assert!(!rows(&pair).await.contains(&2), "an asynchronous standby cannot have it");
    }
}
