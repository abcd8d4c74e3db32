//! `kind: Integration`: everything but its environments, which are stated in `access`.

use std::collections::BTreeSet;

use super::managed::{MANAGED_BY, managed};
use crate::domain::reason::{self, Reason};
use crate::domain::record::form::claims::AnyClaims;
use crate::domain::record::form::definitions::{any_text, label};
use crate::domain::record::form::field::{Optional, Or, Required};
use crate::domain::record::form::list::{ByName, Each, set};
use crate::domain::record::form::map::{map, through, whole};
use crate::domain::record::form::scalar::{Address, Checked, Lasting, Personal, Word, Words, parsed};
use crate::domain::record::kind::Kind;
use crate::domain::record::read::values::Day;
use crate::domain::registry::integration::{
    Contract, Expectation, Integration, Offboarding, OnLate, OnPastDue, OnSilence, Owners, RecordTest, Review, Rotation,
    StaticSecret, Trigger,
};
use crate::domain::registry::managed::ManagedBy;
use crate::domain::registry::workload::Workload;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{BindingName, ClientId, IntegrationId, IntegrationName, PartnerName};

/// The longest time between two looks at the same rights.
const LONGEST_REVIEW: Seconds = Seconds::days(366);
/// The longest life of a partner's keys that a record may plan.
const LONGEST_ROTATION: Seconds = Seconds::days(732);

/// How often the keys of a partner change.
const CADENCE: Lasting = Lasting(Seconds::days(1), LONGEST_ROTATION);

/// A label that the domain holds as text.
const LABEL: Checked =
    Checked { check: |text| text.parse::<BindingName>().map(drop).map_err(|expected| expected.0), schema: label };

/// The code of a reason.
const REASON: Checked = Checked {
    check: |code| Reason::find(code).map(drop).ok_or("expected a reason such as binding.no-match"),
    schema: any_text,
};

map! {
    Integration as "" document Kind::Integration {
        id: "metadata" = Required(through::<Metadata, _>());
        managed_by: "metadata" = managed::<Metadata>();
        purpose: "purpose" = Required(Personal);
        workload: "workload" = Or(Word(&[Workload::Service, Workload::AiAgent]), Workload::default());
        owners: "owners" = Required(whole());
        contract: "contract" = Required(whole());
        data_classes: "dataClasses" = Or(set(LABEL), Vec::new());
        review: "review" = Required(whole());
        rotation: "rotation" = Optional(whole());
        offboarding: "offboarding" = Required(whole());
        environments: "environments" = Required(ByName::some(whole(), "expected at least one environment"));
        exceptions: "exceptions" = Or(Each(whole()), Vec::new());
        tests: "tests" = Or(Each(whole()), Vec::new());
    }
    judge |fields, faults| {
        let names: BTreeSet<&String> = exceptions.iter().flatten().map(|one: &StaticSecret| &one.what).collect();
        if exceptions.as_ref().is_some_and(|list| names.len() < list.len()) {
            let message = "expected each exception with a name of its own (what)";
            faults.error(&fields.path("exceptions"), &reason::RECORD_VALUE, message);
            return None;
        }
    }
}

struct Metadata {
    partner: PartnerName,
    name: IntegrationName,
    managed_by: Option<ManagedBy>,
}

impl From<Metadata> for IntegrationId {
    fn from(metadata: Metadata) -> Self {
        Self::new(metadata.partner, metadata.name)
    }
}

impl From<&IntegrationId> for Metadata {
    fn from(id: &IntegrationId) -> Self {
        Self { partner: id.partner.clone(), name: id.name.clone(), managed_by: None }
    }
}

map! {
    Metadata as "metadata" {
        partner: "partner" = Required(parsed(label));
        name: "name" = Required(parsed(label));
        managed_by: "managedBy" = Optional(MANAGED_BY);
    }
    judge |_fields, faults| {
        faults.ground.managed_by = managed_by.flatten();
        // Its `key` bindings are made out to it.
        let id = partner.clone().zip(name.clone()).map(|(partner, name)| IntegrationId::new(partner, name));
        faults.ground.client = id.map(ClientId::Integration);
    }
}

map! {
    Owners as "owners" {
        business: "business" = Required(Address);
        application: "application" = Required(Address);
    }
    judge |fields, faults| {
        if let (Some(business), Some(application)) = (&business, &application)
            && business.plain().map(str::to_lowercase) == application.plain().map(str::to_lowercase)
        {
            let message = "business and application name the same address; two different people are needed";
            faults.error(&fields.path("application"), &reason::RECORD_OWNERS, message);
            return None;
        }
    }
}

map! {
    Contract as "contract" {
        reference: "ref" = Required(Words);
        starts: "starts" = Required(Day::Start);
        ends: "ends" = Required(Day::End);
    }
    judge |fields, faults| {
        if let (Some(starts), Some(ends)) = (starts, ends) && ends <= starts {
            let (starts, ends) = (starts.first_day(), ends.last_day());
            let message = format!("the contract ends at {ends}, which is not after its start at {starts}");
            faults.error(&fields.path("ends"), &reason::RECORD_DATES, message);
            return None;
        }
    }
}

map! {
    Review as "review" {
        every: "every" = Required(Lasting(Seconds::days(1), LONGEST_REVIEW));
        on_silence: "onSilence" = Required(Word(&[OnSilence::Suspend, OnSilence::Report]));
    }
}

map! {
    Rotation as "rotation" {
        issuer_keys: "issuerKeys" = Optional(CADENCE);
        certificate: "certificate" = Optional(CADENCE);
        on_late: "onLate" = Or(Word(&[OnLate::Report, OnLate::Refuse]), OnLate::default());
    }
}

map! {
    Offboarding as "offboarding" {
        trigger: "trigger" = Required(Word(&[Trigger::ContractEnd, Trigger::Manual]));
        contact: "contact" = Required(Personal);
    }
}

map! {
    StaticSecret as "exception" {
        what: "what" = Required(Words);
        control: "control" = Required(Words);
        owner: "owner" = Required(Personal);
        ends: "ends" = Required(Day::End);
        on_past_due: "onPastDue" = Or(Word(&[OnPastDue::Refuse, OnPastDue::Report]), OnPastDue::default());
    }
}

map! {
    RecordTest as "test" {
        claims: "claims" = Required(AnyClaims);
        expect: "expect" = Required(whole());
    }
}

map! {
    Expectation as "expectation" {
        environment: "environment" = Required(parsed(label));
        allow: "allow" = Optional(parsed(label));
        deny: "deny" = Optional(REASON);
    }
    exactly one of ["allow", "deny"]
    judge |fields, faults| {
        if fields.get("allow").is_some() == fields.get("deny").is_some() {
            let message = "expected either allow (the name of a binding) or deny (a reason)";
            faults.error(&fields.at, &reason::RECORD_VALUE, message);
            return None;
        }
    }
}
