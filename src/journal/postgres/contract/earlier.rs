//! Tables of an earlier version: whoever writes adds what they lack, and nodes of that version go on.

use super::super::schema::{EARLIER, VERSION, WITHOUT_DATA_KEYS};
use super::*;

/// The tables as version 1 made them.
const FIRST: &str = "ALTER TABLE spent_0 DROP COLUMN first; ALTER TABLE spent_1 DROP COLUMN first; \
    ALTER TABLE meta DROP COLUMN expanded; UPDATE meta SET version = 1";

/// Proofs as a node of version 1 spends them.
const BY_FIRST: &str = "UPDATE spent_0 SET first = NULL WHERE first > 3; UPDATE spent_1 SET first = NULL WHERE first > 3";

async fn by_hand(database: &Database, statements: &str) {
    database.hand().await.client.batch_execute(statements).await.expect("runs");
}

async fn check(node: &Node) -> Result<(), OpenFault> {
    let mut snapshot = node.reader.snapshot().await?;
    let head = snapshot.end().await?.expect("a head").head;
    snapshot.check_sums(&node.key.sums, &head, Checked::All).await.map(drop)
}

#[tokio::test]
async fn tables_of_an_earlier_version_are_brought_up_by_whoever_writes() {
    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    node.write(Way::StepByStep, &TOKEN, &[proof(1, 100)]).await;
    by_hand(&database, FIRST).await;
    let reader = Reader::of(super::super::read(&database.0, &keys().rows).await.expect("looks").expect("is there"));
    let fault = reader.snapshot().await.err().expect("whoever reads refuses");
    assert!(matches!(&fault, OpenFault::Schema(version) if version == EARLIER), "{fault}");
    // Two at the same time.
    let keys = keys();
    let (one, other) =
        tokio::join!(super::super::open(&database.0, false, &keys), super::super::open(&database.0, false, &keys));
    assert!(one.expect("opens").is_some() && other.expect("opens").is_some());
    assert!(reader.snapshot().await.is_ok());
    let meta = database.hand().await.one("SELECT version, expanded FROM meta", &[]).await.expect("reads");
    assert_eq!((meta.get::<_, i64>(0), meta.get::<_, Option<i64>>(1)), (1, Some(VERSION)), "a node of version 1 may come back");
    check(&node).await.expect("proofs of version 1 have their sum");
    node.write(Way::StepByStep, &TOKEN, &[proof(2, 100)]).await;
    check(&node).await.expect("and beside those of this one");

    // A program that must know more, or that finds a column less.
    for (change, said) in [("UPDATE meta SET version = 3", "3"), ("UPDATE meta SET version = 2, expanded = 1", EARLIER)] {
        by_hand(&database, change).await;
        let fault = reader.snapshot().await.err().expect("refused");
        assert!(matches!(&fault, OpenFault::Schema(version) if version == said), "{fault}");
    }
    by_hand(&database, "UPDATE meta SET version = 2, expanded = 3").await;
    assert!(reader.snapshot().await.is_ok(), "columns of a later version are no matter");
    // Tables from before the first release: a writer adds nothing to them.
    by_hand(&database, "DROP TABLE data_keys; UPDATE meta SET version = 1, expanded = NULL").await;
    assert!(super::super::open(&database.0, false, &keys).await.expect("connects").is_some());
    let fault = reader.snapshot().await.err().expect("refused");
    assert!(matches!(&fault, OpenFault::Schema(version) if version == WITHOUT_DATA_KEYS), "{fault}");
    let meta = database.hand().await.one("SELECT expanded FROM meta", &[]).await.expect("reads");
    assert_eq!(meta.get::<_, Option<i64>>(0), None);
}

/// Attack: a hand that writes SQL changes proofs and says that a node of version 1 spent them.
#[tokio::test]
async fn proofs_that_a_node_of_an_earlier_version_spent_have_their_sum() {
    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    for number in 1..9 {
        node.write(Way::StepByStep, &TOKEN, &[proof(number, 100)]).await;
    }
    by_hand(&database, BY_FIRST).await;
    check(&node).await.expect("they have their sum");
    node.write(Way::StepByStep, &TOKEN, &[proof(9, 100)]).await;
    check(&node).await.expect("they have their sum");
    for change in [
        "DELETE FROM spent_0 WHERE first IS NULL; DELETE FROM spent_1 WHERE first IS NULL",
        "DELETE FROM spent_0 WHERE first < 3; DELETE FROM spent_1 WHERE first < 3",
        "UPDATE spent_0 SET gone_after = gone_after - 1; UPDATE spent_1 SET gone_after = gone_after - 1",
        "INSERT INTO spent_0 (proof, gone_after) VALUES ('x', 100)",
        "INSERT INTO spent_0 (proof, gone_after, first) VALUES ('x', 100, 1)",
    ] {
        let kept = "CREATE TABLE kept_0 AS TABLE spent_0; CREATE TABLE kept_1 AS TABLE spent_1";
        by_hand(&database, &format!("{kept}; {change}")).await;
        let fault = check(&node).await.expect_err(change);
        assert!(matches!(fault, OpenFault::Table { .. }), "{change}: {fault}");
        let back = "TRUNCATE spent_0, spent_1; INSERT INTO spent_0 TABLE kept_0; INSERT INTO spent_1 TABLE kept_1; DROP TABLE kept_0, kept_1";
        by_hand(&database, back).await;
        check(&node).await.expect("as it was");
    }
}
