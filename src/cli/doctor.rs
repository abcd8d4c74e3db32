//! `carnet doctor`: everything that a server needs, looked at one by one. Each line says `ok` or `NO`, and a `NO` its fix.
//!
//! It changes nothing and needs no running server; where one answers at the configured admin address, its own checks are shown too.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Answer, Failure};
use super::exit::Exit;
use super::reach::client;
use super::serve::invalid;
use super::status::line;
use crate::authn::{IssuerKeys, StaffVerifier, tls};
use crate::config::{self, Config, JournalUrl};
use crate::domain::clock::{Clock as _, Timestamp};
use crate::journal::Kek;
use crate::outbound::operator::{Call, Reply};
use crate::revocation::Index;
use crate::serve;
use crate::server::{SystemClock, open_files_limit};

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Doctor {
    /// Configuration
    #[arg(short, long, value_name = "FILE", default_value = "carnet.toml")]
    config: PathBuf,
}

/// One thing that was looked at.
struct Finding {
    name: &'static str,
    ok: bool,
    detail: String,
    fix: Option<String>,
}

/// How far two clocks of one house may differ (`domain::admission::CLOCK_DIFFERENCE` is the limit; this leaves room).
const CLOCKS: i64 = 5;

/// Fewer open files than this, and a busy day ends with refused connections.
const FILES: usize = 1024;

/// Runs it. Exit 1 where something is wrong; a configuration that cannot be read is exit 2 with all its faults.
pub async fn run(args: &Doctor) -> Result<Answer, Failure> {
    let config = config::load(&args.config).map_err(|faults| invalid(&args.config, &faults))?;
    let mut findings = vec![ok("configuration", args.config.display().to_string()), kek(&config), journal(&config), files()];
    findings.push(index(&config).await);
    findings.push(staff(&config).await);
    findings.extend(server(&config).await);
    Ok(told(&findings))
}

fn told(findings: &[Finding]) -> Answer {
    let sound = findings.iter().all(|finding| finding.ok);
    let mut text = String::new();
    for finding in findings {
        text += &line(finding.ok, finding.name, &finding.detail);
        if let Some(fix) = &finding.fix {
            text += &format!("      {:<14} fix: {fix}\n", "");
        }
    }
    let data =
        |finding: &Finding| json!({"check": finding.name, "ok": finding.ok, "detail": finding.detail, "fix": finding.fix});
    let data = json!({"ok": sound, "checks": findings.iter().map(data).collect::<Vec<_>>()});
    Answer::of(data, text).exit(if sound { Exit::Ok } else { Exit::Failure })
}

fn ok(name: &'static str, detail: impl Into<String>) -> Finding {
    Finding { name, ok: true, detail: detail.into(), fix: None }
}

fn no(name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { name, ok: false, detail: detail.into(), fix: Some(fix.into()) }
}

fn kek(config: &Config) -> Finding {
    let path = &config.keys.kek_file;
    match Kek::load(path) {
        Ok(_) => ok("kek", path.display().to_string()),
        Err(fault) => no("kek", fault.to_string(), format!("carnet key init {0}, or chmod 600 {0}", path.display())),
    }
}

fn journal(config: &Config) -> Finding {
    let JournalUrl::Sqlite(path) = &config.journal.url;
    let anchor = config.folder.join(serve::ANCHOR);
    match (path.try_exists(), anchor.try_exists()) {
        (Ok(true), Ok(true)) => ok("journal", format!("{} (`carnet journal verify` reads it)", path.display())),
        (Ok(true), Ok(false)) => {
            let fix = "put the anchor back, or see `carnet journal reopen`";
            no("journal", format!("there is a journal and no anchor at {}", anchor.display()), fix)
        }
        (Ok(false), Ok(true)) => no(
            "journal",
            format!("there is an anchor and no journal at {}", path.display()),
            "restore the journal; never start an empty one",
        ),
        (Ok(false), Ok(false)) => {
            let folder = path.parent().unwrap_or(Path::new("."));
            if folder.is_dir() {
                ok("journal", format!("none yet; `carnet serve` makes it at {}", path.display()))
            } else {
                no("journal", format!("there is no folder {}", folder.display()), format!("mkdir -p {}", folder.display()))
            }
        }
        (Err(error), _) | (_, Err(error)) => no("journal", error.to_string(), "let this user read the folder"),
    }
}

fn files() -> Finding {
    match open_files_limit() {
        Some(limit) if limit < FILES => {
            no("open files", format!("at most {limit}"), format!("ulimit -n {FILES}, or LimitNOFILE= of the unit"))
        }
        Some(limit) => ok("open files", format!("at most {limit}")),
        None => ok("open files", "no limit that can be read"),
    }
}

async fn index(config: &Config) -> Finding {
    let Some(redis) = &config.redis else { return ok("live index", "in process: one node only") };
    let index = match Index::redis(redis.url.as_str()) {
        Ok(index) => index,
        Err(fault) => return no("live index", fault.to_string(), "correct [redis] url"),
    };
    let asked = async { Ok::<_, crate::revocation::Away>((index.ping().await?, index.advice().await?)) };
    match tokio::time::timeout(Duration::from_secs(5), asked).await {
        Ok(Ok(((), None))) => ok("live index", "Redis answers"),
        Ok(Ok(((), Some(advice)))) => no("live index", "Redis answers, and is not set up for it", advice),
        Ok(Err(cause)) => no("live index", cause.to_string(), "see its log"),
        Err(_) => no("live index", "Redis does not answer", "start it, or correct [redis] url"),
    }
}

/// The issuer's discovery, complete enough to sign in with, and its keys.
async fn staff(config: &Config) -> Finding {
    let name = "staff issuer";
    let settings = serve::outbound_settings(config).and_then(|allowed| Ok((allowed, serve::staff_settings(config)?)));
    let (allowed, settings) = match settings {
        Ok(settings) => settings,
        Err(fault) => return no(name, fault.to_string(), "correct [staff] and [outbound]"),
    };
    let Ok(outbound) = tls::outbound(allowed, &[]) else {
        return no(name, "the client for issuers cannot be made", "report this");
    };
    let issuer = settings.issuer.to_string();
    let keys = IssuerKeys::new(Arc::new(outbound), Arc::new(SystemClock));
    let verifier = StaffVerifier::new(settings, keys.clone());
    if let Err(fault) = verifier.check().await {
        return no(
            name,
            format!("{issuer}: {fault}"),
            "correct [staff] issuer; list its origin in [outbound] issuers if it is private",
        );
    }
    keys.keep_fresh(vec![verifier.source().clone()]).await;
    let fault = keys.health().into_iter().find_map(|health| health.fault);
    match fault {
        Some(fault) => no(name, format!("{issuer}: {fault}"), "look at its jwks_uri"),
        None => ok(name, issuer),
    }
}

/// What a running server says of itself, and how its clock stands to this one.
async fn server(config: &Config) -> Vec<Finding> {
    let url = format!("http://{}", config.listen.admin);
    let Ok(client) = client(&url) else { return vec![ok("server", "its admin address is not on the loopback; not asked")] };
    let asked = client.call(Call { method: "GET", path: "/readyz?verbose", ..Call::default() });
    let Ok(Ok(reply)) = tokio::time::timeout(Duration::from_secs(5), asked).await else {
        return vec![ok("server", format!("none runs at {url}"))];
    };
    let told: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    let failed: Vec<String> =
        told["checks"].as_array().into_iter().flatten().filter(|check| check["ok"] != true).map(one).collect();
    let ready = if reply.status == 200 {
        ok("server", format!("ready at {url}"))
    } else {
        no("server", format!("not ready at {url}: {}", failed.join("; ")), "see its log, and the lines above")
    };
    vec![ready, clock(&reply)]
}

fn one(check: &Value) -> String {
    let text = |name: &str| check[name].as_str().unwrap_or_default();
    format!("{} {}", text("name"), text("detail")).trim().to_owned()
}

fn clock(reply: &Reply) -> Finding {
    let stamped = reply.header("date").and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    let server = stamped.and_then(|date| Timestamp::from_seconds(date.timestamp().as_second()));
    match server {
        None => ok("clock", "the server's answer has no date to compare with"),
        Some(server) => {
            let apart = server.as_seconds() - SystemClock.now().as_seconds();
            let detail = format!("{apart} s from the server's");
            if apart.abs() <= CLOCKS { ok("clock", detail) } else { no("clock", detail, "set both by NTP") }
        }
    }
}
