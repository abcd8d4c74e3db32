//! What is judged again after a change is all that the change can have moved.

use proptest::collection::vec;
use proptest::prelude::*;

use super::assessment::{Assessment, Period};
use super::findings::Finding;
use crate::domain::examples::Examples;
use crate::domain::fixture::at;
use crate::domain::log::entry::ChangeEntry;
use crate::domain::value::clock::{Seconds, Timestamp};

/// Gaps between two changes: the same second, an hour, and the times after which the criteria look again.
const GAPS: [u32; 6] = [0, 3_600, 86_400, 15 * 86_400, 40 * 86_400, 100 * 86_400];

/// Changes of the examples, in any order and with repetitions, with the time before each.
fn histories() -> impl Strategy<Value = Vec<(usize, u32)>> {
    let number = Examples::sealed().changes().len();
    // Most histories follow the story for a while, so that things come into force.
    let step = prop_oneof![4 => Just(None), 1 => (0..number).prop_map(Some)];
    let gap = prop_oneof![6 => Just(GAPS[0]), 2 => (0..GAPS.len()).prop_map(|at| GAPS[at])];
    (0..number, vec((step, gap), 1..220)).prop_map(move |(first, steps)| {
        let mut next = first;
        let place = |(step, gap): (Option<usize>, u32)| {
            next = step.unwrap_or((next + 1) % number);
            (next, gap)
        };
        steps.into_iter().map(place).collect()
    })
}

fn entries(history: &[(usize, u32)]) -> Vec<ChangeEntry> {
    let changes = Examples::sealed().changes();
    let mut time = at(0);
    let mut prior = None;
    let mut entry = |(index, (which, gap)): (usize, &(usize, u32))| {
        time = time.plus(Seconds(*gap));
        let change = changes[*which].change.clone();
        let (subject, index) = (change.what.subject(), index as u64);
        ChangeEntry { index, time, subject, request_id: None, prior: prior.replace(index), change }
    };
    history.iter().enumerate().map(&mut entry).collect()
}

fn found(mut assessment: Assessment, entries: &[ChangeEntry]) -> Vec<Finding> {
    entries.iter().for_each(|entry| assessment.change(entry));
    assessment.finish()
}

/// The whole of a history, or its second half.
fn periods(entries: &[ChangeEntry]) -> [Period; 2] {
    let last = entries.last().map_or(at(0), |entry| entry.time).plus(Seconds::days(30));
    let half = entries.get(entries.len() / 2).map_or(at(0), |entry| entry.time);
    [Period { from: Timestamp::default(), to: last }, Period { from: half, to: last }]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_change_moves_nothing_that_is_not_judged_again(history in histories()) {
        let entries = entries(&history);
        for period in periods(&entries) {
            let (some, all) = (found(Assessment::of(period), &entries), found(Assessment::thorough(period), &entries));
            for (one, other) in some.iter().zip(&all) {
                prop_assert_eq!(one.criterion, other.criterion);
                prop_assert_eq!(&one.exceptions, &other.exceptions, "{}", one.criterion.name());
                prop_assert_eq!(one.population, other.population, "{}", one.criterion.name());
                prop_assert_eq!(&one.entries, &other.entries, "{}", one.criterion.name());
            }
        }
    }
}

/// The law above would hold of criteria that nothing ever breaks.
#[test]
fn the_story_of_the_examples_breaks_some_criteria_and_mends_some() {
    let story: Vec<(usize, u32)> = (0..Examples::sealed().changes().len()).map(|which| (which, 40 * 86_400)).collect();
    let entries = entries(&story);
    let findings = found(Assessment::of(periods(&entries)[0]), &entries);
    let broken = findings.iter().filter(|one| !one.exceptions.is_empty()).count();
    let mended = findings.iter().flat_map(|one| &one.exceptions).filter(|one| one.until.is_some()).count();
    assert!(broken >= 4 && mended >= 4, "{broken} broken, {mended} mended: {findings:#?}");
}
