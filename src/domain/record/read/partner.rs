//! `kind: Partner`.

use super::keys;
use super::place::Place;
use super::values::Day;
use crate::domain::reason;
use crate::domain::record::fault::{Faults, shown};
use crate::domain::registry::partner::{Contacts, Partner, Verification};

pub(in crate::domain::record) fn partner(document: &Place<'_>, faults: &mut Faults) -> Option<Partner> {
    let fields = document.fields(&keys::PARTNER, faults)?;
    let name = fields.get("metadata").and_then(|place| {
        let metadata = place.fields(&keys::PARTNER_METADATA, faults)?;
        metadata.get("name")?.parse(faults)
    });
    let legal_name = fields.get("legalName").and_then(|place| place.personal(faults));
    let domains = fields.get("domains").and_then(|place| domains(place, faults));
    let contacts = fields.get("contacts").and_then(|place| contacts(place, faults));
    let verification = fields.get("verification").and_then(|place| verification(place, faults));
    Some(Partner { name: name?, legal_name: legal_name?, domains: domains?, contacts: contacts?, verification: verification? })
}

fn domains(place: &Place<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let domains = place.list::<String>(faults)?;
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    for domain in &domains {
        if domain.len() > 253 || !domain.contains('.') || !domain.split('.').all(label) {
            place.refuse(&format!("expected domains in lower case such as globex.example, not {}", shown(domain)), faults);
            return None;
        }
    }
    if domains.is_empty() {
        place.refuse("expected at least one domain", faults);
        return None;
    }
    Some(domains)
}

fn contacts(place: &Place<'_>, faults: &mut Faults) -> Option<Contacts> {
    let fields = place.fields(&keys::CONTACTS, faults)?;
    let technical = fields.get("technical").and_then(|place| place.personal(faults));
    let security = fields.get("security").and_then(|place| place.personal(faults));
    Some(Contacts { technical: technical?, security: security? })
}

fn verification(place: &Place<'_>, faults: &mut Faults) -> Option<Verification> {
    let fields = place.fields(&keys::VERIFICATION, faults)?;
    let by = fields.get("by").and_then(|place| place.personal(faults));
    let on = fields.get("on").and_then(|place| place.time(Day::Start, faults));
    let evidence = fields.get("evidence").and_then(|place| place.words(faults));
    let expires = fields.get("expires").and_then(|place| place.time(Day::End, faults));
    let (on, expires) = (on?, expires?);
    if expires <= on {
        let message = format!("the check expires at {expires}, which is not after {on}");
        faults.error(&fields.path("expires"), &reason::RECORD_DATES, message);
        return None;
    }
    Some(Verification { by: by?, on, evidence: evidence?.to_owned(), expires })
}
