//! Differences of partners.
//!
//! All of them widen but an earlier end: the verification was given for these facts.

use super::difference::Weight;
use super::found::{Found, both, compare_managed, list, shown_text};
use crate::domain::registry::partner::{Contacts, Partner, Verification};

pub(super) fn introduce(new: &Partner, found: &mut Found) {
    found.push("legalName", None, Some(shown_text(&new.legal_name)), Weight::Widens);
    found.end_as("verification.expires", (None, Some(new.verification.expires)), Weight::Neutral);
}

pub(super) fn compare(old: &Partner, new: &Partner, found: &mut Found) {
    both!(Partner { legal_name, domains, contacts, verification, managed_by; name } = (old, new));
    compare_managed(managed_by, found);
    found.text("legalName", legal_name, Weight::Widens);
    found.set("domains", domains, |domains| list(domains, "none"), Weight::Widens);
    both!(Contacts { technical, security } = contacts);
    found.text("contacts.technical", technical, Weight::Widens);
    found.text("contacts.security", security, Weight::Widens);
    both!(Verification { by, on, evidence, expires } = verification);
    found.text("verification.by", by, Weight::Widens);
    found.value("verification.on", on, |on| on.first_day(), Weight::Widens);
    found.value("verification.evidence", evidence, Clone::clone, Weight::Widens);
    found.end("verification.expires", Some(*expires.0), Some(*expires.1));
}
