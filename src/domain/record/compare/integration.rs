//! Differences of integrations.

use super::access;
use super::api::union;
use super::{Found, Weight, shown_text};
use crate::domain::registry::integration::{Integration, OnLate, OnSilence, StaticSecret, Trigger};

pub(super) fn introduce(new: &Integration, found: &mut Found) {
    found.push("owners.business", None, Some(shown_text(&new.owners.business)), Weight::Widens);
    found.push("owners.application", None, Some(shown_text(&new.owners.application)), Weight::Widens);
    for (environment, new) in &new.environments {
        access::introduce(&format!("environments.{environment}"), new, found);
    }
    found.push("contract.ends", None, Some(new.contract.ends.to_string()), Weight::Expires);
    for exception in &new.exceptions {
        found.push(format!("exceptions.{}", exception.what), None, Some(exception.ends.to_string()), Weight::Expires);
    }
}

pub(super) fn compare(old: &Integration, new: &Integration, found: &mut Found) {
    found.text("purpose", (&old.purpose, &new.purpose), Weight::Widens);
    // Who answers for it decides what happens to it.
    found.text("owners.business", (&old.owners.business, &new.owners.business), Weight::Widens);
    found.text("owners.application", (&old.owners.application, &new.owners.application), Weight::Widens);
    let (was, is) = (&old.contract, &new.contract);
    found.value("contract.ref", (&was.reference, &is.reference), Clone::clone, Weight::Widens);
    found.ranked("contract.starts", (&was.starts, &is.starts), ToString::to_string, |old, new| new > old);
    found.ranked("contract.ends", (&was.ends, &is.ends), ToString::to_string, |old, new| new < old);
    let classes = |classes: &Vec<String>| super::list(classes, "none");
    found.set("dataClasses", (&old.data_classes, &new.data_classes), classes, Weight::Widens);
    found.ranked("review.every", (&old.review.every, &new.review.every), ToString::to_string, |old, new| new < old);
    let silence = (&old.review.on_silence, &new.review.on_silence);
    found.ranked("review.onSilence", silence, |value| on_silence(*value).to_owned(), |_, new| *new == OnSilence::Suspend);
    let cadence = |record: &Integration| {
        let rotation = record.rotation.as_ref();
        (rotation.and_then(|rotation| rotation.issuer_keys), rotation.and_then(|rotation| rotation.certificate))
    };
    let ((old_keys, old_certificate), (new_keys, new_certificate)) = (cadence(old), cadence(new));
    found.ceiling("rotation.issuerKeys", old_keys.as_ref(), new_keys.as_ref());
    found.ceiling("rotation.certificate", old_certificate.as_ref(), new_certificate.as_ref());
    let late = |record: &Integration| record.rotation.as_ref().map_or(OnLate::default(), |rotation| rotation.on_late);
    let shown = |late: &OnLate| if *late == OnLate::Refuse { "refuse" } else { "report" }.to_owned();
    found.ranked("rotation.onLate", (&late(old), &late(new)), shown, |_, new| *new == OnLate::Refuse);
    let trigger = (&old.offboarding.trigger, &new.offboarding.trigger);
    found.ranked(
        "offboarding.trigger",
        trigger,
        |value| shown_trigger(*value).to_owned(),
        |_, new| *new == Trigger::ContractEnd,
    );
    found.text("offboarding.contact", (&old.offboarding.contact, &new.offboarding.contact), Weight::Widens);
    for environment in union(&old.environments, &new.environments) {
        let at = format!("environments.{environment}");
        match (old.environments.get(environment), new.environments.get(environment)) {
            (Some(old), Some(new)) => access::compare(&at, old, new, found),
            (Some(old), None) => found.push(at, Some(access::shown(old)), None, Weight::Narrows),
            (None, Some(new)) => access::introduce(&at, new, found),
            (None, None) => {}
        }
    }
    exceptions(&old.exceptions, &new.exceptions, found);
    if old.tests != new.tests {
        let count = |tests: usize| Some(format!("{tests} tests"));
        found.push("tests", count(old.tests.len()), count(new.tests.len()), Weight::Neutral);
    }
}

/// A static secret that is newly allowed to live is more risk. One that the record names no more may live on at the partner, without an
/// end and an owner, and so may one whose end is brought forward: to a day that is over, it is gone from every list. Two people say so.
fn exceptions(old: &[StaticSecret], new: &[StaticSecret], found: &mut Found) {
    for gone in old.iter().filter(|one| !new.iter().any(|other| other.what == one.what)) {
        found.push(format!("exceptions.{}", gone.what), Some(gone.ends.to_string()), None, Weight::Widens);
    }
    for one in new {
        let at = format!("exceptions.{}", one.what);
        let Some(was) = old.iter().find(|other| other.what == one.what) else {
            found.push(at, None, Some(one.ends.to_string()), Weight::Widens);
            continue;
        };
        found.value(format!("{at}.ends"), (&was.ends, &one.ends), ToString::to_string, Weight::Widens);
        found.value(format!("{at}.control"), (&was.control, &one.control), Clone::clone, Weight::Widens);
        found.text(&format!("{at}.owner"), (&was.owner, &one.owner), Weight::Widens);
    }
}

fn on_silence(on_silence: OnSilence) -> &'static str {
    match on_silence {
        OnSilence::Suspend => "suspend",
        OnSilence::Report => "report",
    }
}

fn shown_trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::ContractEnd => "contract-end",
        Trigger::Manual => "manual",
    }
}
