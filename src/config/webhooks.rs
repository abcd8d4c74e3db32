//! `[webhooks.NAME]`: the receivers of events, and the secrets that sign them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::section::Section;
use crate::domain::log::change::Change;
use crate::domain::value::clock::Seconds;

/// One receiver.
#[derive(Clone, Debug)]
pub struct WebhookSection {
    /// The URL that events are sent to.
    pub url: String,
    /// The path of the file with the secret that signs them: `whsec_` and base64.
    pub secret_file: PathBuf,
    /// The kinds of events, or their first words; empty means all.
    pub kinds: Vec<String>,
    /// The time without success after which an event is put aside, and the next one is sent.
    pub give_up_after: Seconds,
}

const GIVE_UP_AFTER: Seconds = Seconds::hours(24);
const URL_FIX: &str = "write https://HOST/PATH; a private address needs its exact origin in [outbound] events";
const KINDS_FIX: &str = "write kinds such as elevation.asked, or their first word, such as elevation; leave it out for all";
const SECRET_FIX: &str = "make one with: printf 'whsec_%s' \"$(openssl rand -base64 32)\" > FILE; chmod 600 FILE";

pub(super) fn read(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> BTreeMap<String, WebhookSection> {
    let mut receivers = BTreeMap::new();
    let Some(mut section) = section else { return receivers };
    for (name, line) in section.keys() {
        let field = format!("webhooks.{name}");
        let Some(below) = section.named_section(&name, faults) else { continue };
        // The name is part of a file name, too.
        if name.parse::<crate::domain::value::names::ApiName>().is_err() {
            faults.add((&field, Some(line)), "this is not a name", "write 1 to 63 of a-z, 0-9 and -");
            continue;
        }
        if let Some(one) = one(below, folder, faults) {
            receivers.insert(name, one);
        }
    }
    receivers
}

/// Checks a kind of event, or its first words.
///
/// An unknown kind would never be sent, and nobody would notice.
fn known(text: &String) -> Result<String, String> {
    let is = |kind: &str| kind.strip_prefix(text.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    if Change::kinds().any(is) { Ok(text.clone()) } else { Err(format!("there is no event of the kind {text:?}")) }
}

fn one(mut section: Section<'_>, folder: &Path, faults: &mut Faults<'_>) -> Option<WebhookSection> {
    let url = section.required("url", URL_FIX, faults).map(|url| url.value);
    if section.keys().iter().all(|(name, _)| name != "secret_file") {
        let field = format!("{}.secret_file", section.at().0);
        faults.add((&field, section.at().1), "it is missing", SECRET_FIX);
    }
    let secret_file = section.file("secret_file", folder, SECRET_FIX, faults);
    let kinds = section.texts("kinds", faults);
    let kinds = kinds.iter().filter_map(|kind| kind.parse(faults, known, KINDS_FIX)).collect();
    let give_up_after = section.duration("give_up_after", (Seconds(1), Seconds::days(30)), faults);
    section.finish(faults);
    Some(WebhookSection { url: url?, secret_file: secret_file?, kinds, give_up_after: give_up_after.unwrap_or(GIVE_UP_AFTER) })
}
