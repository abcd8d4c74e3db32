//! The URL of a PostgreSQL database: a part of the form that libpq has, in which nothing weakens what the journal needs.
//!
//! `postgres://USER@HOST[:PORT][,HOST…]/DATABASE[?sslmode=…]`, or `postgres://USER@/DATABASE?host=FOLDER` for the folder of a local socket.
//!
//! Attack: a driver that is told `require` or `prefer` takes any certificate, or none, from whoever stands between. So there is TLS with a
//! verified certificate of the right name, or a connection that never leaves this machine.

use std::fmt;

use super::url::is_loopback;

/// A PostgreSQL database. It has no password, so it may be printed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PostgresUrl {
    /// Our user there.
    pub user: String,
    /// The name of the database.
    pub database: String,
    /// The hosts with their ports, in the order in which they are tried; a folder is that of a local socket.
    pub hosts: Vec<(String, u16)>,
    /// Whether connections have TLS, with the server's certificate verified (`sslmode=verify-full`).
    pub tls: bool,
}

impl PostgresUrl {
    /// The database as entries name it: without user.
    pub(super) fn name(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        format!("postgres://{}/{}", hosts.join(","), self.database)
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        write!(f, "the PostgreSQL database {} at {}", self.database, hosts.join(", "))
    }
}

/// The fix of a URL that is wrong.
pub(super) const FIX: &str = "write url = \"postgres://USER@HOST/DATABASE?sslmode=verify-full\"";

/// The port of PostgreSQL.
const PORT: u16 = 5432;

/// Whether a URL is meant to name a PostgreSQL database.
pub(super) fn is_meant(text: &str) -> bool {
    text.starts_with("postgres://") || text.starts_with("postgresql://")
}

/// Reads a URL.
pub(super) fn read(text: &str) -> Result<PostgresUrl, String> {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"));
    let rest = rest.ok_or("it is no postgres:// URL")?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = place.split_once('/').ok_or("it names no database")?;
    // A password may hold an @.
    let (user, hosts) = authority.rsplit_once('@').ok_or("it names no user")?;
    if user.contains(':') {
        return Err(PASSWORD.to_owned());
    }
    let options = Options::read(query)?;
    let (user, database) = (name(user, "user")?, name(database, "database")?);
    let hosts = match (&options.socket, hosts) {
        (Some(folder), "") => vec![(folder.clone(), options.port.unwrap_or(PORT))],
        (Some(_), _) => return Err("it names hosts and the folder of a local socket".to_owned()),
        (None, "") => return Err("it names no host".to_owned()),
        (None, _) if options.port.is_some() => return Err("the port of a host stands behind it, as in db1:5433".to_owned()),
        (None, hosts) => hosts.split(',').map(host).collect::<Result<_, _>>()?,
    };
    let is_local = |host: &str| options.socket.is_some() || is_loopback(host) || host == "::1";
    let stays_here = hosts.iter().all(|(host, _)| is_local(host));
    let tls = match (options.verifies, stays_here) {
        (Some(true), _) if options.socket.is_some() => return Err("there is no TLS over a local socket".to_owned()),
        (Some(false), false) => {
            return Err("sslmode=disable is for a local socket or the loopback: others would listen in".to_owned());
        }
        (Some(verifies), _) => verifies,
        (None, stays_here) => !stays_here,
    };
    Ok(PostgresUrl { user, database, hosts, tls })
}

const PASSWORD: &str = "it has a password, which belongs into the file that password_file names";

/// What stands behind the question mark.
#[derive(Default)]
struct Options {
    /// Whether TLS was asked for, or forbidden.
    verifies: Option<bool>,
    socket: Option<String>,
    port: Option<u16>,
}

impl Options {
    fn read(query: &str) -> Result<Self, String> {
        let mut options = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if seen.contains(&key) {
                return Err("it says the same twice".to_owned());
            }
            seen.push(key);
            match (key, value) {
                ("sslmode", "verify-full") => options.verifies = Some(true),
                ("sslmode", "disable") => options.verifies = Some(false),
                ("sslmode", "require" | "prefer" | "allow") => {
                    return Err(format!(
                        "sslmode={value} takes whoever answers for the server; there is verify-full, and disable for a local one"
                    ));
                }
                ("sslmode", "verify-ca") => {
                    return Err(
                        "sslmode=verify-ca takes every server that the CA knows for this one; there is verify-full".to_owned()
                    );
                }
                ("sslmode", _) => return Err("there is no such sslmode".to_owned()),
                ("target_session_attrs", "read-write") => {}
                ("target_session_attrs", _) => {
                    return Err("the journal needs target_session_attrs=read-write, which is the default".to_owned());
                }
                ("sslrootcert", _) => return Err("the roots of the server are named by ca_file".to_owned()),
                ("password" | "passfile", _) => return Err(PASSWORD.to_owned()),
                ("host", folder) if is_folder(folder) => options.socket = Some(folder.to_owned()),
                ("host", _) => {
                    return Err(
                        "host= is for the absolute folder of a local socket; other hosts stand before the database".to_owned()
                    );
                }
                ("port", port) => options.port = Some(port_of(port)?),
                // The key is of the file's own author, and no secret: those are named above.
                (key, _) => return Err(format!("Carnet decides {} itself", printable(key))),
            }
        }
        Ok(options)
    }
}

fn printable(key: &str) -> String {
    key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect()
}

fn is_folder(text: &str) -> bool {
    text.len() > 1 && text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic() && !b"%#,'\"\\".contains(&b))
}

/// A name without escapes: what libpq would decode is refused.
fn name(text: &str, of: &str) -> Result<String, String> {
    let is_name =
        !text.is_empty() && text.len() <= 63 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    if is_name { Ok(text.to_owned()) } else { Err(format!("its {of} is not 1 to 63 of a-z, A-Z, 0-9, _, - and .")) }
}

/// A host with its port: a lower-case name, or an address; one of IPv6 in brackets.
fn host(text: &str) -> Result<(String, u16), String> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port_of(port)?),
        _ => (text, PORT),
    };
    if let Some(v6) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let is_v6 = v6.parse::<std::net::Ipv6Addr>().is_ok();
        return if is_v6 { Ok((v6.to_owned(), port)) } else { Err("a host in brackets is not an address of IPv6".to_owned()) };
    }
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if host.len() <= 253 && host.split('.').all(is_label) {
        Ok((host.to_owned(), port))
    } else {
        Err("a host is not a lower-case name or an address".to_owned())
    }
}

fn port_of(text: &str) -> Result<u16, String> {
    text.parse().ok().filter(|port| *port > 0).ok_or_else(|| "a port is not a number from 1 to 65535".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_servers_that_are_verified_or_local() {
        for (text, hosts, tls) in [
            (
                "postgres://carnet@db1.acme.example,db2.acme.example:5433/carnet?target_session_attrs=read-write&sslmode=verify-full",
                vec![("db1.acme.example", 5432), ("db2.acme.example", 5433)],
                true,
            ),
            ("postgresql://carnet@db/carnet", vec![("db", 5432)], true),
            ("postgres://carnet@10.0.0.7,[fd00::7]:6432/carnet", vec![("10.0.0.7", 5432), ("fd00::7", 6432)], true),
            (
                "postgres://carnet@127.0.0.1,[::1]:6432,localhost/carnet",
                vec![("127.0.0.1", 5432), ("::1", 6432), ("localhost", 5432)],
                false,
            ),
            ("postgres://carnet@127.0.0.1/carnet?sslmode=verify-full", vec![("127.0.0.1", 5432)], true),
            ("postgres://carnet@127.0.0.1,db/carnet", vec![("127.0.0.1", 5432), ("db", 5432)], true),
            ("postgres://carnet@/carnet?host=/var/run/postgresql", vec![("/var/run/postgresql", 5432)], false),
            ("postgres://carnet@/carnet?host=/tmp/x&port=5433&sslmode=disable", vec![("/tmp/x", 5433)], false),
        ] {
            let url = read(text).unwrap_or_else(|fault| panic!("{text}: {fault}"));
            let seen: Vec<(&str, u16)> = url.hosts.iter().map(|(host, port)| (host.as_str(), *port)).collect();
            assert_eq!((seen, url.tls), (hosts, tls), "{text}");
            assert_eq!((url.user.as_str(), url.database.as_str()), ("carnet", "carnet"), "{text}");
        }
    }

    /// Whatever would weaken the connection is refused, and so is every second way to say a thing. No refusal quotes what may be a password.
    #[test]
    fn a_url_that_weakens_the_connection_is_refused() {
        for (text, reason) in [
            ("postgres://carnet:hunter2@db/carnet", "password_file"),
            ("postgres://carnet:hunter2@x@db/carnet", "password_file"),
            ("postgres://carnet@db/carnet?password=hunter2", "password_file"),
            ("postgres://carnet@db/carnet?passfile=hunter2", "password_file"),
            ("postgres://carnet@db/carnet?sslmode=require", "whoever answers"),
            ("postgres://carnet@db/carnet?sslmode=prefer", "whoever answers"),
            ("postgres://carnet@db/carnet?sslmode=allow", "whoever answers"),
            ("postgres://carnet@db/carnet?sslmode=verify-ca", "verify-full"),
            ("postgres://carnet@db/carnet?sslmode=hunter2", "no such sslmode"),
            ("postgres://carnet@db/carnet?sslmode=disable", "others would listen in"),
            ("postgres://carnet@127.0.0.1,db/carnet?sslmode=disable", "others would listen in"),
            ("postgres://carnet@127.0.0.1.attacker.example/carnet?sslmode=disable", "others would listen in"),
            ("postgres://carnet@/carnet?host=/tmp&sslmode=verify-full", "no TLS over a local socket"),
            ("postgres://carnet@db/carnet?sslmode=verify-full&sslmode=disable", "twice"),
            ("postgres://carnet@db/carnet?target_session_attrs=any", "read-write"),
            ("postgres://carnet@db/carnet?sslrootcert=/ca.pem", "ca_file"),
            ("postgres://carnet@db/carnet?options=-c%20synchronous_commit=off", "Carnet decides options itself"),
            ("postgres://carnet@db/carnet?hostaddr=10.0.0.7", "Carnet decides hostaddr itself"),
            ("postgres://carnet@db/carnet?host=/tmp", "hosts and the folder"),
            ("postgres://carnet@/carnet?host=db", "absolute folder"),
            ("postgres://carnet@/carnet", "no host"),
            ("postgres://db/carnet", "no user"),
            ("postgres://carnet@db", "no database"),
            ("postgres://carnet@db/", "its database"),
            ("postgres://car%6eet@db/carnet", "its user"),
            ("postgres://@db/carnet", "its user"),
            ("postgres://carnet@DB/carnet", "a host"),
            ("postgres://carnet@db,/carnet", "a host"),
            ("postgres://carnet@%2Ftmp/carnet", "a host"),
            ("postgres://carnet@[db]/carnet", "IPv6"),
            ("postgres://carnet@db:0/carnet", "a port"),
            ("postgres://carnet@db/carnet?port=1", "behind it"),
        ] {
            let told = read(text).expect_err(text);
            assert!(told.contains(reason) && !told.contains("hunter2"), "{text}: {told}");
        }
    }
}
