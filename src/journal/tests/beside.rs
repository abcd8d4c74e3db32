//! S-17: the tables beside the entries have sums. What another hand does to them is refused at the next start, and `verify` names it.

use super::*;

/// Proofs in both tables, a last use, and tables of an earlier time under other names.
async fn spent() -> House {
    let house = House::new();
    let journal = house.furnished().await;
    issue(&journal, 0..3).await;
    journal.close().await;
    house.to_consumed().await;
    house
        .sql(
            "CREATE TABLE earlier_head AS SELECT * FROM head; CREATE TABLE earlier_use AS SELECT * FROM last_use; \
             CREATE TABLE earlier_lately AS SELECT * FROM consumed_lately",
        )
        .await;
    let journal = house.open().await.expect("opens");
    issue(&journal, 3..4).await;
    house.clock.set(1);
    issue(&journal, 4..6).await;
    journal.close().await;
    house.verify(None).await.expect("verifies");
    house.open().await.expect("opens").close().await;
    house
}

fn copied(from: &House, to: &House) {
    for rest in ["journal.db-wal", "journal.db-shm"] {
        let _absent = std::fs::remove_file(to.directory.path().join(rest));
    }
    for name in ["journal.db", "anchor"] {
        std::fs::copy(from.directory.path().join(name), to.directory.path().join(name)).expect("copies");
    }
}

#[tokio::test]
async fn s_17_whatever_is_done_to_a_table_beside_the_entries_is_refused_and_named() {
    const PROOF: &str = "its proof is";
    let whole = spent().await;
    // The table that a start names, and a part of what `verify` says: of proofs that the entries know more than of the sums.
    let cases: [(&str, &str, &'static str); 26] = [
        ("consumed", PROOF, "DELETE FROM consumed WHERE proof = (SELECT min(proof) FROM consumed)"),
        ("consumed", PROOF, "DELETE FROM consumed"),
        ("consumed", PROOF, "UPDATE consumed SET gone_after = gone_after - 1"),
        ("consumed", PROOF, "UPDATE consumed SET gone_after = 0 WHERE proof = (SELECT max(proof) FROM consumed)"),
        ("consumed", "consumed", "INSERT INTO consumed VALUES (randomblob(32), 1999999999)"),
        ("consumed", "consumed", "INSERT INTO consumed VALUES (randomblob(32), 1)"),
        ("consumed", "consumed", "INSERT INTO consumed VALUES (x'01', 1)"),
        (
            "consumed",
            PROOF,
            "UPDATE consumed SET proof = randomblob(32), gone_after = 1 WHERE proof = (SELECT min(proof) FROM consumed)",
        ),
        ("consumed_lately", PROOF, "DELETE FROM consumed_lately"),
        ("consumed_lately", PROOF, "DELETE FROM consumed_lately WHERE first = (SELECT max(first) FROM consumed_lately)"),
        ("consumed_lately", PROOF, "UPDATE consumed_lately SET proofs = CAST(substr(proofs, 1, 39) || x'00' AS BLOB)"),
        ("consumed_lately", "consumed_lately", "UPDATE consumed_lately SET proofs = CAST(proofs || x'00' AS BLOB)"),
        ("consumed_lately", "consumed_lately", "UPDATE consumed_lately SET first = first - 20"),
        ("consumed_lately", "consumed_lately", "INSERT INTO consumed_lately SELECT -1, proofs FROM consumed_lately LIMIT 1"),
        (
            "consumed",
            "consumed",
            "INSERT INTO consumed SELECT substr(proofs, 1, 32), 1796126400 + 300 + 90 FROM consumed_lately WHERE first = 13; \
             DELETE FROM consumed_lately WHERE first = 13",
        ),
        ("last_use", "last_use", "UPDATE last_use SET time = time - 1"),
        ("last_use", "last_use", "UPDATE last_use SET idx = idx - 1"),
        ("last_use", "kept as its client's last token", "DELETE FROM last_use"),
        ("last_use", "last_use", "INSERT INTO last_use VALUES ('globex/other', 1, 1)"),
        ("last_use", "last_use", "UPDATE last_use SET subject = 'globex/other'"),
        ("round", "round", "UPDATE round SET first = first + 1000"),
        ("round", "round", "UPDATE round SET moved = zeroblob(32)"),
        ("round", "round", "DELETE FROM round"),
        // An earlier copy of one table, alone and with the sums of then.
        ("consumed_lately", PROOF, "DELETE FROM consumed_lately; INSERT INTO consumed_lately SELECT * FROM earlier_lately"),
        ("last_use", "last_use", "DELETE FROM last_use; INSERT INTO last_use SELECT * FROM earlier_use"),
        ("head", "head", "UPDATE head SET sums = (SELECT sums FROM earlier_head)"),
    ];
    for (table, told, sql) in cases {
        let house = House::new();
        copied(&whole, &house);
        house.sql(sql).await;
        let fault = house.open().await.err();
        assert!(matches!(fault, Some(OpenFault::Table { table: named, .. }) if named == table), "{sql}: {fault:?}");
        let size = super::spending::rows(&house, "SELECT count(*) FROM entries").await;
        assert_eq!(size, super::spending::rows(&whole, "SELECT count(*) FROM entries").await, "nothing was written");
        let fault = house.verify(None).await.expect_err(sql).to_string();
        assert!(fault.contains(told), "{sql}: {fault}");
    }
}

/// Sums that are bent, cut short, and moved from one table to another.
#[tokio::test]
async fn s_17_sums_that_were_not_made_with_the_kek_fit_nothing() {
    let whole = spent().await;
    let cases = [
        "UPDATE head SET sums = CAST(x'0000' || substr(sums, 3) AS BLOB)",
        "UPDATE head SET sums = CAST(substr(sums, 1, 158) || x'0000' AS BLOB)",
        "UPDATE head SET sums = CAST(substr(sums, 1, 32) || substr(sums, 65, 32) || substr(sums, 33, 32) || substr(sums, 97) AS BLOB)",
        "UPDATE head SET sums = zeroblob(160)",
        "UPDATE head SET sums = CAST(substr(sums, 1, 159) AS BLOB)",
    ];
    for sql in cases {
        let house = House::new();
        copied(&whole, &house);
        house.sql(sql).await;
        let fault = house.open().await.err();
        assert!(matches!(fault, Some(OpenFault::Table { table: "head", .. })), "{sql}: {fault:?}");
        assert!(house.verify(None).await.is_err(), "{sql}");
    }
}

/// A journal of version 4, and one whose sums a hand took away to look like it: all entries prove the tables before sums are made of them.
#[tokio::test]
async fn s_17_an_upgrade_trusts_no_table() {
    let whole = spent().await;
    for before in ["UPDATE head SET sums = x''", "ALTER TABLE head DROP COLUMN sums; UPDATE meta SET version = 4"] {
        for (hand, refused) in [
            ("DELETE FROM consumed WHERE proof = (SELECT min(proof) FROM consumed)", true),
            ("DELETE FROM consumed_lately", true),
            ("UPDATE consumed SET gone_after = 1", true),
            ("UPDATE last_use SET time = time - 1", true),
            ("SELECT 1", false),
            // What is not in the entries: how far the moving has come. It begins anew, and no row goes too early.
            ("UPDATE round SET first = first + 1000, moved = zeroblob(32)", false),
        ] {
            let house = House::new();
            copied(&whole, &house);
            house.sql(before).await;
            house.sql(hand).await;
            let opened = house.open().await;
            if refused {
                let fault = opened.err();
                assert!(
                    matches!(fault, Some(OpenFault::Inconsistent { .. } | OpenFault::Table { .. })),
                    "{before}; {hand}: {fault:?}"
                );
                assert!(house.open().await.is_err(), "nor at the next start");
                continue;
            }
            let journal = opened.expect("opens");
            for n in 0..6 {
                assert!(is_spent(&journal, &format!("proof-{n}")).await);
            }
            assert!(matches!(record(&journal, "proof-0", "again").await, Err(RecordFault::Replayed)));
            record(&journal, "next", "next").await.expect("recorded");
            let size = journal.view().size.cast_signed();
            journal.close().await;
            assert_eq!(super::spending::rows(&house, "SELECT first FROM round WHERE moved IS NULL").await, size - 1);
            assert_eq!(super::spending::rows(&house, "SELECT length(sums) FROM head").await, 160);
            house.verify(None).await.expect("verifies");
            house.open().await.expect("opens").close().await;
        }
    }
}

/// A journal whose entries are examined without being opened is judged in the same way.
#[tokio::test]
async fn s_17_examining_a_journal_checks_its_tables() {
    let house = spent().await;
    let examined = async || open::examine(&house.settings, &House::kek()).await.map(|past| past.is_some());
    assert!(examined().await.expect("holds"));
    house.sql("UPDATE round SET first = first + 1").await;
    assert!(matches!(examined().await, Err(OpenFault::Table { table: "round", .. })));
    house.sql("UPDATE head SET sums = x''").await;
    assert!(examined().await.expect("proved by its entries"));
    house.sql("DELETE FROM consumed").await;
    assert!(matches!(examined().await, Err(OpenFault::Inconsistent { .. })));
}

/// Whatever a commit comes to, the sums are those of what is in the tables: faults, kills, purges, two writers.
#[tokio::test]
async fn s_17_sums_keep_step_with_every_commit() {
    for house in House::each_way() {
        let journal = house.furnished().await;
        let faults = [Fault::BeginFails, Fault::AppendFails, Fault::CommitLost, Fault::CommitKept];
        for (n, fault) in faults.into_iter().enumerate() {
            house.fail(fault);
            let _either = record(&journal, &format!("fails-{n}"), &format!("fails-{n}")).await;
            house.clock.set(n as i64);
            let _either = record(&journal, &format!("then-{n}"), &format!("then-{n}")).await;
            // Both read what the other wrote.
            let other = house.open().await.expect("opens");
            record(&other, &format!("other-{n}"), &format!("other-{n}")).await.expect("recorded");
            issue(&journal, 10 * n..10 * n + 10).await;
            other.close().await;
            house.verify(None).await.expect("verifies");
        }
        journal.close().await;
        house.to_consumed().await;
        // Every slice of what is over is purged.
        let journal = house.open().await.expect("opens");
        for second in 1000..1258 {
            house.clock.set(second);
            make(&journal, revocation_of_token()).await;
        }
        assert_eq!(super::spending::rows(&house, "SELECT count(*) FROM consumed").await, 0);
        journal.close().await;
        house.open().await.expect("opens").close().await;
        house.verify(None).await.expect("verifies");
    }
}

/// A hand at work while a node runs: the node goes on with what it knows, and the next start finds it.
#[tokio::test]
async fn s_17_a_hand_beside_a_running_node_is_found_at_the_next_start() {
    for sql in ["DELETE FROM consumed", "DELETE FROM consumed_lately", "UPDATE round SET moved = zeroblob(32)"] {
        let house = spent().await;
        let journal = house.open().await.expect("opens");
        record(&journal, "before", "before").await.expect("recorded");
        house.sql(sql).await;
        record(&journal, "after", "after").await.expect("recorded");
        journal.close().await;
        assert!(matches!(house.open().await, Err(OpenFault::Table { .. })), "{sql}");
    }
    // One that reads the tables again because another node wrote stops there.
    let house = spent().await;
    let (one, other) = (house.open().await.expect("opens"), house.open().await.expect("opens"));
    record(&one, "one", "one").await.expect("recorded");
    house.sql("DELETE FROM consumed_lately").await;
    record(&other, "other", "other").await.expect_err("stopped");
    assert!(other.health().stopped.is_some());
    one.close().await;
    other.close().await;
    // Of `consumed` it reads nothing again. It goes on with the sum that the head keeps, and never makes one of what lies there.
    let house = spent().await;
    let (one, other) = (house.open().await.expect("opens"), house.open().await.expect("opens"));
    record(&one, "one", "one").await.expect("recorded");
    house.sql("DELETE FROM consumed").await;
    record(&other, "other", "other").await.expect("recorded");
    one.close().await;
    other.close().await;
    assert!(matches!(house.open().await, Err(OpenFault::Table { table: "consumed", .. })));
}
