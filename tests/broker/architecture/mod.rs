//! The plan of the house, held by tests that read the sources (docs/explanation/architecture.md).
//!
//! | file | rule |
//! | --- | --- |
//! | [`floors`] | imports go down: shell, http, broker, gateways, domain |
//! | [`order`] | inside `domain`, a file imports only from nouns above its own in the list; nothing there waits |
//! | [`circles`] | no files import each other, directly or by others |
//! | [`homes`] | each dependency has folders that may name it |
//! | [`sizes`] | a file has at most 450 lines |
//! | [`arms`] | no `match` over an enum of ours has a catch-all arm |
//! | [`chain`] | a constructor that the compiler cannot wall off has one caller; forgeries of the others do not build |
//! | [`notices`] | nothing but the notice of dates reads the index of dates |
//! | [`mutations`] | each rule fails when the tree breaks it |
//!
//! [`sources`] has the tree in memory, [`parse`] reads a file with `syn` ([`tokens`] and [`patterns`] help),
//! [`names`] follows a path to the file or the crate that it leads to.
//!
//! A rule is a function from a [`sources::Tree`] to a list of faults. Where today's tree breaks a rule, the rule's file lists the
//! place with the reason ([`compare`]). Such a list only shrinks: new code keeps the rule, and a place that was mended leaves the
//! list in the same commit, or the test fails.

mod arms;
mod chain;
mod circles;
mod floors;
mod homes;
mod mutations;
mod names;
mod notices;
mod order;
mod parse;
mod patterns;
mod sizes;
mod sources;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};

/// Compares what a rule found, as (place, fault), with the exceptions, as (place, reason).
///
/// A new place is a fault, and so is an exception that was mended.
fn compare(found: Vec<(String, String)>, exceptions: &[(&str, &str)]) -> Vec<String> {
    let found: BTreeMap<String, String> = found.into_iter().collect();
    let listed: BTreeSet<&str> = exceptions.iter().map(|(place, _)| *place).collect();
    let new = found.iter().filter(|(place, _)| !listed.contains(place.as_str())).map(|(_, fault)| fault.clone());
    let mended = listed.iter().filter(|place| !found.contains_key(**place));
    let mut faults: Vec<String> = new.chain(mended.map(|place| format!("{place}: mended; take it off the list"))).collect();
    if listed.len() < exceptions.len() {
        faults.push("an exception stands in its list twice".to_owned());
    }
    faults
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{faults:#?}");
}
