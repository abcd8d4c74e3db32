//! `[staff]` and `[outbound]`: the company's identity provider, and origins that may be private.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::mail::mail_server;
use super::section::{Located, Section};
use super::url::{self, Origin};
use crate::domain::people::actor::Role;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::Issuer;

/// `[staff]`.
#[derive(Clone, Debug)]
pub struct StaffSection {
    /// The company's issuer.
    pub issuer: Issuer,
    /// The audience of its tokens for us.
    pub audience: String,
    /// The claim that identifies a person in every kind of token.
    pub person_claim: String,
    /// The time that a token is valid after `iat`.
    pub max_age: Seconds,
    /// The claim with the groups.
    pub roles_claim: String,
    /// The groups that give each role.
    pub roles: BTreeMap<Role, BTreeSet<String>>,
    /// The client id for sign-in in the browser.
    pub client_id: Option<String>,
    /// The path of the client's secret, for sign-in in the browser.
    pub client_secret_file: Option<PathBuf>,
}

/// `[outbound]`: by purpose, exact origins that are allowed although private or plain http.
#[derive(Clone, Debug, Default)]
pub struct OutboundSection {
    /// Issuers of partners, callers and staff.
    pub issuers: Vec<Origin>,
    /// Webhook receivers.
    pub events: Vec<Origin>,
    /// Ticket systems.
    pub tickets: Vec<Origin>,
    /// Mail servers, as `HOST:PORT`.
    pub mail: Vec<String>,
    /// By issuer: origins besides its own that its documents may name.
    pub issuer_origins: BTreeMap<Issuer, Vec<Origin>>,
}

const ISSUER_FIX: &str = "write the issuer as its discovery document spells it, such as https://idp.acme.example";
const ORIGIN_FIX: &str = "write exact origins such as https://idp.intranet.example:8443, without a path";
const SERVER_FIX: &str = "write exact servers such as mail.intranet.example:587";
const CLAIM_FIX: &str = "write the name of a claim, such as sub";
const ROLES: [(&str, Role); 4] =
    [("administrator", Role::Administrator), ("security", Role::Security), ("owner", Role::Owner), ("auditor", Role::Auditor)];

pub(super) fn outbound(section: Option<Section<'_>>, faults: &mut Faults<'_>) -> OutboundSection {
    let Some(mut section) = section else { return OutboundSection::default() };
    let mut origins = |key| {
        let texts = section.texts(key, faults);
        texts.iter().filter_map(|text| text.parse(faults, |text| url::origin(text), ORIGIN_FIX)).collect()
    };
    let (issuers, events, tickets) = (origins("issuers"), origins("events"), origins("tickets"));
    let servers = section.texts("mail", faults);
    let known = |text: &String| mail_server(text).map(|_| text.clone());
    let mail = servers.iter().filter_map(|text| text.parse(faults, known, SERVER_FIX)).collect();
    let issuer_origins = section.section("issuer_origins", faults).map_or_else(BTreeMap::new, |table| beside(table, faults));
    section.finish(faults);
    OutboundSection { issuers, events, tickets, mail, issuer_origins }
}

/// Reads `issuer_origins`: by issuer, the origins besides its own that its documents may name.
fn beside(mut table: Section<'_>, faults: &mut Faults<'_>) -> BTreeMap<Issuer, Vec<Origin>> {
    let mut found = BTreeMap::new();
    for (name, line) in table.keys() {
        let texts = table.named_texts(&name, faults);
        let origins = texts.iter().filter_map(|text| text.parse(faults, |text| url::origin(text), ORIGIN_FIX)).collect();
        match name.parse() {
            Ok(issuer) => drop(found.insert(issuer, origins)),
            Err(error) => {
                let error: crate::domain::value::names::InvalidName = error;
                faults.add((&format!("outbound.issuer_origins.{name}"), Some(line)), error.to_string(), ISSUER_FIX);
            }
        }
    }
    found
}

pub(super) fn staff(
    section: Option<Section<'_>>,
    folder: &Path,
    outbound: &OutboundSection,
    faults: &mut Faults<'_>,
) -> Option<StaffSection> {
    let Some(mut section) = section else {
        faults.add(("staff", None), "the section is missing", "name the company's identity provider: issuer, audience, roles");
        return None;
    };
    let issuer = section.required("issuer", ISSUER_FIX, faults);
    let issuer = issuer.and_then(|issuer| issuer.parse(faults, |text| staff_issuer(text, outbound), ISSUER_FIX));
    let audience = word(&mut section, "audience", "carnet", "write what tokens for carnet name as audience", faults);
    let person_claim = word(&mut section, "person_claim", "sub", CLAIM_FIX, faults);
    let max_age = section.duration("max_age", (Seconds::minutes(1), Seconds::hours(24)), faults);
    let roles_claim = word(&mut section, "roles_claim", "groups", CLAIM_FIX, faults);
    let at = section.at().1;
    let table = section.section("roles", faults);
    let roles = roles(table, at, faults);
    let client_id = section.text("client_id", faults).map(|found| found.value);
    let secret_fix = "write the path of a file that holds the secret alone, mode 0600";
    let client_secret_file = section.file("client_secret_file", folder, secret_fix, faults);
    section.finish(faults);
    Some(StaffSection {
        issuer: issuer?,
        audience,
        person_claim,
        max_age: max_age.unwrap_or(Seconds::hours(1)),
        roles_claim,
        roles,
        client_id,
        client_secret_file,
    })
}

/// Accepts https, or an origin that `[outbound] issuers` allows.
///
/// Anybody who can answer for the staff issuer can act as any member of staff. Its spelling is its own: some end with a slash.
fn staff_issuer(text: &str, outbound: &OutboundSection) -> Result<Issuer, String> {
    let parts = url::split(text.strip_suffix('/').unwrap_or(text))?;
    let is_allowed = |origin: &Origin| origin.as_str() == format!("http://{}", parts.authority);
    if !parts.is_https && !outbound.issuers.iter().any(is_allowed) {
        return Err("it is plain http, and [outbound] issuers does not allow its origin".to_owned());
    }
    text.parse::<Issuer>().map_err(|error| error.to_string())
}

fn word(section: &mut Section<'_>, key: &'static str, default: &str, fix: &str, faults: &mut Faults<'_>) -> String {
    let check = |text: &String| {
        let is_word = !text.is_empty() && text.len() <= 255 && text.bytes().all(|b| b.is_ascii_graphic());
        if is_word { Ok(text.clone()) } else { Err("this is not one printable word".to_owned()) }
    };
    let found = section.text(key, faults).and_then(|found| found.parse(faults, check, fix));
    found.unwrap_or_else(|| default.to_owned())
}

fn roles(table: Option<Section<'_>>, at: Option<usize>, faults: &mut Faults<'_>) -> BTreeMap<Role, BTreeSet<String>> {
    let fix =
        "write roles = { administrator = [\"group\"], security = [\"group\"], owner = [\"group\"], auditor = [\"group\"] }";
    let mut roles: BTreeMap<Role, BTreeSet<String>> = BTreeMap::new();
    let Some(mut table) = table else {
        faults.add(("staff.roles", at), "it is missing: nobody could do anything", fix);
        return roles;
    };
    for (name, line) in table.keys() {
        let groups = table.named_texts(&name, faults);
        match ROLES.iter().find(|(role, _)| *role == name) {
            Some((_, role)) => {
                roles.insert(
                    *role,
                    groups.into_iter().map(|Located { value, .. }| value).filter(|group| !group.is_empty()).collect(),
                );
            }
            None => {
                let field = format!("staff.roles.{name}");
                faults.add(
                    (&field, Some(line)),
                    "this role is not known",
                    "the roles are administrator, security, owner, auditor",
                );
            }
        }
    }
    roles
}
