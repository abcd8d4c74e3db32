//! Converts the configuration into the settings of journal, live index, outbound client and staff.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::bucket;
use super::fault::{StartFault, at};
use crate::authn::{StaffSettings, tls};
use crate::config::{Config, JournalUrl, RedisServers};
use crate::domain::registry::binding::ClaimPath;
use crate::domain::value::clock::{Clock, Entropy};
use crate::domain::value::names::Issuer;
use crate::http::health::Waits;
use crate::journal::{Journal, Kek, Location, PostgresAddress, PostgresPlace, Settings as JournalSettings};
use crate::outbound::{Origin, Outbound, OutboundSettings};
use crate::revocation::{Address, Index, Place, Servers};
use crate::server::SystemClock;

/// The settings of the journal that a configuration names.
///
/// # Errors
/// Every fault of the files that `[journal]` names.
pub fn journal_settings(config: &Config) -> Result<JournalSettings, StartFault> {
    Ok(JournalSettings {
        location: location(config)?,
        origin: origin(config),
        dev: false,
        anchor: Some(config.folder.join(ANCHOR)),
        node: Some(config.node.id.clone()),
        create: true,
    })
}

fn location(config: &Config) -> Result<Location, StartFault> {
    let section = &config.journal;
    let url = match &section.url {
        JournalUrl::Sqlite(path) => return Ok(Location::File(path.clone())),
        JournalUrl::Postgres(url) => url,
    };
    let mut faults = Vec::new();
    let password = section.password_file.as_ref().and_then(|file| {
        let text = std::fs::read_to_string(file).map(Zeroizing::new).ok();
        let password = text.map(|text| Zeroizing::new(text.trim_end_matches(['\r', '\n']).as_bytes().to_vec()));
        let password = password.filter(|password| !password.is_empty());
        if password.is_none() {
            let fix = "write the password into it, and nothing else";
            faults.push(at("journal.password_file", "it holds no password".to_owned(), fix));
        }
        password
    });
    let tls = url.tls.then(|| tls::postgres(section.ca_file.as_deref()).map(Arc::new)).transpose();
    let tls = tls.unwrap_or_else(|error| {
        let fix = "name a PEM file with the roots of the PostgreSQL server";
        faults.push(at("journal.ca_file", format!("its roots cannot be used: {error}"), fix));
        None
    });
    let segments = bucket::place(config).map_err(|fault| faults.push(fault));
    let (Ok(segments), true) = (segments, faults.is_empty()) else { return Err(StartFault::Configuration(faults)) };
    let (user, database, hosts) = (url.user.clone(), url.database.clone(), url.hosts.clone());
    let address = PostgresAddress::new(PostgresPlace { user, password, database, hosts, tls });
    Ok(Location::Postgres { address: Box::new(address), segments })
}

/// The name of the log: as configured, else the first issuer without its scheme.
///
/// C2SP tlog-checkpoint asks for that form.
pub(super) fn origin(config: &Config) -> String {
    let first = || config.environments.values().next().map(|environment| environment.issuer.as_str());
    let named = || first().and_then(|issuer| issuer.split_once("://")).map_or("carnet", |(_, rest)| rest).to_owned();
    config.journal.origin.clone().unwrap_or_else(named)
}

/// The name of the file beside the configuration that has the newest signed checkpoint.
pub const ANCHOR: &str = "journal.anchor";

/// The client for outbound requests.
pub(super) fn outbound(config: &Config) -> Result<Outbound, StartFault> {
    Ok(tls::outbound(outbound_settings(config)?, &[])?)
}

/// The origin of the console's pages, cookies and passkeys.
pub fn console_origin(config: &Config, admin: SocketAddr) -> String {
    let named = config.listen.admin_url.as_ref().map(|origin| origin.as_str().to_owned());
    named.unwrap_or_else(|| format!("http://localhost:{}", admin.port()))
}

/// The live index: in Redis, if there is one.
///
/// # Errors
/// Every fault of the files that its section names.
pub(super) fn live_index(config: &Config) -> Result<Index, StartFault> {
    let Some(section) = &config.redis else { return Ok(Index::in_process()) };
    let mut faults = Vec::new();
    let mut fault = |key: &str, what: String, fix: &str| faults.push(at(&format!("redis.{key}"), what, fix));
    let password = section.password_file.as_ref().map(|file| match std::fs::read_to_string(file).map(Zeroizing::new) {
        Ok(password) if !password.trim().is_empty() => Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned()),
        _ => {
            fault("password_file", "it holds no password".to_owned(), "write the password into it, and nothing else");
            Zeroizing::default()
        }
    });
    let tls = section.url.tls.then(|| tls::redis(section.ca_file.as_deref())).transpose().unwrap_or_else(|error| {
        fault("ca_file", format!("its roots cannot be used: {error}"), "name a PEM file with the roots of Redis' certificates");
        None
    });
    if !faults.is_empty() {
        return Err(StartFault::Configuration(faults));
    }
    let at = |hosts: &[(String, u16)]| hosts.iter().map(|(host, port)| Address::new(host.as_str(), *port)).collect();
    let servers = match &section.url.servers {
        RedisServers::One(host, port) => Servers::One(Address::new(host.as_str(), *port)),
        RedisServers::Sentinels(hosts, master) => Servers::Sentinels { at: at(hosts), master: master.clone() },
        RedisServers::Cluster(hosts) => Servers::Cluster(at(hosts)),
    };
    let (database, username) = (section.url.database, section.url.username.clone());
    let place = Place { servers, database, username, password, tls: tls.map(Arc::new) };
    Ok(Index::redis(place, Arc::new(SystemClock)))
}

/// Parses the origins that may be reached although private.
fn origins(field: &'static str, configured: &[crate::config::Origin]) -> Result<Vec<Origin>, StartFault> {
    let parsed = configured.iter().map(|origin| origin.as_str().parse::<Origin>());
    parsed
        .collect::<Result<_, _>>()
        .map_err(|fault| StartFault::Configuration(vec![at(field, fault.to_string(), "write exact origins, without a path")]))
}

/// The destinations that the operator allows besides https to public addresses.
fn outbound_settings(config: &Config) -> Result<OutboundSettings, StartFault> {
    let section = &config.outbound;
    let of_issuer = |(issuer, allowed): (&Issuer, &Vec<crate::config::Origin>)| {
        Ok((issuer.clone(), origins("outbound.issuer_origins", allowed)?))
    };
    Ok(OutboundSettings {
        issuers: origins("outbound.issuers", &section.issuers)?,
        events: origins("outbound.events", &section.events)?,
        tickets: origins("outbound.tickets", &section.tickets)?,
        issuer_origins: section.issuer_origins.iter().map(of_issuer).collect::<Result<_, StartFault>>()?,
    })
}

/// The settings of staff tokens and roles.
pub(super) fn staff_settings(config: &Config) -> Result<StaffSettings, StartFault> {
    let staff = &config.staff;
    let claim = |field: &str, name: &str| {
        name.parse::<ClaimPath>()
            .map_err(|fault| StartFault::Configuration(vec![at(field, fault.to_owned(), "write the name of a claim")]))
    };
    Ok(StaffSettings {
        issuer: staff.issuer.clone(),
        audience: staff.audience.clone(),
        person_claim: claim("staff.person_claim", &staff.person_claim)?,
        max_age: staff.max_age,
        roles_claim: claim("staff.roles_claim", &staff.roles_claim)?,
        roles: staff.roles.iter().map(|(role, groups)| (*role, groups.iter().cloned().collect())).collect(),
    })
}

/// How long after it the journal is opened again that could not be reached.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Opens the journal, and waits for a database that is away: it starts, has no primary now, or is not reached.
pub(super) async fn opened(
    settings: &JournalSettings,
    kek: &Kek,
    (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
    waits: &Waits,
) -> Result<Journal, StartFault> {
    let mut is_told = false;
    loop {
        match Journal::open(settings, kek, Arc::clone(clock), Arc::clone(entropy)).await {
            Ok(journal) => return Ok(journal),
            Err(fault) if fault.is_away() => {
                waits.tell(&fault);
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(%fault, "this node waits for the database of its journal, and is not ready until it is there");
                }
                tokio::time::sleep(OPEN_AGAIN).await;
            }
            Err(fault) => return Err(fault.into()),
        }
    }
}
