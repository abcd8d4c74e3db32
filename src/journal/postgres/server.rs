//! A PostgreSQL server of the tests: one for each test process, a database for each test.
//!
//! It lives as long as this process: a shell waits for the end of its input, which comes however the process ends, and stops the server.
//! PostgreSQL refuses to run as root, so a test run of root starts it as another user.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::address::PostgresAddress;
use super::connection::Connection;

/// Users that are not root, and of which a Debian with PostgreSQL has one.
const USERS: [&str; 2] = ["postgres", "nobody"];

const SCRIPT: &str = r#"
"$1/initdb" -D "$2/data" -U carnet -A trust -E UTF8 --no-locale --no-sync >"$2/log" 2>&1 || { cat "$2/log" >&2; exit 1; }
exec >/dev/null 2>&1
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=300 >>"$2/log" 2>&1 &
read -r _
kill -QUIT $!
wait $!
rm -rf "$2"
"#;

/// The server.
struct Server {
    folder: PathBuf,
    /// With its input, whose end is the end of the server.
    _shell: Child,
}

static SERVER: OnceLock<Server> = OnceLock::new();
static DATABASES: AtomicU64 = AtomicU64::new(0);

/// The folder with the server's socket, and the name of a new, empty database.
pub async fn database() -> (PathBuf, String) {
    let server = SERVER.get_or_init(Server::start);
    let name = format!("carnet_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let begun = Instant::now();
    let connection = loop {
        match Connection::to(&address(&server.folder, "postgres")).await {
            Ok(connection) => break connection,
            Err(fault) => assert!(begun.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {fault}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    connection.client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0")).await.expect("a database");
    (server.folder.clone(), name)
}

/// The address of a database whose server has its socket in this folder.
pub fn address(folder: &Path, database: &str) -> PostgresAddress {
    let text = format!("host={} user=carnet dbname={database}", folder.display());
    PostgresAddress::parse(&text, None).expect("an address")
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let shell = ["-c", SCRIPT, "sh"];
        let mut command = if std::fs::metadata(&folder).expect("a folder").uid() == 0 {
            let user = as_nobody(&folder);
            let mut command = Command::new("setpriv");
            command.args([&format!("--reuid={user}"), "--clear-groups", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(shell).arg(programs()).arg(&folder).stdin(Stdio::piped());
        Self { _shell: command.spawn().expect("a shell"), folder }
    }
}

/// Gives the folder to a user who is not root, and returns the user.
fn as_nobody(folder: &Path) -> &'static str {
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
    let mut found: Vec<PathBuf> =
        debian.chain(std::env::split_paths(&path)).filter(|bin| bin.join("initdb").exists()).collect();
    found.sort();
    found.pop().expect("postgresql (make setup)")
}
