//! `carnet doctor`: checks everything that a server needs, one by one.
//!
//! Each line begins with `ok`, `!!` (it works, but should not stay so) or `NO`, and has a fix unless it is `ok`. The
//! checks are those of `carnet serve` ([`checks`]), and some that make sense only beside a server: which program holds the
//! sockets, and what a running server reports about itself. It changes nothing.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::serve::{Addresses, configuration};
use crate::cli::people::status::line;
use crate::cli::shell::answer::{Answer, Failure};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::client;
use crate::config::{Config, ListenSection};
use crate::domain::value::clock::{Clock as _, Timestamp};
use crate::journal::Past;
use crate::outbound::operator::{Call, Reply};
use crate::revocation::acl;
use crate::serve::checks::{self, Finding, Weight};
use crate::server::SystemClock;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// Configuration
    #[arg(short, long, value_name = "FILE", default_value = "carnet.toml")]
    config: PathBuf,
    #[command(flatten)]
    addresses: Addresses,
    /// Print the Redis user that a server needs, with its rights, and check nothing
    #[arg(long)]
    redis_acl: bool,
}

/// The largest difference between two clocks, in seconds.
///
/// `domain::value::clock::CLOCK_DIFFERENCE` is the limit; this leaves room.
const CLOCKS: i64 = 5;

/// Runs the command.
///
/// Exit 1 if something is wrong; exit 2, with all faults, for an invalid configuration.
pub async fn run(args: &Doctor) -> Result<Answer, Failure> {
    if args.redis_acl {
        let rules = acl("PASSWORD");
        return Ok(Answer::of(json!({"user": "carnet", "rules": rules}), format!("user carnet {rules}\n")));
    }
    let config = configuration(&args.config, &args.addresses)?;
    let mut found = vec![Finding::sound("configuration", args.config.display().to_string())];
    found.extend(checks::settings(&config));
    let (stores, past) = checks::stores(&config).await;
    found.extend(stores);
    found.extend(checks::outside(&config).await);
    found.extend(server(&config, past.as_ref()).await);
    Ok(told(&found))
}

fn told(found: &[Finding]) -> Answer {
    let sound = found.iter().all(|one| matches!(one.weight, Weight::Sound | Weight::Warning));
    let data = |one: &Finding| {
        let (ok, warning) = (matches!(one.weight, Weight::Sound | Weight::Warning), one.weight == Weight::Warning);
        let field = Some(&one.field).filter(|field| !field.is_empty());
        json!({"check": one.name, "ok": ok, "warning": warning, "field": field, "detail": one.detail, "fix": one.fix})
    };
    let data = json!({"ok": sound, "checks": found.iter().map(data).collect::<Vec<_>>()});
    let text = found.iter().map(lines).collect::<String>();
    Answer::of(data, text).exit(if sound { Exit::Ok } else { Exit::Failure })
}

/// A line, and a second one with the fix if something does not work. A warning is one line.
fn lines(one: &Finding) -> String {
    let fix = one.fix.as_deref().unwrap_or_default();
    match one.weight {
        Weight::Sound => line(true, one.name, &one.detail),
        Weight::Warning => format!("  !!  {:<14} {}; {fix}\n", one.name, one.detail),
        Weight::Wrong | Weight::Fault => {
            format!("{}      {:<14} fix: {fix}\n", line(false, one.name, &one.detail), "")
        }
    }
}

/// The outcome of binding a socket.
enum Place {
    Free,
    Taken,
    Never(String),
}

/// Checks the sockets, and the server at the configured admin address if it runs on this journal.
async fn server(config: &Config, past: Option<&Past>) -> Vec<Finding> {
    let listen = &config.listen;
    let reply = match listen.admin.port() {
        0 => None,
        _ => ask(listen.admin).await,
    };
    let told: Value = reply.as_ref().and_then(|reply| serde_json::from_slice(&reply.body).ok()).unwrap_or(Value::Null);
    let node = &told["node"];
    let is_ours = node["log"].as_str().is_some_and(|log| past.is_some_and(|past| past.is_of(log)));
    let mut found: Vec<Finding> = sockets(listen)
        .into_iter()
        .filter_map(|(name, field, address)| {
            let held = is_ours && node[field].as_str().is_some_and(|held| held == address.to_string());
            socket((name, field, address), held, node)
        })
        .collect();
    match (&reply, is_ours) {
        (Some(reply), true) => {
            found.extend([ready(reply, &told, listen.admin), clock(reply)]);
            found.extend(uses(&told));
            found.extend(mail(&told));
        }
        (Some(_), false) | (None, _) => {
            found.push(Finding::sound("server", format!("none of this journal runs at {}", listen.admin)))
        }
    }
    found
}

fn sockets(listen: &ListenSection) -> [(&'static str, &'static str, SocketAddr); 3] {
    [("public socket", "public", listen.public), ("admin socket", "admin", listen.admin), ("mTLS socket", "mtls", listen.mtls)]
}

/// Checks one socket. A socket that can be bound gives no finding, as a start would have none.
fn socket((name, field, address): (&'static str, &str, SocketAddr), held: bool, node: &Value) -> Option<Finding> {
    let field = format!("listen.{field}");
    let fix = format!("end what holds it, or write another address as [listen] {}", field.trim_start_matches("listen."));
    let fault =
        |detail: String, fix: &str| Some(Finding { field: field.clone(), ..Finding::other(Weight::Fault, name, detail, fix) });
    match place(address) {
        Place::Free => None,
        Place::Taken if held => Some(Finding::sound(name, format!("{address} is held by the running server"))),
        Place::Taken if field == "listen.admin" => match node["log"].as_str() {
            Some(log) => fault(format!("{address} is held by another carnet, of the log {log}"), &fix),
            None => fault(format!("{address} is held by another program"), &fix),
        },
        Place::Taken => fault(format!("{address} is held by another program than a server of this configuration"), &fix),
        Place::Never(reason) => fault(format!("{address}: {reason}"), "name an address of this machine that is free"),
    }
}

/// Binds and releases an address without listening: nobody who connects meanwhile is answered.
fn place(address: SocketAddr) -> Place {
    let socket = match address.ip() {
        IpAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        IpAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    };
    let bound = socket.and_then(|socket| {
        // As the server does: a port that was just released is free.
        socket.set_reuseaddr(true)?;
        socket.bind(address)
    });
    match bound {
        Ok(()) => Place::Free,
        Err(error) if error.kind() == ErrorKind::AddrInUse => Place::Taken,
        Err(error) => Place::Never(error.to_string()),
    }
}

/// The answer from the admin address, on this machine.
async fn ask(admin: SocketAddr) -> Option<Reply> {
    let ip = match admin.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let client = client(&format!("http://{}", SocketAddr::new(ip, admin.port()))).ok()?;
    let asked = client.call(Call { method: "GET", path: "/readyz?verbose", ..Call::default() });
    tokio::time::timeout(Duration::from_secs(5), asked).await.ok()?.ok()
}

/// The readiness that a running server reports.
fn ready(reply: &Reply, told: &Value, admin: SocketAddr) -> Finding {
    let failed: Vec<String> =
        told["checks"].as_array().into_iter().flatten().filter(|check| check["ok"] != true).map(one).collect();
    if reply.status == 200 {
        Finding::sound("server", format!("ready at {admin}"))
    } else {
        let detail = format!("not ready at {admin}: {}", failed.join("; "));
        Finding::other(Weight::Wrong, "server", detail, "see its log, and the lines above")
    }
}

/// The counts of uses, where the server has something to say of them.
fn uses(told: &Value) -> Option<Finding> {
    let check = told["checks"].as_array()?.iter().find(|check| check["name"] == "uses")?;
    let detail = check["detail"].as_str()?.to_owned();
    Some(Finding::other(Weight::Warning, "uses", detail, "see its log, and run carnet journal verify"))
}

/// Mail that fails, and owners without an address.
fn mail(told: &Value) -> Option<Finding> {
    let check = told["checks"].as_array()?.iter().find(|check| check["name"] == "mail")?;
    let detail = check["detail"].as_str()?.to_owned();
    Some(Finding::other(Weight::Warning, "mail", detail, "see its log; name owners who have an address in the records"))
}

fn one(check: &Value) -> String {
    let text = |name: &str| check[name].as_str().unwrap_or_default();
    format!("{} {}", text("name"), text("detail")).trim().to_owned()
}

/// Compares its clock with this one.
fn clock(reply: &Reply) -> Finding {
    let stamped = reply.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let server = stamped.and_then(|date| Timestamp::from_seconds(date.timestamp().as_second()));
    match server {
        None => Finding::sound("clock", "the server's answer has no date to compare with"),
        Some(server) => {
            let apart = server.as_seconds() - SystemClock.now().as_seconds();
            let detail = format!("{apart} s from the server's");
            if apart.abs() <= CLOCKS {
                Finding::sound("clock", detail)
            } else {
                Finding::other(Weight::Wrong, "clock", detail, "set both by NTP")
            }
        }
    }
}
