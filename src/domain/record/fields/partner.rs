//! `kind: Partner`.

use super::managed::{MANAGED_BY, managed};
use crate::domain::reason;
use crate::domain::record::fault::{Faults, shown};
use crate::domain::record::form::base::Form;
use crate::domain::record::form::definitions::{self, Definitions, any_text, label};
use crate::domain::record::form::field::{Optional, Required};
use crate::domain::record::form::list::some;
use crate::domain::record::form::map::{map, through, whole};
use crate::domain::record::form::scalar::{Personal, Words, parsed};
use crate::domain::record::kind::Kind;
use crate::domain::record::read::place::Place;
use crate::domain::record::read::values::Day;
use crate::domain::registry::managed::ManagedBy;
use crate::domain::registry::partner::{Contacts, Partner, Verification};
use crate::domain::value::names::PartnerName;

map! {
    Partner as "" document Kind::Partner {
        name: "metadata" = Required(through::<Metadata, _>());
        managed_by: "metadata" = managed::<Metadata>();
        legal_name: "legalName" = Required(Personal);
        domains: "domains" = Required(Domains);
        contacts: "contacts" = Required(whole());
        verification: "verification" = Required(whole());
    }
}

struct Metadata {
    name: PartnerName,
    managed_by: Option<ManagedBy>,
}

map! {
    Metadata as "metadata" {
        name: "name" = Required(parsed(label));
        managed_by: "managedBy" = Optional(MANAGED_BY);
    }
    judge |_fields, faults| {
        faults.ground.managed_by = managed_by.flatten();
    }
}

map! {
    Contacts as "contacts" {
        technical: "technical" = Required(Personal);
        security: "security" = Required(Personal);
    }
}

map! {
    Verification as "verification" {
        by: "by" = Required(Personal);
        on: "on" = Required(Day::Start);
        evidence: "evidence" = Required(Words);
        expires: "expires" = Required(Day::End);
    }
    judge |fields, faults| {
        if let (Some(on), Some(expires)) = (on, expires) && expires <= on {
            let (expires, on) = (expires.last_day(), on.first_day());
            let message = format!("the check expires at {expires}, which is not after {on}");
            faults.error(&fields.path("expires"), &reason::RECORD_DATES, message);
            return None;
        }
    }
}

impl From<Metadata> for PartnerName {
    fn from(metadata: Metadata) -> Self {
        metadata.name
    }
}

impl From<&PartnerName> for Metadata {
    fn from(name: &PartnerName) -> Self {
        Self { name: name.clone(), managed_by: None }
    }
}

/// Domain names, at least one.
struct Domains;

impl Form for Domains {
    type Value = Vec<String>;

    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Vec<String>> {
        let domains = some(parsed::<String>(any_text), "expected at least one domain").read(place, faults)?;
        let label = |label: &str| {
            (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        for domain in &domains {
            if domain.len() > 253 || !domain.contains('.') || !domain.split('.').all(label) {
                let message = format!("expected domains in lower case such as globex.example, not {}", shown(domain));
                place.refuse(&message, faults);
                return None;
            }
        }
        Some(domains)
    }

    fn write(&self, domains: &Vec<String>) -> serde_json::Value {
        serde_json::json!(domains)
    }

    fn schema(&self, _: &mut Definitions) -> serde_json::Value {
        let domain = serde_json::json!({"type": "string", "pattern": "^[a-z0-9-]+(\\.[a-z0-9-]+)+$", "maxLength": 253});
        definitions::list(&domain, 1)
    }
}
