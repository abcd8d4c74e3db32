//! Side rows stand or fall with their entries: texts, keys, last uses, sums, idempotent requests.

use super::super::snapshot::Checked;
use super::*;
use crate::domain::credential::revocation::Clients;
use crate::domain::value::names::RequestId;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::answers::{Idempotency, KEPT, Sealed};
use crate::journal::fault::OpenFault;
use crate::journal::key::kek::{BlobName, SealedBlob};

pub(super) fn text(said: &str) -> TextRow {
    let salt = [5; 16];
    TextRow { digest: TextDigest::of(&salt, said), salt, text: said.to_owned() }
}

pub(super) fn blob(purpose: &str) -> SealedBlob {
    SealedBlob { name: BlobName::of_journal(purpose), sealed: purpose.as_bytes().to_vec() }
}

pub async fn texts_and_keys_stand_or_fall_with_their_change(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let (mary, raj, odd) = (text("Mary"), text("Raj"), text("it's \u{1f510}\n\"\\"));
    let all = [mary.digest, raj.digest, odd.digest];
    let added = Beside {
        texts: vec![mary.clone(), raj.clone(), odd.clone()],
        sealed: vec![blob("one"), blob("two")],
        ..Beside::default()
    };
    node.change("{}", added).await;
    assert_eq!(node.reader.texts(&all).await.expect("reads").len(), 3);
    assert_eq!(node.reader.texts(&[odd.digest]).await.expect("reads").get(&odd.digest), Some(&odd));
    assert_eq!(node.reader.blob(&blob("one").name).await.expect("reads"), Some(blob("one")));
    // Said again, a text is the same text.
    node.change("{}", Beside { texts: vec![mary.clone()], ..Beside::default() }).await;

    let gone = || Beside { erased: vec![mary.digest], destroyed: vec![blob("one").name], ..Beside::default() };
    let (mut batch, _) = node.batch(&[(CHANGE, "partner:globex", "{}")], 0);
    batch.beside = gone();
    node.writer.begin(&node.head, &[]).await.expect("begins");
    node.writer.append(batch).await.expect("appends");
    node.writer.abort().await.expect("gives up");
    assert_eq!(node.reader.texts(&all).await.expect("reads").len(), 3, "not said, not erased");
    assert!(node.reader.blob(&blob("one").name).await.expect("reads").is_some(), "not said, not destroyed");

    node.change("{}", gone()).await;
    node.writer.scrub().await.expect("nobody reads");
    let left = node.reader.texts(&all).await.expect("reads");
    assert!(left.len() == 2 && !left.contains_key(&mary.digest));
    assert_eq!(node.reader.blob(&blob("one").name).await.expect("reads"), None);
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    assert_eq!(snapshot.keyring().await.expect("reads"), Some(vec![blob("two")]));
    let (mut read, mut after) = (Vec::new(), None);
    loop {
        let page = snapshot.texts(after).await.expect("reads");
        let Some(last) = page.last() else { break };
        after = Some(last.digest);
        read.extend(page.into_iter().map(|one| (TextDigest(one.digest.0), one.said)));
    }
    let mut expected = [raj, odd].map(|row| (row.digest, Some((row.salt, row.text))));
    expected.sort_unstable_by_key(|(digest, _)| digest.0);
    assert_eq!(read, expected, "in the order of their digests");
}

pub async fn the_last_use_of_a_client_is_its_newest_token(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let token = |client| (ISSUED, client, "{}");
    node.write(Way::AtOnce, &[token("globex/a"), token("globex/b"), token("globex/a")], &[]).await;
    node.write_at(Way::StepByStep, &[token("globex/b"), (REFUSED, "globex/a", "{}")], &[], 60).await;
    let said: Vec<Said> = (0..200).map(|_| token("globex/c")).collect();
    node.write_at(Way::StepByStep, &said, &[], 61).await;
    let asked =
        ["globex/b", "globex/a", "globex/c", "globex/nobody"].map(|client| Clients::One(client.parse().expect("a client")));
    let partners = ["globex", "globe"].map(|partner| Clients::Of(partner.parse().expect("a partner")));
    let asked: Vec<Clients> = asked.into_iter().chain(partners).collect();
    let used = node.reader.last_uses(&asked).await.expect("reads");
    assert_eq!(used, [Some(at(60)), Some(at(0)), Some(at(61)), None, Some(at(61)), None], "in the order of the question");
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    let used = snapshot.last_uses().await.expect("reads");
    assert!(used.since.is_empty());
    let used: Vec<_> = used.at_head.iter().map(|last| (&*last.subject, last.index, last.time)).collect();
    assert_eq!(used, [("globex/a", 2, at(0)), ("globex/b", 3, at(60)), ("globex/c", 204, at(61))]);
}

/// After each batch, for its head and its key alone.
pub async fn the_tables_beside_the_entries_have_sums(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    for number in 0..6 {
        let earlier = node.head.clone();
        match number {
            5 => node.change("{}", Beside { spent: vec![proof(50, 1000)], ..Beside::default() }).await,
            _ => {
                let way = WAYS[usize::from(number % 2 == 0)];
                node.write(way, &[(ISSUED, "globex/order-sync", "{}")], &[proof(number, 1000)]).await;
            }
        }
        let mut snapshot = node.reader.snapshot().await.expect("reads");
        for tables in [Checked::All, Checked::InMemory] {
            assert!(snapshot.check_sums(&node.key.sums, &node.head, tables).await.expect("they fit"));
        }
        let other = SumKey::of(&Kek::from_bytes([8; 32]));
        for (key, head) in [(&other, &node.head), (&node.key.sums, &earlier)] {
            let fault = snapshot.check_sums(key, head, Checked::All).await.expect_err("they fit nothing else");
            assert!(matches!(fault, OpenFault::Table { .. }), "{fault}");
        }
    }
}

fn once(key: &[u8]) -> Idempotency {
    Idempotency { person: Digest::of(b"mary"), key: Digest::of(key), fingerprint: Digest::of(b"the same") }
}

fn request(name: &str) -> RequestId {
    name.parse().expect("an id")
}

/// Claims a key for a request, and commits or gives up. Returns whether it was claimed.
async fn claim(node: &mut Node, key: &[u8], name: &str, commits: bool) -> bool {
    node.writer.begin(&node.head, &[]).await.expect("begins");
    let claimed = node.writer.claim(&once(key), &request(name), at(0)).await.expect("claims");
    if claimed && commits {
        let (batch, tree) = node.batch(&[(CHANGE, "partner:globex", "{}")], 0);
        let after = batch.after.clone();
        node.writer.append(batch).await.expect("appends");
        node.writer.commit().await.expect("commits");
        (node.head, node.tree) = (after, tree);
    } else {
        node.writer.abort().await.expect("gives up");
    }
    claimed
}

pub async fn a_key_names_one_request(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let known = async |node: &Node| node.reader.answer(&once(b"key"), at(1)).await.expect("reads");
    assert_eq!(known(&node).await, None);
    assert!(claim(&mut node, b"key", "request-1", false).await);
    assert_eq!(known(&node).await, None, "it falls with its change");
    assert!(claim(&mut node, b"key", "request-2", true).await);
    let found = known(&node).await.expect("begun");
    assert_eq!((found.request, found.finished, found.sealed), (request("request-2"), false, None));
    assert!(!claim(&mut node, b"key", "request-3", true).await, "another request");
    assert!(claim(&mut node, b"key", "request-2", true).await, "the same request goes on");
    assert!(claim(&mut node, b"another", "request-3", true).await, "another key");
    assert_eq!(known(&node).await.expect("begun").request, request("request-2"));
}

/// An answer on its way to its row.
fn sealed(key: &[u8], name: &str, done: bool, answer: Option<&[u8]>) -> Sealed {
    Sealed { once: once(key), request: request(name), seen: 0, done, answer: answer.map(<[u8]>::to_vec) }
}

pub async fn an_answer_is_kept_for_its_time_and_goes_with_an_erasure(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    assert!(claim(&mut node, b"changed", "request-1", true).await);
    let answers = vec![
        sealed(b"changed", "request-1", true, Some(b"changed")),
        sealed(b"told", "request-2", true, Some(b"told")),
        sealed(b"changed", "request-9", true, Some(b"of another request")),
        sealed(b"refused", "request-3", false, Some(b"no change was made for it")),
    ];
    node.writer.keep(answers, at(0)).await.expect("keeps");
    let known = async |node: &Node, key: &[u8], seconds| {
        let known = node.reader.answer(&once(key), at(seconds)).await.expect("reads");
        known.map(|known| (known.request.to_string(), known.finished, known.sealed))
    };
    let last = i64::from(KEPT.0) - 1;
    for seconds in [0, last] {
        assert_eq!(known(&node, b"changed", seconds).await, Some(("request-1".into(), true, Some(b"changed".to_vec()))));
        assert_eq!(known(&node, b"told", seconds).await, Some(("request-2".into(), true, Some(b"told".to_vec()))));
        assert_eq!(known(&node, b"refused", seconds).await, None);
    }
    for key in [&b"changed"[..], b"told"] {
        assert_eq!(known(&node, key, last + 1).await, None, "its time is over");
    }
    // A text is erased, and any answer may have it.
    node.change("{}", Beside { erased: vec![text("Mary").digest], ..Beside::default() }).await;
    assert_eq!(known(&node, b"changed", 1).await, Some(("request-1".into(), true, None)), "that it was done stays known");
    assert_eq!(known(&node, b"told", 1).await, None);
    node.writer.keep(Vec::new(), at(last + 1)).await.expect("keeps");
    assert!(claim(&mut node, b"changed", "request-7", true).await, "a request that was forgotten frees its key");
}
