//! Tests of the contract that hold over every kind of servers.

use super::*;

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
