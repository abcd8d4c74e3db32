//! The place of the live index: `[redis]`.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::section::Section;

/// `[redis]`.
#[derive(Clone, Debug)]
pub struct RedisSection {
    /// Its URL: `redis://` or `rediss://` (TLS) with `HOST:PORT/DATABASE`, `redis+sentinel://` or `rediss+sentinel://` with
    /// `HOST,HOST,HOST/MASTER/DATABASE`, `redis+cluster://` or `rediss+cluster://` with `HOST,HOST,HOST`. A user may stand before the hosts,
    /// as `USER@`; a password may not.
    pub url: RedisUrl,
    /// The path of a file with the password alone, mode 0600.
    pub password_file: Option<PathBuf>,
    /// The path of a PEM file with the roots of its certificates; if absent, the system's.
    pub ca_file: Option<PathBuf>,
}

/// Where Redis is. It holds no secret.
#[derive(Clone, Eq, PartialEq)]
pub struct RedisUrl {
    /// The servers.
    pub servers: RedisServers,
    /// Whether it is reached over TLS.
    pub tls: bool,
    /// The number of the database.
    pub database: u32,
    /// The user that signs in; if absent, the default user.
    pub username: Option<String>,
}

/// The servers that a URL names, as host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RedisServers {
    /// One server.
    One(String, u16),
    /// The sentinels, and the name of the master that they watch.
    Sentinels(Vec<(String, u16)>, String),
    /// Some nodes of a cluster.
    Cluster(Vec<(String, u16)>),
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({:?}, tls: {}, database: {})", self.servers, self.tls, self.database)
    }
}

const URL_FIX: &str = "write url = \"redis://127.0.0.1:6379/0\", or leave [redis] out for a single node";
const PASSWORD_FIX: &str = "name a file with the password alone, mode 0600";
const CA_FIX: &str = "name a PEM file with the roots of Redis' certificates";

/// Said of a URL with a password, which would stand in the file for everybody who reads the configuration.
const PASSWORD_IN_URL: &str =
    "a password stands in it; write the password into a file of mode 0600 and name that file as [redis] password_file";

pub(super) fn redis(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> Option<RedisSection> {
    let mut section = section?;
    let url = section.required("url", URL_FIX, faults).and_then(|url| match redis_url(&url.value) {
        Ok(parsed) => Some(parsed),
        Err(told) => {
            let (reason, fix) = told.split_once("; ").unwrap_or((&told, URL_FIX));
            faults.add(url.at(), reason, fix);
            None
        }
    });
    let password_file = section.file("password_file", folder, PASSWORD_FIX, faults);
    let ca_file = section.file("ca_file", folder, CA_FIX, faults);
    if let Some(RedisUrl { username, tls, .. }) = &url {
        let line = section.at().1;
        if username.is_some() && password_file.is_none() {
            faults.add(("redis.password_file", line), "the user has no password", PASSWORD_FIX);
        }
        if ca_file.is_some() && !tls {
            faults.add(("redis.ca_file", line), "the URL asks for no TLS", "write rediss:// as the beginning of the URL");
        }
    }
    section.finish(faults);
    Some(RedisSection { url: url?, password_file, ca_file })
}

/// Parses a URL. A fault has its own fix behind a semicolon, or none.
fn redis_url(text: &str) -> Result<RedisUrl, String> {
    let (scheme, rest) = text.split_once("://").ok_or("it is no redis:// URL")?;
    let (tls, kind) = match scheme.split_once('+').unwrap_or((scheme, "")) {
        ("redis", kind) => (false, kind),
        ("rediss", kind) => (true, kind),
        _ => return Err("it is no redis:// URL".to_owned()),
    };
    let (login, rest) = rest.rsplit_once('@').map_or((None, rest), |(login, rest)| (Some(login), rest));
    if login.is_some_and(|login| login.contains(':')) {
        return Err(PASSWORD_IN_URL.to_owned());
    }
    let is_plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if login.is_some_and(|login| !is_plain(login)) {
        return Err("its user is no plain name".to_owned());
    }
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let hosts = |port: u16| hosts.split(',').map(|host| host_of(host, port)).collect::<Result<Vec<_>, String>>();
    let number = |text: &str| match text {
        "" => Ok(0),
        text if text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.parse().unwrap_or_default()),
        _ => Err("it does not name a database by its number".to_owned()),
    };
    let (servers, database) = match kind {
        "" => match hosts(6379)?.as_slice() {
            [(host, port)] => (RedisServers::One(host.clone(), *port), number(path)?),
            _ => return Err("it names several hosts; write redis+sentinel:// or redis+cluster://".to_owned()),
        },
        "sentinel" => {
            let (master, database) = path.split_once('/').unwrap_or((path, ""));
            if !is_plain(master) {
                return Err(
                    "it does not name the master; write url = \"redis+sentinel://s1,s2,s3/mymaster/0\", with the name that the sentinels watch"
                        .to_owned(),
                );
            }
            (RedisServers::Sentinels(hosts(26379)?, master.to_owned()), number(database)?)
        }
        "cluster" if path.is_empty() || path == "0" => (RedisServers::Cluster(hosts(6379)?), 0),
        "cluster" => return Err("a cluster has no databases; leave the path out".to_owned()),
        _ => return Err("it is no redis:// URL".to_owned()),
    };
    Ok(RedisUrl { servers, tls, database, username: login.map(str::to_owned) })
}

/// Parses `HOST` or `HOST:PORT`. An IPv6 address stands in brackets.
fn host_of(text: &str, port: u16) -> Result<(String, u16), String> {
    let fault = || "it does not name a host and a port".to_owned();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, number)) if !number.contains(']') => {
            let parsed: u16 = number.parse().map_err(|_| fault())?;
            (host, Some(parsed).filter(|parsed| *parsed != 0 && parsed.to_string() == number).ok_or_else(fault)?)
        }
        _ => (text, port),
    };
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let address: Ipv6Addr = literal.parse().map_err(|_| fault())?;
        return Ok((address.to_string(), port));
    }
    let is_name =
        !host.is_empty() && host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if is_name { Ok((host.to_owned(), port)) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> (String, u16) {
        (host.to_owned(), port)
    }

    #[test]
    fn each_kind_of_url_names_its_servers() {
        let one = |text: &str| redis_url(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        assert_eq!(one("redis://r").servers, RedisServers::One("r".to_owned(), 6379));
        assert_eq!(one("redis://[::1]:7/3").servers, RedisServers::One("::1".to_owned(), 7));
        assert_eq!((one("redis://r/3").database, one("redis://r").database, one("rediss://r/3").tls), (3, 0, true));
        assert_eq!(one("rediss://carnet@r:6380/0").username.as_deref(), Some("carnet"));
        let sentinels = one("rediss+sentinel://carnet@s1,s2:7,[::2]/mymaster/4");
        let hosts = vec![at("s1", 26379), at("s2", 7), at("::2", 26379)];
        assert_eq!(sentinels.servers, RedisServers::Sentinels(hosts, "mymaster".to_owned()));
        assert_eq!((sentinels.tls, sentinels.database, sentinels.username.as_deref()), (true, 4, Some("carnet")));
        for text in ["redis+cluster://c1,c2:7", "redis+cluster://c1,c2:7/", "redis+cluster://c1,c2:7/0"] {
            assert_eq!(one(text).servers, RedisServers::Cluster(vec![at("c1", 6379), at("c2", 7)]), "{text}");
        }
    }

    /// A password in the URL is refused with what to do, and is in no message.
    #[test]
    fn a_url_with_a_password_is_refused() {
        for text in [
            "redis://:hunter2@r/0",
            "rediss://carnet:hunter2@r",
            "redis+sentinel://u:hunter2@a,b/m",
            "redis+cluster://u:hunter2@a",
        ] {
            let fault = redis_url(text).expect_err("a password");
            assert!(fault.contains("password_file") && !fault.contains("hunter2"), "{text}: {fault}");
        }
    }

    #[test]
    fn what_names_no_servers_is_refused() {
        for text in [
            "",
            "redis",
            "http://r",
            "redis+other://r",
            "redis://",
            "redis://:6379",
            "redis://r:0",
            "redis://r:07",
            "redis://r:x",
            "redis://r/x",
            "redis://r/0/1",
            "redis://a,b",
            "redis://a b",
            "redis://[::1",
            "redis://[x]",
            "redis+sentinel://a,b",
            "redis+sentinel://a,b//0",
            "redis+sentinel://a,,b/m",
            "redis+sentinel://a/m/x",
            "redis+cluster://a/1",
            "redis+cluster://",
            "redis://a b@r",
            "redis://@r",
        ] {
            assert!(redis_url(text).is_err(), "{text}");
        }
    }
}
