//! Tests of the contract. Every test runs against both stores.

use std::process::{Child, Command, Stdio};

use std::time::Duration;

use super::*;
use crate::domain::state::recent_cuts::Cut;
use crate::domain::state::recent_cuts::CutWhat;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ClientId, IntegrationId};
use crate::domain::value::quota::{Allowance, Operation};

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("bound").port();
        let arguments = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
        let child =
            Command::new("redis-server").args(arguments).stdout(Stdio::null()).spawn().expect("redis-server (make setup)");
        let server = Self { child, port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("redis-server does not answer");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Both stores. The server runs as long as the pair exists.
fn both() -> (Server, [Index; 2]) {
    let server = Server::start();
    let redis = Index::redis(&format!("redis://127.0.0.1:{}/0", server.port)).expect("a URL");
    (server, [Index::in_process(), redis])
}

fn client(id: &str) -> ClientId {
    id.parse().expect("an integration")
}

fn environment() -> EnvironmentName {
    "production".parse().expect("a name")
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds).expect("a time")
}

/// Near the machine's own time, since Redis expires keys by it.
fn now() -> Timestamp {
    time(i64::try_from(std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("in range"))
}

fn marker(epoch: u64, index: u64) -> Marker {
    Marker { epoch, index, root: Digest::of(format!("{epoch}/{index}").as_bytes()), time: now() }
}

/// The lines of a partner and of one of its integrations.
fn keys() -> [RevocationKey; 2] {
    let integration: IntegrationId = "globex/a".parse().expect("an id");
    [RevocationKey::partner(&integration.partner), RevocationKey::integration(&integration)]
}

fn line(index: u64) -> Cut {
    let [key, _] = keys();
    Cut { environment: environment(), what: CutWhat::Before { key, index } }
}

fn token(id: &str) -> Cut {
    let expires = now().plus(Seconds(300));
    Cut { environment: environment(), what: CutWhat::Token { id: id.parse().expect("an id"), expires } }
}

fn snapshot(marker: Marker, cuts: Vec<Cut>) -> Snapshot {
    Snapshot { marker, environments: vec![environment()], cuts }
}

fn update(prior: Marker, marker: Marker, cuts: Vec<Cut>) -> Update {
    Update { environment: environment(), prior, marker, cuts }
}

async fn liveness(index: &Index, id: &str, entry: u64) -> Liveness {
    index.is_cut(&environment(), &id.parse().expect("an id"), &keys(), entry, now()).await.expect("an answer")
}

async fn flush(index: &Index, server: &Server) {
    match index {
        Index::Memory(memory) => memory.flush(),
        Index::Redis(_) => {
            let client = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.port)).expect("a URL");
            let mut connection = client.get_multiplexed_async_connection().await.expect("connects");
            let () = ::redis::cmd("FLUSHALL").query_async(&mut connection).await.expect("flushed");
        }
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
        let old = Marker { time: now().minus(Seconds(6)), ..marker(1, 3) };
        index.rebuild(&snapshot(old, vec![])).await.expect("rebuilt");
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
    for index in stores {
        index.rebuild(&snapshot(marker(1, 3), vec![token("t1")])).await.expect("rebuilt");
        let later = Marker { time: now().plus(Seconds(300 + 119)), ..marker(1, 3) };
        assert_eq!(index.renew(&environment(), &later).await, Ok(Applied::AlreadyThere));
        let at = later.time;
        let id = "t1".parse().expect("an id");
        assert_eq!(index.is_cut(&environment(), &id, &keys(), 1, at).await, Ok(Liveness::Cut), "{index:?}");
        let later = Marker { time: now().plus(Seconds(300 + 125)), ..marker(1, 3) };
        assert_eq!(index.renew(&environment(), &later).await, Ok(Applied::AlreadyThere));
        assert_eq!(index.is_cut(&environment(), &id, &keys(), 1, later.time).await, Ok(Liveness::Live), "{index:?}");
    }
}

async fn admit(index: &Index, caller: &str, size: u32, proof: Option<ProofKey>, at: Timestamp) -> Result<Admission, Away> {
    take(index, (caller, Operation::Exchange), Allowance { size, period: Seconds(60) }, proof, at).await
}

async fn take(
    index: &Index,
    (caller, operation): (&str, Operation),
    allowance: Allowance,
    proof: Option<ProofKey>,
    at: Timestamp,
) -> Result<Admission, Away> {
    let (environment, caller) = (environment(), client(caller));
    let proof = proof.map(|key| Shown { key, spent_until: None });
    index.admit(&Bucket { environment: &environment, caller: &caller, operation, allowance }, proof, at).await
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

/// In one batch everybody gets their own answer, and a server that forgot the scripts spends no proof twice.
#[tokio::test]
async fn t_02_in_a_batch_each_request_has_its_own_answer() {
    let (server, [_, index]) = both();
    let client_of = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.port)).expect("a URL");
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
async fn beside(server: &Server) -> ::redis::aio::MultiplexedConnection {
    let client = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.port)).expect("a URL");
    client.get_multiplexed_async_connection().await.expect("connects")
}

/// Look-ups of tokens, which nobody meters, fill no place that an admission needs.
#[tokio::test]
async fn a_flood_of_look_ups_refuses_no_admission() {
    let (server, [_, index]) = both();
    index.rebuild(&snapshot(marker(1, 10), vec![])).await.expect("rebuilt");
    assert_eq!(admit(&index, "globex/a", 6, None, now()).await, Ok(Admission::Taken));
    server.signal("-STOP");
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
    let (admitted, ()) = tokio::join!(admit(&index, "globex/a", 6, None, now()), async { server.signal("-CONT") });
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
    server.signal("-STOP");
    let started = std::time::Instant::now();
    assert_eq!(admit(&index, "globex/c", 600, None, now()).await, Err(Away::Silent));
    assert_eq!(index.marker(&environment()).await, Err(Away::Silent));
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    server.signal("-CONT");
    for _ in 0..40 {
        if index.ping().await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    index.ping().await.expect("answers again");
    assert_eq!(index.advice().await, Ok(None));
}

#[tokio::test]
async fn checkpoints_are_kept() {
    let (_server, stores) = both();
    for index in stores {
        assert_eq!(index.load_checkpoint().await, Ok(Found::Missing));
        index.store_checkpoint("note").await.expect("stored");
        assert_eq!(index.load_checkpoint().await, Ok(Found::At("note".to_owned())), "{index:?}");
    }
}

#[test]
fn a_url_with_a_password_is_not_printed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let index = Index::redis("redis://:hunter2@127.0.0.1:1/0").expect("a URL");
    assert!(!format!("{index:?}").contains("hunter2"));
    assert!(Index::redis("nonsense").is_err());
}

/// S-11: a foreign value in a bucket delays its caller for at most a minute, whatever it is.
#[tokio::test]
async fn s_11_a_bucket_that_holds_no_number_of_ours_fills_again() {
    let (server, [_, index]) = both();
    let client_of = ::redis::Client::open(format!("redis://127.0.0.1:{}/0", server.port)).expect("a URL");
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

/// An index of many tokens is rebuilt, a portion at a time, and is whole when it is complete.
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
    redis.rebuild(&earlier).await.expect("left as it is");
    let found = redis.marker(&environment()).await.expect("an answer");
    assert!(matches!(&found, Found::At(found) if found.index == 4), "{found:?}");
    assert_eq!(liveness(&redis, "t2", 1).await, Liveness::Cut);
    // Another epoch is another journal, whatever its length.
    redis.rebuild(&snapshot(marker(2, 1), vec![token("t1")])).await.expect("rebuilt");
    assert_eq!(liveness(&redis, "t2", 1).await, Liveness::Live);
}
