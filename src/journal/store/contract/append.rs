//! A committed batch is there, all of it and exactly; any other leaves nothing.

use super::super::row::Outside;
use super::*;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::fault::StoreFault;
use crate::journal::key::kek::BlobName;
use crate::journal::tree::tiles::Tile;

/// Bytes that a careless driver changes: quotes, escapes, other scripts, spaces, and none at all.
const ODD: [&str; 6] = ["{\"a\":\"it's \\\"x\\\"\"}", "{\"ü\":\"\u{1f510} \\u0000\"}", " { } ", "?1 :a $b %s", "\r\n\t", ""];

pub async fn entries_read_back_byte_for_byte(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let long = "x".repeat(65_535);
    let said: Vec<Said> = ODD.iter().chain([&&*long]).map(|body| (ISSUED, "globex/order-sync", *body)).collect();
    for way in WAYS {
        node.write(way, &said, &[]).await;
    }
    let other = Node::on(store, Some(&node)).await;
    for node in [&node, &other] {
        let expected: Vec<&str> = said.iter().chain(&said).map(|(.., body)| *body).collect();
        assert_eq!(node.bodies().await, expected);
        for (index, body) in (0..).zip(expected) {
            assert_eq!(node.reader.body(index).await.expect("reads").as_deref(), Some(body), "{index}");
        }
        assert_eq!(node.reader.body(14).await.expect("reads"), None);
        assert_eq!(node.end().await, node.found());
    }
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    let page = snapshot.page(0).await.expect("reads");
    assert_eq!(page.len(), 14);
    for (row, index) in page.iter().zip(0_u64..) {
        let (body, leaf) = (&row.entry.body, row.entry.leaf);
        assert_eq!((row.entry.index, row.entry.time, leaf), (index, at(0).as_seconds(), Some(leaf_hash(body))));
        let columns = [&row.kind, &row.subject, &row.request, &row.token].map(|column| column.clone().unwrap_or_default());
        let (request, token) = (format!("request-{index}"), format!("token-{index}"));
        assert_eq!(columns, [ISSUED, "globex/order-sync", &*request, &*token]);
    }
}

/// Batches of more rows than one statement takes, and one across the border of a tile.
pub async fn every_batch_has_its_line_and_its_tiles(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let bodies: Vec<String> = (0..300).map(|number| format!("{{\"number\":{number}}}")).collect();
    let said: Vec<Said> = bodies.iter().map(|body| (ISSUED, "globex/order-sync", &**body)).collect();
    let mut lines = Vec::new();
    let mut tiles = Vec::new();
    for part in [0..2, 2..5, 5..205, 205..300] {
        let way = if part.end <= 5 { Way::AtOnce } else { Way::StepByStep };
        let said = &said[part.start..part.end];
        let (batch, _) = node.batch(said, 0);
        lines.push((batch.prior.size, batch.after.size, batch.prior.root, batch.after.root, batch.mac.to_vec()));
        tiles.extend(batch.tiles.iter().map(|tile| (tile.level, tile.index, tile.content.clone())));
        node.write(way, said, &[]).await;
    }
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    let stored = snapshot.batches(0, 300).await.expect("reads");
    let newest = snapshot.newest_batch().await.expect("reads");
    assert_eq!(newest.as_ref(), stored.last());
    let stored: Vec<_> = stored.into_iter().map(|one| (one.first, one.size_after, one.prior_root, one.root, one.mac)).collect();
    assert_eq!(stored, lines);
    assert_eq!(snapshot.batches(3, 205).await.expect("reads").len(), 1, "those that begin in the range");
    assert_eq!(tiles.len(), 1);
    for (level, index, content) in tiles {
        assert_eq!(snapshot.tile(level, index).await.expect("reads").as_ref(), Some(&content));
        assert_eq!(node.reader.tile(&Tile::full(level, index)).await.expect("reads"), Some(content));
        assert_eq!(snapshot.tile(level, index + 1).await.expect("reads"), None);
    }
    let leaves: Vec<_> = bodies[256..].iter().map(|body| leaf_hash(body.as_bytes())).collect();
    assert_eq!(snapshot.leaves(256).await.expect("reads"), leaves);
    assert_eq!(snapshot.outside().await.expect("reads"), Outside::default());
}

/// A text, a key and a proof that stand or fall with a batch.
fn beside() -> Beside {
    let salt = [3; 16];
    let text = TextRow { digest: TextDigest::of(&salt, "Mary"), salt, text: "Mary".to_owned() };
    let blob = crate::journal::key::kek::SealedBlob { name: BlobName::of_journal("a key"), sealed: vec![1, 2, 3] };
    Beside { texts: vec![text], sealed: vec![blob], spent: vec![proof(9, 1000)], ..Beside::default() }
}

async fn assert_nothing_of_it(node: &Node) {
    assert_eq!(node.end().await, node.found());
    assert_eq!(node.bodies().await.len() as u64, node.head.size);
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    assert_eq!(snapshot.outside().await.expect("reads"), Outside::default());
    assert_eq!(snapshot.tile(0, 0).await.expect("reads"), None);
    assert!(snapshot.texts(None).await.expect("reads").is_empty());
    assert_eq!(snapshot.keyring().await.expect("reads"), Some(Vec::new()));
    for number in [8, 9] {
        assert!(!node.reader.is_spent(&proof(number, 1000).0).await.expect("reads"));
    }
}

/// Enough rows that some are sent before the commit, and a tile that they fill.
async fn torn(node: &mut Node) {
    let said: Vec<Said> = (0..300).map(|_| (ISSUED, "globex/order-sync", "{}")).collect();
    let (mut batch, _) = node.batch(&said, 0);
    batch.beside = beside();
    node.writer.begin(&node.head, &[proof(8, 1000)]).await.expect("begins");
    node.writer.append(batch).await.expect("appends");
}

/// The process dies between `append` and `commit`.
pub async fn a_batch_that_is_not_committed_leaves_nothing(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::StepByStep, &[(ISSUED, "globex/order-sync", "{}")], &[]).await;
    torn(&mut node).await;
    let (head, tree) = (node.head.clone(), node.tree.clone());
    drop(node);
    let mut node = Node { head, tree, ..Node::on(store, None).await };
    assert_nothing_of_it(&node).await;
    node.write(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{\"again\":1}")], &[proof(8, 1000)]).await;
    assert_eq!(node.bodies().await, ["{}", "{\"again\":1}"]);
}

pub async fn a_batch_that_is_given_up_leaves_nothing(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{}")], &[]).await;
    torn(&mut node).await;
    node.writer.abort().await.expect("gives up");
    assert_nothing_of_it(&node).await;
    assert!(node.writer.commit().await.is_err(), "there is nothing to commit");
    assert_nothing_of_it(&node).await;
    node.write(Way::StepByStep, &[(ISSUED, "globex/order-sync", "{}")], &[proof(8, 1000)]).await;
}

/// A new epoch, and what is recorded again after it.
pub async fn batches_of_one_commit_stand_or_fall_together(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::StepByStep, &[(ISSUED, "globex/order-sync", "{}")], &[]).await;
    for is_kept in [false, true] {
        let before = (node.head.clone(), node.tree.clone());
        node.writer.begin(&node.head, &[]).await.expect("begins");
        for (number, body) in ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}"].into_iter().enumerate() {
            let (mut batch, tree) = node.batch(&[(CHANGE, "partner:globex", body)], 0);
            if number == 0 {
                batch.beside = Beside { spent: vec![proof(8, 1000)], ..Beside::default() };
            }
            (node.head, node.tree) = (batch.after.clone(), tree);
            node.writer.append(batch).await.expect("appends");
        }
        if is_kept {
            node.writer.commit().await.expect("commits");
        } else {
            node.writer.abort().await.expect("gives up");
            (node.head, node.tree) = before;
            assert_nothing_of_it(&node).await;
        }
    }
    assert_eq!(node.end().await, node.found());
    assert_eq!(node.bodies().await, ["{}", "{\"a\":1}", "{\"b\":2}", "{\"c\":3}"]);
    assert!(node.reader.is_spent(&proof(8, 1000).0).await.expect("reads"));
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    let lines = snapshot.batches(0, 4).await.expect("reads");
    assert_eq!(
        lines.iter().map(|line| (line.first, line.prior_change)).collect::<Vec<_>>(),
        [(0, None), (1, None), (2, Some(1)), (3, Some(2))]
    );
    assert!(snapshot.check_sums(&node.key.sums, &node.head, Checked::All).await.expect("the tables beside them fit"));
    snapshot.end_reading().await.expect("ends");
    node.write(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{\"d\":4}")], &[proof(9, 1000)]).await;
    let other = Node::on(store, Some(&node)).await;
    assert_eq!(other.end().await, node.found());
}

/// Else every statement would be durable by itself.
pub async fn nothing_is_written_without_the_lock(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    for _ in 0..2 {
        let said: Vec<Said> = (0..300).map(|_| (ISSUED, "globex/order-sync", "{}")).collect();
        let (mut batch, _) = node.batch(&said, 0);
        batch.beside = beside();
        let refused: Result<(), StoreFault> = node.writer.append(batch).await;
        assert!(refused.is_err() && node.writer.commit().await.is_err());
        assert_nothing_of_it(&node).await;
        // Nor after the lock was given back.
        node.writer.begin(&node.head, &[]).await.expect("begins");
        node.writer.abort().await.expect("gives up");
    }
}

pub async fn a_store_without_room_writes_nothing_and_goes_on_with_room(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::StepByStep, &[(ISSUED, "globex/order-sync", "{}")], &[]).await;
    let long = "x".repeat(65_535);
    let said: Vec<Said> = (0..100).map(|_| (ISSUED, "globex/order-sync", &*long)).collect();
    for way in WAYS {
        node.writer.limit_room(true).await.expect("limits");
        let (batch, _) = node.batch(&said, 0);
        let outcome = match way {
            Way::AtOnce => node.writer.record(batch, &[proof(8, 1000)]).await.map(drop),
            Way::StepByStep => {
                node.writer.begin(&node.head, &[proof(8, 1000)]).await.expect("begins");
                match node.writer.append(batch).await {
                    Ok(()) => node.writer.commit().await,
                    failed => failed,
                }
            }
        };
        assert!(outcome.is_err(), "{way:?}");
        assert_eq!(node.writer.settle().await.expect("reads"), node.found());
        assert_nothing_of_it(&node).await;
    }
    node.writer.limit_room(false).await.expect("limits");
    node.write(Way::StepByStep, &said, &[proof(8, 1000)]).await;
}
