//! A PostgreSQL server of the tests, started by the program that is tested. The wire tests take this file too, so it names nothing of the crate.
//!
//! It lives as long as this process, or as its [`Cluster`]: a shell waits for the end of its input, which comes however the process ends, and
//! stops the server. PostgreSQL refuses to run as root, so a test run of root starts it as another user.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Users that are not root, and of which a Debian with PostgreSQL has one.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The password of the user `carnet`, which connections over TCP need.
pub const PASSWORD: &str = "hunter2";

/// Files of the folder whose name begins with `server.` are in the folder of the data too, for their owner alone.
const SCRIPT: &str = r#"
bin=$1 folder=$2
shift 2
"$bin/initdb" -D "$folder/data" -U carnet --auth-local=trust --auth-host=scram-sha-256 --pwfile="$folder/password" -E UTF8 --no-locale --no-sync \
    >"$folder/log" 2>&1 || { cat "$folder/log" >&2; exit 1; }
for file in "$folder"/server.*; do
    [ ! -e "$file" ] || install -m 600 "$file" "$folder/data"
done
exec >/dev/null 2>&1
"$bin/postgres" -D "$folder/data" -k "$folder" -c max_connections=300 "$@" >>"$folder/log" 2>&1 &
read -r _
kill -QUIT $!
wait $!
rm -rf "$folder"
"#;

/// A server.
pub struct Cluster {
    /// The folder of its socket and its log.
    pub folder: PathBuf,
    /// With its input, whose end is the end of the server.
    _shell: Child,
}

static SHARED: OnceLock<Cluster> = OnceLock::new();
static DATABASES: AtomicU64 = AtomicU64::new(0);

impl Cluster {
    /// The server of this test process, which answers on its local socket alone.
    pub fn shared() -> &'static Self {
        SHARED.get_or_init(|| Self::start(&["-c", "listen_addresses="], &[]))
    }

    /// A server with these arguments, and with these files: names and contents. Returns when it answers.
    pub fn start(arguments: &[&str], files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder").keep();
        for (name, content) in files.iter().chain(&[("password", PASSWORD)]) {
            std::fs::write(folder.join(name), content).expect("written");
        }
        let mut command = shell(&folder);
        command.args(["-c", SCRIPT, "sh"]).arg(programs()).arg(&folder).args(arguments).stdin(Stdio::piped());
        let cluster = Self { _shell: command.spawn().expect("a shell"), folder };
        let begun = Instant::now();
        let port = arguments.iter().find_map(|argument| argument.strip_prefix("port=")).unwrap_or("5432");
        while !cluster.program("pg_isready").args(["-q", "-p", port]).status().expect("it runs").success() {
            let log = std::fs::read_to_string(cluster.folder.join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(60), "PostgreSQL does not start: {log}");
            std::thread::sleep(Duration::from_millis(50));
        }
        cluster
    }

    /// The name of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("carnet_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        let made = self.program("createdb").args(["-T", "template0", &name]).output().expect("it runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        name
    }

    /// A program of PostgreSQL's that speaks to it.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(programs().join(name));
        command.arg("-h").arg(&self.folder).args(["-U", "carnet"]);
        command
    }
}

/// A shell in whose hands the folder is, and who is not root.
pub fn shell(folder: &Path) -> Command {
    if std::fs::metadata(folder).expect("a folder").uid() != 0 {
        return Command::new("sh");
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={}", as_nobody(folder)), "--clear-groups", "--", "sh"]);
    command
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
    // A link in the path leads to the folder of all of them.
    let folder = |bin: PathBuf| Some(bin.join("initdb").canonicalize().ok()?.parent()?.to_owned());
    let mut found: Vec<PathBuf> = debian.chain(std::env::split_paths(&path)).filter_map(folder).collect();
    found.sort();
    found.pop().expect("postgresql (make setup)")
}
