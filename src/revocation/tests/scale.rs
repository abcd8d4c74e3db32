//! What a large index costs. Not among the tests that run each time.

use std::time::Instant;

use super::*;

const TOKENS: usize = 1_000_000;

/// A million revocations: the time of a rebuild, the longest call, and what exchanges of another environment notice of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes half a minute, and measures: cargo test --lib revocation::tests::scale -- --ignored --nocapture"]
async fn a_million_revocations_are_rebuilt_while_others_exchange() {
    let (server, [_, redis]) = both();
    server.command(&["CONFIG", "SET", "slowlog-log-slower-than", "5000"]);
    server.command(&["CONFIG", "SET", "slowlog-max-len", "1000"]);
    let cuts: Vec<Cut> = (0..TOKENS).map(|number| token(&format!("01JABCDEFGHJKMNPQRSTVW{number:08}"))).collect();
    let all = snapshot(marker(1, 3), cuts);
    let elsewhere: EnvironmentName = "sandbox".parse().expect("a name");
    for round in ["into nothing", "over a million"] {
        server.command(&["SLOWLOG", "RESET"]);
        server.command(&["CONFIG", "RESETSTAT"]);
        let (index, all) = (server.index(), all.clone());
        let begun = Instant::now();
        let rebuild = tokio::spawn(async move { (index.rebuild(&all).await, begun.elapsed()) });
        let (mut waits, caller) = (Vec::new(), client("globex/a"));
        let allowance = Allowance { size: 10_000_000, period: Seconds(60) };
        while !rebuild.is_finished() {
            let bucket = Bucket { environment: &elsewhere, caller: &caller, operation: Operation::Exchange, allowance };
            let asked = Instant::now();
            assert_eq!(redis.admit(&bucket, None, now()).await, Ok(Admission::Taken));
            waits.push(asked.elapsed());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (outcome, took) = rebuild.await.expect("ends");
        assert_eq!(outcome, Ok(Rebuilt::Done), "{round}");
        assert_eq!(liveness(&redis, "01JABCDEFGHJKMNPQRSTVW00000001", 9).await, Liveness::Cut);
        waits.sort();
        let part = |share: usize| waits[(waits.len() - 1) * share / 1000];
        let slow = server.command(&["SLOWLOG", "LEN"]);
        println!(
            "{round}: {took:?}; {} admissions of another environment: p50 {:?}, p99 {:?}, max {:?}; calls of 5 ms or more: {slow}",
            waits.len(),
            part(500),
            part(990),
            part(1000),
        );
        let spent = server.command(&["INFO", "commandstats"]);
        println!("{}", spent.lines().find(|line| line.starts_with("cmdstat_evalsha:")).expect("calls"));
        assert!(took < Duration::from_secs(30), "{round}: {took:?}");
        // By the wall: on a machine that does more than this, a call also waits for its processor.
        assert!(slow.parse::<usize>().expect("a number") * 100 <= TOKENS / super::super::scripts::PIECE, "{round}: {slow}");
    }
}
