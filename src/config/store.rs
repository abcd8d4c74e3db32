//! The places of the journal and the live index: `[journal]` and `[redis]`.

use std::fmt;
use std::path::PathBuf;

use super::fault::Faults;
use super::section::Section;
use crate::domain::value::clock::Seconds;

/// `[journal]`.
#[derive(Clone, Debug)]
pub struct JournalSection {
    /// The place of the journal.
    pub url: JournalUrl,
    /// The name of the log in checkpoints; if absent, `serve` takes the first environment's issuer.
    pub origin: Option<String>,
    /// The time that issuance and refusal entries stay in the database, before segments have them.
    /// If absent, they stay for ever.
    pub retention: Option<Seconds>,
}

/// The place of a journal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum JournalUrl {
    /// Our own database file, by its absolute path.
    Sqlite(PathBuf),
}

/// `[redis]`.
#[derive(Clone, Debug)]
pub struct RedisSection {
    /// Its URL.
    pub url: RedisUrl,
}

/// `redis://[user:password@]host:port/db`.
///
/// It may have a password, so it is never printed and has no `Display`.
#[derive(Clone, Eq, PartialEq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// The whole URL, for the Redis client alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.rsplit_once('@').map_or_else(|| self.0.trim_start_matches("redis://"), |(_, host)| host);
        write!(f, "RedisUrl(redis://{host})")
    }
}

const JOURNAL_FIX: &str = "write url = \"sqlite:///var/lib/carnet/journal.db\"";
const REDIS_FIX: &str = "write url = \"redis://127.0.0.1:6379/0\", or leave [redis] out for a single node";

pub(super) fn journal(section: Option<Section<'_>>, faults: &mut Faults<'_>) -> Option<JournalSection> {
    let Some(mut section) = section else {
        faults.add(("journal", None), "the section is missing", JOURNAL_FIX);
        return None;
    };
    let url = section.required("url", JOURNAL_FIX, faults).and_then(|url| {
        let parsed = url.parse(faults, |text| journal_url(text), JOURNAL_FIX)?;
        let JournalUrl::Sqlite(path) = &parsed;
        if !path.parent().is_some_and(|folder| folder.is_dir()) {
            faults.add(
                url.at(),
                "the folder of the journal does not exist",
                "create it, owned by the user that carnet runs as, mode 0700",
            );
        }
        Some(parsed)
    });
    let origin = section.text("origin", faults).and_then(|origin| {
        origin.parse(faults, |text| journal_origin(text), "write a name without spaces or +, such as sts.acme.example/carnet")
    });
    let retention = section.duration("retention", (Seconds::days(1), Seconds::days(36_500)), faults);
    section.finish(faults);
    Some(JournalSection { url: url?, origin, retention })
}

fn journal_url(text: &str) -> Result<JournalUrl, String> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Err("PostgreSQL is not supported yet".to_owned());
    }
    let path = text.strip_prefix("sqlite://").ok_or("it is no sqlite:// URL")?;
    let is_plain = path.starts_with('/') && path.len() > 1 && !path.ends_with('/') && !path.contains(['?', '#', '%', '\0']);
    if is_plain {
        Ok(JournalUrl::Sqlite(PathBuf::from(path)))
    } else {
        Err("it does not name a file by its absolute path".to_owned())
    }
}

/// Checks the origin of checkpoints: a line of its own and a key name, so no spaces and no plus.
///
/// C2SP tlog-checkpoint, signed-note.
fn journal_origin(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic() && b != b'+');
    if is_name { Ok(text.to_owned()) } else { Err("it cannot be the name of a log".to_owned()) }
}

pub(super) fn redis(section: Option<Section<'_>>, faults: &mut Faults<'_>) -> Option<RedisSection> {
    let mut section = section?;
    let url = section.required("url", REDIS_FIX, faults).and_then(|url| url.parse(faults, |text| redis_url(text), REDIS_FIX));
    section.finish(faults);
    Some(RedisSection { url: url? })
}

fn redis_url(text: &str) -> Result<RedisUrl, String> {
    if text.starts_with("redis+sentinel://") || text.starts_with("rediss+sentinel://") {
        return Err("Redis Sentinel is not supported yet".to_owned());
    }
    if text.contains(',') {
        return Err("Redis Cluster is not supported yet".to_owned());
    }
    if text.starts_with("rediss://") {
        return Err("Redis over TLS is not supported yet".to_owned());
    }
    let rest = text.strip_prefix("redis://").ok_or("it is no redis:// URL")?;
    let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
    let (host, database) = place.split_once('/').unwrap_or((place, ""));
    let is_plain = !host.is_empty() && !host.starts_with(':') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_plain && database.bytes().all(|b| b.is_ascii_digit()) {
        Ok(RedisUrl(text.to_owned()))
    } else {
        Err("it does not name a host and a database number".to_owned())
    }
}
