//! The laws of a store, on PostgreSQL, and what else is a promise of this one.

use std::sync::Arc;

use super::fault::{is_again, is_refused};
use super::server::{address, database};
use super::{Connection, PostgresAddress};
use crate::domain::fixture::Seeded;
use crate::journal::archive::segment::ArchivePlace;
use crate::journal::fault::{OpenFault, RecordFault, StoreFault};
use crate::journal::key::kek::Kek;
use crate::journal::open::examine;
use crate::journal::settings::Location;
use crate::journal::store::Answer;
use crate::journal::store::contract::{CHANGE, Candidate, ISSUED, Node, Said, Way, at, figures, laws, proof};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::keys::StoreKeys;
use crate::journal::store::reader::Reader;
use crate::journal::store::snapshot::Checked;
use crate::journal::store::sums::SumKey;
use crate::journal::store::write::{Tried, Write};
use crate::journal::tests::{House, create_key, is_spent, issue, make, record, revocation};
use proxy::Proxy;

mod data_keys;
mod earlier;
mod nodes;
mod paging;
mod proxy;
mod unconfirmed;

/// A database of its own.
struct Database(PostgresAddress);

impl Database {
    async fn fresh() -> Self {
        let (folder, name) = database().await;
        Self(address(&folder, &name))
    }

    /// A connection of somebody else.
    async fn hand(&self) -> Connection {
        Connection::to(&self.0).await.expect("connects")
    }
}

fn keys() -> StoreKeys {
    StoreKeys::of(&Kek::from_bytes([7; 32]), Arc::new(Seeded::new(1)))
}

impl Candidate for Database {
    fn open<'a>(&'a self, key: &'a SumKey) -> Answer<'a, (Box<dyn Write>, Reader)> {
        Box::pin(async move {
            let keys = StoreKeys { sums: key.clone(), ..keys() };
            let (writer, reader) = super::open(&self.0, true, &keys).await?.expect("made where it is not");
            Ok((Box::new(writer) as Box<dyn Write>, Reader::of(reader)))
        })
    }
}

laws!(Database::fresh().await);

const TOKEN: [Said; 1] = [(ISSUED, "globex/order-sync", "{}")];

/// A node behind a proxy, on a log of one entry, and the database that both speak to.
async fn behind_a_proxy() -> (Arc<Proxy>, Node, Database) {
    let (folder, name) = database().await;
    let (proxy, before) = Proxy::before(&folder).await;
    let mut node = Node::on(&Database(address(&before, &name)), None).await;
    node.write(Way::StepByStep, &TOKEN, &[]).await;
    (proxy, node, Database(address(&folder, &name)))
}

/// The batch is there or not, and the log goes on.
async fn assert_settled(mut node: Node, database: &Database, found: Found) {
    let mut other = Node::on(database, Some(&node)).await;
    assert_eq!(other.end().await, found);
    assert_eq!(other.bodies().await.len() as u64, found.head.size);
    let is_there = found.head != node.head;
    assert_eq!(other.reader.is_spent(&proof(1, 1000).0).await.expect("reads"), is_there);
    if !is_there {
        node.write(Way::StepByStep, &TOKEN, &[proof(1, 1000)]).await;
        (other.head, other.tree) = (node.head.clone(), node.tree.clone());
        other.write(Way::StepByStep, &TOKEN, &[]).await;
        let mut snapshot = other.reader.snapshot().await.expect("reads");
        assert!(snapshot.check_sums(&other.key.sums, &other.head, Checked::All).await.expect("they fit"));
    }
}

/// The batch is on its way while the node settles, and comes to the server after that.
#[tokio::test]
async fn a_batch_that_was_held_up_does_not_come_in_after_it_was_settled() {
    for way in [Way::AtOnce, Way::StepByStep] {
        let (proxy, mut node, database) = behind_a_proxy().await;
        let spends = [proof(1, 1000)];
        match way {
            Way::AtOnce => {
                // All statements are prepared.
                node.write(Way::AtOnce, &TOKEN, &[]).await;
                let (batch, _) = node.batch(&TOKEN, 0);
                let held = proxy.hold();
                assert!(node.writer.record(batch, &spends).await.is_err());
                assert!(node.writer.begin(&node.head, &[]).await.is_err(), "nothing goes on before it is settled");
                assert_eq!(node.writer.settle().await.expect("settles"), node.found());
                held.deliver().await;
            }
            Way::StepByStep => {
                let (batch, _) = node.batch(&TOKEN, 0);
                node.writer.begin(&node.head, &spends).await.expect("begins");
                node.writer.append(batch).await.expect("appends");
                let held = proxy.hold();
                assert!(node.writer.commit().await.is_err());
                // The transaction that holds the lock is ended by its own limit.
                assert_eq!(node.writer.settle().await.expect("settles"), node.found());
                held.deliver().await;
            }
        }
        let found = node.found();
        assert_settled(node, &database, found).await;
    }
}

/// The batch came in, and its answer was lost.
#[tokio::test]
async fn a_batch_that_came_in_counts_although_its_answer_was_lost() {
    let (proxy, mut node, database) = behind_a_proxy().await;
    node.write(Way::AtOnce, &TOKEN, &[]).await;
    let (batch, _) = node.batch(&TOKEN, 0);
    let after = Found { head: batch.after.clone(), rows: batch.after.size };
    proxy.lose_answers();
    assert!(node.writer.record(batch, &[proof(1, 1000)]).await.is_err());
    assert_eq!(node.writer.settle().await.expect("settles"), after);
    assert_settled(node, &database, after).await;
}

#[tokio::test]
async fn a_batch_that_nobody_else_disturbs_is_one_round_trip() {
    let (proxy, mut node, _database) = behind_a_proxy().await;
    node.write(Way::AtOnce, &TOKEN, &[proof(1, 1000)]).await;
    let before = proxy.round_trips();
    for number in 2..12 {
        node.write(Way::AtOnce, &TOKEN, &[proof(number, 1000)]).await;
    }
    assert_eq!(proxy.round_trips() - before, 10);
    let before = proxy.round_trips();
    node.write(Way::StepByStep, &TOKEN, &[proof(20, 1000)]).await;
    let first = proxy.round_trips() - before;
    node.write(Way::StepByStep, &TOKEN, &[proof(21, 1000)]).await;
    let second = proxy.round_trips() - before - first;
    assert_eq!(second, 2, "the lock, and the commit; the first time {first}");
}

/// Whatever the database, its role or its pooler say.
#[tokio::test]
async fn a_batch_has_its_own_limits_and_is_durable() {
    let database = Database::fresh().await;
    let name = database.0.config().get_dbname().expect("a name").to_owned();
    let slack = format!(
        "ALTER DATABASE {name} SET synchronous_commit = off; ALTER DATABASE {name} SET lock_timeout = 0; \
         ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'"
    );
    database.hand().await.client.batch_execute(&slack).await.expect("sets");
    let (mut writer, _reader) = super::open(&database.0, true, &keys()).await.expect("opens").expect("made");
    Write::begin(&mut writer, &Head::empty(), &[]).await.expect("begins");
    let shown = async |connection: &mut Connection, name| {
        let row = connection.one("SELECT current_setting($1)", &[&name]).await.expect("shows");
        row.get::<_, String>(0)
    };
    let connection = writer.connection.as_mut().expect("a connection");
    for (name, value) in [
        ("synchronous_commit", "on"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "1s"),
        ("transaction_isolation", "read committed"),
    ] {
        assert_eq!(shown(connection, name).await, value, "{name}");
    }
    Write::abort(&mut writer).await.expect("gives up");
    let connection = writer.connection.as_mut().expect("a connection");
    assert_eq!(shown(connection, "synchronous_commit").await, "off", "nothing of it stays with the session");
}

/// Who waits too long for the lock is told so, and the next try is another.
#[tokio::test]
async fn a_lock_that_does_not_come_is_a_fault_and_not_for_ever() {
    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    node.write(Way::StepByStep, &TOKEN, &[]).await;
    let hand = database.hand().await;
    hand.client.batch_execute("BEGIN; SELECT 1 FROM head FOR UPDATE").await.expect("locks");
    let begun = std::time::Instant::now();
    let (batch, _) = node.batch(&TOKEN, 0);
    assert!(node.writer.record(batch, &[proof(1, 1000)]).await.is_err());
    assert!(begun.elapsed() < std::time::Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(node.writer.settle().await.expect("the server said that nothing was written"), node.found());
    hand.client.batch_execute("ROLLBACK").await.expect("unlocks");
    node.write(Way::AtOnce, &TOKEN, &[proof(1, 1000)]).await;
}

/// A generation is truncated by one node; the others have what they know of it no longer.
#[tokio::test]
async fn a_generation_is_truncated_between_the_batches_of_all_nodes() {
    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    node.write(Way::StepByStep, &TOKEN, &[proof(1, 100)]).await;
    node.forget_at(10).await;
    node.write_at(Way::AtOnce, &TOKEN, &[proof(2, 300)], 20).await;
    let mut other = Node::on(&database, Some(&node)).await;
    other.write_at(Way::AtOnce, &TOKEN, &[proof(3, 300)], 101).await;
    (node.head, node.tree) = (other.head.clone(), other.tree.clone());
    let generation = async || {
        let rows = database.hand().await.rows("SELECT gone_after FROM spent_0", &[]).await.expect("reads");
        rows.len()
    };
    assert_eq!(generation().await, 1);
    // Somebody reads by pages, and holds nobody up.
    let mut snapshot = other.reader.snapshot().await.expect("reads");
    let before = snapshot.spent(None).await.expect("reads").rows.len();
    node.writer.maintain().await.expect("truncates");
    assert_eq!((before, generation().await), (1, 0));
    assert!(snapshot.check_sums(&other.key.sums, &other.head, Checked::All).await.expect("they fit"));
    snapshot.end_reading().await.expect("ends");
    // The other node's sums are of a row that is no more.
    let (batch, _) = other.batch(&TOKEN, 102);
    assert_eq!(other.writer.record(batch, &[proof(4, 300)]).await.expect("answers"), Tried::Not);
    other.write_at(Way::StepByStep, &TOKEN, &[proof(4, 300)], 102).await;
    let mut snapshot = other.reader.snapshot().await.expect("reads");
    assert!(snapshot.check_sums(&other.key.sums, &other.head, Checked::All).await.expect("they fit"));
    assert!(!other.reader.is_spent(&proof(1, 0).0).await.expect("reads"));
}

/// Rows that another hand changed do not have the sums of the head.
#[tokio::test]
async fn another_hand_in_the_tables_beside_the_entries_is_found() {
    for change in [
        "DELETE FROM spent_0",
        "INSERT INTO spent_1 VALUES ('\\x00', 1, 0)",
        "INSERT INTO spent_1 VALUES ('\\x00', 1, 1000)",
        "UPDATE spent_0 SET first = 1000",
        "UPDATE spent_0 SET gone_after = gone_after + 1",
        "UPDATE last_use SET time = time + 1",
        "DELETE FROM last_use",
        "UPDATE head SET young = 1 - young",
        "UPDATE head SET until_0 = 1",
        "UPDATE head SET sums = ''",
    ] {
        let database = Database::fresh().await;
        let mut node = Node::on(&database, None).await;
        node.write(Way::StepByStep, &TOKEN, &[proof(1, 100)]).await;
        let sound = async || {
            let mut snapshot = node.reader.snapshot().await.expect("reads");
            snapshot.check_sums(&node.key.sums, &node.head, Checked::All).await
        };
        assert!(sound().await.expect("they fit"));
        database.hand().await.client.batch_execute(change).await.expect("changes");
        assert!(sound().await.is_err(), "{change}");
    }
}

#[tokio::test]
async fn faults_are_sorted_by_what_the_server_says_of_the_transaction() {
    let connection = Database::fresh().await.hand().await;
    for (code, again, refused) in [
        ("40001", true, true),
        ("40P01", true, true),
        ("40003", false, false),
        ("23505", false, true),
        ("53100", false, true),
        ("57P01", false, false),
        ("58030", false, false),
        ("08006", false, false),
    ] {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'a reason' USING ERRCODE = '{code}', DETAIL = 'of somebody'; END $$");
        let fault = connection.client.batch_execute(&raise).await.expect_err("raised");
        assert_eq!((is_again(&fault), is_refused(&fault)), (again, refused), "{code}");
        let told = StoreFault::from(fault).to_string();
        assert!(told.contains(code) && told.contains("a reason") && !told.contains("somebody"), "{told}");
    }
    let away = connection.client.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())").await.expect_err("ended");
    assert!(!is_refused(&away) && !is_again(&away));
    let slow = Database::fresh().await.hand().await;
    let late = slow.client.batch_execute("SET statement_timeout = 10; SELECT pg_sleep(5)").await.expect_err("late");
    assert!(matches!(StoreFault::from(late), StoreFault::Late(_)));
}

#[tokio::test]
async fn a_database_that_is_not_ours_is_refused_and_an_empty_one_is_made_when_asked_for() {
    let database = Database::fresh().await;
    let keys = keys();
    assert!(super::open(&database.0, false, &keys).await.expect("looks").is_none());
    assert!(super::read(&database.0, &keys.rows).await.expect("looks").is_none());
    // Nodes that make it at the same time.
    let (one, other) = tokio::join!(super::open(&database.0, true, &keys), super::open(&database.0, true, &keys));
    assert!(one.expect("opens").is_some() && other.expect("opens").is_some());
    let reader = Reader::of(super::read(&database.0, &keys.rows).await.expect("looks").expect("is there"));
    assert!(reader.snapshot().await.is_ok());
    database.hand().await.client.batch_execute("UPDATE meta SET version = 99").await.expect("changes");
    let fault = reader.snapshot().await.err().expect("refused");
    assert!(matches!(&fault, OpenFault::Schema(version) if version == "99"), "{fault}");
}

/// The whole journal on it: made, written by two nodes in turns, proved, and opened again.
#[tokio::test]
async fn a_journal_lives_there() {
    let (folder, name) = database().await;
    let mut house = House::new();
    let segments = house.directory.path().join("journal");
    house.settings.location =
        Location::Postgres { address: Box::new(address(&folder, &name)), segments: ArchivePlace::Folder(segments) };
    house.settings.create = false;
    assert!(matches!(house.open().await.err(), Some(OpenFault::Missing(_))));
    house.settings.create = true;
    assert!(examine(&house.settings, &House::kek()).await.expect("looks").is_none());
    let journal = house.furnished().await;
    issue(&journal, 0..300).await;
    assert!(matches!(record(&journal, "proof-7", "again").await.err(), Some(RecordFault::Replayed)));
    let other = house.open().await.expect("opens");
    for round in 0..4 {
        let (mine, yours) = (format!("mine-{round}"), format!("yours-{round}"));
        record(&journal, &mine, &mine).await.expect("recorded");
        assert!(matches!(record(&other, &mine, "again").await.err(), Some(RecordFault::Replayed)));
        record(&other, &yours, &yours).await.expect("recorded");
        assert!(is_spent(&journal, &yours).await);
        house.clock.set(30 * (round + 1));
    }
    make(&other, revocation()).await;
    journal.refresh().await.expect("follows");
    assert_eq!(journal.view().seen, other.view().seen, "the revocation of the other node");
    let (note, size) = (journal.checkpoint().expect("signs"), journal.view().size);
    journal.close().await;
    other.close().await;
    let report = house.verify(Some(&note)).await.expect("it holds");
    assert_eq!(report.size, size);
    assert!(examine(&house.settings, &House::kek()).await.expect("it holds").is_some());
    let journal = house.open().await.expect("opens");
    assert_eq!(journal.view().size, size);
    assert!(is_spent(&journal, "mine-0").await && !is_spent(&journal, "never").await);
    journal.close().await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn figures_of_a_batch() {
    figures(&Database::fresh().await).await;
}

/// Entries of a request or a rare kind can be found by an index.
#[tokio::test]
async fn queries_can_use_the_index_of_what_they_ask_for() {
    use super::query::{Values, listing};
    use crate::journal::store::query::Query;

    let database = Database::fresh().await;
    let mut node = Node::on(&database, None).await;
    node.write_at(Way::StepByStep, &[(CHANGE, "partner:globex", "{}")], &[], 0).await;
    let connection = database.hand().await;
    connection.client.batch_execute("SET enable_seqscan = off; SET plan_cache_mode = force_custom_plan").await.expect("sets");
    let request = Query { request_id: Some("r".parse().expect("an id")), ..Query::default() };
    let kind = Query { kind: Some("key.retired".to_owned()), since: Some(at(0)), ..Query::default() };
    let changes = Query { changes_alone: true, ..Query::default() };
    for (query, index) in [(request, "entries_request"), (kind, "entries_kind"), (changes, "entries_changes")] {
        let text = format!("EXPLAIN {}", listing(&query));
        let rows = connection.client.query(&text, &Values::of(&query, 10).bound()).await.expect("a plan");
        let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{query:?}: {plan:?}");
    }
}
