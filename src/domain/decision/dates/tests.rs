//! People are told of each date as often as they should be, and no decision hears of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::domain::credential::certificate::Leaf;
use crate::domain::examples::{Examples, dates};
use crate::domain::fixture::{WORKLOADS, approval, at, state};
use crate::domain::log::certificate::CertificateChange;
use crate::domain::log::change::Change;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::environment::EnvironmentChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::log::issuer_key::IssuerKeyChange;
use crate::domain::log::journal::JournalChange;
use crate::domain::log::partner::PartnerChange;
use crate::domain::log::signal::SignalChange;
use crate::domain::people::actor::Actor;
use crate::domain::people::owners::OwnerIds;
use crate::domain::registry::approval::Kind;
use crate::domain::registry::integration::{Integration, Rotation};
use crate::domain::registry::signal::SignalKind;
use crate::domain::registry::suspension::Party;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::IntegrationId;

const DAY: i64 = 86_400;

fn id(name: &str) -> IntegrationId {
    format!("globex/{name}").parse().expect("an id")
}

fn apply(state: &mut State, second: i64, change: impl Into<Change>) {
    state.apply(100, at(second), &change.into().by(Actor::Broker));
}

/// The fixture's record under another name, changed.
fn record(state: &State, name: &str, change: impl FnOnce(&mut Integration)) -> Integration {
    let current = state.integrations[&id("order-sync")].current.as_ref().expect("in force");
    let mut record = Integration { id: id(name), ..current.record.as_ref().clone() };
    change(&mut record);
    record
}

fn bring(state: &mut State, second: i64, record: Integration) {
    apply(state, second, IntegrationChange::Narrowed { record: Box::new(record), reason: None });
}

/// An integration with a contract that ends then, known from `second` on.
fn ends(state: &mut State, second: i64, name: &str, end: i64) {
    let record = record(state, name, |record| record.contract.ends = at(end));
    bring(state, second, record);
}

/// What an entry at this time says, and whether more is left. It is folded.
fn look(state: &mut State, second: i64) -> Option<(Vec<Noticed>, bool)> {
    let change = due(state, at(second))?;
    let DatesChange::Noticed { items, more } = change.clone();
    apply(state, second, change);
    Some((items, more))
}

/// The ends of contracts of which people are told at this time: which, and how many days before.
fn told(state: &mut State, second: i64) -> Vec<(String, u32)> {
    let (items, _) = look(state, second).unwrap_or_default();
    let ends = items.into_iter().filter(|item| matches!(item.date, Date::ContractEnds { .. }));
    ends.map(|item| (item.date.subject(), item.days)).collect()
}

/// The partner's verification expires then.
fn verified(state: &mut State, second: i64, expires: i64) {
    let known = state.partners.values().next().and_then(|known| known.current.as_ref()).expect("verified");
    let mut record = known.record.as_ref().clone();
    record.verification.expires = at(expires);
    let (partner, version) = (record.name.clone(), Digest::of_json(&record));
    let approval = approval("of-a-partner", Kind::Partner, "globex", version);
    apply(state, second, PartnerChange::Submitted { record: Box::new(record), approval });
    apply(state, second, PartnerChange::Verified { partner, version });
}

/// A state that has begun at noon, without dates of the fixture's own within the time of these tests.
fn begun() -> State {
    let mut state = state();
    ends(&mut state, 0, "order-sync", 4_000 * DAY);
    verified(&mut state, 0, 4_000 * DAY);
    assert_eq!(look(&mut state, 0), Some((Vec::new(), false)), "the first entry begins");
    state
}

fn sync(days: u32) -> Vec<(String, u32)> {
    vec![("globex/sync".to_owned(), days)]
}

#[test]
fn people_are_told_60_30_and_7_days_before_and_on_the_day() {
    let mut state = begun();
    ends(&mut state, 10, "sync", 100 * DAY);
    for (day, days) in [(40, 60), (70, 30), (93, 7), (100, 0)] {
        assert_eq!(told(&mut state, day * DAY - 1), [], "{days}: not a second earlier");
        assert_eq!(told(&mut state, day * DAY), sync(days));
        assert_eq!(told(&mut state, day * DAY + 120), [], "{days}: once");
    }
    assert_eq!(told(&mut state, 1_000 * DAY), []);
}

/// After a time in which no node ran nothing is lost, and it comes in its order.
#[test]
fn what_came_while_nobody_looked_is_told_later() {
    let mut state = begun();
    ends(&mut state, 10, "sync", 100 * DAY);
    ends(&mut state, 10, "late", 103 * DAY);
    let names = |all: &[(&str, u32)]| -> Vec<(String, u32)> {
        all.iter().map(|(name, days)| (format!("globex/{name}"), *days)).collect()
    };
    let all =
        names(&[("sync", 60), ("late", 60), ("sync", 30), ("late", 30), ("sync", 7), ("late", 7), ("sync", 0), ("late", 0)]);
    assert_eq!(told(&mut state, 200 * DAY), all);
}

/// A journal that is older than the notices begins with an entry that tells of nothing.
#[test]
fn what_was_past_when_it_began_is_not_made_up_for() {
    let mut state = state();
    ends(&mut state, 0, "sync", 100 * DAY);
    assert_eq!(look(&mut state, 75 * DAY), Some((Vec::new(), false)));
    assert_eq!(told(&mut state, 76 * DAY), []);
    assert_eq!(told(&mut state, 93 * DAY), sync(7));
}

/// A date that becomes known late, moves or goes.
#[test]
fn a_date_that_moves_has_its_own_warnings() {
    let mut state = begun();
    ends(&mut state, 75 * DAY, "sync", 100 * DAY);
    assert_eq!(told(&mut state, 76 * DAY), [], "60 and 30 days before it were past when it became known");
    assert_eq!(told(&mut state, 93 * DAY), sync(7));
    // Extended: told of anew, by the new date.
    ends(&mut state, 94 * DAY, "sync", 200 * DAY);
    assert_eq!(told(&mut state, 101 * DAY), []);
    assert_eq!(told(&mut state, 140 * DAY), sync(60));
    // Another version that does not move it.
    let same = record(&state, "sync", |record| {
        record.contract.ends = at(200 * DAY);
        record.purpose = "Copies more orders.".into();
    });
    bring(&mut state, 150 * DAY, same);
    assert_eq!(told(&mut state, 170 * DAY), sync(30));
    // Into the past: the change itself tells it.
    ends(&mut state, 175 * DAY, "sync", 174 * DAY);
    assert_eq!(told(&mut state, 300 * DAY), []);
    // An end of an environment that a later version lacks.
    let mut limited = record(&state, "other", |record| record.contract.ends = at(2_000 * DAY));
    limited.environments.get_mut("production").expect("an environment").ends = Some(at(400 * DAY));
    bring(&mut state, 301 * DAY, limited.clone());
    let (items, _) = look(&mut state, 340 * DAY).expect("a warning");
    assert_eq!(items.iter().map(|item| item.date.subject()).collect::<Vec<_>>(), ["globex/other/production"]);
    limited.environments.get_mut("production").expect("an environment").ends = None;
    bring(&mut state, 341 * DAY, limited);
    assert_eq!(look(&mut state, 1_000 * DAY).map(|(items, _)| items.len()), None);
}

/// A suspension ends some day, and the contract may end before it. Where an environment is closed nothing ends any more.
#[test]
fn what_is_suspended_is_told_and_what_is_closed_is_not() {
    let mut state = begun();
    let mut limited = record(&state, "sync", |record| record.contract.ends = at(100 * DAY));
    limited.environments.get_mut("production").expect("an environment").ends = Some(at(90 * DAY));
    bring(&mut state, 10, limited);
    apply(&mut state, 20, IntegrationChange::suspended(id("sync"), "odd".into()));
    assert_eq!(look(&mut state, 30 * DAY).map(|(items, _)| items.len()), Some(1));
    assert_eq!(told(&mut state, 40 * DAY), sync(60));
    let (environment, issuer) = ("production".parse().expect("a name"), "https://sts.example".parse().expect("an issuer"));
    apply(&mut state, 50 * DAY, EnvironmentChange::Closed { environment, issuer });
    assert_eq!(look(&mut state, 60 * DAY), None, "30 days before the end of the environment");
    assert_eq!(told(&mut state, 70 * DAY), sync(30));
}

/// Thousands of dates on one day: at most a thousand in an entry, one entry a minute, each once, in one order.
#[test]
fn many_dates_come_in_several_entries() {
    let mut state = begun();
    let number = 2_300;
    for n in 0..number {
        ends(&mut state, 10, &format!("n{n:04}"), 100 * DAY);
    }
    let mut all = Vec::new();
    let mut entries = 0;
    for minute in 0.. {
        let second = 40 * DAY + minute * 60;
        let Some((items, more)) = look(&mut state, second) else { break };
        assert!(items.len() <= MOST);
        let entry = serde_json::to_string(&DatesChange::Noticed { items: items.clone(), more }).expect("JSON");
        assert!(entry.len() <= 63 * 1024, "{}", entry.len());
        assert_eq!(look(&mut state, second + 59), None, "once a minute");
        assert_eq!(more, all.len() + items.len() < number, "whether more is left");
        all.extend(items.into_iter().map(|item| (item.date.subject(), item.days)));
        entries += 1;
    }
    let expected: Vec<_> = (0..number).map(|n| (format!("globex/n{n:04}"), 60)).collect();
    assert_eq!((all, entries > 2), (expected, true));
}

/// A date that comes between two entries of one moment is not told as if it had been known before.
#[test]
fn a_date_that_becomes_known_between_two_entries_has_the_later_warnings_alone() {
    let mut state = begun();
    for n in 0..1_100 {
        ends(&mut state, 10, &format!("n{n:04}"), 100 * DAY);
    }
    let (first, more) = look(&mut state, 40 * DAY).expect("many");
    assert!(more);
    ends(&mut state, 40 * DAY + 30, "z", 100 * DAY);
    let mut rest = Vec::new();
    for minute in 1..4 {
        rest.extend(look(&mut state, 40 * DAY + minute * 60).unwrap_or_default().0);
    }
    assert_eq!(first.len() + rest.len(), 1_100);
    assert!(rest.iter().all(|item| item.date.subject() != "globex/z"));
}

/// The log's time ran ahead, was believed, and is put right by a reopening: what was told too early is told again in time.
#[test]
fn what_a_wrong_clock_told_is_told_again_in_time() {
    let mut state = begun();
    ends(&mut state, 10, "sync", 100 * DAY);
    assert_eq!(told(&mut state, 95 * DAY).len(), 3, "by a clock that is wrong");
    // A date that becomes known under the wrong time.
    ends(&mut state, 96 * DAY, "new", 110 * DAY);
    apply(
        &mut state,
        20 * DAY,
        JournalChange::Reopened { epoch: 2, mints_from: at(0), corrects: Some(at(96 * DAY)), again: 0, forgotten: 0 },
    );
    assert_eq!(told(&mut state, 20 * DAY), []);
    assert_eq!(told(&mut state, 40 * DAY), sync(60));
    assert_eq!(told(&mut state, 50 * DAY), [("globex/new".to_owned(), 60)]);
    // A reopening that corrects nothing, after a restore, repeats nothing.
    apply(
        &mut state,
        51 * DAY,
        JournalChange::Reopened { epoch: 3, mints_from: at(0), corrects: None, again: 0, forgotten: 0 },
    );
    assert_eq!(told(&mut state, 52 * DAY), []);
}

/// A state with a date of each kind.
fn all_kinds() -> State {
    let mut state = begun();
    let mut configuration = state.configuration.clone().expect("configured");
    configuration.governance.reviews = true;
    configuration.governance.offboarding = true;
    apply(&mut state, 5, ConfigurationChange::Changed(configuration));
    let mut rotating = record(&state, "sync", |record| {
        record.contract.starts = at(90 * DAY);
        record.contract.ends = at(300 * DAY);
        let days = Some(Seconds::days(100));
        record.rotation = Some(Rotation { issuer_keys: days, certificate: days, ..Rotation::default() });
        record.exceptions = Examples::plain().integration().exceptions.into_iter().take(1).collect();
        record.exceptions.iter_mut().for_each(|one| one.ends = at(200 * DAY));
    });
    rotating.environments.get_mut("production").expect("an environment").ends = Some(at(250 * DAY));
    bring(&mut state, 10, rotating);
    verified(&mut state, 15, 350 * DAY);
    let (issuer, key) = (WORKLOADS.parse().expect("an issuer"), Digest::of(b"key"));
    apply(&mut state, 20, IssuerKeyChange::FirstUsed { issuer, key });
    apply(&mut state, 30, CertificateChange::Issued { leaf: leaf('a', 90 * DAY), enrolment: None });
    let person: crate::domain::value::names::PersonId = "psn_jane".parse().expect("an id");
    let ids = OwnerIds { business: Some(person.clone()), application: None };
    let in_force = [(id("sync"), ids)].into_iter().collect();
    apply(&mut state, 40, DirectoryChange::Resolved { in_force, waiting: BTreeMap::new() });
    apply(&mut state, 50, DirectoryChange::Left { person });
    state
}

fn leaf(serial: char, ends: i64) -> Leaf {
    Leaf {
        environment: "production".parse().expect("a name"),
        integration: id("sync"),
        serial: format!("1{}", serial.to_string().repeat(31)).parse().expect("a serial"),
        authority: "authority".parse().expect("an id"),
        key: Digest::of(b"a key of the workload"),
        starts: at(0),
        ends: at(ends),
    }
}

fn kinds<'a>(all: impl Iterator<Item = &'a Date>) -> BTreeSet<String> {
    all.map(|date| serde_json::to_value(date).expect("JSON")["of"].as_str().expect("a kind").to_owned()).collect()
}

#[test]
fn every_kind_of_date_is_found_and_told() {
    let mut state = all_kinds();
    let mut found = state.dates_of(&Party::Integration(id("sync")));
    found.extend(state.dates_of(&Party::Partner("globex".parse().expect("a name"))));
    let every = kinds(dates().iter());
    assert_eq!(kinds(found.iter().map(|(date, _)| date)), every);
    // The certificate is renewed before it ends, for the same key.
    apply(&mut state, 80 * DAY, CertificateChange::Issued { leaf: leaf('b', 170 * DAY), enrolment: None });
    let mut all = BTreeMap::<String, Vec<u32>>::new();
    for day in 0..500 {
        let items = look(&mut state, day * DAY + 100).map(|(items, _)| items).unwrap_or_default();
        for item in items {
            let name = kinds(std::iter::once(&item.date)).pop_first().expect("one");
            all.entry(name).or_default().push(item.days);
        }
    }
    let usual = vec![60, 30, 7, 0];
    let expected = every.into_iter().map(|kind| match kind.as_str() {
        "owner-grace-ends" => (kind, vec![7, 0]),
        "offboarding-opens" => (kind, vec![14, 3, 0]),
        // Of two integrations: the review of one opens because its owner leaves.
        "review-due" => (kind, vec![7, 60, 0, 30, 7, 0]),
        _ => (kind, usual.clone()),
    });
    assert_eq!(all, expected.collect());
}

/// A key that no certificate is for any more is due for nobody, and a revoked one neither.
#[test]
fn keys_without_a_certificate_are_not_told() {
    let certificate = |state: &mut State, day: i64| {
        let (items, _) = look(state, day * DAY + 100).unwrap_or_default();
        items.iter().any(|item| matches!(item.date, Date::CertificateKeyDue { .. }))
    };
    let mut state = all_kinds();
    assert!(certificate(&mut state, 40) && certificate(&mut state, 70));
    assert!(!certificate(&mut state, 93), "it ended three days before");
    let mut revoked = all_kinds();
    let (environment, serial) = ("production".parse().expect("a name"), leaf('a', 0).serial);
    let target = crate::domain::credential::revocation::RevocationTarget::Certificate { environment, serial };
    let (id, reason) = ("r1".parse().expect("an id"), "it leaked".into());
    let added =
        crate::domain::log::revocation::RevocationChange::Added { id, target, tokens_only: false, reason, client: None };
    apply(&mut revoked, DAY, added);
    assert!(!certificate(&mut revoked, 40));
}

/// What moves a date without a change of the record.
#[test]
fn keys_owners_and_settings_move_dates() {
    let party = Party::Integration(id("sync"));
    let when = |state: &State, kind: &str| {
        let dates = state.dates_of(&party);
        let of_kind = |date: &Date| kinds(std::iter::once(date)).contains(kind);
        let at = dates.iter().find(|(date, _)| of_kind(date)).map(|(_, at)| *at);
        let indexed = at.is_some_and(|at| state.dates.all().any(|(known, whose)| known == at && *whose == party));
        (at, indexed)
    };
    let mut state = all_kinds();
    let (issuer, key) = (WORKLOADS.parse().expect("an issuer"), Digest::of(b"another key"));
    apply(&mut state, 2 * DAY, IssuerKeyChange::FirstUsed { issuer, key });
    assert_eq!(when(&state, "issuer-key-due"), (Some(at(102 * DAY)), true));
    let mut configuration = state.configuration.clone().expect("configured");
    configuration.governance.owner_grace = Seconds::days(20);
    apply(&mut state, 3 * DAY, ConfigurationChange::Changed(configuration));
    assert_eq!(when(&state, "owner-grace-ends"), (Some(at(20 * DAY + 50)), true));
    let number = state.dates.all().count();
    apply(&mut state, 4 * DAY, DirectoryChange::Returned { person: "psn_jane".parse().expect("an id") });
    assert_eq!((when(&state, "owner-grace-ends"), state.dates.all().count()), ((None, false), number - 1));
    // Somebody outside says that an owner left.
    let (signal, about, reason) = ("s1".parse().expect("an id"), "globex/sync".parse().expect("a subject"), "gone".into());
    let says = SignalKind::OwnerLeft;
    apply(&mut state, 5 * DAY, SignalChange::Received { signal, says, about, reason, reference: None });
    assert_eq!(when(&state, "owner-grace-ends"), (Some(at(25 * DAY)), true));
}

#[derive(Clone, Debug)]
enum Step {
    /// The contract of one of three ends so many hours from now.
    Move(usize, i64),
    /// So many hours pass.
    Pass(i64),
    Look,
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0..3_usize, -100..2_400_i64).prop_map(|(which, hours)| Step::Move(which, hours)),
        3 => (1..700_i64).prop_map(Step::Pass),
        4 => Just(Step::Look),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// The index tells exactly what a look at each date, with a memory of all that was told, would tell.
    #[test]
    fn every_date_is_told_as_a_list_of_all_dates_would_tell_it(steps in vec(steps(), 1..40)) {
        let mut state = begun();
        // Of each: the end, since when it is known, and the days that were told.
        let mut all: [Option<(i64, i64, BTreeSet<u32>)>; 3] = [None, None, None];
        let mut now = 3_600;
        for step in steps {
            match step {
                Step::Move(which, hours) => {
                    let end = now + hours * 3_600;
                    if all[which].as_ref().is_none_or(|(known, ..)| *known != end) {
                        all[which] = Some((end, now, BTreeSet::new()));
                    }
                    ends(&mut state, now, &format!("n{which}"), end);
                }
                Step::Pass(hours) => now += hours * 3_600,
                Step::Look => {
                    let mut expected = BTreeSet::new();
                    for (which, one) in all.iter_mut().enumerate() {
                        let Some((end, since, told)) = one else { continue };
                        for days in [60, 30, 7, 0] {
                            let instant = *end - i64::from(days) * DAY;
                            if instant > *since && instant <= now && told.insert(days) {
                                expected.insert((format!("globex/n{which}"), days));
                            }
                        }
                    }
                    let found = told(&mut state, now);
                    prop_assert_eq!(found.len(), expected.len());
                    prop_assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
                    now += 60;
                }
            }
        }
    }
}

/// What a change of one integration and a look cost beside few and beside many.
#[test]
#[ignore = "a measurement: prints figures, and asserts that all dates of the one day are found"]
fn measure_a_change_and_a_look_beside_a_hundred_thousand() {
    for number in [10, 100_000] {
        let mut state = begun();
        for n in 0..number {
            ends(&mut state, 10, &format!("n{n:06}"), 100 * DAY);
        }
        let changed = std::time::Instant::now();
        for n in 0..200 {
            ends(&mut state, 20, "n000005", (101 + n) * DAY);
        }
        let changed = changed.elapsed() / 200;
        let nothing = std::time::Instant::now();
        for _ in 0..200 {
            assert!(due(&state, at(DAY)).is_none());
        }
        let nothing = nothing.elapsed() / 200;
        let look = std::time::Instant::now();
        let change = due(&state, at(40 * DAY)).expect("many");
        let look = look.elapsed();
        let DatesChange::Noticed { items, .. } = change;
        println!("{number}: a change {changed:?}, a look without dates {nothing:?}, a look at {} dates {look:?}", items.len());
        assert_eq!(state.dates.all().count(), number + 2);
    }
}
