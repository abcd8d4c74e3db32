//! The store of a world's journal: a file, or a database on a PostgreSQL server (`STORE=postgres`).
//!
//! The tests start that server themselves. `STORE=postgres://USER@HOST[:PORT]/DATABASE[?…]` takes one that runs: its user may make databases,
//! and has the password in `PGPASSWORD`, if it needs one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

#[path = "../../../src/journal/postgres/cluster.rs"]
pub mod cluster;

use cluster::Cluster;

/// The store of one world. It ends with the world.
pub enum Store {
    /// A file beside the configuration.
    Sqlite,
    /// A database.
    Postgres(Database),
}

/// A database of one world.
pub struct Database {
    /// The URL for `carnet.toml`.
    pub url: String,
    name: String,
    /// The server that runs anyhow, as its programs are told.
    server: Option<String>,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// The store that the environment asks for.
    pub fn asked() -> Self {
        let asked = std::env::var("STORE").unwrap_or_default();
        match asked.as_str() {
            "" | "sqlite" => Self::Sqlite,
            "postgres" => Self::Postgres(Database::new()),
            url if url.starts_with("postgres") => Self::Postgres(Database::at(url)),
            other => panic!("STORE={other}: there are sqlite, postgres and postgres://…"),
        }
    }

    /// The lines of `[journal]` that name it.
    pub fn lines(&self, folder: &Path) -> String {
        match self {
            Self::Sqlite => format!("url = \"sqlite://{}/journal.db\"\n", folder.display()),
            Self::Postgres(database) => {
                let url = &database.url;
                let password = match std::env::var("PGPASSWORD") {
                    Ok(password) if database.server.is_some() => {
                        std::fs::write(folder.join("pg.password"), password).expect("written");
                        "password_file = \"pg.password\"\n"
                    }
                    _ => "",
                };
                format!("url = \"{url}\"\n{password}archive = \"file://{}\"\n", folder.display())
            }
        }
    }

    /// The first value that a query finds in the journal of a world in this folder, as another hand asks.
    pub fn ask(&self, folder: &Path, query: &str) -> String {
        let mut command = match self {
            Self::Sqlite => {
                let program =
                    "import sqlite3, sys; print(sqlite3.connect(sys.argv[1], timeout=10).execute(sys.argv[2]).fetchone()[0])";
                let mut python = Command::new("python3");
                python.args(["-c", program]).arg(folder.join("journal.db"));
                python
            }
            Self::Postgres(database) => return database.ask(query),
        };
        let ran = command.arg(query).output().expect("it runs");
        assert!(ran.status.success(), "{query}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// The directory of the segments of a world in this folder.
    pub fn segments(&self, folder: &Path) -> PathBuf {
        match self {
            Self::Sqlite => folder.join("journal.db.segments"),
            Self::Postgres(_) => folder.join("journal.segments"),
        }
    }
}

impl Database {
    /// A new database on the server of this test process.
    pub fn new() -> Self {
        let cluster = Cluster::shared();
        let name = cluster.database();
        Self { url: format!("postgres://carnet@/{name}?host={}", cluster.folder.display()), name, server: None }
    }

    /// A new database on a server that runs.
    fn at(url: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("carnet_test_{}_{number}", std::process::id());
        let (place, query) = url.split_once('?').map_or((url, String::new()), |(place, query)| (place, format!("?{query}")));
        let (server, _) = place.rsplit_once('/').expect("postgres://USER@HOST/DATABASE");
        let database = Self { url: format!("{server}/{name}{query}"), name, server: Some(url.to_owned()) };
        database.run("createdb", &["-T", "template0"]);
        database
    }

    /// The first value that a statement finds, as another hand sends it.
    pub fn ask(&self, statement: &str) -> String {
        let mut psql = self.program("psql");
        let ran = psql.args(["-XAtq", "-d", &self.place(), "-c", statement]).output().expect("it runs");
        assert!(ran.status.success(), "{statement}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// All rows, as a backup of this moment has them.
    pub fn backup(&self) -> String {
        let ran = self.program("pg_dump").args(["--data-only", "-d", &self.place()]).output().expect("it runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text")
    }

    /// Puts the rows of a backup in the place of those that are there, in one transaction, while others are connected.
    pub fn put_back(&self, backup: &str) {
        let tables = self.ask("SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables WHERE schemaname = 'public'");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), format!("TRUNCATE {tables};\n{backup}")).expect("written");
        let mut psql = self.program("psql");
        psql.args(["-XAtq", "-1", "-v", "ON_ERROR_STOP=1", "-d", &self.place(), "-f"]).arg(file.path());
        let ran = psql.output().expect("it runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// A program of PostgreSQL's that speaks to its server.
    fn program(&self, name: &str) -> Command {
        match &self.server {
            None => Cluster::shared().program(name),
            Some(_) => Command::new(name),
        }
    }

    /// Its name for such a program.
    fn place(&self) -> String {
        if self.server.is_some() { self.url.clone() } else { self.name.clone() }
    }

    /// Makes it, or takes it away.
    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = self.program(program);
        if let Some(url) = &self.server {
            command.arg(format!("--maintenance-db={url}"));
        }
        let ran = command.args(arguments).arg(&self.name).output().expect("it runs");
        assert!(ran.status.success(), "{program}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// Hundreds of worlds would fill the disk.
impl Drop for Database {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.run("dropdb", &["--force", "--if-exists"]);
        }
    }
}
