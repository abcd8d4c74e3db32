//! The place of the journal: `[journal]`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::fault::Faults;
use super::postgres::{self, PostgresUrl};
use super::section::{Located, Section};
use crate::domain::value::clock::Seconds;

/// `[journal]`.
#[derive(Clone, Debug)]
pub struct JournalSection {
    /// The place of the journal: a file of this node, or a PostgreSQL database that several nodes may share.
    pub url: JournalUrl,
    /// The path of the file with the password of our user at PostgreSQL.
    pub password_file: Option<PathBuf>,
    /// The path of a file with the roots (PEM) that PostgreSQL's certificate is judged by, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// What PostgreSQL's standbys promise: `synchronous`, or `asynchronous`, where a failover may lose acknowledged revocations.
    pub replication: Replication,
    /// The folder, as `file:///…`, that all nodes see and old entries leave the PostgreSQL database for.
    pub archive: Option<PathBuf>,
    /// The name of the log in checkpoints; if absent, `serve` takes the first environment's issuer.
    pub origin: Option<String>,
    /// The time that issuance and refusal entries stay in the database, before segments have them.
    /// If absent, they stay for ever.
    pub retention: Option<Seconds>,
}

impl JournalSection {
    /// A journal in a database file of our own, without anything else said.
    pub fn in_file(path: PathBuf) -> Self {
        Self {
            url: JournalUrl::Sqlite(path),
            password_file: None,
            ca_file: None,
            replication: Replication::default(),
            archive: None,
            origin: None,
            retention: None,
        }
    }
}

/// The place of a journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JournalUrl {
    /// Our own database file, by its absolute path.
    Sqlite(PathBuf),
    /// A PostgreSQL database.
    Postgres(PostgresUrl),
}

impl JournalUrl {
    /// The place as entries name it: without user or password.
    pub fn name(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite://{}", path.display()),
            Self::Postgres(url) => url.name(),
        }
    }
}

/// The text of [`JournalUrl`], as `[journal] url` has it. An error is a reason.
impl FromStr for JournalUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if postgres::is_meant(text) { postgres::read(text).map(Self::Postgres) } else { sqlite(text).map(Self::Sqlite) }
    }
}

/// What the standbys of a PostgreSQL database promise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Replication {
    /// A commit is confirmed when a standby has it too.
    #[default]
    Synchronous,
    /// A failover may lose what was confirmed.
    Asynchronous,
}

const URL_FIX: &str = "write url = \"sqlite:///var/lib/carnet/journal.db\"";
const ARCHIVE_FIX: &str = "write archive = \"file:///FOLDER\", a folder that all nodes see";

/// Reads the section.
pub(super) fn read(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> Option<JournalSection> {
    let Some(mut section) = section else {
        faults.add(("journal", None), "the section is missing", URL_FIX);
        return None;
    };
    let url = section.required("url", URL_FIX, faults).and_then(|url| place(&url, faults));
    let origin = section.text("origin", faults).and_then(|origin| {
        origin.parse(faults, |text| journal_origin(text), "write a name without spaces or +, such as sts.acme.example/carnet")
    });
    let retention = section.duration("retention", (Seconds::days(1), Seconds::days(36_500)), faults);
    // These are of PostgreSQL alone.
    let given: Vec<(String, usize)> = section.keys();
    let password_file = section.file("password_file", folder, "name a file with the password alone, mode 0600", faults);
    let ca_file = section.file("ca_file", folder, "name a PEM file with the roots of the PostgreSQL server", faults);
    let replication = section.text("replication", faults).map(|word| {
        word.parse(
            faults,
            |word| replication(word),
            "write synchronous, or asynchronous if acknowledged revocations may be lost",
        )
    });
    let archive = section.text("archive", faults).map(|url| url.parse(faults, |text| archive(text), ARCHIVE_FIX));
    match &url {
        Some(JournalUrl::Sqlite(_)) => {
            for (key, line) in given.iter().filter(|(key, _)| OF_POSTGRES.contains(&key.as_str())) {
                let field = format!("{}.{key}", section.at().0);
                faults.add(
                    (&field, Some(*line)),
                    "it is for a journal in PostgreSQL, and this one is in a file",
                    "remove the key",
                );
            }
        }
        Some(JournalUrl::Postgres(_)) if retention.is_some() && archive.is_none() => {
            let field = format!("{}.archive", section.at().0);
            faults.add(
                (&field, section.at().1),
                "it is missing: entries whose retention is over leave the database for it",
                ARCHIVE_FIX,
            );
        }
        Some(JournalUrl::Postgres(url)) if ca_file.is_some() && !url.tls => {
            let field = format!("{}.ca_file", section.at().0);
            faults.add(
                (&field, section.at().1),
                "there is no TLS to this server",
                "add sslmode=verify-full to the URL, or remove ca_file",
            );
        }
        Some(JournalUrl::Postgres(_)) | None => {}
    }
    section.finish(faults);
    let replication = replication.unwrap_or(Some(Replication::default()));
    let archive = archive.map_or(Some(None), |archive| archive.map(Some));
    Some(JournalSection { url: url?, password_file, ca_file, replication: replication?, archive: archive?, origin, retention })
}

/// The keys that a journal in a file does not have.
const OF_POSTGRES: [&str; 4] = ["password_file", "ca_file", "replication", "archive"];

fn place(url: &Located<String>, faults: &mut Faults<'_>) -> Option<JournalUrl> {
    let fix = if postgres::is_meant(&url.value) { postgres::FIX } else { URL_FIX };
    let place = url.parse(faults, |text| text.parse::<JournalUrl>(), fix)?;
    match &place {
        JournalUrl::Sqlite(path) if !path.parent().is_some_and(Path::is_dir) => {
            let fix = "create it, owned by the user that carnet runs as, mode 0700";
            faults.add(url.at(), "the folder of the journal does not exist", fix);
        }
        JournalUrl::Sqlite(_) | JournalUrl::Postgres(_) => {}
    }
    Some(place)
}

fn sqlite(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("sqlite://").ok_or("it is no sqlite:// or postgres:// URL")?;
    plain_path(path).ok_or_else(|| "it does not name a file by its absolute path".to_owned())
}

/// Reads the place of an archive, as `[journal] archive` has it.
///
/// # Errors
/// The reason.
pub fn archive(text: &str) -> Result<PathBuf, String> {
    if text.starts_with("s3://") {
        return Err("an archive in S3 is not supported yet".to_owned());
    }
    let path = text.strip_prefix("file://").and_then(plain_path).ok_or("it does not name a folder by its absolute path")?;
    if path.is_dir() { Ok(path) } else { Err("the folder of the archive does not exist".to_owned()) }
}

/// An absolute path in its one spelling.
fn plain_path(path: &str) -> Option<PathBuf> {
    let is_plain = path.starts_with('/') && path.len() > 1 && !path.ends_with('/') && !path.contains(['?', '#', '%', '\0']);
    is_plain.then(|| PathBuf::from(path))
}

/// Checks the origin of checkpoints: a line of its own and a key name, so no spaces and no plus.
///
/// C2SP tlog-checkpoint, signed-note.
fn journal_origin(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
    if is_name { Ok(text.to_owned()) } else { Err("it cannot be the name of a log".to_owned()) }
}

fn replication(word: &str) -> Result<Replication, String> {
    match word {
        "synchronous" => Ok(Replication::Synchronous),
        "asynchronous" => Ok(Replication::Asynchronous),
        _ => Err("there is no such replication".to_owned()),
    }
}
