//! The files of a golden journal, and the journal that they make.

use crate::domain::value::clock::Entropy as _;
use sqlx::ConnectOptions as _;
use sqlx::Connection as _;
use sqlx::Row as _;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::super::House;
use crate::domain::fixture::{NOON, Seeded};
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::{Attributed, Change};
use crate::domain::log::entry::Entry;
use crate::domain::log::journal::JournalChange;
use crate::domain::log::key::KeyChange;
use crate::domain::value::digest::Digest;
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::key::signers;
use crate::journal::sqlite::column::sql;
use crate::journal::tree::note::SignerKey;

const ENTRIES: &str = "entries.ndjson";
const ROWS: &str = "rows.tsv";
const TABLES: &str = "tables.sql";
const CHECKPOINT: &str = "checkpoint";
const KEY: &str = "checkpoint.key";
const ANCHOR: &str = "anchor";
const SEGMENTS: &str = "segments";

/// What a column of [`ROWS`] has where the row has nothing.
const NOTHING: &str = "-";

/// A golden journal.
pub struct Golden {
    pub directory: PathBuf,
    /// The bytes of each entry.
    pub bodies: Vec<String>,
    pub rows: Vec<Line>,
    /// The tables and all their rows but entries and keys.
    pub tables: String,
    /// The signed checkpoint of all entries.
    pub checkpoint: String,
    /// The key that it verifies with.
    pub key: String,
    pub anchor: String,
}

/// What stands beside an entry in its row, and the digest of the state after it.
#[derive(Debug, Eq, PartialEq)]
pub struct Line {
    pub index: u64,
    pub time: i64,
    pub kind: String,
    pub subject: String,
    pub request: Option<String>,
    pub token: Option<String>,
    pub leaf: String,
    pub state: String,
    /// Whether it has left the database for a segment.
    pub left: bool,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, time, kind, subject, request, token, leaf, state, left } = self;
        let [request, token] = [request, token].map(|text| text.as_deref().unwrap_or(NOTHING));
        let place = if *left { "segment" } else { "row" };
        write!(f, "{index}\t{time}\t{kind}\t{subject}\t{request}\t{token}\t{leaf}\t{state}\t{place}")
    }
}

impl Line {
    fn read(text: &str) -> Self {
        let columns: Vec<&str> = text.split('\t').collect();
        let [index, time, kind, subject, request, token, leaf, state, place] = columns[..] else { panic!("columns: {text}") };
        let optional = |text: &str| (text != NOTHING).then(|| text.to_owned());
        let line = Self {
            index: index.parse().expect("a number"),
            time: time.parse().expect("a number"),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            request: optional(request),
            token: optional(token),
            leaf: leaf.to_owned(),
            state: state.to_owned(),
            left: place == "segment",
        };
        assert_eq!(line.to_string(), text);
        line
    }
}

/// Where golden journals lie.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/journal")
}

impl Golden {
    /// All of them, the oldest first.
    pub fn all() -> Vec<Self> {
        Self::all_in(&root())
    }

    /// Those of a directory. One without entries is what Git left of a journal of another branch: no journal.
    pub fn all_in(root: &Path) -> Vec<Self> {
        let directories = (1..).map(|number: u32| root.join(number.to_string()));
        directories.take_while(|directory| directory.join(ENTRIES).exists()).map(|directory| Self::read(&directory)).collect()
    }

    fn read(directory: &Path) -> Self {
        let text = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        Self {
            directory: directory.to_owned(),
            bodies: text(ENTRIES).lines().map(ToOwned::to_owned).collect(),
            rows: text(ROWS).lines().map(Line::read).collect(),
            tables: text(TABLES),
            checkpoint: text(CHECKPOINT),
            key: text(KEY),
            anchor: text(ANCHOR),
        }
    }

    /// Writes it; the segments are copied from the house that it was made in.
    pub fn write(&self, house: &House) {
        fs::create_dir_all(&self.directory).expect("a directory");
        let lines = |lines: &mut dyn Iterator<Item = String>| lines.map(|line| line + "\n").collect::<String>();
        let files = [
            (ENTRIES, lines(&mut self.bodies.iter().cloned())),
            (ROWS, lines(&mut self.rows.iter().map(ToString::to_string))),
            (TABLES, self.tables.clone()),
            (CHECKPOINT, self.checkpoint.clone()),
            (KEY, self.key.clone()),
            (ANCHOR, self.anchor.clone()),
        ];
        for (name, content) in files {
            fs::write(self.directory.join(name), content).expect("writes");
        }
        if segments(house).exists() {
            let into = self.directory.join(SEGMENTS);
            fs::create_dir_all(&into).expect("a directory");
            copy(&segments(house), &into);
        }
    }

    /// The entries, read.
    pub fn entries(&self) -> Vec<Entry> {
        let read = |body: &String| Entry::parse(body.as_bytes()).unwrap_or_else(|error| panic!("{error}: {body}"));
        self.bodies.iter().map(read).collect()
    }

    /// The changes, as the journal holds them.
    pub fn changes(&self) -> Vec<Attributed> {
        let change = |entry| if let Entry::Change(entry) = entry { Some(entry.change) } else { None };
        self.entries().into_iter().filter_map(change).collect()
    }

    /// A house with this journal, closed, at the time of its last entry.
    pub async fn house(&self) -> House {
        let house = House::new();
        let options = SqliteConnectOptions::new().filename(house.database()).create_if_missing(true);
        let mut connection = options.connect().await.expect("connects");
        sqlx::raw_sql(AssertSqlSafe(self.tables.clone())).execute(&mut connection).await.expect("tables");
        for (line, body) in self.rows.iter().zip(&self.bodies).filter(|(line, _)| !line.left) {
            let Line { index, time, kind, subject, request, token, leaf, .. } = line;
            let leaf = Digest::try_from(leaf.clone()).expect("a digest").0.to_vec();
            let insert =
                "INSERT INTO entries (idx, time, kind, subject, request_id, jti, body, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
            let query = sqlx::query(insert).bind(sql(*index)).bind(time).bind(kind).bind(subject).bind(request).bind(token);
            query.bind(body).bind(leaf).execute(&mut connection).await.expect("an entry");
        }
        for SealedBlob { name, sealed } in self.keyring() {
            let insert = sqlx::query("INSERT INTO keyring (name, sealed) VALUES (?, ?)").bind(name.as_str().to_owned());
            insert.bind(sealed).execute(&mut connection).await.expect("a key");
        }
        connection.close().await.expect("closes");
        fs::write(house.settings.anchor.clone().expect("an anchor"), &self.anchor).expect("writes");
        if self.rows.iter().any(|line| line.left) {
            fs::create_dir(segments(&house)).expect("a directory");
            copy(&self.directory.join(SEGMENTS), &segments(&house));
        }
        house.clock.set(self.rows.last().expect("entries").time - NOON);
        house
    }

    /// The sealed private halves. None is in a file: what is sealed for the keys of the entries is no key, and the checkpoint keys come of
    /// seeds of the tests.
    fn keyring(&self) -> Vec<SealedBlob> {
        let mut all: Vec<SealedBlob> = Vec::new();
        let mut keys = vec![self.key.trim_end().to_owned()];
        for mut change in self.changes() {
            match &change.what {
                Change::Key(KeyChange::Retired { environment, kid }) => {
                    let name = BlobName::new(environment, "signing", kid);
                    all.retain(|blob| blob.name != name);
                }
                Change::Journal(JournalChange::CheckpointKeySucceeded { statement }) => {
                    let before = statement.lines().find_map(|line| line.strip_prefix("checkpoint key "));
                    keys.insert(keys.len() - 1, before.expect("the key before").to_owned());
                }
                _ => {
                    let written = serde_json::to_string(&change).expect("JSON");
                    for blob in blobs(&mut change) {
                        if !all.contains(&blob) {
                            all.push(blob);
                        }
                    }
                    assert_eq!(serde_json::to_string(&change).expect("JSON"), written, "the same is sealed in the same way");
                }
            }
        }
        let seal = |(number, key): (usize, &String)| House::kek().seal(signers::name(number), &seed_of(key), &Seeded::new(0));
        // The key before the last stays for the handover; those before it are gone.
        all.extend(keys.iter().enumerate().skip(keys.len().saturating_sub(2)).map(seal));
        all
    }
}

/// The seed of a checkpoint key: drawn first, or second where it succeeded another, in a start of [`House`].
fn seed_of(key: &str) -> [u8; 32] {
    let seeds = (1..100).flat_map(|start| {
        let entropy = Seeded::new(start);
        [(); 2].map(|()| {
            let mut seed = [0; 32];
            entropy.fill(&mut seed);
            seed
        })
    });
    let makes = |seed: &[u8; 32]| {
        SignerKey::from_seed(crate::domain::examples::ORIGIN, seed).expect("a key").verifier().to_string() == key
    };
    seeds.into_iter().find(makes).unwrap_or_else(|| panic!("no start of a house made the key {key}"))
}

/// Seals something for each private half that a change names, and lets the change name that.
pub fn blobs(change: &mut Attributed) -> Vec<SealedBlob> {
    let seal = |name| House::kek().seal(name, b"no private half", &Seeded::new(2));
    match &mut change.what {
        Change::Key(KeyChange::Created(key)) => {
            let blob = seal(BlobName::new(&key.environment, "signing", &key.kid));
            key.sealed = blob.digest();
            vec![blob]
        }
        Change::Certificate(CertificateChange::AuthorityCreated { authority, .. }) => {
            let root = URL_SAFE_NO_PAD.encode(Digest::of(&authority.root.0).0).parse().expect("an id");
            let issuing = seal(BlobName::new(&authority.environment, "authority", &authority.kid));
            let root = seal(BlobName::new(&authority.environment, "authority-root", &root));
            (authority.sealed, authority.sealed_root) = (issuing.digest(), root.digest());
            vec![issuing, root]
        }
        _ => Vec::new(),
    }
}

/// The tables of a database and their rows, but for those of entries and keys, as SQL.
pub async fn tables(connection: &mut SqliteConnection) -> String {
    let text = "SELECT name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY type DESC, name";
    let mut lines = String::new();
    let mut names: Vec<String> = Vec::new();
    for row in sqlx::query(text).fetch_all(&mut *connection).await.expect("reads") {
        let (name, text): (String, String) = (row.get(0), row.get(1));
        lines += &format!("{text};\n");
        if text.starts_with("CREATE TABLE") && !["entries", "keyring"].contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        let columns = sqlx::query("SELECT name FROM pragma_table_info(?)").bind(&name).fetch_all(&mut *connection).await;
        let columns: Vec<String> = columns.expect("reads").iter().map(|row| row.get(0)).collect();
        let quoted: Vec<String> = columns.iter().map(|column| format!("quote({column})")).collect();
        let text = format!("SELECT {} FROM {name} ORDER BY {}", quoted.join(" || ', ' || "), columns.join(", "));
        for row in sqlx::query(AssertSqlSafe(text)).fetch_all(&mut *connection).await.expect("reads") {
            lines += &format!("INSERT INTO {name} ({}) VALUES ({});\n", columns.join(", "), row.get::<String, _>(0));
        }
    }
    lines
}

fn segments(house: &House) -> PathBuf {
    house.directory.path().join("journal.db.segments")
}

/// Copies files, where there are some.
fn copy(from: &Path, to: &Path) {
    for file in fs::read_dir(from).into_iter().flatten() {
        let file = file.expect("a file");
        fs::copy(file.path(), to.join(file.file_name())).expect("copies");
    }
}
