//! Readers of all of a log hold nobody up, and are held up by nobody: no transaction of theirs stays open.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::journal::evidence::{SILENT, verify_database};
use crate::journal::store::row::Outside;
use crate::journal::tests::paging::{gate, in_postgres};

/// The transactions that have been open in this database for a second or longer.
const OLD: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
    AND xact_start < clock_timestamp() - interval '1 s'";

/// A verification that waits between two pages, a start that waits, and a reading that nobody ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_transaction_of_a_reader_stays_open() {
    let house = in_postgres().await;
    house.with_tokens(300).await;
    let Location::Postgres { address, .. } = house.settings.location.clone() else { panic!("a database") };
    let hand = Database(*address);
    let open = async || hand.hand().await.one(OLD, &[]).await.expect("counts").get::<_, i64>(0);
    let (pause, mut reached, go) = gate();
    let settings = house.settings.clone();
    let proving = tokio::spawn(async move { verify_database(&settings, &House::kek(), None, &pause).await });
    reached.recv().await.expect("it reads");
    let (_writer, reader) = super::super::open(&hand.0, false, &keys()).await.expect("opens").expect("is there");
    let reader = Reader::of(reader);
    let mut snapshot = reader.snapshot().await.expect("reads");
    assert_eq!(snapshot.page(0).await.expect("reads").len(), 256);
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(open().await, 0);
    assert_eq!(snapshot.page(256).await.expect("reads").len(), 54, "it goes on");
    go.send(()).expect("it waits");
    proving.await.expect("no panic").expect("it holds");
    // A transaction of another hand is seen: the question can be answered otherwise.
    let other = hand.hand().await;
    other.client.batch_execute("BEGIN; SELECT 1 FROM head").await.expect("begins");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(open().await, 1);
}

/// The sums fit whatever is written, forgotten and truncated while they are made, and no proof is missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_tables_beside_the_entries_are_summed_while_others_write() {
    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    node.write(Way::StepByStep, &TOKEN, &[proof(1, 100)]).await;
    let ends = Arc::new(AtomicBool::new(false));
    let reading = {
        let (reader, key, ends) = (node.reader.clone(), node.key.sums.clone(), Arc::clone(&ends));
        tokio::spawn(async move {
            let mut rounds = 0;
            while !ends.load(Ordering::Relaxed) {
                let mut snapshot = reader.snapshot().await.expect("reads");
                let head = snapshot.end().await.expect("reads").expect("a head").head;
                match snapshot.check_sums(&key, &head, Checked::All).await {
                    Ok(_) => rounds += 1,
                    // Truncated more often than anybody ever would.
                    Err(OpenFault::Store(StoreFault::Again(_))) => {}
                    Err(fault) => panic!("round {rounds}: {fault}"),
                }
            }
            rounds
        })
    };
    for round in 0..60_i64 {
        let time = 200 * round;
        for number in 0..10_i64 {
            let proof = proof(1000 + (round * 10 + number).unsigned_abs(), time + 150);
            let client = format!("globex/client-{}", (round * 7 + number) % 13);
            node.write_at(Way::AtOnce, &[(ISSUED, &client, "{}")], &[proof], time).await;
        }
        // Each third round: a generation goes, by which no statement of the reader is waited for.
        if round % 3 == 2 {
            node.writer.begin(&node.head, &[]).await.expect("begins");
            node.writer.purge(0, at(time)).await.expect("purges");
            let (batch, tree) = node.batch(&[(CHANGE, "partner:globex", "{}")], time);
            let after = batch.after.clone();
            node.writer.append(batch).await.expect("appends");
            node.writer.commit().await.expect("commits");
            (node.head, node.tree) = (after, tree);
            let _held_up = node.writer.maintain().await;
            node.writer.begin(&node.head, &[]).await.expect("begins");
            node.writer.abort().await.expect("gives up");
        }
    }
    ends.store(true, Ordering::Relaxed);
    let rounds = reading.await.expect("every reading holds");
    assert!(rounds > 10, "{rounds}");
    let left = database.hand().await.rows("SELECT 1 FROM spent_0 UNION ALL SELECT 1 FROM spent_1", &[]).await.expect("reads");
    assert!(left.len() < 500, "generations went: {} proofs are left", left.len());
}

/// Rows of no place in the log are counted, whatever the size of the log is by now.
#[tokio::test]
async fn rows_outside_of_the_log_are_counted() {
    for (change, outside) in [
        ("UPDATE entries SET idx = -1 WHERE idx = 1", Outside { entries: 1, ..Outside::default() }),
        ("UPDATE batches SET first = -1 WHERE first = 1", Outside { batches: 1, ..Outside::default() }),
        ("UPDATE batches SET first = 2000 WHERE first = 1", Outside { batches: 1, ..Outside::default() }),
        ("UPDATE tiles SET level = -1", Outside { tiles: 1, ..Outside::default() }),
        ("UPDATE tiles SET level = 7", Outside { tiles: 1, ..Outside::default() }),
        ("UPDATE tiles SET idx = -1", Outside { tiles: 1, ..Outside::default() }),
        ("UPDATE tiles SET idx = 1", Outside { tiles: 1, ..Outside::default() }),
        ("UPDATE tiles SET level = 1", Outside { tiles: 1, ..Outside::default() }),
        ("UPDATE batches SET mac = ''", Outside::default()),
    ] {
        let database = Database::fresh().await;
        let mut node = Node::on(&database, None).await;
        node.write(Way::StepByStep, &TOKEN, &[]).await;
        let many: Vec<Said> = (0..300).map(|_| TOKEN[0]).collect();
        node.write(Way::StepByStep, &many, &[]).await;
        database.hand().await.client.batch_execute(change).await.expect("changes");
        let mut snapshot = node.reader.snapshot().await.expect("reads");
        assert_eq!(snapshot.outside().await.expect("reads"), outside, "{change}");
    }
}

/// A key that came or went after the head is judged by the changes that came with it.
#[tokio::test]
async fn a_journal_verifies_while_its_keys_change() {
    let house = in_postgres().await;
    house.with_tokens(3).await;
    let (journal, ends) = (house.open().await.expect("opens"), Arc::new(AtomicBool::new(false)));
    let proving = {
        let (settings, ends) = (house.settings.clone(), Arc::clone(&ends));
        tokio::spawn(async move {
            let mut proved = 0;
            while !ends.load(Ordering::Relaxed) {
                match verify_database(&settings, &House::kek(), None, SILENT).await {
                    Ok(_) => proved += 1,
                    Err(fault) => assert!(fault.to_string().contains("keys change while they are read"), "{proved}: {fault}"),
                }
            }
            proved
        })
    };
    for number in 2..80 {
        let mut key = journal.view().state.keys.all().next().expect("a key").key.clone();
        key.kid = format!("key-{number}").parse().expect("an id");
        create_key(&journal, key).await;
    }
    ends.store(true, Ordering::Relaxed);
    assert!(proving.await.expect("every proof holds") > 3);
    journal.close().await;
    house.verify(None).await.expect("it holds");
}
