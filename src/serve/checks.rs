//! Checks what a server needs from its environment, for `carnet serve` and `carnet doctor` alike.
//!
//! [`settings`] checks the configuration and the files that it names, [`stores`] live index and journal, [`outside`] what
//! answers over the network. `serve` refuses to start if there is a [`Weight::Fault`], and logs the rest; `doctor` shows all
//! of it. No check writes, keeps a port or spends anything, so the checks can run beside a running server.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::database;
use super::directory;
use super::fault::{StartFault, at};
pub use super::finding::{Finding, Weight};
use super::gateways::{console_origin, journal_settings, live_index, outbound, staff_settings};
use super::ready::rests;
use super::{configuration, environments, outside as named, owners, recorded};
use crate::authn::{IssuerKeys, StaffVerifier};
use crate::broker::shadow;
use crate::config::{Config, ConfigFault, JournalUrl, ListenSection};
use crate::domain::decision::check::collisions_in_force;
use crate::domain::people::actor::Role;
use crate::domain::registry::environment::Environment;
use crate::domain::state::State;
use crate::domain::state::ours::Ours;
use crate::domain::state::taken::Conflict;
use crate::domain::value::clock::Clock as _;
use crate::domain::value::names::EnvironmentName;
use crate::domain::value::network::Cidr;
use crate::journal::{ClockFault, Kek, OpenFault, Past, View, examine, is_brought_up};
use crate::revocation::Away;
use crate::revocation::Index;
use crate::server::{SystemClock, open_files_limit, tls};

/// Logs every finding that is not [`Weight::Sound`].
pub fn log(findings: &[Finding]) {
    findings.iter().for_each(Finding::log);
}

/// The faults among `findings`, as faults of the configuration.
pub fn faults(findings: &[Finding]) -> Vec<ConfigFault> {
    let faults = findings.iter().filter(|finding| finding.weight == Weight::Fault);
    faults.map(|one| at(&one.field, one.detail.clone(), one.fix.as_deref().unwrap_or_default())).collect()
}

/// The fewest open files for a busy day; with fewer, connections are refused.
const FILES: usize = 1024;

/// Checks the configuration and the files that it names.
pub fn settings(config: &Config) -> Vec<Finding> {
    let mut found = vec![kek(config)];
    tls_files(config, &mut found);
    take("journal", journal_settings(config).map(drop), &mut found);
    match outbound(config) {
        Ok(outbound) => {
            let outbound = Arc::new(outbound);
            take("webhooks", named::receivers(config, &outbound, None).map(drop), &mut found);
            let opened = config.directory.as_ref().map(directory::tokens).transpose();
            take("directory", opened.map(drop), &mut found);
            take("tickets", named::tickets(config, &outbound).map(drop), &mut found);
            let origin = console_origin(config, config.listen.admin);
            take("mail", named::mail(config, Zeroizing::default(), None, None).map(drop), &mut found);
            take("console", named::console(config, &outbound, &origin).map(drop), &mut found);
        }
        Err(fault) => take("outbound", Err(fault), &mut found),
    }
    take("staff", staff_settings(config).map(drop), &mut found);
    found.extend(own_issuer_as_staff(config, &environments(config)));
    take("live index", live_index(config).map(drop), &mut found);
    plain_http(config, &mut found);
    found.extend(two_lists(&config.listen));
    roles(config, &mut found);
    modes(config, &mut found);
    found.push(files());
    found
}

/// Adds the fault of a step of the start as findings.
fn take(name: &'static str, outcome: Result<(), StartFault>, found: &mut Vec<Finding>) {
    match outcome {
        Ok(()) => {}
        Err(StartFault::Configuration(faults)) => {
            let one = |fault: ConfigFault| Finding::other(Weight::Fault, name, fault.reason, fault.fix).at(fault.field);
            found.extend(faults.into_iter().map(one));
        }
        Err(other) => found.push(Finding::other(Weight::Fault, name, other.to_string(), "report this")),
    }
}

fn kek(config: &Config) -> Finding {
    let path = &config.keys.kek_file;
    match Kek::load(path) {
        Ok(_) => Finding::sound("kek", path.display().to_string()),
        Err(fault) => {
            let fix = format!("carnet key init {0}, or chmod 600 {0}", path.display());
            Finding::other(Weight::Fault, "kek", fault.to_string(), fix).at("keys.kek_file")
        }
    }
}

fn tls_files(config: &Config, found: &mut Vec<Finding>) {
    let fix = "name a PEM chain, leaf first, and its PEM key";
    let mut loaded = |field: &str, outcome: Result<(), String>| {
        found.extend(outcome.err().map(|fault| Finding::other(Weight::Fault, "tls", fault, fix).at(field)));
    };
    if let Some(files) = &config.listen.public_tls {
        loaded("listen.public_tls", tls::load(&files.cert, &files.key).map(drop).map_err(|fault| fault.to_string()));
    }
    if let Some(files) = config.directory.as_ref().and_then(|section| section.tls.as_ref()) {
        loaded("directory.tls", tls::load(&files.cert, &files.key).map(drop).map_err(|fault| fault.to_string()));
    }
    if let Some(files) = &config.listen.mtls_tls {
        loaded("listen.mtls_tls", tls::load_certified(&files.cert, &files.key).map(drop).map_err(|fault| fault.to_string()));
    }
}

/// Refuses an issuer of this broker as `[staff] issuer`.
///
/// Otherwise every workload with a token of ours would have a staff token.
pub fn own_issuer_as_staff(config: &Config, environments: &BTreeMap<EnvironmentName, Environment>) -> Option<Finding> {
    let issuer = &config.staff.issuer;
    let environment = Ours::named(environments.iter()).environment_of(issuer.as_str())?.clone();
    let detail = format!("{issuer} is the issuer or trust domain of [environments.{environment}], or lies below it");
    let fix = "name the company's identity provider: a token of ours must never speak for a person";
    Some(Finding::other(Weight::Fault, "staff issuer", detail, fix).at("staff.issuer"))
}

/// Warns of staff tokens and partners' proofs in plain http where others may listen.
fn plain_http(config: &Config, found: &mut Vec<Finding>) {
    let listen = &config.listen;
    if !listen.admin.ip().is_loopback() {
        let detail =
            format!("admin API and console are served in plain http at {}: who listens in there takes sessions", listen.admin);
        let fix = "listen on 127.0.0.1 behind a proxy that ends TLS, or let nothing but that proxy reach the address";
        found.push(Finding::other(Weight::Warning, "admin socket", detail, fix).at("listen.admin"));
    }
    if !listen.public.ip().is_loopback() && listen.public_tls.is_none() && listen.trusted_proxies.is_empty() {
        let detail = format!("tokens are given in plain http at {}, and no proxy is named that ends TLS", listen.public);
        let fix = "set [listen] public_tls, or name the proxy that ends TLS in [listen] trusted_proxies";
        found.push(Finding::other(Weight::Warning, "public socket", detail, fix).at("listen.public"));
    }
    if let Some(section) = config.directory.as_ref()
        && !section.listen.ip().is_loopback()
        && section.tls.is_none()
        && listen.trusted_proxies.is_empty()
    {
        let detail = format!("people and tokens of the source go in plain http to {}, and no proxy is named", section.listen);
        let fix = "set [directory] tls, or name the proxy that ends TLS in [listen] trusted_proxies";
        found.push(Finding::other(Weight::Warning, "directory socket", detail, fix).at("directory.listen"));
    }
}

/// Warns of networks that are both trusted proxies and allowed to ask for verdicts.
///
/// A proxy there that sets no `Forwarded` passes a stranger's question on as its own.
fn two_lists(listen: &ListenSection) -> Option<Finding> {
    let meets = |one: &&Cidr| listen.trusted_proxies.iter().any(|other| one.is_within(other) || other.is_within(one));
    let both: Vec<String> = listen.verify_callers.iter().filter(meets).map(ToString::to_string).collect();
    let detail = format!(
        "{} lies in trusted_proxies as well: a proxy there that sets no Forwarded lets strangers ask ISSUER/verify",
        both.join(", ")
    );
    let fix = "have every trusted proxy set Forwarded, or give the proxies that ask for verdicts addresses of their own";
    (!both.is_empty()).then(|| Finding::other(Weight::Warning, "proxies", detail, fix).at("listen.verify_callers"))
}

/// Warns of roles that nobody has, with the duties that then remain undone.
fn roles(config: &Config, found: &mut Vec<Finding>) {
    const DUTIES: [(&str, Role, &str); 4] = [
        ("administrator", Role::Administrator, "nobody rotates keys or makes an authority"),
        ("security", Role::Security, "nobody verifies partners, approves as security, or revokes"),
        ("owner", Role::Owner, "nobody approves for the business"),
        ("auditor", Role::Auditor, "nobody reads without being able to change"),
    ];
    for (name, role, consequence) in DUTIES {
        if config.staff.roles.get(&role).is_none_or(std::collections::BTreeSet::is_empty) {
            let detail = format!("no group has the role {name}: {consequence}");
            let fix = format!("write {name} = [\"GROUP\"] in [staff] roles");
            found.push(Finding::other(Weight::Warning, "staff roles", detail, fix).at(format!("staff.roles.{name}")));
        }
    }
}

/// Warns of secrets that other users of this machine may read or change.
///
/// Such a key-encryption key is refused.
fn modes(config: &Config, found: &mut Vec<Finding>) {
    let mut secrets: Vec<(String, &PathBuf)> = Vec::new();
    secrets.extend(config.staff.client_secret_file.iter().map(|file| ("staff.client_secret_file".to_owned(), file)));
    let password = config.mail.iter().filter_map(|section| section.password_file.as_ref());
    secrets.extend(password.map(|file| ("mail.password_file".to_owned(), file)));
    secrets.extend(config.journal.password_file.iter().map(|file| ("journal.password_file".to_owned(), file)));
    let credentials = config.journal.archive_credentials_file.iter();
    secrets.extend(credentials.map(|file| ("journal.archive_credentials_file".to_owned(), file)));
    let password = config.redis.iter().filter_map(|section| section.password_file.as_ref());
    secrets.extend(password.map(|file| ("redis.password_file".to_owned(), file)));
    secrets.extend(config.tickets.iter().map(|section| ("tickets.token_file".to_owned(), &section.token_file)));
    secrets.extend(config.listen.public_tls.iter().map(|files| ("listen.public_tls.key".to_owned(), &files.key)));
    secrets.extend(config.listen.mtls_tls.iter().map(|files| ("listen.mtls_tls.key".to_owned(), &files.key)));
    secrets.extend(config.webhooks.iter().map(|(name, one)| (format!("webhooks.{name}.secret_file"), &one.secret_file)));
    if let Some(section) = &config.directory {
        secrets.extend(section.token_files.iter().map(|file| ("directory.token_files".to_owned(), file)));
        secrets.extend(section.tls.iter().map(|files| ("directory.tls.key".to_owned(), &files.key)));
    }
    for (field, file) in secrets {
        if crate::journal::file::is_file_open_to_others(file) {
            let detail = format!("other users of this machine may read or change {}", file.display());
            let fix = format!("chmod 600 {}", file.display());
            found.push(Finding::other(Weight::Warning, "secret files", detail, fix).at(field));
        }
    }
}

fn files() -> Finding {
    match open_files_limit() {
        Some(limit) if limit < FILES => {
            let fix = format!("ulimit -n {FILES}, or LimitNOFILE= of the unit");
            Finding::other(Weight::Wrong, "open files", format!("at most {limit}"), fix)
        }
        Some(limit) => Finding::sound("open files", format!("at most {limit}")),
        None => Finding::sound("open files", "no limit that can be read"),
    }
}

/// Checks the journal, the live index, and that the index agrees with the journal.
///
/// It also returns the log, if there is one that verifies.
pub async fn stores(config: &Config) -> (Vec<Finding>, Option<Past>) {
    // The index is read first, so that the journal is the later of the two: a running server advances both.
    let environments: Vec<EnvironmentName> = config.environments.keys().cloned().collect();
    let index = shared_index(config);
    let contents = match &index {
        Some(index) => Some(in_time(shadow::read(index, &environments)).await),
        None => None,
    };
    // A session of a server that may not keep the journal is given no settings: a pooler would hand them on.
    let mut found = database::look(config).await;
    let (journal, past) = if faults(&found).is_empty() {
        journal(config).await
    } else {
        let detail = "not looked at: its server cannot keep it, or cannot be reached";
        (Finding::other(Weight::Warning, "journal", detail, "put the server right, and ask again"), None)
    };
    found.push(journal);
    if let Some(past) = &past {
        found.push(time(config, past.view()));
        let (state, environments) = (&past.view().state, super::environments(config));
        found.extend(misfit(state, &environments).into_iter().chain(records(state, &environments)));
        found.extend(recorded::differs(config, past.view()));
        found.extend(owners::people(state, SystemClock.now()));
    }
    match (contents, &past) {
        (None, _) if config.redis.is_none() => found.push(Finding::sound("live index", "in process: one node only")),
        // Its URL is a fault of the settings.
        (None, _) => {}
        (Some(Err(away)), _) => found.push(is_away(away)),
        (Some(Ok(_)), None) => found.push(Finding::sound("live index", "Redis answers")),
        (Some(Ok(contents)), Some(past)) => match shadow::judge(&contents, past).await {
            Ok(wrong) if wrong.is_empty() => {
                found.push(Finding::sound("live index", "Redis answers, and holds nothing but ours"))
            }
            Ok(wrong) => found.extend(wrong.iter().map(|one| {
                let detail = format!("{} holds {}, wanted is {}", one.key, one.seen, one.wanted);
                Finding::other(Weight::Wrong, "live index", detail, one.fix()).at("redis.url")
            })),
            Err(fault) => {
                found.push(Finding::other(Weight::Wrong, "live index", fault.to_string(), "look at the journal's disk"))
            }
        },
    }
    (found, past)
}

/// Finds an environment that would end without being closed, or come again: the server would not start.
fn misfit(state: &State, environments: &BTreeMap<EnvironmentName, Environment>) -> Option<Finding> {
    let misfit = state.fits(environments).err()?.to_string();
    let (what, fix) = misfit.rsplit_once(": ")?;
    Some(Finding::other(Weight::Wrong, "environments", what, fix))
}

/// Finds records in force that take what an environment or another record in force already has.
///
/// They date from before the environment, or from before the rule. Any other such record is refused before it takes force.
pub fn records(state: &State, environments: &BTreeMap<EnvironmentName, Environment>) -> Vec<Finding> {
    let collisions = collisions_in_force(state, environments).into_iter();
    let told = collisions.map(|(client, Conflict { at, message, .. })| {
        let detail = format!("{client} {at}: {message}");
        Finding::other(Weight::Wrong, "records", detail, "apply a version of the record that takes something else")
    });
    told.collect()
}

fn is_away(away: Away) -> Finding {
    let told = away.to_string();
    let (what, fix) = told.split_once("; ").unwrap_or((&told, "look at its log"));
    Finding::other(Weight::Wrong, "live index", what, fix).at("redis.url")
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Away>>) -> Result<T, Away> {
    tokio::time::timeout(Duration::from_secs(5), asked).await.unwrap_or(Err(Away::Silent))
}

async fn journal(config: &Config) -> (Finding, Option<Past>) {
    let settings = match journal_settings(config) {
        Ok(settings) => settings,
        // Its fault is one of the settings.
        Err(fault) => return (Finding::other(Weight::Wrong, "journal", fault.to_string(), "correct [journal]"), None),
    };
    let place = place(&config.journal.url);
    let Ok(kek) = Kek::load(&config.keys.kek_file) else {
        let anchor = settings.anchor.as_ref().is_some_and(|anchor| anchor.exists());
        return (unsealed(&config.journal.url, anchor), None);
    };
    match examine(&settings, &kek).await {
        Ok(None) => (none_yet(&place), None),
        Ok(Some(past)) => {
            let detail = format!("{place}, {} entries (`carnet journal verify` reads them all)", past.size());
            (Finding::sound("journal", detail), Some(past))
        }
        Err(OpenFault::Schema(version)) if is_brought_up(&version) => {
            let detail = format!("{place}, with tables of version {version}: `carnet serve` brings them up");
            (Finding::sound("journal", detail), None)
        }
        Err(fault) => (no_journal(&fault), None),
    }
}

/// Checks that a server would issue tokens by this journal now.
///
/// The clock must not be behind its newest entry, and the pause after a reopening must be over.
fn time(config: &Config, view: &View) -> Finding {
    let (name, wall, from) = ("journal time", SystemClock.now(), view.state.mints_from);
    if let Some(fault) = ClockFault::behind(wall, view.time) {
        // If the configuration differs from the recorded one, it has to be recorded, and such a clock forbids that.
        let recorded = view.state.configuration.as_ref();
        let starts = config.journal.is_shared() && recorded.is_some() || recorded == Some(&configuration(config));
        let weight = if starts { Weight::Wrong } else { Weight::Fault };
        return Finding::other(weight, name, fault.to_string(), journal_fix(&fault.into()));
    }
    if wall >= from {
        return Finding::sound(name, format!("its newest entry is of {}", view.time));
    }
    let fix = "wait until then; meanwhile make new keys with `carnet key rotate ENV --i-accept-outage`";
    Finding::other(Weight::Wrong, name, rests(from, wall), fix)
}

fn no_journal(fault: &OpenFault) -> Finding {
    Finding::other(Weight::Fault, "journal", fault.to_string(), journal_fix(fault)).at("journal.url")
}

/// The finding of a journal whose key-encryption key cannot be read: a file is found to exist even without it.
fn unsealed(url: &JournalUrl, has_anchor: bool) -> Finding {
    let detail = "not looked at: its key-encryption key cannot be read";
    let unread = Finding::other(Weight::Warning, "journal", detail, "put the key right, and ask again");
    match url {
        JournalUrl::Postgres(_) => unread,
        JournalUrl::Sqlite(path) if path.exists() => unread,
        JournalUrl::Sqlite(path) if has_anchor => no_journal(&OpenFault::Missing(path.clone())),
        JournalUrl::Sqlite(path) => none_yet(&path.display().to_string()),
    }
}

/// The place of a journal in words.
fn place(url: &JournalUrl) -> String {
    match url {
        JournalUrl::Sqlite(path) => path.display().to_string(),
        JournalUrl::Postgres(url) => url.to_string(),
    }
}

fn none_yet(place: &str) -> Finding {
    Finding::sound("journal", format!("none yet; `carnet serve` makes it at {place}"))
}

/// The fix for a journal that does not open.
pub fn journal_fix(fault: &OpenFault) -> &'static str {
    match fault {
        OpenFault::Missing(_) => "restore the journal; an empty one would forget every revocation",
        OpenFault::Schema(_) => "run the version of carnet that made it, or a newer one",
        OpenFault::Dev(_) => "name another place in [journal] url: a journal of `carnet dev` is for `carnet dev` alone",
        OpenFault::Moved { .. } => {
            "name that database in [journal] url; a move that did not come to its end goes on with the same `carnet journal migrate`"
        }
        OpenFault::Origin { .. } => "write its own name as [journal] origin, or name the other journal in [journal] url",
        OpenFault::Inconsistent { .. } | OpenFault::Table { .. } => {
            "see what holds with `carnet journal verify`, and restore a copy that does"
        }
        OpenFault::Rollback { .. }
        | OpenFault::Anchor { .. }
        | OpenFault::Tail { .. }
        | OpenFault::Forgets { .. }
        | OpenFault::Uncovered { .. } => {
            "put the newest journal and its anchor back; where they are lost, see `carnet journal reopen --help`"
        }
        OpenFault::Clock(_) | OpenFault::ClockAgrees { .. } => {
            "set the clock right; where it is right, see `carnet journal correct-clock --help`"
        }
        OpenFault::Kek(_) => "name the key-encryption key that this journal was made with in [keys] kek_file",
        OpenFault::File { .. } => "let this user read and write the file and its folder, and look at the disk",
        OpenFault::Store(_) | OpenFault::Unavailable(_) => {
            "let this user read and write the database and reach its server, and look at the disk"
        }
    }
}

/// The live index that a configuration names in Redis. A URL that cannot be used is a fault of the settings.
fn shared_index(config: &Config) -> Option<Index> {
    config.redis.as_ref()?;
    live_index(config).ok()
}

/// Checks that Redis evicts nothing. One that does not answer is no fault: a server starts, and waits for it.
pub async fn keeps_all(config: &Config) -> Option<Finding> {
    let kept = in_time(shared_index(config)?.keeps_all()).await;
    kept.err().filter(|away| *away == Away::Evicts).map(|away| Finding { weight: Weight::Fault, ..is_away(away) })
}

/// Checks over the network that Redis keeps what is written, and that staff can sign in.
pub async fn outside(config: &Config) -> Vec<Finding> {
    let mut found: Vec<Finding> = keeps_all(config).await.into_iter().collect();
    found.push(staff(config).await);
    found
}

/// Checks the staff issuer's keys, and that its discovery is complete enough to sign in with.
async fn staff(config: &Config) -> Finding {
    let name = "staff issuer";
    let wrong =
        |detail: &dyn Display, fix: &str| Finding::other(Weight::Wrong, name, detail.to_string(), fix).at("staff.issuer");
    let (settings, outbound) = match staff_settings(config).and_then(|settings| Ok((settings, outbound(config)?))) {
        Ok(both) => both,
        Err(fault) => return wrong(&fault, "correct [staff] and [outbound]"),
    };
    let issuer = settings.issuer.to_string();
    let keys = IssuerKeys::new(Arc::new(outbound), Arc::new(SystemClock));
    let verifier = StaffVerifier::new(settings, keys.clone());
    if let Err(fault) = verifier.check().await {
        let fix = "correct [staff] issuer; list its origin in [outbound] issuers if it is private";
        return wrong(&format!("{issuer}: {fault}"), fix);
    }
    keys.keep_fresh(vec![verifier.source().clone()]).await;
    match keys.health().into_iter().find_map(|health| health.fault) {
        Some(fault) => wrong(&format!("{issuer}: {fault}"), "look at its jwks_uri"),
        None => Finding::sound(name, issuer),
    }
}
