//! `[[signals]]`: the machines that may say that a partner's access has lost its reason.

use std::collections::BTreeSet;

use super::fault::Faults;
use super::section::Section;
use crate::domain::registry::signal::{SignalKind, SubjectPattern};

/// A machine that may say so.
#[derive(Clone, Debug)]
pub struct SignalSection {
    /// The value of its person claim.
    pub caller: String,
    /// What it may say.
    pub kinds: BTreeSet<SignalKind>,
    /// Whom it may speak of, such as `globex`, `globex/*` or `*`.
    pub subjects: Vec<SubjectPattern>,
    /// The signals in an hour that act before a person is asked.
    pub per_hour: u32,
}

const KINDS_FIX: &str = "write one or more of contract-ended, use-case-ended, environment-ended, owner-left and compromised";
const SUBJECTS_FIX: &str = "write subjects such as globex, globex/*, globex/order-sync or *";

/// The signals in an hour of a machine whose section says nothing.
const PER_HOUR: u32 = 5;

pub(super) fn read(sections: Vec<Section<'_>>, faults: &mut Faults<'_>) -> Vec<SignalSection> {
    let mut senders: Vec<SignalSection> = Vec::new();
    for section in sections {
        let (field, line) = (section.at().0.to_owned(), section.at().1);
        let Some(sender) = one(section, faults) else { continue };
        if senders.iter().any(|known| known.caller == sender.caller) {
            faults.add(
                (&format!("{field}.caller"), line),
                "another section has this caller",
                "write one section for each caller",
            );
            continue;
        }
        senders.push(sender);
    }
    senders
}

fn known(text: &String) -> Result<SignalKind, String> {
    text.parse().map_err(|_| format!("there is no kind {text:?}"))
}

fn one(mut section: Section<'_>, faults: &mut Faults<'_>) -> Option<SignalSection> {
    let fix = "write the value of its person claim, as `carnet whoami` tells it";
    let caller = section.required("caller", fix, faults);
    let caller = caller.and_then(|caller| {
        let sound = |text: &String| match text.len() {
            1..=255 if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.clone()),
            _ => Err("no token has such an id".to_owned()),
        };
        caller.parse(faults, sound, fix)
    });
    let at = (section.at().0.to_owned(), section.at().1);
    let kinds = section.texts("kinds", faults);
    let kinds: BTreeSet<SignalKind> = kinds.iter().filter_map(|kind| kind.parse(faults, known, KINDS_FIX)).collect();
    let subjects = section.texts("subjects", faults);
    let subjects: Vec<SubjectPattern> = subjects
        .iter()
        .filter_map(|one| one.parse(faults, |text| text.parse().map_err(|expected: &str| expected.to_owned()), SUBJECTS_FIX))
        .collect();
    if kinds.is_empty() {
        faults.add((&format!("{}.kinds", at.0), at.1), "there is none, so it may say nothing", KINDS_FIX);
    }
    if subjects.is_empty() {
        faults.add((&format!("{}.subjects", at.0), at.1), "there is none, so it may speak of nothing", SUBJECTS_FIX);
    }
    let per_hour = section.number("per_hour", (1, 1000), faults);
    section.finish(faults);
    let per_hour = per_hour.and_then(|number| u32::try_from(number).ok()).unwrap_or(PER_HOUR);
    Some(SignalSection { caller: caller?, kinds, subjects, per_hour })
}
