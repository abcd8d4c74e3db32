//! `kind: Integration`: everything but its environments, which [`read_access`](super::access) reads.

use super::access;
use super::keys;
use super::place::Place;
use super::values::Day;
use crate::domain::reason::{self, Reason};
use crate::domain::record::fault::{Faults, shown};
use crate::domain::registry::integration::{
    Contract, Expectation, Integration, Offboarding, OnLate, OnSilence, Owners, RecordTest, Review, Rotation, StaticSecret,
    Trigger,
};
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::IntegrationId;

/// The longest time between two looks at the same rights.
const LONGEST_REVIEW: Seconds = Seconds::days(366);
/// The longest life of a partner's keys that a record may plan.
const LONGEST_ROTATION: Seconds = Seconds::days(732);

pub(in crate::domain::record) fn integration(document: &Place<'_>, faults: &mut Faults) -> Option<Integration> {
    let fields = document.fields(&keys::INTEGRATION, faults)?;
    let id = fields.get("metadata").and_then(|place| id(place, faults));
    let purpose = fields.get("purpose").and_then(|place| place.personal(faults));
    let owners = fields.get("owners").and_then(|place| owners(place, faults));
    let contract = fields.get("contract").and_then(|place| contract(place, faults));
    let data_classes = fields.get("dataClasses").map_or(Some(Vec::new()), |place| data_classes(place, faults));
    let review = fields.get("review").and_then(|place| review(place, faults));
    let rotation = match fields.get("rotation") {
        Some(place) => rotation(place, faults).map(Some),
        None => Some(None),
    };
    let offboarding = fields.get("offboarding").and_then(|place| offboarding(place, faults));
    let environments = fields.get("environments").and_then(|place| access::environments(place, id.as_ref(), faults));
    let exceptions = fields.get("exceptions").map_or(Some(Vec::new()), |place| every(place, exception, faults));
    let tests = fields.get("tests").map_or(Some(Vec::new()), |place| every(place, test, faults));
    let exceptions = exceptions.filter(|list| {
        let twice = list.iter().enumerate().any(|(i, one)| list.iter().take(i).any(|other| other.what == one.what));
        if twice {
            faults.error("exceptions", &reason::RECORD_VALUE, "expected each exception with a name of its own (what)");
        }
        !twice
    });
    Some(Integration {
        id: id?,
        purpose: purpose?,
        owners: owners?,
        contract: contract?,
        data_classes: data_classes?,
        review: review?,
        rotation: rotation?,
        offboarding: offboarding?,
        environments: environments?,
        exceptions: exceptions?,
        tests: tests?,
    })
}

/// Reads every item of a list, all faults at once.
pub(in crate::domain::record) fn every<T>(
    place: &Place<'_>,
    one: impl Fn(&Place<'_>, &mut Faults) -> Option<T>,
    faults: &mut Faults,
) -> Option<Vec<T>> {
    let read: Vec<_> = place.items(faults)?.iter().map(|item| one(item, faults)).collect();
    read.into_iter().collect()
}

fn id(place: &Place<'_>, faults: &mut Faults) -> Option<IntegrationId> {
    let fields = place.fields(&keys::INTEGRATION_METADATA, faults)?;
    let partner = fields.get("partner").and_then(|place| place.parse(faults));
    let name = fields.get("name").and_then(|place| place.parse(faults));
    Some(IntegrationId { partner: partner?, name: name? })
}

fn owners(place: &Place<'_>, faults: &mut Faults) -> Option<Owners> {
    let fields = place.fields(&keys::OWNERS, faults)?;
    let business = fields.get("business").and_then(|place| place.address(faults));
    let application = fields.get("application").and_then(|place| place.address(faults));
    let (business, application) = (business?, application?);
    if business.plain().map(str::to_lowercase) == application.plain().map(str::to_lowercase) {
        let message = "business and application name the same address; two different people are needed";
        faults.error(&fields.path("application"), &reason::RECORD_OWNERS, message);
        return None;
    }
    Some(Owners { business, application })
}

fn contract(place: &Place<'_>, faults: &mut Faults) -> Option<Contract> {
    let fields = place.fields(&keys::CONTRACT, faults)?;
    let reference = fields.get("ref").and_then(|place| place.words(faults));
    let starts = fields.get("starts").and_then(|place| place.time(Day::Start, faults));
    let ends = fields.get("ends").and_then(|place| place.time(Day::End, faults));
    let (starts, ends) = (starts?, ends?);
    if ends <= starts {
        let message = format!("the contract ends at {ends}, which is not after its start at {starts}");
        faults.error(&fields.path("ends"), &reason::RECORD_DATES, message);
        return None;
    }
    Some(Contract { reference: reference?.to_owned(), starts, ends })
}

fn data_classes(place: &Place<'_>, faults: &mut Faults) -> Option<Vec<String>> {
    let classes = place.list::<crate::domain::value::names::BindingName>(faults)?;
    Some(classes.into_iter().map(String::from).collect())
}

fn review(place: &Place<'_>, faults: &mut Faults) -> Option<Review> {
    let fields = place.fields(&keys::REVIEW, faults)?;
    let every = fields.get("every").and_then(|place| place.duration(Seconds::days(1), LONGEST_REVIEW, faults));
    let on_silence = fields
        .get("onSilence")
        .and_then(|place| place.word(&[("suspend", OnSilence::Suspend), ("report", OnSilence::Report)], faults));
    Some(Review { every: every?, on_silence: on_silence? })
}

fn rotation(place: &Place<'_>, faults: &mut Faults) -> Option<Rotation> {
    let fields = place.fields(&keys::ROTATION, faults)?;
    let mut cadence = |key| match fields.get(key) {
        Some(place) => place.duration(Seconds::days(1), LONGEST_ROTATION, faults).map(Some),
        None => Some(None),
    };
    let (issuer_keys, certificate) = (cadence("issuerKeys"), cadence("certificate"));
    let words = [("report", OnLate::Report), ("refuse", OnLate::Refuse)];
    let on_late = fields.get("onLate").map_or(Some(OnLate::default()), |place| place.word(&words, faults));
    Some(Rotation { issuer_keys: issuer_keys?, certificate: certificate?, on_late: on_late? })
}

fn offboarding(place: &Place<'_>, faults: &mut Faults) -> Option<Offboarding> {
    let fields = place.fields(&keys::OFFBOARDING, faults)?;
    let trigger = fields
        .get("trigger")
        .and_then(|place| place.word(&[("contract-end", Trigger::ContractEnd), ("manual", Trigger::Manual)], faults));
    let contact = fields.get("contact").and_then(|place| place.personal(faults));
    Some(Offboarding { trigger: trigger?, contact: contact? })
}

fn exception(place: &Place<'_>, faults: &mut Faults) -> Option<StaticSecret> {
    let fields = place.fields(&keys::EXCEPTION, faults)?;
    let what = fields.get("what").and_then(|place| place.words(faults));
    let control = fields.get("control").and_then(|place| place.words(faults));
    let owner = fields.get("owner").and_then(|place| place.personal(faults));
    let ends = fields.get("ends").and_then(|place| place.time(Day::End, faults));
    Some(StaticSecret { what: what?.to_owned(), control: control?.to_owned(), owner: owner?, ends: ends? })
}

fn test(place: &Place<'_>, faults: &mut Faults) -> Option<RecordTest> {
    let fields = place.fields(&keys::TEST, faults)?;
    let claims = fields.get("claims").and_then(|place| match place.node.to_json() {
        serde_json::Value::Object(claims) => Some(claims),
        _ => {
            place.refuse("expected a map of claims", faults);
            None
        }
    });
    let expect = fields.get("expect").and_then(|place| expectation(place, faults));
    Some(RecordTest { claims: claims?, expect: expect? })
}

fn expectation(place: &Place<'_>, faults: &mut Faults) -> Option<Expectation> {
    let fields = place.fields(&keys::EXPECTATION, faults)?;
    let environment = fields.get("environment").and_then(|place| place.parse(faults));
    if fields.get("allow").is_some() == fields.get("deny").is_some() {
        place.refuse("expected either allow (the name of a binding) or deny (a reason)", faults);
        return None;
    }
    let allow = match fields.get("allow") {
        Some(place) => Some(place.parse(faults)?),
        None => None,
    };
    let deny = match fields.get("deny") {
        Some(place) => {
            let code = place.scalar(faults)?;
            if Reason::find(code).is_none() {
                place.refuse(&format!("expected a reason such as binding.no-match, not {}", shown(code)), faults);
                return None;
            }
            Some(code.to_owned())
        }
        None => None,
    };
    Some(Expectation { environment: environment?, allow, deny })
}
