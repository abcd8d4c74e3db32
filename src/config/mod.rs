//! `carnet.toml`, as docs/reference/configuration.md describes it.
//!
//! Unknown keys are refused, and all faults are reported at once. Enter through [`load`]. A [`Config`] has names, numbers and
//! paths. It holds no secret: files with passwords are named here, and read by `serve`. Tests build the sections as plain literals.
//!
//! The contents of the files are checked elsewhere: the KEK's size and mode by the key loader, certificates by `server::tls`.

mod directory;
mod environment;
mod fault;
mod governance;
mod journal;
mod listen;
mod mail;
mod node;
mod postgres;
mod redis;
mod section;
mod signals;
mod staff;
mod tickets;
mod url;
mod webhooks;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use directory::DirectorySection;
pub use environment::EnvironmentSection;
pub(crate) use environment::default_trust_domain;
pub use fault::ConfigFault;
pub use governance::GovernanceSection;
pub use journal::{ArchiveUrl, JournalSection, JournalUrl, Replication, archive};
pub use listen::{ListenSection, TlsFiles};
pub use mail::{MailSection, MailServer, MailTls};
pub use node::NodeSection;
pub use postgres::PostgresUrl;
pub use redis::{RedisSection, RedisServers, RedisUrl};
pub use signals::SignalSection;
pub use staff::{OutboundSection, StaffSection};
pub use tickets::TicketSection;
pub use url::Origin;
pub use webhooks::WebhookSection;

use crate::domain::value::names::EnvironmentName;
use fault::Faults;
use section::Section;

/// The whole configuration of `carnet serve`.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the file. Relative paths begin here, and the newest checkpoint is stored here.
    pub folder: PathBuf,
    /// `[listen]`.
    pub listen: ListenSection,
    /// `[node]`: this node among those that share a journal.
    pub node: NodeSection,
    /// `[journal]`.
    pub journal: JournalSection,
    /// `[redis]`; if absent, the live index is in-process and there is one node. A journal in PostgreSQL needs it.
    pub redis: Option<RedisSection>,
    /// `[keys]`.
    pub keys: KeysSection,
    /// `[staff]`.
    pub staff: StaffSection,
    /// `[outbound]`.
    pub outbound: OutboundSection,
    /// `[environments.NAME]`; at least one.
    pub environments: BTreeMap<EnvironmentName, EnvironmentSection>,
    /// `[governance]`: the life of records.
    pub governance: GovernanceSection,
    /// `[[signals]]`: the machines that may say that a partner's access has lost its reason.
    pub signals: Vec<SignalSection>,
    /// `[tickets]`: the ticket system.
    pub tickets: Option<TicketSection>,
    /// `[directory]`: the listener for the company's source of people; if absent, there is none.
    pub directory: Option<DirectorySection>,
    /// `[mail]`: the mail server; if absent, nobody gets mail.
    pub mail: Option<MailSection>,
    /// `[webhooks.NAME]`: the receivers of events.
    pub webhooks: BTreeMap<String, WebhookSection>,
}

/// `[keys]`.
#[derive(Clone, Debug)]
pub struct KeysSection {
    /// The path of the key-encryption key.
    pub kek_file: PathBuf,
}

/// Loads and checks a configuration file.
///
/// # Errors
/// Every fault of the file, in its order.
pub fn load(path: &Path) -> Result<Config, Vec<ConfigFault>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let read = std::fs::read_to_string(path).and_then(|text| Ok((text, std::path::absolute(folder)?)));
    match read {
        Ok((text, folder)) => parse(&text, &folder),
        Err(error) => {
            let mut faults = Faults::new("");
            faults.add(("", None), format!("cannot read {}: {}", path.display(), error.kind()), "name a readable file with -c");
            Err(faults.into_list())
        }
    }
}

/// The same for a text; its relative paths begin in `folder`.
///
/// # Errors
/// Every fault of the text, in its order.
pub fn parse(text: &str, folder: &Path) -> Result<Config, Vec<ConfigFault>> {
    let mut faults = Faults::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map(|span| faults.line_at(span.start));
        faults.add(("", line), error.message(), "correct the TOML");
    }
    let config = sections(Section::new("", None, table.into_inner(), &faults), folder, &mut faults);
    let faults = faults.into_list();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(faults),
    }
}

fn sections(mut root: Section<'_>, folder: &Path, faults: &mut Faults<'_>) -> Option<Config> {
    let listen = root.section("listen", faults);
    let listen = listen::read(listen, folder, faults);
    let node = root.section("node", faults);
    let journal = root.section("journal", faults);
    let journal = journal::read(journal, folder, faults);
    let is_shared = journal.as_ref().is_some_and(JournalSection::is_shared);
    let node = node::read(node, is_shared, faults);
    let redis = root.section("redis", faults);
    if redis.is_none() && is_shared {
        let fix = "add [redis] with url = \"redis://HOST:6379/0\"";
        faults.add(("redis", None), "the section is missing: nodes that share a journal need one live index", fix);
    }
    let redis = redis::redis(redis, folder, faults);
    let keys = root.section("keys", faults);
    let keys = keys_section(keys, folder, faults);
    let staff = root.section("staff", faults);
    let outbound = root.section("outbound", faults);
    let outbound = staff::outbound(outbound, faults);
    let staff = staff::staff(staff, folder, &outbound, faults);
    let environments = root.section("environments", faults);
    let environments = environment::read(environments, faults);
    let governance = governance::read(root.section("governance", faults), faults);
    let signals = signals::read(root.sections("signals", faults), faults);
    let tickets = root.section("tickets", faults);
    let tickets = tickets::read(tickets, folder, faults);
    let directory = root.section("directory", faults);
    let directory = directory::read(directory, folder, &listen, faults);
    let mail = root.section("mail", faults);
    let mail = mail::read(mail, folder, faults);
    let webhooks = root.section("webhooks", faults);
    let webhooks = webhooks::read(webhooks, folder, faults);
    root.finish(faults);
    Some(Config {
        folder: folder.to_owned(),
        listen,
        node: node?,
        journal: journal?,
        redis,
        keys: keys?,
        staff: staff?,
        outbound,
        environments,
        governance: governance?,
        signals,
        tickets,
        directory,
        mail,
        webhooks,
    })
}

fn keys_section(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> Option<KeysSection> {
    let fix = "create it with `carnet key init PATH` and write kek_file = \"PATH\"";
    let Some(mut section) = section else {
        faults.add(("keys", None), "the section is missing", fix);
        return None;
    };
    if section.keys().iter().all(|(name, _)| name != "kek_file") {
        faults.add(("keys.kek_file", section.at().1), "it is missing", fix);
    }
    let kek_file = section.file("kek_file", folder, fix, faults);
    section.finish(faults);
    Some(KeysSection { kek_file: kek_file? })
}

#[cfg(test)]
mod tests;
