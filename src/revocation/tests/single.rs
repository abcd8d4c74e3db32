//! Tests of what one server does, is made to do, or is told.

use super::*;

/// A record may allow a million a minute; nobody gets fewer than their own.
#[tokio::test]
async fn a_large_quota_is_what_it_says() {
    let (index, at) = (Index::in_process(), now());
    let mut allowed = 0;
    while admit(&index, "globex/a", 100_000, None, at).await.expect("an answer") == Admission::Taken {
        allowed += 1;
    }
    assert_eq!(allowed, 100_000);
}

/// In one batch everybody gets their own answer, and a server that forgot the scripts spends no proof twice.
#[tokio::test]
async fn t_02_in_a_batch_each_request_has_its_own_answer() {
    let (server, [_, index]) = both();
    let client_of = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.ports[0])).expect("a URL");
    let mut connection = client_of.get_multiplexed_async_connection().await.expect("connects");
    let cuts = vec![token("cut"), line(7)];
    index.rebuild(&snapshot(marker(1, 10), cuts)).await.expect("rebuilt");
    let until = now().plus(Seconds(60));
    for round in 0..4 {
        let () = ::redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.expect("flushed");
        let (mut firsts, mut agains) = (tokio::task::JoinSet::new(), tokio::task::JoinSet::new());
        for n in 0..40 {
            let key = ProofKey(Digest::of(format!("{round}/{n}").as_bytes()));
            let (first, taken, live) = (index.clone(), index.clone(), index.clone());
            firsts.spawn(async move { first.spend_read(&key, until).await });
            agains.spawn(async move {
                let caller = format!("globex/c{round}-{n}");
                assert_eq!(admit(&taken, &caller, 1, None, now()).await, Ok(Admission::Taken), "{round}/{n}");
                let (id, entry, expected) = match n % 3 {
                    0 => ("cut", 9, Liveness::Cut),
                    1 => ("living", 6, Liveness::Cut),
                    _ => ("living", 7, Liveness::Live),
                };
                assert_eq!(liveness(&live, id, entry).await, expected, "{round}/{n}");
                assert!(matches!(admit(&taken, &caller, 1, None, now()).await, Ok(Admission::Exceeded { .. })), "{round}/{n}");
            });
        }
        assert_eq!(firsts.join_all().await, [Ok(true); 40], "round {round}: each proof is the first of its kind");
        agains.join_all().await;
    }
    // A bucket of another type counts as empty, and whoever shares its pipeline notices nothing.
    let strange = ProofKey(Digest::of(b"strange"));
    let () = ::redis::cmd("XADD")
        .arg("carnet:{production}:quota:globex/odd")
        .arg("*")
        .arg("a")
        .arg("b")
        .query_async(&mut connection)
        .await
        .expect("written");
    let (odd, proof) = tokio::join!(admit(&index, "globex/odd", 6, None, now()), index.spend_read(&strange, until));
    assert!(matches!(odd, Ok(Admission::Exceeded { .. })) && proof == Ok(true), "{odd:?} {proof:?}");
}

/// Makes a client of the server, for what others do with it.
async fn beside(server: &Running) -> ::redis::aio::MultiplexedConnection {
    let client = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.ports[0])).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("connects")
}

/// Look-ups of tokens, which nobody meters, fill no place that an admission needs.
#[tokio::test]
async fn a_flood_of_look_ups_refuses_no_admission() {
    let (server, [_, index]) = both();
    index.rebuild(&snapshot(marker(1, 10), vec![])).await.expect("rebuilt");
    assert_eq!(admit(&index, "globex/a", 6, None, now()).await, Ok(Admission::Taken));
    server.signal(0, "-STOP");
    let mut looks = tokio::task::JoinSet::new();
    // The second time, a pipeline is under way and no longer takes places from the queue.
    for _ in 0..2 {
        for _ in 0..1500 {
            let index = index.clone();
            looks.spawn(async move { index.is_cut(&environment(), &"t".parse().expect("an id"), &keys(), 11, now()).await });
        }
        // Until each has its place, or has found none. A turn of the runtime polls some sixty tasks.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    let (admitted, ()) = tokio::join!(admit(&index, "globex/a", 6, None, now()), async { server.signal(0, "-CONT") });
    assert_eq!(admitted, Ok(Admission::Taken));
    let refused = looks.join_all().await.into_iter().filter(Result::is_err).count();
    assert!(refused > 0, "their places are bounded");
}

/// A server that takes no scripts back refuses those who need one, and nobody else in the pipeline.
#[tokio::test]
async fn who_needs_no_script_is_answered_though_none_can_be_loaded() {
    let (server, [_, index]) = both();
    let mut connection = beside(&server).await;
    assert_eq!(admit(&index, "globex/a", 6, None, now()).await, Ok(Admission::Taken));
    let () = ::redis::cmd("SCRIPT").arg("FLUSH").query_async(&mut connection).await.expect("flushed");
    let acl = async |connection: &mut ::redis::aio::MultiplexedConnection, rule: &str| {
        let () = ::redis::cmd("ACL").arg("SETUSER").arg("default").arg(rule).query_async(connection).await.expect("a rule");
    };
    acl(&mut connection, "-script").await;
    let key = ProofKey(Digest::of(b"one"));
    let (admitted, spent) =
        tokio::join!(admit(&index, "globex/a", 6, None, now()), index.spend_read(&key, now().plus(Seconds(60))));
    assert!(admitted.is_err(), "{admitted:?}");
    assert_eq!(spent, Ok(true), "it was done, and its caller is told");
    acl(&mut connection, "+script").await;
    assert_eq!(admit(&index, "globex/a", 6, None, now()).await, Ok(Admission::Taken));
}

/// An error that answers one command is told to its caller alone.
#[tokio::test]
async fn an_error_of_one_command_is_for_its_caller_alone() {
    let (server, [_, index]) = both();
    let mut connection = beside(&server).await;
    assert_eq!(admit(&index, "globex/a", 1, None, now()).await, Ok(Admission::Taken));
    let () = ::redis::cmd("ACL").arg("SETUSER").arg("default").arg("-set").query_async(&mut connection).await.expect("a rule");
    let (key, until) = (ProofKey(Digest::of(b"one")), now().plus(Seconds(60)));
    let (before, spent, after) = tokio::join!(
        admit(&index, "globex/a", 1, None, now()),
        index.spend_read(&key, until),
        admit(&index, "globex/a", 1, None, now())
    );
    assert!(spent.is_err(), "{spent:?}");
    for neighbour in [before, after] {
        assert!(matches!(neighbour, Ok(Admission::Exceeded { .. })), "it writes nothing: {neighbour:?}");
    }
}

/// F-05: a server that stalls is away within a second, and back soon after.
#[tokio::test]
async fn f_05_a_server_that_stands_still_is_away() {
    let (server, [_, index]) = both();
    index.ping().await.expect("answers");
    server.signal(0, "-STOP");
    let started = std::time::Instant::now();
    assert_eq!(admit(&index, "globex/c", 600, None, now()).await, Err(Away::Silent));
    assert_eq!(index.marker(&environment()).await, Err(Away::Silent));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    server.signal(0, "-CONT");
    for _ in 0..40 {
        if index.ping().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    index.ping().await.expect("answers again");
    assert_eq!(index.keeps_all().await, Ok(()));
}

#[tokio::test]
async fn a_place_with_a_password_is_not_printed() {
    let password = Some(zeroize::Zeroizing::new("hunter2".to_owned()));
    let index = Index::redis(Place { password, ..Place::plain("127.0.0.1", 1) }, Arc::new(Machine));
    assert!(!format!("{index:?}").contains("hunter2"));
}

/// S-11: a foreign value in a bucket delays its caller for at most a minute, whatever it is.
#[tokio::test]
async fn s_11_a_bucket_that_holds_no_number_of_ours_fills_again() {
    let (server, [_, index]) = both();
    let client_of = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.ports[0])).expect("a URL");
    let mut connection = client_of.get_multiplexed_async_connection().await.expect("connects");
    let key = "carnet:{production}:quota:globex/a";
    let values = ["banana".to_owned(), "nan".to_owned(), "inf".to_owned(), "1e300".to_owned(), "9".repeat(100_000)];
    for value in values {
        let () = ::redis::cmd("SET").arg(key).arg(&value).query_async(&mut connection).await.expect("written");
        let take = async |at: Timestamp| admit(&index, "globex/a", 6, None, at).await;
        let first = take(now()).await.expect("an answer");
        assert!(matches!(first, Admission::Exceeded { retry_after } if retry_after <= Seconds(10)), "{first:?}");
        let later = take(now().plus(Seconds(60))).await.expect("an answer");
        assert_eq!(later, Admission::Taken);
    }
    let () = ::redis::cmd("DEL").arg(key).query_async(&mut connection).await.expect("deleted");
    let () = ::redis::cmd("LPUSH").arg(key).arg("x").query_async(&mut connection).await.expect("written");
    let quota = admit(&index, "globex/a", 6, None, now()).await.expect("an answer");
    assert!(matches!(quota, Admission::Exceeded { .. }), "{quota:?}");
    let quota = admit(&index, "globex/a", 6, None, now().plus(Seconds(11))).await.expect("an answer");
    assert_eq!(quota, Admission::Taken);
}
