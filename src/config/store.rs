//! The place of the live index: `[redis]`.

use std::fmt;

use super::fault::Faults;
use super::section::Section;

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

const REDIS_FIX: &str = "write url = \"redis://127.0.0.1:6379/0\", or leave [redis] out for a single node";

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
