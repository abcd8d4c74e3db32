//! A journal that moves to another database: whole, once, and on wherever it was interrupted.

use std::sync::atomic::AtomicUsize;

use super::*;
use crate::journal::migrate::{MigrateFault, Moved, Place, migrate};
use crate::journal::postgres::server::{address, database};
use crate::journal::{ArchivePlace, Health, StopReason, examine};

/// A place in a database that is empty, and its name.
async fn elsewhere(house: &House, in_postgres: bool) -> (Settings, String) {
    let segments = house.directory.path().join(format!("moved-{}", house.starts.fetch_add(1, Ordering::Relaxed)));
    let location = if in_postgres {
        let (folder, name) = database().await;
        Location::Postgres { address: Box::new(address(&folder, &name)), segments: ArchivePlace::Folder(segments.clone()) }
    } else {
        Location::File(segments.with_extension("db"))
    };
    (Settings { location, create: false, ..house.settings.clone() }, segments.display().to_string())
}

fn outside(house: &House) -> Outside {
    let seed = house.starts.fetch_add(1, Ordering::Relaxed);
    Outside { clock: Arc::clone(&house.clock) as _, entropy: Arc::new(Seeded::new(seed)) }
}

const HERE: &str = "sqlite:///here.db";

async fn moved(house: &House, to: &(Settings, String)) -> Result<Moved, MigrateFault> {
    let from = Place { settings: &house.settings, name: HERE };
    migrate(from, Place { settings: &to.0, name: &to.1 }, &House::kek(), &outside(house), SILENT).await
}

async fn open(house: &House, settings: &Settings, start: Start<'_>) -> Result<Journal, OpenFault> {
    open::start(settings, &House::kek(), outside(house), start, |writer| writer).await
}

/// Whether the journal of these settings says that it has moved there, to all that would write to it.
async fn has_left(house: &House, settings: &Settings, to: &str) {
    for start in [Start::Open, Start::CorrectClock, Start::Succeed, Start::Move("elsewhere")] {
        let fault = open(house, settings, start).await.err().expect("it does not open");
        assert!(matches!(&fault, OpenFault::Moved { to: told } if told == to), "{fault}");
    }
    let fault = examine(settings, &House::kek()).await.err().expect("it would not start");
    assert!(matches!(fault, OpenFault::Moved { .. }), "{fault}");
    let report = verify_database(settings, &House::kek(), None, SILENT).await.expect("it verifies");
    assert_eq!(report.moved.as_deref(), Some(to));
}

/// A house with all that a journal keeps: tokens, texts, people, counts and requests.
async fn full() -> (House, u64) {
    let house = House::new();
    let journal = house.furnished().await;
    issue(&journal, 0..640).await;
    make(&journal, revocation_of_token()).await;
    let once = Idempotency { person: digest("ann"), key: digest("key"), fingerprint: digest("body") };
    let request = crate::journal::ForRequest { id: "request-1".parse().expect("a name"), once: Some(once) };
    let change = |_: &_, _| Ok::<_, ()>(Proposal::from(revocation_of_token()));
    journal.change(Some(request), change).await.expect("recorded").expect("proposed");
    record(&journal, "late", "late").await.expect("recorded");
    let (_, mut known) = journal.people().await.expect("reads");
    let text = |text: &str| crate::domain::people::member::PersonText::try_from(text.to_owned()).expect("a text");
    let profile =
        crate::domain::people::member::Profile { user_name: text("jane@acme.example"), external_id: None, emails: Vec::new() };
    let said = crate::domain::people::member::Said { profile, active: true };
    let jane = crate::domain::people::member::Member::new("psn_j".parse().expect("an id"), said, fixture::at(0));
    assert!(journal.put_people(&mut known, &[jane], false).await.expect("written"));
    let day = crate::domain::value::day::Day(20_000);
    let mut known = journal.uses().await.expect("ours");
    let mut stored = journal.uses_of(&known, day).await.expect("ours");
    let (key, time) = (digest("a"), fixture::at(0));
    let tally = crate::domain::decision::uses::Tally { count: 3, first: time, last: time, until: 3 };
    let texts = vec![crate::journal::UseText { key, client: "globex/order-sync".to_owned(), body: "a".to_owned(), day }];
    let rows = vec![crate::journal::UseRow { day, key, tally }];
    let portion = crate::journal::Portion { at: 3, since: time, texts, rows, forgets: crate::domain::value::day::Day(0) };
    assert!(journal.put_uses(&mut known, (day, &mut stored), portion).await.expect("written"));
    let size = journal.view().size;
    journal.close().await;
    (house, size)
}

fn digest(text: &str) -> crate::domain::value::digest::Digest {
    crate::domain::value::digest::Digest::of(text.as_bytes())
}

/// All of it is there: what entries prove, and what they do not.
async fn is_whole(journal: &Journal, house: &House) {
    assert!(is_spent(journal, "late").await && !is_spent(journal, "never").await);
    assert!(matches!(record(journal, "late", "again").await.err(), Some(RecordFault::Replayed)));
    assert_eq!(journal.people().await.expect("proved").0.len(), 1);
    let known = journal.uses().await.expect("proved");
    assert_eq!(journal.uses_of(&known, crate::domain::value::day::Day(20_000)).await.expect("proved").rows.len(), 1);
    let once = Idempotency { person: digest("ann"), key: digest("key"), fingerprint: digest("body") };
    assert_eq!(journal.before(&once).await.expect("reads").expect("known").request.as_str(), "request-1");
    assert_eq!(journal.view().state.epoch, 1);
    assert!(house.settings.anchor.as_ref().is_some_and(|anchor| anchor.exists()));
}

#[tokio::test]
async fn a_journal_moves_to_postgresql_and_back_with_all_that_it_keeps() {
    let (mut house, size) = full().await;
    let there = elsewhere(&house, true).await;
    let result = moved(&house, &there).await.expect("it moves");
    // One entry says that it leaves, and one that it has arrived.
    assert_eq!((result.report.size, result.arrived), (size + 1, size + 1));
    has_left(&house, &house.settings, &there.1).await;
    assert!(matches!(moved(&house, &there).await.err(), Some(MigrateFault::Arrived(_))));
    let other = elsewhere(&house, true).await;
    assert!(matches!(moved(&house, &other).await.err(), Some(MigrateFault::Elsewhere(to)) if to == there.1));
    assert!(matches!(open(&house, &other.0, Start::Open).await.err(), Some(OpenFault::Missing(_))), "nothing was made there");
    let journal = open(&house, &there.0, Start::Open).await.expect("it opens");
    is_whole(&journal, &house).await;
    record(&journal, "after", "after").await.expect("recorded");
    let note = journal.checkpoint().expect("signs");
    journal.close().await;
    // And back, to another file.
    let back = elsewhere(&house, false).await;
    let (from, here) = (there.0.clone(), std::mem::replace(&mut house.settings, there.0));
    let result = moved(&house, &back).await.expect("it moves back");
    assert_eq!(result.report.moved.as_deref(), Some(&*back.1));
    has_left(&house, &from, &back.1).await;
    let journal = open(&house, &back.0, Start::Open).await.expect("it opens");
    is_whole(&journal, &house).await;
    assert!(is_spent(&journal, "after").await);
    record(&journal, "at-home", "at-home").await.expect("recorded");
    journal.close().await;
    let report = verify_database(&back.0, &House::kek(), Some(&note), SILENT).await.expect("it holds");
    assert_eq!((report.moved, report.epoch), (None, 1));
    // The first database is behind the anchor, and has left besides.
    assert!(open(&house, &here, Start::Open).await.is_err());
}

/// Old entries that have left the database for segments go with it.
#[tokio::test]
async fn segments_go_with_the_journal() {
    let house = House::new();
    let journal = house.furnished().await;
    issue(&journal, 0..640).await;
    house.clock.set(3 * 86_400);
    // The second call takes the entries that the first has sealed out of the database.
    journal.archive(Seconds::days(1)).await.expect("seals");
    let _nothing_more = journal.archive(Seconds::days(1)).await;
    let body = journal.body(20).await.expect("reads").expect("an entry of a segment");
    journal.close().await;
    let there = elsewhere(&house, true).await;
    moved(&house, &there).await.expect("it moves");
    let journal = open(&house, &there.0, Start::Open).await.expect("it opens");
    assert_eq!(journal.body(20).await.expect("reads").as_deref(), Some(&*body));
    journal.close().await;
    // What it left keeps its own.
    assert!(verify_database(&house.settings, &House::kek(), None, SILENT).await.is_ok());
}

/// Whatever interrupts a move, neither side opens, and the same call comes to its end.
#[tokio::test]
async fn a_move_that_is_interrupted_goes_on_where_it_was() {
    for (in_postgres, stop) in [(true, 0), (true, 2), (true, 3), (false, 0), (false, 3)] {
        let (house, size) = full().await;
        let to = elsewhere(&house, in_postgres).await;
        let (settings, target, outside) = (house.settings.clone(), to.clone(), outside(&house));
        let interrupted = tokio::spawn(async move {
            let steps = AtomicUsize::new(0);
            let dies = move |_: u64, _: u64| assert!(steps.fetch_add(1, Ordering::Relaxed) != stop, "the process dies");
            let (from, to) = (Place { settings: &settings, name: HERE }, Place { settings: &target.0, name: &target.1 });
            migrate(from, to, &House::kek(), &outside, &dies).await.map(|_| ())
        });
        assert!(interrupted.await.is_err_and(|died| died.is_panic()), "at step {stop}");
        has_left(&house, &house.settings, &to.1).await;
        let half = open(&house, &to.0, Start::Open).await.err().expect("half of it does not open");
        assert!(matches!(half, OpenFault::Inconsistent { .. } | OpenFault::Moved { .. }), "at step {stop}: {half}");
        let result = moved(&house, &to).await.expect("it goes on");
        assert_eq!(result.arrived, size + 1);
        let journal = open(&house, &to.0, Start::Open).await.expect("it opens");
        is_whole(&journal, &house).await;
        journal.close().await;
    }
}

/// Nothing that is there is overwritten, and nothing leaves for a place that cannot take it.
#[tokio::test]
async fn a_place_that_is_not_empty_is_refused_and_nothing_leaves() {
    for in_postgres in [true, false] {
        let (house, size) = full().await;
        let other = House::new();
        let to = elsewhere(&other, in_postgres).await;
        let journal = open(&other, &Settings { create: true, ..to.0.clone() }, Start::Open).await.expect("another journal");
        let before = journal.view().size;
        journal.close().await;
        let to = (Settings { anchor: house.settings.anchor.clone(), ..to.0 }, to.1);
        assert!(matches!(moved(&house, &to).await.err(), Some(MigrateFault::NotEmpty(_))));
        let journal = house.open().await.expect("it has not left");
        assert_eq!(journal.view().size, size);
        journal.close().await;
        let theirs = Settings { anchor: other.settings.anchor.clone(), ..to.0 };
        let journal = open(&other, &theirs, Start::Open).await.expect("the other one is as it was");
        assert_eq!(journal.view().size, before);
        journal.close().await;
    }
}

/// A row that somebody changed in a copy that is not whole yet is found, and the copy does not open.
#[tokio::test]
async fn a_copy_that_was_changed_does_not_arrive() {
    let (house, _) = full().await;
    let to = elsewhere(&house, false).await;
    let Location::File(path) = to.0.location.clone() else { panic!("a file") };
    let (settings, target, outside) = (house.settings.clone(), to.clone(), outside(&house));
    let interrupted = tokio::spawn(async move {
        let (from, to) = (Place { settings: &settings, name: HERE }, Place { settings: &target.0, name: &target.1 });
        migrate(from, to, &House::kek(), &outside, &|_, _| panic!("the process dies")).await.map(|_| ())
    });
    assert!(interrupted.await.is_err());
    let mut connection =
        sqlx::ConnectOptions::connect(&sqlx::sqlite::SqliteConnectOptions::new().filename(&path)).await.expect("connects");
    let forged = "UPDATE entries SET body = replace(body, 'globex', 'glotex') WHERE idx = (SELECT max(idx) FROM entries)";
    sqlx::raw_sql(forged).execute(&mut connection).await.expect("runs");
    sqlx::Connection::close(connection).await.expect("closes");
    let fault = moved(&house, &to).await.expect_err("it is found");
    assert!(matches!(fault, MigrateFault::Verify(_)), "{fault}");
    assert!(open(&house, &to.0, Start::Open).await.is_err(), "the copy does not open");
    has_left(&house, &house.settings, &to.1).await;
}

/// A server that runs while its journal leaves records nothing any more, and says where it went. A new epoch is the way back.
#[tokio::test]
async fn a_node_stops_when_its_journal_leaves_and_reopening_brings_it_back() {
    let (house, _) = full().await;
    let running = house.open().await.expect("opens");
    let to = elsewhere(&house, true).await;
    moved(&house, &to).await.expect("it moves");
    assert!(record(&running, "too-late", "too-late").await.is_err());
    let Health { stopped, .. } = running.health();
    assert!(matches!(&stopped, Some(StopReason::Moved { to: told }) if *told == to.1), "{stopped:?}");
    running.close().await;
    let journal = open(&house, &to.0, Start::Open).await.expect("it opens there");
    assert!(!is_spent(&journal, "too-late").await);
    journal.close().await;
    let back = house.reopen(Seconds(0)).await.expect("an operator gives the move up");
    assert_eq!((back.view().state.epoch, back.view().state.moved.clone()), (2, None));
    back.close().await;
    let report = house.verify(None).await.expect("it holds");
    assert_eq!((report.epoch, report.moved), (2, None));
}
