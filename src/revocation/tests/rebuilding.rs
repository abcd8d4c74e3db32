//! Tests of rebuilds and of updates in pieces.

use super::*;

/// An index of many tokens is rebuilt, a piece at a time, and is whole when it is complete.
#[tokio::test]
async fn an_index_of_many_tokens_is_rebuilt() {
    const TOKENS: usize = 300_000;
    let (_server, stores) = both();
    for index in stores {
        let cuts: Vec<Cut> = (0..TOKENS).map(|number| token(&format!("t{number}"))).chain([line(2)]).collect();
        index.rebuild(&snapshot(marker(1, 3), cuts)).await.expect("rebuilt");
        for number in [0, 9_999, 10_000, TOKENS - 1] {
            assert_eq!(liveness(&index, &format!("t{number}"), 5).await, Liveness::Cut, "{number}");
        }
        assert_eq!(liveness(&index, "another", 5).await, Liveness::Live);
        assert_eq!(liveness(&index, "another", 1).await, Liveness::Cut);
        index.rebuild(&snapshot(marker(1, 4), vec![token("t1")])).await.expect("rebuilt");
        assert_eq!(liveness(&index, "t0", 1).await, Liveness::Live, "nothing is left of the one before");
    }
}

/// A set that lost a member before it was whole does not take the place of the other: readers would miss a cut.
#[tokio::test]
async fn a_set_that_is_not_whole_replaces_nothing() {
    let (server, [_, redis]) = both();
    redis.rebuild(&snapshot(marker(1, 3), vec![token("t1")])).await.expect("rebuilt");
    // The same token twice is one member where two are counted.
    let lost = redis.rebuild(&snapshot(marker(1, 4), vec![token("t2"), token("t2")])).await;
    assert!(matches!(lost, Err(Away::Unexpected)), "{lost:?}");
    let found = redis.marker(&environment()).await.expect("an answer");
    assert!(matches!(&found, Found::At(found) if found.index == 3), "{found:?}");
    assert_eq!(liveness(&redis, "t1", 1).await, Liveness::Cut);
    drop(server);
}

/// I-8: a rebuild that was slow does not put the index back behind what another node acknowledged meanwhile.
#[tokio::test]
async fn i_8_a_slow_rebuild_takes_back_no_later_cut() {
    let (_server, [_, redis]) = both();
    let earlier = snapshot(marker(1, 3), vec![token("t1")]);
    redis.rebuild(&snapshot(marker(1, 4), vec![token("t1"), token("t2")])).await.expect("rebuilt");
    assert_eq!(redis.rebuild(&earlier).await, Ok(Rebuilt::Newer));
    let found = redis.marker(&environment()).await.expect("an answer");
    assert!(matches!(&found, Found::At(found) if found.index == 4), "{found:?}");
    assert_eq!(liveness(&redis, "t2", 1).await, Liveness::Cut);
    // A later epoch is another journal, whatever its length, and an earlier one is none.
    assert_eq!(redis.rebuild(&snapshot(marker(2, 1), vec![token("t1")])).await, Ok(Rebuilt::Done));
    assert_eq!(liveness(&redis, "t2", 1).await, Liveness::Live);
    assert_eq!(redis.rebuild(&snapshot(marker(1, 9), vec![])).await, Ok(Rebuilt::Newer));
    assert_eq!(liveness(&redis, "t1", 1).await, Liveness::Cut);
    // Nor does another root at the same place, which is a fork.
    let fork = Marker { root: Digest::of(b"other"), ..marker(2, 1) };
    assert_eq!(redis.rebuild(&snapshot(fork, vec![])).await, Ok(Rebuilt::Newer));
    assert_eq!(liveness(&redis, "t1", 1).await, Liveness::Cut);
}

const HOLDER: &str = "carnet:{production}:rebuild";

/// One node rebuilds, and another waits until it is done or gone.
#[tokio::test]
async fn a_rebuild_has_one_holder() {
    let (server, [_, redis]) = both();
    redis.rebuild(&snapshot(marker(1, 3), vec![token("t1")])).await.expect("rebuilt");
    assert_eq!(server.command(&["EXISTS", HOLDER]), "0", "it is given back");
    let next = snapshot(marker(1, 4), vec![token("t2")]);
    server.command(&["SET", HOLDER, "another", "PX", "400"]);
    assert_eq!(redis.rebuild(&next).await, Ok(Rebuilt::Held));
    assert_eq!((liveness(&redis, "t1", 5).await, liveness(&redis, "t2", 5).await), (Liveness::Cut, Liveness::Live));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(redis.rebuild(&next).await, Ok(Rebuilt::Done), "its right ended by itself");
    assert_eq!((liveness(&redis, "t1", 5).await, liveness(&redis, "t2", 5).await), (Liveness::Live, Liveness::Cut));
    // No process of ours holds it for ever.
    for value in [&["SET", HOLDER, "x"][..], &["SET", HOLDER, "x", "PX", "99999999"], &["LPUSH", HOLDER, "x"]] {
        server.command(&["DEL", HOLDER]);
        server.command(value);
        assert_eq!(redis.rebuild(&next).await, Ok(Rebuilt::Done), "{value:?}");
    }
}

/// A node whose right ended halfway puts nothing in place, and adds nothing to what its successor builds.
#[tokio::test]
async fn a_rebuild_whose_right_ended_replaces_nothing() {
    let (server, [_, slow]) = both();
    let fast = server.index();
    slow.rebuild(&snapshot(marker(1, 3), vec![token("t1")])).await.expect("rebuilt");
    let many: Vec<Cut> = (0..200_000).map(|number| token(&format!("slow{number}"))).collect();
    let begun = tokio::spawn(async move { slow.rebuild(&snapshot(marker(1, 9), many)).await });
    while server.command(&["EXISTS", "carnet:{production}:revoked:next"]) == "0" {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // As if it had stood still for longer than its right lasts.
    server.command(&["DEL", HOLDER]);
    assert_eq!(fast.rebuild(&snapshot(marker(1, 4), vec![token("t2")])).await, Ok(Rebuilt::Done));
    assert_eq!(begun.await.expect("ends"), Ok(Rebuilt::Held));
    let found = fast.marker(&environment()).await.expect("an answer");
    assert!(matches!(&found, Found::At(found) if found.index == 4), "{found:?}");
    assert_eq!(server.command(&["ZCARD", "carnet:{production}:revoked"]), "1");
    assert_eq!(server.command(&["EXISTS", "carnet:{production}:revoked:next"]), "0");
    assert_eq!(liveness(&fast, "t2", 5).await, Liveness::Cut);
}

/// A change that cuts more than one call puts in is applied in pieces, and its marker moves with the last.
#[tokio::test]
async fn a_large_change_is_applied_in_pieces() {
    let (server, stores) = both();
    for index in stores {
        index.rebuild(&snapshot(marker(1, 3), vec![])).await.expect("rebuilt");
        let cuts: Vec<Cut> = (0..1_201).map(|number| token(&format!("t{number}"))).chain([line(9)]).collect();
        let large = update(marker(1, 3), marker(1, 9), cuts);
        assert_eq!(index.apply(&large).await, Ok(Applied::Done), "{index:?}");
        assert_eq!(index.apply(&large).await, Ok(Applied::AlreadyThere), "{index:?}");
        for (id, entry, expected) in
            [("t0", 9, Liveness::Cut), ("t1200", 9, Liveness::Cut), ("other", 8, Liveness::Cut), ("other", 9, Liveness::Live)]
        {
            assert_eq!(liveness(&index, id, entry).await, expected, "{index:?} {id} {entry}");
        }
        assert!(matches!(index.marker(&environment()).await, Ok(Found::At(found)) if found.index == 9), "{index:?}");
    }
    // While the pieces come, a line is beyond the marker: that is no foreign value, up to the end of the change.
    let redis = server.index();
    server.command(&["HSET", KEY, "ahead", "12"]);
    server.command(&["ZADD", "carnet:{production}:before", "12", "partner:globex"]);
    assert!(matches!(redis.marker(&environment()).await, Ok(Found::At(_))));
    assert_eq!(redis.renew(&environment(), &marker(1, 9)).await, Ok(Applied::AlreadyThere));
    server.command(&["ZADD", "carnet:{production}:before", "13", "partner:globex"]);
    assert!(matches!(redis.marker(&environment()).await, Ok(Found::Strange(_))));
    assert!(matches!(redis.renew(&environment(), &marker(1, 9)).await, Ok(Applied::Strange(_))));
    server.command(&["ZADD", "carnet:{production}:before", "12", "partner:globex"]);
    assert_eq!(redis.apply(&update(marker(1, 9), marker(1, 12), vec![line(12)])).await, Ok(Applied::Done));
    assert_eq!(server.command(&["HEXISTS", KEY, "ahead"]), "0");
}

/// The marker's time is that of Redis, whatever a node says, and never falls.
#[tokio::test]
async fn the_time_of_a_marker_is_that_of_redis() {
    let (server, [_, redis]) = both();
    let time = || server.command(&["HGET", KEY, "time"]).parse::<i64>().expect("a number");
    let is_now = |what: &str| assert!((now().as_seconds() - time()).abs() <= 1, "{what}: {}", time());
    let wrong = |index| Marker { time: now().plus(Seconds(7_000)), ..marker(1, index) };
    redis.rebuild(&snapshot(wrong(3), vec![])).await.expect("rebuilt");
    is_now("rebuilt");
    assert_eq!(redis.apply(&update(marker(1, 3), wrong(4), vec![])).await, Ok(Applied::Done));
    is_now("applied");
    assert_eq!(redis.renew(&environment(), &wrong(4)).await, Ok(Applied::AlreadyThere));
    is_now("renewed");
    // Another server was promoted, whose clock is behind by a little.
    let later = now().as_seconds() + 4;
    server.command(&["HSET", KEY, "time", &later.to_string()]);
    redis.renew(&environment(), &marker(1, 4)).await.expect("renewed");
    assert_eq!(time(), later, "renewed");
    redis.apply(&update(marker(1, 4), marker(1, 5), vec![])).await.expect("applied");
    assert_eq!(time(), later, "applied");
    redis.rebuild(&snapshot(marker(1, 6), vec![])).await.expect("rebuilt");
    assert_eq!(time(), later, "rebuilt");
    // What no reader takes for fresh is no time to keep.
    for strange in [now().as_seconds() + 7_000, i64::MAX, -1] {
        server.command(&["HSET", KEY, "time", &strange.to_string()]);
        redis.renew(&environment(), &marker(1, 6)).await.expect("renewed");
        is_now(&strange.to_string());
    }
}
