//! The place of the journal: `[journal]`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::fault::Faults;
use super::postgres::{self, PostgresUrl};
use super::section::{Located, Section};
use super::url::{Origin, own_origin};
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
    /// The place that all nodes see and old entries leave the PostgreSQL database for: `file:///FOLDER` or `s3://BUCKET[/PREFIX]`.
    pub archive: Option<ArchiveUrl>,
    /// The server of the bucket, as an origin: https, or http on a loopback host.
    pub archive_endpoint: Option<Origin>,
    /// The region that requests to the bucket are signed for.
    pub archive_region: String,
    /// The path of a file with the credentials for the bucket, in the form of `~/.aws/credentials`; if absent, those of `AWS_ACCESS_KEY_ID`,
    /// `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
    pub archive_credentials_file: Option<PathBuf>,
    /// The name of the log in checkpoints; if absent, `serve` takes the first environment's issuer.
    pub origin: Option<String>,
    /// The time that issuance and refusal entries stay in the database, before segments have them.
    /// If absent, they stay for ever.
    pub retention: Option<Seconds>,
}

impl JournalSection {
    /// Whether other nodes may write to this journal.
    pub fn is_shared(&self) -> bool {
        matches!(self.url, JournalUrl::Postgres(_))
    }

    /// A journal in a database file of our own, without anything else said.
    pub fn in_file(path: PathBuf) -> Self {
        Self {
            url: JournalUrl::Sqlite(path),
            password_file: None,
            ca_file: None,
            replication: Replication::default(),
            archive: None,
            archive_endpoint: None,
            archive_region: REGION.to_owned(),
            archive_credentials_file: None,
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

/// The place of an archive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ArchiveUrl {
    /// A folder, by its absolute path.
    Folder(PathBuf),
    /// A bucket of a server that speaks the protocol of S3.
    Bucket {
        /// Its name.
        name: String,
        /// The beginning of the names of all objects there; it may be empty.
        prefix: String,
    },
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
const ARCHIVE_FIX: &str = "write archive = \"file:///FOLDER\", a folder that all nodes see, or \"s3://BUCKET/PREFIX\"";
const ENDPOINT_FIX: &str = "write archive_endpoint = \"https://HOST\", the server of the bucket";

/// The region of most servers that are not Amazon's.
const REGION: &str = "us-east-1";

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
    let archive_endpoint = section.text("archive_endpoint", faults);
    let archive_endpoint = archive_endpoint.map(|found| found.parse(faults, |text| own_origin(text), ENDPOINT_FIX));
    let archive_region = section.text("archive_region", faults);
    let archive_region = archive_region
        .map(|found| found.parse(faults, |text| region(text), "write the region of the bucket, such as eu-central-1"));
    let archive_credentials_file = section.file(
        "archive_credentials_file",
        folder,
        "name a file with aws_access_key_id = … and aws_secret_access_key = …, mode 0600",
        faults,
    );
    if url.as_ref().is_some_and(|url| matches!(url, JournalUrl::Postgres(_))) {
        of_bucket(&section, (&given, archive.as_ref().and_then(Option::as_ref)), faults);
    }
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
    Some(JournalSection {
        url: url?,
        password_file,
        ca_file,
        replication: replication?,
        archive: archive?,
        archive_endpoint: archive_endpoint.map_or(Some(None), |endpoint| endpoint.map(Some))?,
        archive_region: archive_region.unwrap_or_else(|| Some(REGION.to_owned()))?,
        archive_credentials_file,
        origin,
        retention,
    })
}

/// A bucket needs its server, and nothing else does.
fn of_bucket(section: &Section<'_>, (given, archive): (&[(String, usize)], Option<&ArchiveUrl>), faults: &mut Faults<'_>) {
    let (name, line) = section.at();
    let is_given = |key: &str| given.iter().find(|(known, _)| known == key).map(|(_, line)| *line);
    let is_bucket = matches!(archive, Some(ArchiveUrl::Bucket { .. }));
    if is_bucket && is_given(OF_BUCKET[0]).is_none() {
        let field = format!("{name}.{}", OF_BUCKET[0]);
        faults.add((&field, line), "it is missing: nothing is sent to a server that nobody named", ENDPOINT_FIX);
    }
    // An archive that is faulty is a fault already.
    let is_other = !is_bucket && (archive.is_some() || is_given("archive").is_none());
    for (key, line) in OF_BUCKET.iter().filter(|_| is_other).filter_map(|key| is_given(key).map(|line| (key, line))) {
        let field = format!("{name}.{key}");
        let fix = "remove the key, or write archive = \"s3://BUCKET\"";
        faults.add((&field, Some(line)), "it is for an archive in a bucket", fix);
    }
}

/// The keys that a journal in a file does not have.
const OF_POSTGRES: [&str; 7] = ["password_file", "ca_file", "replication", "archive", OF_BUCKET[0], OF_BUCKET[1], OF_BUCKET[2]];

/// The keys that only an archive in a bucket has.
const OF_BUCKET: [&str; 3] = ["archive_endpoint", "archive_region", "archive_credentials_file"];

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
pub fn archive(text: &str) -> Result<ArchiveUrl, String> {
    if let Some(rest) = text.strip_prefix("s3://") {
        return bucket(rest);
    }
    let path = text.strip_prefix("file://").and_then(plain_path).ok_or("it does not name a folder by its absolute path")?;
    if path.is_dir() { Ok(ArchiveUrl::Folder(path)) } else { Err("the folder of the archive does not exist".to_owned()) }
}

/// The bucket and the prefix of `s3://BUCKET[/PREFIX]`, in their one spelling. Credentials are no part of it.
fn bucket(rest: &str) -> Result<ArchiveUrl, String> {
    let (name, prefix) = rest.split_once('/').map_or((rest, None), |(name, prefix)| (name, Some(prefix)));
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().last()];
    let is_name = (3..=63).contains(&name.len())
        && name.bytes().all(|byte| is_inner(byte) || matches!(byte, b'-' | b'.'))
        && ends.into_iter().flatten().all(is_inner)
        && !name.contains("..");
    if !is_name {
        return Err("it does not name a bucket: 3 to 63 lower-case letters, digits, hyphens and dots".to_owned());
    }
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    if prefix.is_some_and(|prefix| prefix.len() > 512 || !prefix.split('/').all(is_segment)) {
        return Err("its prefix has characters or segments that can be spelt in two ways".to_owned());
    }
    Ok(ArchiveUrl::Bucket { name: name.to_owned(), prefix: prefix.unwrap_or_default().to_owned() })
}

fn region(text: &str) -> Result<String, String> {
    let is_region =
        (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if is_region { Ok(text.to_owned()) } else { Err("it is no region".to_owned()) }
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
