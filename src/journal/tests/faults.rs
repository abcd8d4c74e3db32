//! The failure table: every write fails, is lost, or dies; then the journal is opened again and verified.

use std::time::Duration;

use super::*;
use crate::domain::reason;
use crate::journal::{StopReason, Unavailable};

const FAILING: [Fault; 3] = [Fault::BeginFails, Fault::AppendFails, Fault::CommitLost];

/// Long enough for a commit, and no answer comes later.
const NEVER: Duration = Duration::from_millis(300);

async fn change(journal: &Journal) -> Result<Committed, Unavailable> {
    let proposal = |_: &_, _| Ok::<_, ()>(Proposal::from(revocation_of_token()));
    journal.change(None, proposal).await.map(|made| made.expect("proposed"))
}

/// Opens again and proves everything.
async fn again(house: &House, size: u64) -> Journal {
    let report = house.verify(None).await.expect("verifies before the start");
    assert_eq!(report.size, size);
    let journal = house.open().await.expect("opens");
    assert_eq!(journal.view().size, size);
    assert_eq!(journal.verify(&House::kek(), None).await.expect("verifies").size, size);
    journal
}

#[tokio::test]
async fn a_record_that_fails_is_not_there_and_may_come_again() {
    for (fault, house) in FAILING.into_iter().flat_map(|fault| House::each_way().map(|house| (fault, house))) {
        let journal = house.furnished().await;
        let size = journal.view().size;
        house.fail(fault);
        let answer = record(&journal, "proof", "1").await;
        assert!(matches!(&answer, Err(RecordFault::Unavailable(why)) if *why == Unavailable::BUSY), "{fault:?}: {answer:?}");
        assert!(!journal.health().writable, "{fault:?}");
        assert!(!is_spent(&journal, "proof").await, "{fault:?}: a failure spends nothing");
        assert_eq!(journal.view().size, size, "{fault:?}");
        assert_eq!(record(&journal, "proof", "1").await.expect("sent again").index(), size, "{fault:?}");
        assert!(journal.health().writable);
        journal.close().await;
        again(&house, size + 1).await;
    }
}

#[tokio::test]
async fn a_change_that_fails_is_not_there_and_may_come_again() {
    for fault in FAILING {
        let house = House::new();
        let journal = house.furnished().await;
        let view = journal.view();
        house.fail(fault);
        assert_eq!(change(&journal).await.map(|made| made.index), Err(Unavailable::BUSY), "{fault:?}");
        assert_eq!((journal.view().size, journal.view().seen), (view.size, view.seen), "{fault:?}");
        assert!(journal.view().state.revoked_tokens.iter().next().is_none(), "{fault:?}");
        assert_eq!(change(&journal).await.expect("sent again").index, view.size, "{fault:?}");
        journal.close().await;
        again(&house, view.size + 1).await;
    }
}

/// A commit that says that it failed and is persisted: whoever asked is told the truth, not a guess.
#[tokio::test]
async fn a_commit_that_was_kept_against_its_own_word_is_answered_as_done() {
    let house = House::new();
    let journal = house.furnished().await;
    let size = journal.view().size;
    house.fail(Fault::CommitKept);
    assert_eq!(record(&journal, "proof", "1").await.expect("settled").index(), size);
    house.fail(Fault::CommitKept);
    assert_eq!(change(&journal).await.expect("settled").index, size + 1);
    assert!(matches!(record(&journal, "proof", "2").await, Err(RecordFault::Replayed)));
    assert_eq!(journal.health().stopped, None);
    journal.close().await;
    again(&house, size + 2).await;
}

/// L-09: an index is given within the transaction, so a crash between giving and writing leaves no hole.
#[tokio::test]
async fn l_09_killed_before_the_commit_nothing_is_there_and_no_index_is_lost() {
    let house = House::new();
    let journal = house.furnished().await;
    let size = journal.view().size;
    house.fail(Fault::KilledBefore);
    assert!(tokio::time::timeout(NEVER, record(&journal, "proof", "1")).await.is_err(), "nothing was answered");
    journal.kill();
    drop(journal);

    let journal = again(&house, size).await;
    assert!(!is_spent(&journal, "proof").await);
    house.fail(Fault::KilledBefore);
    assert!(tokio::time::timeout(NEVER, change(&journal)).await.is_err());
    journal.kill();
    drop(journal);

    let journal = again(&house, size).await;
    assert_eq!(record(&journal, "proof", "1").await.expect("recorded").index(), size);
    assert_eq!(change(&journal).await.expect("made").index, size + 1);
    journal.close().await;
    again(&house, size + 2).await;
}

/// A recorded token that never left is harmless; its proof is spent, so nothing is issued twice for it.
#[tokio::test]
async fn killed_after_the_commit_it_is_there_and_its_proof_is_spent() {
    let house = House::new();
    let journal = house.furnished().await;
    let size = journal.view().size;
    house.fail(Fault::KilledAfter);
    assert!(tokio::time::timeout(NEVER, record(&journal, "proof", "1")).await.is_err());
    journal.kill();
    drop(journal);

    let journal = again(&house, size + 1).await;
    assert!(matches!(record(&journal, "proof", "1").await, Err(RecordFault::Replayed)));
    house.fail(Fault::KilledAfter);
    assert!(tokio::time::timeout(NEVER, change(&journal)).await.is_err());
    journal.kill();
    drop(journal);

    let journal = again(&house, size + 2).await;
    assert_eq!(journal.view().state.revoked_tokens.iter().count(), 1, "the change is in force");
}

/// F-12, S13: no room, no token; what stands stays; with room again it goes on by itself.
#[tokio::test]
async fn f_12_a_full_disk_mints_nothing_and_recovers_with_room() {
    let house = House::new();
    let journal = house.furnished().await;
    house.fail(Fault::DiskFull);
    let mut minted = 0;
    let refused = loop {
        match record(&journal, &format!("proof-{minted}"), &minted.to_string()).await {
            Ok(_) => minted += 1,
            Err(fault) => break fault,
        }
        assert!(minted < 1000, "the disk is never full");
    };
    assert!(matches!(refused, RecordFault::Unavailable(why) if *why.reason() == reason::STORE_UNAVAILABLE), "{refused}");
    assert!(!journal.health().writable);
    let size = journal.view().size;
    for n in 0..5 {
        let fault = record(&journal, "another", &format!("other-{n}")).await.expect_err("no room");
        assert!(matches!(fault, RecordFault::Unavailable(_)), "{fault}");
    }
    assert!(matches!(record(&journal, "proof-0", "replay").await, Err(RecordFault::Replayed)), "what stands is known still");
    assert_eq!(journal.verify(&House::kek(), None).await.expect("what stands holds").size, size);

    house.fail(Fault::DiskRoomy);
    assert_eq!(
        record(&journal, &format!("proof-{minted}"), "late").await.expect("the same proof, nothing spent").index(),
        size
    );
    assert!(journal.health().writable);
    journal.close().await;
    again(&house, size + 1).await;
}

/// S-20: a disk that has room again is known to have it while nobody asks for a token.
#[tokio::test]
async fn s_20_room_that_is_back_is_known_while_nobody_writes() {
    let house = House::new();
    let journal = house.furnished().await;
    house.fail(Fault::DiskFull);
    let mut minted = 0;
    while record(&journal, &format!("proof-{minted}"), &minted.to_string()).await.is_ok() {
        minted += 1;
        assert!(minted < 1000, "the disk is never full");
    }
    // Longer than the store is asked: it is as full as before.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!journal.health().writable);
    house.fail(Fault::DiskRoomy);
    for _ in 0..40 {
        if journal.health().writable {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(journal.health().writable);
    journal.close().await;
}

/// S13 on a disk that is really full: `mount -t tmpfs -o size=1m none DIR`, then `TMPDIR=DIR cargo test --lib s13 -- --ignored`.
#[tokio::test]
#[ignore = "needs TMPDIR on a file system of 1 to 4 MB, and fills it"]
async fn s13_a_full_tmpfs_mints_nothing_and_recovers_with_room() {
    let house = House::new();
    let journal = house.furnished().await;
    let filler = house.directory.path().join("filler");
    let mut file = std::fs::File::create(&filler).expect("makes");
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {
        assert!(file.metadata().expect("reads").len() < 1 << 23, "TMPDIR is not a small file system");
    }
    let mut minted = 0;
    let refused = loop {
        match record(&journal, &format!("proof-{minted}"), &minted.to_string()).await {
            Ok(_) => minted += 1,
            Err(fault) => break fault,
        }
    };
    assert!(matches!(refused, RecordFault::Unavailable(why) if why == Unavailable::BUSY), "{refused}");
    let size = journal.view().size;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!journal.health().writable, "a probe does not take a full disk for one with room");
    assert!(change(&journal).await.is_err());
    assert_eq!(journal.verify(&House::kek(), None).await.expect("what stands holds").size, size);

    drop(file);
    std::fs::remove_file(&filler).expect("removes");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(journal.health().writable && journal.health().anchored, "it recovers by itself");
    let same = format!("proof-{minted}");
    assert_eq!(record(&journal, &same, "late").await.expect("the same proof, nothing spent").index(), size);
    journal.close().await;
    again(&house, size + 1).await;
}

/// L-10: order is by index, and times never fall: a clock that goes back a little is waited for.
#[tokio::test]
async fn l_10_a_clock_that_goes_back_does_not_turn_time_back() {
    let house = House::new();
    let journal = house.furnished().await;
    house.clock.set(100);
    let late = record(&journal, "late", "1").await.expect("recorded");
    house.clock.jump(-30);
    assert_eq!(journal.health().clock, None);
    assert_eq!(journal.now(), fixture::at(100), "no decision is taken before the head's time");
    let next = record(&journal, "next", "2").await.expect("recorded");
    let made = change(&journal).await.expect("made");
    assert_eq!((next.index(), next.time()), (late.index() + 1, late.time()));
    assert_eq!((made.index, made.view.time), (late.index() + 2, late.time()));
    house.clock.set(131);
    assert_eq!(record(&journal, "then", "3").await.expect("recorded").time(), fixture::at(101));
    journal.close().await;
    again(&house, late.index() + 4).await;
}

/// Renewed with every change before it is answered, and else once a second.
#[tokio::test]
async fn the_anchor_follows_each_change_at_once_and_tokens_within_a_second() {
    let house = House::new();
    let journal = house.furnished().await;
    let anchored = || {
        let anchor = crate::journal::key::anchor::Anchor::at(house.directory.path().join("anchor"));
        anchor.read(&journal.signers()).expect("reads").expect("is there")
    };
    for _ in 0..3 {
        let made = change(&journal).await.expect("made");
        let checkpoint = anchored();
        assert_eq!((checkpoint.size, checkpoint.root), (made.index + 1, made.view.root));
    }
    let recorded = record(&journal, "proof", "1").await.expect("recorded");
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!((anchored().size, anchored().root), (recorded.index() + 1, journal.view().root));
    // An anchor that cannot be written is said, and is made up for.
    let next = crate::journal::file::beside(&house.directory.path().join("anchor"));
    std::fs::create_dir(&next).expect("in the way");
    record(&journal, "another", "2").await.expect("recorded");
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert!(!journal.health().anchored);
    std::fs::remove_dir(&next).expect("out of the way");
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert!(journal.health().anchored);
    assert_eq!(anchored().size, recorded.index() + 2);
}

/// As a partner does: again after a 503, with the same proof.
async fn until_recorded(journal: &Journal, proof: &str) -> u64 {
    for _ in 0..100 {
        match record(journal, proof, proof).await {
            Ok(recorded) => return recorded.index(),
            Err(RecordFault::Unavailable(why)) => assert_eq!(why, Unavailable::BUSY),
            Err(fault) => panic!("{fault}"),
        }
    }
    panic!("never recorded")
}

/// Two processes on one database (a mistake, or a slow stop): what carries our MAC is taken in, and there is no fork.
#[tokio::test]
async fn two_nodes_on_one_database_make_one_log() {
    let house = House::new();
    let first = house.furnished().await;
    let second = house.open().await.expect("opens");
    let mut indexes = Vec::new();
    for n in 0..20 {
        let (here, there) = (format!("here-{n}"), format!("there-{n}"));
        let (here, there) = tokio::join!(until_recorded(&first, &here), until_recorded(&second, &there));
        indexes.extend([here, there]);
        assert!(matches!(record(&second, &format!("here-{n}"), "x").await, Err(RecordFault::Replayed)));
    }
    indexes.sort_unstable();
    assert!(indexes.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{indexes:?}");
    let revoked = make(&second, revocation()).await.index;
    let view = first.view();
    assert!(view.seen < Some(revoked), "the first node has not seen it");
    let grant = fixture::granted("late", "late", &view.state, first.now());
    let decided = Box::new(|state: &_, now| fixture::decide("late", "late", state, now));
    let answer = first.record(view.seen, grant, decided).await;
    assert!(matches!(&answer, Err(RecordFault::Refused(refused)) if *refused.reason == reason::REVOKED), "{answer:?}");
    assert!(!matches!(first.health().stopped, Some(StopReason::Foreign { .. })));
    first.close().await;
    second.close().await;
    again(&house, revoked + 1).await;
}

/// F-11, L-07: a store that hangs in a commit keeps nobody waiting, and no process from ending. Work that it did not begin is taken back.
#[tokio::test]
async fn f_11_whoever_waits_for_a_store_that_hangs_is_answered_in_time() {
    let house = House::new();
    let journal = house.furnished().await;
    let size = journal.view().size;
    house.fail(Fault::KilledBefore);
    let begun = std::time::Instant::now();
    let later = async {
        tokio::time::sleep(NEVER).await;
        tokio::join!(record(&journal, "later", "2"), change(&journal), journal.refresh())
    };
    let (first, (second, made, looked)) = tokio::join!(record(&journal, "first", "1"), later);
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(5) && took < Duration::from_secs(7), "{took:?}");
    assert!(matches!(&first, Err(RecordFault::Unavailable(why)) if *why == Unavailable::UNCONFIRMED), "{first:?}");
    assert!(matches!(&second, Err(RecordFault::Unavailable(why)) if *why == Unavailable::BUSY), "{second:?}");
    assert_eq!(made.map(|made| made.index), Err(Unavailable::BUSY));
    assert_eq!(looked, Err(Unavailable::BUSY));
    let begun = std::time::Instant::now();
    journal.close().await;
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    drop(journal);

    let journal = again(&house, size).await;
    for proof in ["first", "later"] {
        assert!(!is_spent(&journal, proof).await, "{proof}");
    }
    assert_eq!(record(&journal, "later", "2").await.expect("recorded").index(), size);
    journal.close().await;
    again(&house, size + 1).await;
}

/// F-11: what the store took back (40001, 40P01) begins again, and after three times the caller is told.
#[tokio::test]
async fn what_the_store_took_back_begins_again() {
    for fault in [Fault::AppendAgain, Fault::CommitAgain] {
        let house = House { step_by_step: true, ..House::new() };
        let journal = house.furnished().await;
        let size = journal.view().size;
        house.fail(fault(2));
        assert_eq!(record(&journal, "proof", "1").await.expect("the third time").index(), size);
        house.fail(fault(2));
        assert_eq!(change(&journal).await.expect("the third time").index, size + 1);
        assert!(journal.health().writable, "nothing is wrong with the store");
        house.fail(fault(3));
        let answer = record(&journal, "another", "2").await;
        assert!(matches!(&answer, Err(RecordFault::Unavailable(why)) if *why == Unavailable::BUSY), "{answer:?}");
        house.fail(fault(3));
        assert_eq!(change(&journal).await.map(|made| made.index), Err(Unavailable::BUSY));
        assert!(!is_spent(&journal, "another").await);
        journal.close().await;
        again(&house, size + 2).await;
    }
}
