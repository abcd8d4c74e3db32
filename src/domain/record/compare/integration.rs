//! Differences of integrations.

use super::access;
use super::difference::Weight;
use super::found::{Found, both, compare_managed, list, shown_text, union};
use crate::domain::record::form::scalar::word;
use crate::domain::registry::integration::{
    Contract, Integration, Offboarding, OnLate, OnPastDue, OnSilence, Owners, Review, Rotation, StaticSecret, Trigger,
};
use crate::domain::registry::workload::Workload;

pub(super) fn introduce(new: &Integration, found: &mut Found) {
    found.push("owners.business", None, Some(shown_text(&new.owners.business)), Weight::Widens);
    found.push("owners.application", None, Some(shown_text(&new.owners.application)), Weight::Widens);
    for (environment, new) in &new.environments {
        access::introduce(&format!("environments.{environment}"), new, found);
    }
    found.end_as("contract.ends", (None, Some(new.contract.ends)), Weight::Neutral);
    for exception in &new.exceptions {
        found.end_as(format!("exceptions.{}", exception.what), (None, Some(exception.ends)), Weight::Neutral);
    }
}

pub(super) fn compare(old: &Integration, new: &Integration, found: &mut Found) {
    both!(Integration {
        purpose, workload, owners, contract, data_classes, review, rotation, offboarding, environments, exceptions, tests,
        managed_by; id
    } = (old, new));
    compare_managed(managed_by, found);
    found.text("purpose", purpose, Weight::Widens);
    // Who says no more that it is an agent takes it out of what frameworks ask about agents.
    found.ranked("workload", workload, |value| word(value), |_, new| *new == Workload::AiAgent);
    both!(Owners { business, application } = owners);
    // Who answers for it decides what happens to it.
    found.text("owners.business", business, Weight::Widens);
    found.text("owners.application", application, Weight::Widens);
    both!(Contract { reference, starts, ends } = contract);
    found.value("contract.ref", reference, Clone::clone, Weight::Widens);
    found.ranked("contract.starts", starts, |start| start.first_day(), |old, new| new > old);
    found.end("contract.ends", Some(*ends.0), Some(*ends.1));
    found.set("dataClasses", data_classes, |classes| list(classes, "none"), Weight::Widens);
    both!(Review { every, on_silence } = review);
    found.ranked("review.every", every, ToString::to_string, |old, new| new < old);
    found.ranked("review.onSilence", on_silence, |value| word(value), |_, new| *new == OnSilence::Suspend);
    compare_rotation(rotation.0.as_ref(), rotation.1.as_ref(), found);
    both!(Offboarding { trigger, contact } = offboarding);
    found.ranked("offboarding.trigger", trigger, |value| word(value), |_, new| *new == Trigger::ContractEnd);
    found.text("offboarding.contact", contact, Weight::Widens);
    for environment in union(environments.0.keys(), environments.1.keys()) {
        let at = format!("environments.{environment}");
        match (environments.0.get(environment), environments.1.get(environment)) {
            (Some(old), Some(new)) => access::compare(&at, old, new, found),
            (Some(old), None) => found.push(at, Some(access::shown(old)), None, Weight::Narrows),
            (None, Some(new)) => access::introduce(&at, new, found),
            (None, None) => {}
        }
    }
    compare_exceptions(exceptions.0, exceptions.1, found);
    if tests.0 != tests.1 {
        let count = |tests: usize| Some(format!("{tests} tests"));
        found.push("tests", count(tests.0.len()), count(tests.1.len()), Weight::Neutral);
    }
}

fn compare_rotation(old: Option<&Rotation>, new: Option<&Rotation>, found: &mut Found) {
    // Without cadences no key is ever late.
    let unplanned = Rotation::default();
    both!(Rotation { issuer_keys, certificate, on_late } = (old.unwrap_or(&unplanned), new.unwrap_or(&unplanned)));
    found.ceiling("rotation.issuerKeys", issuer_keys.0.as_ref(), issuer_keys.1.as_ref());
    found.ceiling("rotation.certificate", certificate.0.as_ref(), certificate.1.as_ref());
    found.ranked("rotation.onLate", on_late, |value| word(value), |_, new| *new == OnLate::Refuse);
}

/// Compares static secrets: a newly allowed one is more risk.
///
/// One that the record names no more may live on at the partner, without an end and an owner, and so may one whose end is
/// brought forward: to a day that is over, it is gone from every list. Two people say so.
fn compare_exceptions(old: &[StaticSecret], new: &[StaticSecret], found: &mut Found) {
    for gone in old.iter().filter(|one| !new.iter().any(|other| other.what == one.what)) {
        found.push(format!("exceptions.{}", gone.what), Some(gone.ends.last_day()), None, Weight::Widens);
    }
    for one in new {
        let at = format!("exceptions.{}", one.what);
        let Some(was) = old.iter().find(|other| other.what == one.what) else {
            found.end_as(at, (None, Some(one.ends)), Weight::Widens);
            continue;
        };
        both!(StaticSecret { control, owner, ends, on_past_due; what } = (was, one));
        found.end_as(format!("{at}.ends"), (Some(*ends.0), Some(*ends.1)), Weight::Widens);
        found.value(format!("{at}.control"), control, Clone::clone, Weight::Widens);
        found.text(&format!("{at}.owner"), owner, Weight::Widens);
        let refuses = |_: &OnPastDue, new: &OnPastDue| *new == OnPastDue::Refuse;
        found.ranked(format!("{at}.onPastDue"), on_past_due, |value| word(value), refuses);
    }
}
