//! `[tickets]`: the ticket system, which is asked if a ticket is open.

use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::section::Section;

/// `[tickets]`.
#[derive(Clone, Debug)]
pub struct TicketSection {
    /// The URL of a ticket, with `{ticket}` in place of its number.
    pub url: String,
    /// The path of the file with our bearer token for it.
    pub token_file: PathBuf,
    /// The JSON Pointer of the member with the state.
    pub pointer: String,
    /// The states in which a ticket is open.
    pub open: Vec<String>,
    /// The JSON Pointer of the title, which approvers see.
    pub title: Option<String>,
}

const URL_FIX: &str = "write https://HOST/PATH/{ticket}; a private address needs its exact origin in [outbound] tickets";
const POINTER_FIX: &str = "write the JSON Pointer of the ticket's state, such as /fields/status/name";
const OPEN_FIX: &str = "list the states in which a ticket is open, such as open = [\"open\", \"in progress\"]";

pub(super) fn read(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> Option<TicketSection> {
    let mut section = section?;
    let template = |text: &String| {
        let once = text.matches("{ticket}").count() == 1;
        if once { Ok(text.clone()) } else { Err("it does not hold {ticket} exactly once".to_owned()) }
    };
    let url = section.required("url", URL_FIX, faults).and_then(|url| url.parse(faults, template, URL_FIX));
    let is_pointer =
        |text: &String| if text.starts_with('/') { Ok(text.clone()) } else { Err("this is no JSON Pointer".to_owned()) };
    let pointer = section.required("pointer", POINTER_FIX, faults);
    let pointer = pointer.and_then(|pointer| pointer.parse(faults, is_pointer, POINTER_FIX));
    let title = section.text("title", faults);
    let title = title.and_then(|title| title.parse(faults, is_pointer, "write the JSON Pointer of the ticket's title"));
    let open: Vec<String> = section.texts("open", faults).into_iter().map(|state| state.value).collect();
    if open.is_empty() {
        let field = format!("{}.open", section.at().0);
        faults.add((&field, section.at().1), "no ticket could be open", OPEN_FIX);
    }
    if section.keys().iter().all(|(name, _)| name != "token_file") {
        let field = format!("{}.token_file", section.at().0);
        faults.add((&field, section.at().1), "it is missing", "name a file that holds the bearer token for the ticket system");
    }
    let token_file = section.file("token_file", folder, "name a readable file", faults);
    section.finish(faults);
    Some(TicketSection { url: url?, token_file: token_file?, pointer: pointer?, open, title })
}
