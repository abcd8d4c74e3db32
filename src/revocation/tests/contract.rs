//! Tests of the contract that hold over every kind of servers.

use super::*;
use crate::revocation::Kind;

/// Makes the marker at index 3 as old as if no node had renewed it.
async fn age(index: &Index, server: &Running, seconds: u32) {
    let old = Marker { time: now().minus(Seconds(seconds)), ..marker(1, 3) };
    match index {
        Index::Memory(_) => drop(index.rebuild(&snapshot(old, vec![])).await.expect("rebuilt")),
        Index::Redis(_) => drop(server.command(&["HSET", KEY, "time", &old.time.as_seconds().to_string()])),
    }
}

#[tokio::test]
async fn r_07_an_index_that_is_empty_or_old_says_nothing() {
    let (server, stores) = both();
    for index in stores {
        assert_eq!(liveness(&index, "t1", 5).await, Liveness::Unknown, "{index:?}");
        index.rebuild(&snapshot(marker(1, 3), vec![token("t1")])).await.expect("rebuilt");
        assert_eq!(liveness(&index, "t1", 5).await, Liveness::Cut);
        assert_eq!(liveness(&index, "t2", 5).await, Liveness::Live);
        flush(&index, &server).await;
        assert_eq!(liveness(&index, "t1", 5).await, Liveness::Unknown, "{index:?}: empty is not live");
        assert_eq!(index.renew(&environment(), &marker(1, 3)).await, Ok(Applied::Behind));
        index.rebuild(&snapshot(marker(1, 3), vec![])).await.expect("rebuilt");
        age(&index, &server, 6).await;
        assert_eq!(liveness(&index, "t1", 5).await, Liveness::Unknown, "{index:?}: old is not live");
        assert_eq!(index.renew(&environment(), &marker(1, 3)).await, Ok(Applied::AlreadyThere));
        assert_eq!(liveness(&index, "t1", 5).await, Liveness::Live);
    }
}

#[tokio::test]
async fn updates_come_in_order_once_and_lines_only_move_forward() {
    let (_server, stores) = both();
    for index in stores {
        index.rebuild(&snapshot(marker(1, 3), vec![line(10)])).await.expect("rebuilt");
        let first = update(marker(1, 3), marker(1, 12), vec![line(12), token("t9")]);
        assert_eq!(index.apply(&first).await, Ok(Applied::Done), "{index:?}");
        assert_eq!(index.apply(&first).await, Ok(Applied::AlreadyThere), "{index:?}");
        assert_eq!((liveness(&index, "a", 11).await, liveness(&index, "a", 12).await), (Liveness::Cut, Liveness::Live));
        assert_eq!(liveness(&index, "t9", 99).await, Liveness::Cut);
        let back = update(marker(1, 12), marker(1, 13), vec![line(4)]);
        assert_eq!(index.apply(&back).await, Ok(Applied::Done));
        assert_eq!(liveness(&index, "a", 11).await, Liveness::Cut, "{index:?}: a line never moves back");
        let gap = update(marker(1, 20), marker(1, 21), vec![]);
        assert_eq!(index.apply(&gap).await, Ok(Applied::Behind), "{index:?}");
        let ahead = update(marker(1, 3), marker(1, 5), vec![]);
        assert!(matches!(index.apply(&ahead).await, Ok(Applied::Ahead(found)) if found.index == 13), "{index:?}");
        let fork = Marker { root: Digest::of(b"other"), ..marker(1, 13) };
        assert!(matches!(index.renew(&environment(), &fork).await, Ok(Applied::Ahead(_))), "{index:?}");
        assert_eq!(index.renew(&environment(), &marker(2, 20)).await, Ok(Applied::Behind), "{index:?}");
        assert!(matches!(index.marker(&environment()).await, Ok(Found::At(found)) if found.index == 13), "{index:?}");
    }
}

#[tokio::test]
async fn r_16_revoked_tokens_stay_until_they_are_long_expired() {
    let (_server, stores) = both();
    let ended = |id: &str, before: u32| {
        let what = CutWhat::Token { id: id.parse().expect("an id"), expires: now().minus(Seconds(before)) };
        Cut { environment: environment(), what }
    };
    for index in stores {
        index.rebuild(&snapshot(marker(1, 3), vec![ended("t1", 110), ended("t2", 125)])).await.expect("rebuilt");
        assert_eq!(liveness(&index, "t2", 1).await, Liveness::Cut, "{index:?}");
        assert_eq!(index.renew(&environment(), &marker(1, 3)).await, Ok(Applied::AlreadyThere));
        assert_eq!(liveness(&index, "t1", 1).await, Liveness::Cut, "{index:?}");
        assert_eq!(liveness(&index, "t2", 1).await, Liveness::Live, "{index:?}");
    }
}

/// S-9: operations have separate buckets, and a caller of one that fills in an hour is told so.
#[tokio::test]
async fn s_09_buckets_of_an_hour_refill_in_an_hour() {
    let (_server, stores) = both();
    for index in stores {
        let start = now();
        let hourly = Allowance { size: 60, period: Seconds(3600) };
        let take = async |operation, at| take(&index, ("globex/a", operation), hourly, None, at).await.expect("an answer");
        for _ in 0..60 {
            assert_eq!(take(Operation::Enrolment, start).await, Admission::Taken, "{index:?}");
        }
        assert_eq!(take(Operation::Enrolment, start).await, Admission::Exceeded { retry_after: Seconds(60) }, "{index:?}");
        assert_eq!(take(Operation::ElevationRequest, start).await, Admission::Taken, "{index:?}");
        assert_eq!(take(Operation::Enrolment, start.plus(Seconds(60))).await, Admission::Taken, "{index:?}");
        assert!(matches!(take(Operation::Enrolment, start.plus(Seconds(119))).await, Admission::Exceeded { .. }), "{index:?}");
    }
}

#[tokio::test]
async fn quotas_are_buckets_that_refill_evenly() {
    let (_server, stores) = both();
    for index in stores {
        let start = now();
        let take = async |at: Timestamp| admit(&index, "globex/a", 6, None, at).await.expect("an answer");
        for _ in 0..6 {
            assert_eq!(take(start).await, Admission::Taken, "{index:?}");
        }
        assert_eq!(take(start).await, Admission::Exceeded { retry_after: Seconds(10) }, "{index:?}");
        assert_eq!(take(start.plus(Seconds(10))).await, Admission::Taken, "{index:?}");
        assert!(matches!(take(start.plus(Seconds(10))).await, Admission::Exceeded { .. }), "{index:?}");
        let other = admit(&index, "globex/b", 6, None, start).await.expect("an answer");
        assert_eq!(other, Admission::Taken, "{index:?}: one caller's bucket is its own");
    }
}

/// T-02 at this layer: of a hundred at once exactly one is first.
#[tokio::test]
async fn t_02_a_read_spends_a_proof_once() {
    let (_server, stores) = both();
    for index in stores {
        let key = ProofKey(Digest::of(b"proof"));
        let until = now().plus(Seconds(60));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let index = index.clone();
            tasks.spawn(async move { index.spend_read(&key, until).await.expect("an answer") });
        }
        let firsts = tasks.join_all().await.into_iter().filter(|first| *first).count();
        assert_eq!(firsts, 1, "{index:?}");
        assert_eq!(admit(&index, "globex/c", 600, Some(key), now()).await, Ok(Admission::Seen));
        let spent = ProofKey(Digest::of(b"spent"));
        index.spend(&spent, until);
        for _ in 0..100 {
            if admit(&index, "globex/d", 6000, Some(spent), now()).await == Ok(Admission::Seen) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(!index.spend_read(&spent, until).await.expect("an answer"), "{index:?}");
    }
}

/// T-02: a caller that is admitted spends its proof in the same step; one that is over its quota spends nothing.
#[tokio::test]
async fn t_02_a_proof_is_spent_with_the_quota_or_not_at_all() {
    let (_server, stores) = both();
    for index in stores {
        let (at, environment, caller) = (now(), environment(), client("globex/a"));
        let allowance = Allowance { size: 6, period: Seconds(60) };
        let shown =
            |name: &str| Some(Shown { key: ProofKey(Digest::of(name.as_bytes())), spent_until: Some(at.plus(Seconds(60))) });
        let take = async |name: &str| {
            let bucket = Bucket { environment: &environment, caller: &caller, operation: Operation::Introspection, allowance };
            index.admit(&bucket, shown(name), at).await.expect("an answer")
        };
        assert_eq!(take("0").await, Admission::Taken, "{index:?}");
        assert_eq!(take("0").await, Admission::Seen, "{index:?}");
        let again = ProofKey(Digest::of(b"0"));
        assert!(!index.spend_read(&again, at.plus(Seconds(60))).await.expect("an answer"), "{index:?}");
        let outcomes = a_hundred_at_once(&index, shown("1"), at).await;
        let first = outcomes.iter().filter(|outcome| **outcome == Admission::Taken).count();
        assert_eq!((first, outcomes.len()), (1, 100), "{index:?}");
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Admission::Taken | Admission::Seen)), "{outcomes:?}");
        for n in 2..7 {
            assert_eq!(take(&n.to_string()).await, Admission::Taken, "{index:?} {n}");
        }
        assert!(matches!(take("over").await, Admission::Exceeded { .. }), "{index:?}");
        index.give_back(&again);
        let mut given = false;
        for _ in 0..100 {
            given = index.spend_read(&again, at.plus(Seconds(60))).await.expect("an answer");
            if given {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(given, "{index:?}: what was given back may be shown again");
        let over = ProofKey(Digest::of(b"over"));
        assert!(index.spend_read(&over, at.plus(Seconds(60))).await.expect("an answer"), "{index:?}: it was left as it was");
    }
}

async fn a_hundred_at_once(index: &Index, shown: Option<Shown>, at: Timestamp) -> Vec<Admission> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let index = index.clone();
        tasks.spawn(async move {
            let (environment, caller) = (environment(), client("globex/many"));
            let allowance = Allowance { size: 6, period: Seconds(60) };
            let bucket = Bucket { environment: &environment, caller: &caller, operation: Operation::Introspection, allowance };
            index.admit(&bucket, shown, at).await.expect("an answer")
        });
    }
    tasks.join_all().await
}

/// T-02: a copy of a spent proof takes nothing from its owner's bucket, even when that is empty.
#[tokio::test]
async fn t_02_a_proof_that_was_seen_takes_nothing() {
    let (_server, stores) = both();
    for index in stores {
        let at = now();
        let spent = ProofKey(Digest::of(b"spent"));
        let fresh = Some(ProofKey(Digest::of(b"fresh")));
        assert!(index.spend_read(&spent, at.plus(Seconds(60))).await.expect("an answer"), "{index:?}");
        for _ in 0..20 {
            assert_eq!(admit(&index, "globex/a", 6, Some(spent), at).await, Ok(Admission::Seen), "{index:?}");
        }
        for _ in 0..6 {
            assert_eq!(admit(&index, "globex/a", 6, fresh, at).await, Ok(Admission::Taken), "{index:?}");
        }
        let empty = admit(&index, "globex/a", 6, fresh, at).await.expect("an answer");
        assert!(matches!(empty, Admission::Exceeded { .. }), "{index:?}: {empty:?}");
        assert_eq!(admit(&index, "globex/a", 6, Some(spent), at).await, Ok(Admission::Seen), "{index:?}");
    }
}

#[tokio::test]
async fn checkpoints_are_kept() {
    let (_server, stores) = both();
    for index in stores {
        assert_eq!(index.load_checkpoint().await, Ok(Found::Missing));
        assert_eq!(index.store_checkpoint("note", None).await, Ok(true));
        assert_eq!(index.load_checkpoint().await, Ok(Found::At("note".to_owned())), "{index:?}");
        // A node that saw nothing, or an older one, puts nothing in its place.
        for seen in [None, Some("older")] {
            assert_eq!(index.store_checkpoint("older", seen).await, Ok(false), "{index:?}");
        }
        assert_eq!(index.store_checkpoint("newer", Some("note")).await, Ok(true));
        assert_eq!(index.load_checkpoint().await, Ok(Found::At("newer".to_owned())), "{index:?}");
    }
}

async fn flush(index: &Index, server: &Running) {
    match index {
        Index::Memory(memory) => memory.flush(),
        Index::Redis(_) => server.flush(),
    }
}

fn record(number: u8) -> Name {
    Name { kind: Kind::Session, of: Digest::of(&[number]) }
}

#[tokio::test]
async fn a_record_is_put_found_and_taken_out_once() {
    let (_server, stores) = both();
    let lives = Seconds(60);
    for index in stores {
        let (one, other) = (record(1), Name { kind: Kind::Passkey, ..record(1) });
        assert_eq!(index.find(&one, now()).await, Ok(None), "{index:?}");
        assert_eq!(index.put(&one, b"a", (Where::There, lives), now()).await, Ok(false), "{index:?}: nothing is there");
        assert_eq!(index.put(&one, b"a", (Where::New, lives), now()).await, Ok(true));
        assert_eq!(index.put(&one, b"b", (Where::New, lives), now()).await, Ok(false), "{index:?}: it is taken");
        assert_eq!(index.find(&one, now()).await, Ok(Some(b"a".to_vec())));
        assert_eq!(index.find(&other, now()).await, Ok(None), "{index:?}: another kind is another name");
        assert_eq!(index.put(&one, b"\x00\xff", (Where::There, lives), now()).await, Ok(true));
        assert_eq!(index.put(&other, b"c", (Where::Any, lives), now()).await, Ok(true));
        let (a, b, c) = tokio::join!(index.take_out(&one, now()), index.take_out(&one, now()), index.take_out(&one, now()));
        let mut taken: Vec<_> = [a, b, c].into_iter().map(|taken| taken.expect("an answer")).collect();
        taken.sort();
        assert_eq!(taken, [None, None, Some(b"\x00\xff".to_vec())], "{index:?}: one gets it");
        assert_eq!(index.put(&one, b"d", (Where::There, lives), now()).await, Ok(false), "{index:?}: it stays out");
        assert_eq!(index.remove(&other, now()).await, Ok(()));
        assert_eq!(index.remove(&other, now()).await, Ok(()));
        assert_eq!(index.find(&other, now()).await, Ok(None));
    }
}

#[tokio::test]
async fn a_record_ends_with_its_time_and_its_owner_alone_prolongs_it() {
    let (_server, stores) = both();
    for index in stores {
        let one = record(2);
        // Redis has its own clock; the other store has the caller's.
        let later = |seconds: u32| now().plus(Seconds(seconds));
        let pass = async |seconds: u64| tokio::time::sleep(Duration::from_millis(1_000 * seconds + 200)).await;
        assert_eq!(index.put(&one, b"me", (Where::New, Seconds(1)), now()).await, Ok(true));
        assert_eq!(index.hold_on(&one, b"you", Some(Seconds(60)), now()).await, Ok(false), "{index:?}");
        assert_eq!(index.hold_on(&one, b"you", None, now()).await, Ok(false), "{index:?}");
        assert_eq!(index.hold_on(&one, b"me", Some(Seconds(3)), now()).await, Ok(true), "{index:?}");
        pass(1).await;
        assert_eq!(index.find(&one, now()).await, Ok(Some(b"me".to_vec())), "{index:?}: it was prolonged");
        pass(2).await;
        assert_eq!(index.find(&one, later(3)).await, Ok(None), "{index:?}: its time is over");
        assert_eq!(index.hold_on(&one, b"me", Some(Seconds(60)), later(3)).await, Ok(false), "{index:?}");
        assert_eq!(index.put(&one, b"me", (Where::New, Seconds(60)), now()).await, Ok(true));
        assert_eq!(index.hold_on(&one, b"me", None, now()).await, Ok(true));
        assert_eq!(index.find(&one, now()).await, Ok(None), "{index:?}: its owner removed it");
    }
}

/// What somebody else wrote there is no record, whatever it is.
#[tokio::test]
async fn a_value_that_is_no_record_is_none() {
    let (server, [_, index]) = both();
    let one = record(3);
    let key = one.to_string();
    server.command(&["HSET", &key, "a", "b"]);
    assert_eq!(index.find(&one, now()).await, Ok(None));
    assert_eq!(index.hold_on(&one, b"me", None, now()).await, Ok(false));
    assert!(index.take_out(&one, now()).await.is_err());
    assert_eq!(index.remove(&one, now()).await, Ok(()));
    server.command(&["SETRANGE", &key, "600000", "x"]);
    assert_eq!(index.find(&one, now()).await, Ok(None));
    assert_eq!(index.take_out(&one, now()).await, Ok(None));
}

/// Whoever listens hears of a change as it is put in, and of none that was put in before.
#[tokio::test]
async fn news_come_with_a_change_to_whoever_listens() {
    let (server, [_, index]) = both();
    let other = server.index();
    index.rebuild(&snapshot(marker(1, 3), vec![])).await.expect("rebuilt");
    let heard = tokio::sync::watch::Sender::new(0);
    let mut told = heard.subscribe();
    let listens = tokio::spawn({
        let heard = heard.clone();
        async move { other.news(&heard).await }
    });
    let mut last = 3;
    let begun = std::time::Instant::now();
    // Who listens is connected some time after it began.
    while *told.borrow_and_update() == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it hears nothing");
        assert_eq!(index.apply(&update(marker(1, last), marker(1, last + 1), vec![])).await, Ok(Applied::Done));
        last += 1;
        let _heard = tokio::time::timeout(Duration::from_millis(200), told.changed()).await;
    }
    let next = update(marker(1, last), marker(1, last + 1), vec![line(5)]);
    assert_eq!(index.apply(&next).await, Ok(Applied::Done));
    let comes = told.wait_for(|index| *index == last + 1);
    tokio::time::timeout(Duration::from_secs(2), comes).await.expect("it comes").expect("it lives");
    assert_eq!(index.apply(&next).await, Ok(Applied::AlreadyThere));
    index.renew(&environment(), &marker(1, last + 1)).await.expect("renewed");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!told.has_changed().expect("it lives"), "nothing is new");
    listens.abort();
}
