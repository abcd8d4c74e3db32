//! A proof is spent once, wherever it lies and whoever writes.

use super::*;
use crate::journal::sqlite::spent;

async fn replayed(journal: &Journal, jti: &str) -> bool {
    match record(journal, jti, &format!("again-{jti}")).await {
        Ok(_) => false,
        Err(RecordFault::Replayed) => true,
        Err(fault) => panic!("{fault}"),
    }
}

pub async fn rows(house: &House, text: &'static str) -> i64 {
    use sqlx::{ConnectOptions as _, Row as _};
    let mut connection = crate::journal::sqlite::schema::reader(&house.database()).connect().await.expect("connects");
    sqlx::query(text).fetch_one(&mut connection).await.expect("reads").get(0)
}

/// As if its round were over, while the broker is down; then over a restart, and within one second of it.
#[tokio::test]
async fn t_02_a_proof_in_either_table_is_spent() {
    for house in House::each_way() {
        let journal = house.furnished().await;
        issue(&journal, 0..1).await;
        issue(&journal, 1..3).await;
        journal.close().await;
        house
            .sql(
                "INSERT INTO consumed SELECT substr(proofs, 1, 32), 4102444800 FROM consumed_lately ORDER BY first LIMIT 1; \
                 DELETE FROM consumed_lately WHERE first = (SELECT min(first) FROM consumed_lately)",
            )
            .await;
        house.sums_fit().await;
        let journal = house.open().await.expect("opens");
        // The first batch of a second goes step by step.
        for round in 0..2 {
            record(&journal, &format!("new-{round}"), &format!("new-{round}")).await.expect("recorded");
            for jti in ["proof-0", "proof-1", "proof-2", "new-0"] {
                assert!(is_spent(&journal, jti).await, "{jti}");
                assert!(replayed(&journal, jti).await, "{jti} in round {round}");
            }
            assert!(!is_spent(&journal, "never").await);
        }
        let size = journal.view().size;
        journal.close().await;
        assert_eq!(rows(&house, "SELECT count(*) FROM entries").await.unsigned_abs(), size, "a replay writes nothing");
    }
}

/// Two processes at one journal, in turns: what one spent the other refuses, and says so at once.
#[tokio::test]
async fn t_02_two_writers_spend_a_proof_once() {
    for house in House::each_way() {
        let one = house.furnished().await;
        let other = house.open().await.expect("opens");
        for round in 0..4 {
            let (mine, yours) = (format!("mine-{round}"), format!("yours-{round}"));
            record(&one, &mine, &mine).await.expect("recorded");
            assert!(is_spent(&other, &mine).await, "read by the one that does not know it yet");
            assert!(replayed(&other, &mine).await);
            record(&other, &yours, &yours).await.expect("recorded");
            assert!(is_spent(&one, &yours).await);
            assert!(replayed(&one, &yours).await && replayed(&one, &mine).await);
        }
        one.close().await;
        other.close().await;
        assert_eq!(rows(&house, "SELECT count(*) FROM entries WHERE kind = 'issued'").await, 8);
        house.verify(None).await.expect("verifies");
    }
}

/// More than memory holds: proofs move with the commits of others, stay spent, and the rows that told of them go.
#[tokio::test]
async fn proofs_move_to_their_table_and_stay_spent() {
    let house = House::new();
    let journal = house.furnished().await;
    journal.close().await;
    // As many rows as tokens of five busy seconds leave, with keys of nobody.
    house
        .sql(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 33600) \
             INSERT INTO consumed_lately SELECT -i, CAST(randomblob(32) || x'00000000F4865700' AS BLOB) FROM n",
        )
        .await;
    house.sums_fit().await;
    let journal = house.open().await.expect("opens");
    record(&journal, "first", "first").await.expect("recorded");
    let moved = rows(&house, "SELECT count(*) FROM consumed").await;
    assert_eq!(moved as usize, (33_601 - spent::MOST) / spent::STEP * spent::STEP);
    issue(&journal, 0..300).await;
    assert!(rows(&house, "SELECT count(*) FROM consumed").await > moved);
    for jti in ["first", "proof-0", "proof-299"] {
        assert!(is_spent(&journal, jti).await && replayed(&journal, jti).await, "{jti}");
    }
    journal.close().await;
    let journal = house.open().await.expect("opens");
    for jti in ["first", "proof-0", "proof-299"] {
        assert!(is_spent(&journal, jti).await && replayed(&journal, jti).await, "{jti} after a restart");
    }
    // The round goes on where it was.
    let moved = rows(&house, "SELECT count(*) FROM consumed").await;
    assert_eq!(rows(&house, "SELECT count(*) FROM consumed WHERE proof <= (SELECT moved FROM round)").await, moved);
    assert_eq!(rows(&house, "SELECT count(*) FROM consumed WHERE proof = (SELECT moved FROM round)").await, 1);
    issue(&journal, 300..301).await;
    assert_eq!(rows(&house, "SELECT count(*) FROM consumed").await, moved + spent::FARTHEST as i64);
    journal.close().await;
    // As if it had come to the last key: the rows of before it began go, and the next begins with the batch that ends it.
    house.sql("UPDATE round SET moved = x'FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF'").await;
    house.sums_fit().await;
    let journal = house.open().await.expect("opens");
    let size = journal.view().size;
    issue(&journal, 301..302).await;
    assert_eq!(rows(&house, "SELECT count(*) FROM consumed_lately WHERE first < 0").await, 0);
    assert_eq!(rows(&house, "SELECT first FROM round").await.unsigned_abs(), size);
    for jti in ["first", "proof-0", "proof-299", "proof-300", "proof-301"] {
        assert!(is_spent(&journal, jti).await && replayed(&journal, jti).await, "{jti} in the next round");
    }
    journal.close().await;
    // S-17: what moved and what went is in the sums, or this start would be refused.
    house.open().await.expect("opens").close().await;
}
