//! The clock is set while the journal is open, or before it is opened: nothing with such a time enters it, and a time that did is taken back
//! only on record.

use super::*;
use crate::domain::reason;
use crate::domain::value::clock::Clock as _;
use crate::domain::value::steady::Reading;
use crate::journal::handle::At;
use crate::journal::{ClockFault, LONGEST_ASSERTION, export, verifier_key, verify_export};

const DAY: i64 = 86_400;

/// Every way to write is refused, and nothing was written.
async fn refused(journal: &Journal, jti: &str) {
    let view = journal.view();
    let grant = fixture::granted(jti, jti, &view.state, fixture::at(0));
    let again = Box::new(|_: &_, _| -> Decision { panic!("decided under a clock that cannot be believed") });
    let fault = journal.record(view.seen, grant, again).await.expect_err("recorded");
    assert!(matches!(fault, RecordFault::Unavailable(why) if *why.reason() == reason::CLOCK_UNSTEADY), "{fault}");
    let made = journal.change(None, |_, _| Ok::<_, ()>(Proposal::from(revocation_of_token()))).await;
    assert_eq!(*made.expect_err("changed").reason(), reason::CLOCK_UNSTEADY);
    assert_eq!(journal.view().size, view.size);
}

/// S-3: the clock is a day ahead for three seconds, or an hour back; nothing is recorded then, and all goes on when it is right again.
#[tokio::test]
async fn l_10_no_entry_has_the_time_of_a_clock_that_jumped() {
    for house in House::each_way() {
        let journal = house.furnished().await;
        record(&journal, "before", "before").await.expect("recorded");
        for (by, name) in [(DAY, "ahead"), (-3600, "back"), (31, "a-little"), (-31, "a-little-back")] {
            house.clock.jump(by);
            let reading = Reading { wall: house.clock.now(), steady: fixture::at(0) };
            assert_eq!(journal.health().clock, Some(ClockFault::Jumped(reading)), "{name}");
            assert_eq!(journal.now(), fixture::at(0), "the time is known all the same");
            refused(&journal, "meanwhile").await;
            // What is due each second writes nothing either.
            tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
            house.clock.jump(-by);
            assert_eq!(journal.health().clock, None);
            assert_eq!(record(&journal, name, name).await.expect("recorded").time(), fixture::at(0));
        }
        record(&journal, "meanwhile", "meanwhile").await.expect("its proof was not spent");
        journal.close().await;
        house.verify(None).await.expect("verifies");
    }
}

/// A change and a token that wait in the queue while the clock jumps are not written with its time.
#[tokio::test]
async fn l_10_a_jump_between_decision_and_entry_is_seen() {
    let house = House::new();
    let journal = house.furnished().await;
    let (view, grant) = (journal.view(), fixture::granted("p", "p", &journal.view().state, journal.now()));
    let clock = Arc::clone(&house.clock);
    let made = journal.change(None, move |_, _| {
        clock.jump(DAY);
        Ok::<_, ()>(Proposal::from(revocation_of_token()))
    });
    made.await.expect_err("the clock jumped while it was proposed");
    house.clock.jump(-DAY);
    journal.record(view.seen, grant, Box::new(|_, _| panic!("nothing changed"))).await.expect("recorded");
    journal.close().await;
}

/// S-3: a token that waits behind another one while the clock jumps was let in by a right clock, and is not written with the wrong time.
#[tokio::test(flavor = "multi_thread")]
async fn s_3_what_waits_in_the_queue_while_the_clock_jumps_is_not_recorded() {
    let house = House::new();
    let journal = house.furnished().await;
    let (view, now) = (journal.view(), journal.now());
    let grant = |jti: &str| fixture::granted(jti, jti, &view.state, now);
    let (decides, decided) = std::sync::mpsc::channel();
    let (goes_on, held) = std::sync::mpsc::channel();
    // Decided on an older state, it is decided again while the sequencer holds the head.
    let ahead = tokio::spawn({
        let (journal, first) = (journal.clone(), grant("first"));
        async move {
            let again = move |state: &crate::domain::state::State, _| {
                decides.send(()).expect("the test waits");
                held.recv().expect("the test goes on");
                Decision::Granted(fixture::granted("first", "first", state, now))
            };
            journal.record(None, first, Box::new(again)).await
        }
    });
    decided.recv().expect("it is decided again");
    let waiting = tokio::spawn({
        let (journal, grant, seen) = (journal.clone(), grant("second"), view.seen);
        async move { journal.record(seen, grant, Box::new(|_, _| panic!("nothing changed"))).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    house.clock.jump(DAY);
    goes_on.send(()).expect("it is held");
    assert_eq!(ahead.await.expect("ends").expect("its time was right").time(), now);
    let fault = waiting.await.expect("ends").expect_err("recorded");
    assert!(matches!(fault, RecordFault::Unavailable(why) if *why.reason() == reason::CLOCK_UNSTEADY), "{fault}");
    assert_eq!(journal.view().time, now);
    house.clock.jump(-DAY);
    record(&journal, "second", "second").await.expect("its proof was not spent");
    journal.close().await;
}

/// A journal that was written a day ahead, as after a start under a wrong clock, and the clock is right now. Its proofs were forgotten,
/// because they seemed to be over.
async fn ahead(house: &House) -> (u64, String) {
    let journal = house.furnished().await;
    issue(&journal, 0..3).await;
    journal.close().await;
    house.to_consumed().await;
    house.clock.jump(DAY);
    let journal = house.open().await.expect("opens");
    for n in 0..=256 {
        house.clock.set(n);
        make(&journal, revocation_of_token()).await;
    }
    assert!(!is_spent(&journal, "proof-0").await, "a slice is purged each second");
    let (size, kept) = (journal.view().size, journal.checkpoint().expect("signs"));
    journal.close().await;
    house.clock.jump(-DAY);
    (size, kept)
}

/// S-3: a head that is ahead is refused in every way until the operator's change; then time goes on from the clock, and what was spent
/// stays spent.
#[tokio::test]
async fn l_10_a_head_that_is_ahead_is_corrected_on_record() {
    let house = House::new();
    let (size, kept) = ahead(&house).await;
    let now = house.clock.now();
    let journal = house.open().await.expect("opens, and says nothing");
    assert!(matches!(journal.health().clock, Some(ClockFault::Behind { wall, .. }) if wall == now));
    refused(&journal, "late").await;
    // Neither a reopening nor another key may be recorded at such a time.
    assert!(matches!(house.reopen(Seconds(0)).await.err(), Some(OpenFault::Clock(ClockFault::Behind { .. }))));
    assert!(matches!(house.succeed().await.err(), Some(OpenFault::Clock(ClockFault::Behind { .. }))));

    let corrected = house.correct_clock().await.expect("corrects");
    let view = corrected.view();
    assert_eq!((view.size, view.time, view.state.epoch, view.state.mints_from), (size + 1, now, 2, now));
    assert!(view.state.keys.all().all(|key| key.tainted), "tokens of the wrong time would live too long");
    assert_eq!(corrected.health().clock, None);
    assert_eq!(corrected.now(), now);
    for jti in ["proof-0", "proof-1", "proof-2"] {
        assert!(is_spent(&corrected, jti).await, "{jti} may not pay again");
    }
    corrected.close().await;
    // A server that ran beside it goes on by itself.
    let mut heads = journal.follow();
    let moved = heads.wait_for(|head| head.size == size + 1);
    tokio::time::timeout(std::time::Duration::from_secs(3), moved).await.expect("it looks again").expect("it lives");
    assert_eq!(journal.health().clock, None);
    // The past is found by its time: before, in between, and after.
    for (seconds, epoch) in [(0, 1), (255, 1), (256, 2), (DAY + 100, 2)] {
        let state = journal.state_at(At::Time(fixture::at(seconds))).await.expect("reads");
        assert_eq!(state.epoch, epoch, "{seconds}");
    }
    let mut key = view.state.keys.all().next().expect("a key").key.clone();
    (key.kid, key.usable_from) = ("key-2".parse().expect("an id"), now);
    create_key(&journal, key).await;
    let recorded = record(&journal, "again", "again").await.expect("recorded");
    assert_eq!(recorded.time(), now);
    for jti in ["proof-0", "proof-2"] {
        let grant = fixture::granted(jti, "replayed", &journal.view().state, now);
        let replay = journal.record(journal.view().seen, grant, Box::new(|_, _| panic!("nothing changed"))).await;
        assert!(matches!(replay, Err(RecordFault::Replayed)), "{jti}");
    }
    journal.close().await;
    let again = house.correct_clock().await.err();
    assert!(matches!(again, Some(OpenFault::ClockAgrees { .. })), "there is nothing left to correct");
    assert_eq!(house.verify(Some(&kept)).await.expect("verifies").epoch, 2);
    let dir = house.directory.path().join("export");
    export(&house.settings, &House::kek(), &dir).await.expect("exports");
    let key = verifier_key(&house.settings, &House::kek()).await.expect("the key");
    verify_export(&dir, &key, Some(&kept), SILENT).expect("verifies");
    house.open().await.expect("opens").close().await;
}

/// A correction leaves the rest of an earlier reopening: proofs that the lost part spent are as good as before. A rest whose end was written
/// under the wrong clock as well is taken as whole.
#[tokio::test]
async fn a_correction_ends_no_rest() {
    for (reopened_at, rest) in [(0, Seconds(3600)), (3 * DAY, LONGEST_ASSERTION)] {
        let house = House::new();
        house.with_tokens(2).await;
        house.clock.jump(reopened_at);
        house.reopen(Seconds(3600)).await.expect("reopens").close().await;
        house.clock.jump(3 * DAY - reopened_at);
        let journal = house.open().await.expect("opens");
        make(&journal, revocation_of_token()).await;
        assert!(reopened_at > 0 || journal.now() > journal.view().state.mints_from, "by that clock the rest is over");
        journal.close().await;
        house.clock.jump(-3 * DAY);
        let journal = house.correct_clock().await.expect("corrects");
        let (state, now) = (Arc::clone(&journal.view().state), house.clock.now());
        assert_eq!((state.epoch, state.mints_from), (3, now.plus(rest)), "{reopened_at}");
        let Decision::Refused(refused) = fixture::decide("proof-0", "again", &state, now) else { panic!("minted") };
        assert_eq!(*refused.reason, reason::JOURNAL_REOPENED);
        journal.close().await;
        // Nor does another reopening that rests for less.
        let journal = house.reopen(Seconds(0)).await.expect("reopens");
        assert_eq!(journal.view().state.mints_from, now.plus(rest), "{reopened_at}");
        journal.close().await;
        house.verify(None).await.expect("verifies");
    }
}

/// A correction is no way round the anchor, and none round a journal that does not hold.
#[tokio::test]
async fn a_correction_proves_what_it_stands_on() {
    let house = House::new();
    ahead(&house).await;
    house
        .sql("UPDATE entries SET body = replace(body, 'proof-1', 'proof-2'), subject = 'globex/other' WHERE kind = 'issued'")
        .await;
    assert!(matches!(house.correct_clock().await.err(), Some(OpenFault::Inconsistent { .. })));
    let house = House::new();
    let (size, _) = ahead(&house).await;
    std::fs::remove_file(house.directory.path().join("anchor")).expect("removes");
    assert!(matches!(house.correct_clock().await.err(), Some(OpenFault::Anchor { .. })));
    // A restored journal that is ahead besides is reopened and corrected in one, and rests.
    let rest = Rest { lasts: Seconds(120), corrects: true };
    let journal = house.start(Start::Reopen(rest, &Given::default())).await.expect("reopens");
    let view = journal.view();
    assert_eq!((view.size, view.time), (size + 1, house.clock.now()));
    assert_eq!(view.state.mints_from, view.time.plus(Seconds(120)));
    journal.close().await;
    house.verify(None).await.expect("verifies");
}
