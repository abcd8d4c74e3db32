//! What is judged again after a change is all that the change can have moved.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::assessment::{Assessment, Period};
use super::findings::Finding;
use super::integrations::{Judged, judge};
use super::whole::judge_signals;
use crate::domain::examples::Examples;
use crate::domain::fixture::at;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::elevation::ElevationChange;
use crate::domain::log::entry::ChangeEntry;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::journal::JournalChange;
use crate::domain::log::recertification::RecertificationChange;
use crate::domain::registry::integration::OnSilence;
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

/// Moments before the next date at which time alone may change something. If no date is told, nothing changes for 1000 days.
fn between(now: Timestamp, next: Option<Timestamp>) -> [Timestamp; 3] {
    let last = next.map_or(now.plus(Seconds::days(1000)), |next| next.minus(Seconds(1)));
    [1, 40, 1000].map(|days| now.plus(Seconds::days(days)).min(last))
}

/// After each entry, each part of the state is judged alike at all times before the next that is told.
fn nothing_moves_early(entries: &[ChangeEntry]) {
    let mut assessment = Assessment::of(periods(entries)[0]);
    let same = |one: &Judged, other: &Judged| (one.counts, &one.broken) == (other.counts, &other.broken);
    for entry in entries {
        assessment.change(entry);
        let (state, nobody, now) = (assessment.state(), BTreeSet::new(), entry.time);
        for id in state.integrations.keys() {
            let judged = judge(id, state, &nobody, false, now);
            for time in between(now, judged.next) {
                let later = judge(id, state, &nobody, false, time);
                assert!(same(&judged, &later), "{id} at {time}: {judged:?}, {later:?}");
            }
        }
        let judged = judge_signals(state, now);
        for time in between(now, judged.next) {
            assert!(same(&judged, &judge_signals(state, time)), "signals at {time}: {judged:?}");
        }
    }
}

/// The place of an example among them.
fn example(wanted: fn(&Change) -> bool) -> usize {
    Examples::sealed().changes().iter().position(|one| wanted(&one.change.what)).expect("an example")
}

/// The examples up to the first integration in force.
fn in_force() -> Vec<(usize, u32)> {
    let last = example(|one| matches!(one, Change::Integration(IntegrationChange::Activated { .. })));
    (0..=last).map(|which| (which, 0)).collect()
}

/// A campaign that only reports is due before the review of the record, after which nothing is given any more.
#[test]
fn access_ends_by_itself_after_a_review_that_only_reports() {
    let governed =
        example(|one| matches!(one, Change::Configuration(ConfigurationChange::Changed(now)) if now.governance.reviews));
    let reported = example(|one| {
        matches!(one, Change::Recertification(RecertificationChange::CampaignStarted { terms, .. })
            if terms.on_silence == OnSilence::Report)
    });
    let history = [in_force(), vec![(governed, 0), (reported, 0), (governed, 70 * 86_400)]].concat();
    nothing_moves_early(&entries(&history));
}

/// An elevation that nobody reviews in time ends all access of its integration, also where it was for another environment.
#[test]
fn access_ends_by_itself_with_an_elevation_of_an_environment_that_is_not_in_the_record() {
    let asked = example(|one| matches!(one, Change::Elevation(ElevationChange::Asked { elevation }) if elevation.break_glass));
    let mut entries = entries(&[in_force(), vec![(asked, 0)]].concat());
    let last = entries.last_mut().expect("entries");
    let Change::Elevation(ElevationChange::Asked { elevation }) = &mut last.change.what else { panic!("it was asked for") };
    elevation.environment = "elsewhere".parse().expect("a name");
    nothing_moves_early(&entries);
}

#[test]
fn access_begins_by_itself_after_a_journal_was_reopened() {
    let mut entries = entries(&[in_force(), vec![(0, 0)]].concat());
    let last = entries.last_mut().expect("entries");
    let mints_from = last.time.plus(Seconds::days(2));
    let reopened = JournalChange::Reopened { epoch: 2, mints_from, corrects: None, again: 0, forgotten: 0 };
    last.change.what = Change::Journal(reopened);
    nothing_moves_early(&entries);
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

    #[test]
    fn time_alone_moves_nothing_before_the_date_that_is_told(history in histories()) {
        nothing_moves_early(&entries(&history));
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
