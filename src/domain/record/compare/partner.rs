//! Differences of partners. All of them widen but an earlier end: they are what the verification was given for.

use super::{Found, Weight, shown_text};
use crate::domain::registry::partner::Partner;

pub(super) fn introduce(new: &Partner, found: &mut Found) {
    found.push("legalName", None, Some(shown_text(&new.legal_name)), Weight::Widens);
    found.push("verification.expires", None, Some(new.verification.expires.to_string()), Weight::Expires);
}

pub(super) fn compare(old: &Partner, new: &Partner, found: &mut Found) {
    found.text("legalName", (&old.legal_name, &new.legal_name), Weight::Widens);
    found.set("domains", (&old.domains, &new.domains), |domains| super::list(domains, "none"), Weight::Widens);
    found.text("contacts.technical", (&old.contacts.technical, &new.contacts.technical), Weight::Widens);
    found.text("contacts.security", (&old.contacts.security, &new.contacts.security), Weight::Widens);
    let (was, is) = (&old.verification, &new.verification);
    found.text("verification.by", (&was.by, &is.by), Weight::Widens);
    found.value("verification.on", (&was.on, &is.on), ToString::to_string, Weight::Widens);
    found.value("verification.evidence", (&was.evidence, &is.evidence), Clone::clone, Weight::Widens);
    found.ranked("verification.expires", (&was.expires, &is.expires), ToString::to_string, |old, new| new < old);
}
