//! Golden journals have every kind of change, every field with and without a value, and every variant.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::files::Golden;
use crate::domain::credential::certificate::Purpose;
use crate::domain::credential::possession::Possession;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::elevation::Notice;
use crate::domain::examples::coverage::{Seen, variants};
use crate::domain::examples::{dates, targets};
use crate::domain::log::change::Change;
use crate::domain::log::dates::DatesChange;
use crate::domain::log::entry::{CountedKind, Entry, IssuedKind, RefusedKind};
use crate::domain::log::revocation::RevocationChange;
use crate::domain::people::actor::{Actor, Role};
use crate::domain::people::addressee::Addressee;
use crate::domain::registry::api::{Approval, Profile, Risk};
use crate::domain::registry::approval::{Kind, Verdict};
use crate::domain::registry::binding::{Admits, Condition, ExtraAudience, JwtKind, KeySource};
use crate::domain::registry::date::Date;
use crate::domain::registry::evidence::Evidence;
use crate::domain::registry::framework::Framework;
use crate::domain::registry::guardrail::Mode;
use crate::domain::registry::integration::{OnLate, OnPastDue, OnSilence, Require, Required, Trigger};
use crate::domain::registry::managed::ManagedBy;
use crate::domain::registry::offboarding::{Run, TestName};
use crate::domain::registry::preset::Preset;
use crate::domain::registry::recertification::{ItemVerdict, Word};
use crate::domain::registry::signal::SignalKind;
use crate::domain::registry::suspension::SuspensionCause;
use crate::domain::registry::workload::Workload;
use crate::domain::value::alg::Alg;

/// Every enum that an entry holds, but for those that are told by a member ([`What`] and [`RevocationTarget`]). One that is missing here is found
/// by its name.
fn enums() -> BTreeMap<&'static str, Vec<BTreeSet<&'static str>>> {
    let mut all: BTreeMap<&str, Vec<BTreeSet<&str>>> = BTreeMap::new();
    for (name, variants) in [
        variants::<Actor>(),
        variants::<Addressee>(),
        variants::<Admits>(),
        variants::<Alg>(),
        variants::<Approval>(),
        variants::<Condition>(),
        variants::<CountedKind>(),
        variants::<Evidence>(),
        variants::<ExtraAudience>(),
        variants::<Framework>(),
        variants::<IssuedKind>(),
        variants::<ItemVerdict>(),
        variants::<JwtKind>(),
        variants::<KeySource>(),
        variants::<Kind>(),
        variants::<ManagedBy>(),
        variants::<Mode>(),
        variants::<Notice>(),
        variants::<OnLate>(),
        variants::<OnPastDue>(),
        variants::<OnSilence>(),
        variants::<Possession>(),
        variants::<Preset>(),
        variants::<Profile>(),
        variants::<Purpose>(),
        variants::<RefusedKind>(),
        variants::<Require>(),
        variants::<Required>(),
        variants::<Risk>(),
        variants::<Role>(),
        variants::<Run>(),
        variants::<SignalKind>(),
        variants::<SuspensionCause>(),
        variants::<TestName>(),
        variants::<Trigger>(),
        variants::<Verdict>(),
        variants::<Word>(),
        variants::<Workload>(),
    ] {
        all.entry(name).or_default().push(variants.iter().copied().collect());
    }
    all
}

/// Variants that are written by leaving their field out.
const UNWRITTEN: [(&str, &str); 4] =
    [("OnPastDue", "refuse"), ("Require", "nothing"), ("SuspensionCause", "decision"), ("Workload", "service")];

/// All that golden journals say. A value's number is that of its body.
fn seen(bodies: &[String], entries: &[Entry]) -> Seen {
    let mut seen = Seen::default();
    assert_eq!(bodies.len(), entries.len());
    for (number, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Issued(entry) => seen.take(number, entry),
            Entry::Refused(entry) => seen.take(number, entry),
            Entry::Counted(entry) => seen.take(number, entry),
            Entry::Change(entry) => {
                // Both lie flat in the entry, where their types would not be told.
                seen.take(number, &entry.change.what);
                seen.take(usize::MAX, &entry.change.by);
            }
        }
    }
    seen
}

/// Whether a field may be absent and then is written as absent: its entry without it reads, and is written again without it.
fn may_be_absent(body: &str, pointer: &str) -> bool {
    let mut json: Value = serde_json::from_str(body).expect("JSON");
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let members = json.pointer_mut(parent).and_then(Value::as_object_mut).expect("a struct is an object");
    members.shift_remove(last).expect("it is set");
    let without = json.to_string();
    let Ok(entry) = Entry::parse(without.as_bytes()) else { return false };
    super::row(&entry).body == without
}

#[test]
fn golden_journals_have_every_field_with_and_without_a_value() {
    let all = Golden::all();
    let bodies: Vec<String> = all.iter().flat_map(|golden| golden.bodies.clone()).collect();
    let entries: Vec<Entry> = all.iter().flat_map(Golden::entries).collect();
    let seen = seen(&bodies, &entries);
    let mut missing = Vec::new();
    for ((name, field), seen) in &seen.fields {
        let of = format!("{name}.{field}");
        match &seen.set {
            None => missing.push(format!("{of} is never set")),
            Some((number, at)) => {
                let optional = bodies.get(*number).is_some_and(|body| may_be_absent(body, at));
                if optional && !seen.unset {
                    missing.push(format!("{of} is always set"));
                }
            }
        }
        if seen.flags == [true, false] || seen.flags == [false, true] && !seen.unset {
            missing.push(format!("{of} is always the same"));
        }
    }
    assert!(seen.fields.len() > 200, "{}", seen.fields.len());
    assert!(missing.is_empty(), "put an example into domain/examples and run `make golden`: {missing:#?}");
}

#[test]
fn golden_journals_have_every_kind_and_every_variant() {
    let all = Golden::all();
    let bodies: Vec<String> = all.iter().flat_map(|golden| golden.bodies.clone()).collect();
    let entries: Vec<Entry> = all.iter().flat_map(Golden::entries).collect();
    let kinds: BTreeSet<&str> = entries.iter().map(Entry::kind).collect();
    let known: BTreeSet<&str> = Change::kinds().chain(["issued", "refused", "refusals"]).collect();
    assert_eq!(kinds, known, "put an example into domain/examples and run `make golden`");
    let seen = seen(&bodies, &entries);
    let enums = enums();
    for (name, variants) in &seen.variants {
        // Two enums may have one name.
        let known = enums.get(name).unwrap_or_else(|| panic!("the enum {name} is not in the list"));
        let known = known.iter().flatten().copied().filter(|variant| !UNWRITTEN.contains(&(*name, *variant)));
        let known: BTreeSet<&str> = known.collect();
        assert_eq!(*variants, known, "{name}: put an example into domain/examples and run `make golden`");
    }
    assert_eq!(seen.variants.keys().collect::<Vec<_>>(), enums.keys().collect::<Vec<_>>());
    let cut = |entry: &Entry| match entry {
        Entry::Change(entry) => match &entry.change.what {
            Change::Revocation(RevocationChange::Added { target, .. }) => Some(target.clone()),
            _ => None,
        },
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => None,
    };
    let targets_seen: BTreeSet<RevocationTarget> = entries.iter().filter_map(cut).collect();
    assert!(targets().iter().all(|target| targets_seen.contains(target)), "{targets_seen:?}");
    let noticed = |entry: &Entry| match entry {
        Entry::Change(entry) => match &entry.change.what {
            Change::Dates(DatesChange::Noticed { items, .. }) => items.iter().map(|item| item.date.clone()).collect(),
            _ => Vec::new(),
        },
        Entry::Issued(_) | Entry::Refused(_) | Entry::Counted(_) => Vec::new(),
    };
    let dates_seen: BTreeSet<Date> = entries.iter().flat_map(noticed).collect();
    assert!(dates().iter().all(|date| dates_seen.contains(date)), "{dates_seen:?}");
}
