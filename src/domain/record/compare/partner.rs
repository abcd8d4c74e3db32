//! Differences of partners. Who the company is and who checked it widens; contacts give no right.

use super::{Found, Weight, shown_text};
use crate::domain::partner::Partner;

pub(super) fn introduce(new: &Partner, found: &mut Found) {
    found.push("legalName", None, Some(shown_text(&new.legal_name)), Weight::Widens);
    found.push("verification.expires", None, Some(new.verification.expires.to_string()), Weight::Expires);
}

pub(super) fn compare(old: &Partner, new: &Partner, found: &mut Found) {
    found.text("legalName", (&old.legal_name, &new.legal_name), Weight::Widens);
    found.members("domains", &old.domains, &new.domains);
    found.text("contacts.technical", (&old.contacts.technical, &new.contacts.technical), Weight::Neutral);
    found.text("contacts.security", (&old.contacts.security, &new.contacts.security), Weight::Neutral);
    let (was, is) = (&old.verification, &new.verification);
    found.text("verification.by", (&was.by, &is.by), Weight::Widens);
    found.value("verification.on", (&was.on, &is.on), ToString::to_string, Weight::Widens);
    found.value("verification.evidence", (&was.evidence, &is.evidence), Clone::clone, Weight::Widens);
    found.ranked("verification.expires", (&was.expires, &is.expires), ToString::to_string, |old, new| new < old);
}
