//! A proof is spent once, until its time is over.

use super::super::snapshot::Checked;
use super::*;

const TOKEN: [Said; 1] = [(ISSUED, "globex/order-sync", "{}")];

/// Whether each proof can be spent, asked in each way.
async fn assert_spent(node: &mut Node, spent: &[Spent], fresh: &[Spent]) {
    for one in spent {
        assert!(node.reader.is_spent(&one.0).await.expect("reads"));
        let (batch, _) = node.batch(&TOKEN, 0);
        assert_eq!(node.writer.record(batch, &[*one]).await.expect("answers"), Tried::Not);
    }
    for one in fresh {
        assert!(!node.reader.is_spent(&one.0).await.expect("reads"));
    }
    let all: Vec<Spent> = spent.iter().chain(fresh).copied().collect();
    let left = node.writer.begin(&node.head, &all).await.expect("begins").fresh;
    assert_eq!(left, keys(fresh), "as the lock is taken");
    node.writer.abort().await.expect("gives up");
    node.writer.begin(&node.head, &[]).await.expect("begins");
    assert_eq!(node.writer.spend(&all).await.expect("spends"), keys(fresh), "while it is held");
    node.writer.abort().await.expect("gives up");
    assert_eq!(node.end().await, node.found());
}

pub async fn a_proof_is_spent_once(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::AtOnce, &TOKEN, &[proof(1, 1000)]).await;
    node.write(Way::StepByStep, &TOKEN, &[proof(2, 1000)]).await;
    // More than one statement takes.
    let many: Vec<Spent> = (100..400).map(|number| proof(number, 1000)).collect();
    let said: Vec<Said> = many.iter().map(|_| TOKEN[0]).collect();
    node.write(Way::StepByStep, &said, &many).await;
    // As a change spends them that takes time back.
    node.change("{}", Beside { spent: vec![proof(3, 1000)], ..Beside::default() }).await;
    let spent: Vec<Spent> = [1, 2, 3, 100, 399].map(|number| proof(number, 1000)).to_vec();
    assert_spent(&mut node, &spent, &[proof(4, 1000)]).await;
    // The expiry does not belong to the identity of a proof.
    assert_spent(&mut node, &[proof(1, 5), proof(3, 5)], &[]).await;
    assert_spent(&mut Node::on(store, Some(&node)).await, &spent, &[proof(4, 1000)]).await;
}

pub async fn a_proof_is_spent_once_whoever_writes(store: &dyn Candidate) {
    let mut first = Node::on(store, None).await;
    let mut second = Node::on(store, None).await;
    for number in 0..6 {
        let way = WAYS[usize::from(number % 4 < 2)];
        first.write(way, &TOKEN, &[proof(number, 1000)]).await;
        (second.head, second.tree) = (first.head.clone(), first.tree.clone());
        assert_spent(&mut second, &[proof(number, 1000)], &[proof(100, 1000)]).await;
        std::mem::swap(&mut first, &mut second);
    }
}

pub async fn a_batch_that_is_given_up_spends_nothing(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    node.write(Way::AtOnce, &TOKEN, &[]).await;
    let fresh = node.writer.begin(&node.head, &[proof(1, 1000)]).await.expect("begins").fresh;
    assert_eq!(fresh.len(), 1);
    assert_eq!(node.writer.spend(&[proof(2, 1000)]).await.expect("spends").len(), 1);
    node.writer.abort().await.expect("gives up");
    assert_spent(&mut node, &[], &[proof(1, 1000), proof(2, 1000)]).await;
    node.write(Way::AtOnce, &TOKEN, &[proof(1, 1000)]).await;
}

/// Never too early; and none stays for long after the time of all that were spent with it is over.
pub async fn a_proof_is_forgotten_when_its_time_is_over(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let spent: Vec<Spent> = (0..64).map(|number| proof(number, 100 + i64::from(number % 2 == 0))).collect();
    node.change("{}", Beside { spent: spent.clone(), ..Beside::default() }).await;
    for (time, left) in [(100, 64..=64), (101, 32..=64), (102, 0..=0)] {
        node.forget_at(time).await;
        let mut known = 0;
        for (key, until) in &spent {
            let is_spent = node.reader.is_spent(key).await.expect("reads");
            assert!(is_spent || *until < at(time), "it is forgotten too early");
            known += usize::from(is_spent);
        }
        assert!(left.contains(&known), "{known} at {time}");
        let mut snapshot = node.reader.snapshot().await.expect("reads");
        let fit = snapshot.check_sums(&node.key.sums, &node.head, Checked::All).await;
        assert!(fit.expect("sums"), "what went is out of the sums");
    }
}

/// The expiry does not belong to the identity of a proof, however its store sorts proofs by age.
pub async fn a_proof_is_the_same_whenever_it_ends(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let mut other = Node::on(store, None).await;
    node.write(Way::StepByStep, &TOKEN, &[proof(1, 100)]).await;
    for (time, number) in [(10, 2), (20, 3), (30, 4)] {
        node.forget_at(time).await;
        node.write_at(WAYS[usize::from(number % 2 == 0)], &TOKEN, &[proof(number, 200)], time).await;
        for until in [5, 100, 1000] {
            let spent: Vec<Spent> = (1..=number).map(|number| proof(number, until)).collect();
            assert_spent(&mut node, &spent, &[proof(100, 1000)]).await;
            (other.head, other.tree) = (node.head.clone(), node.tree.clone());
            assert_spent(&mut other, &spent, &[proof(100, 1000)]).await;
        }
    }
    node.forget_at(150).await;
    let spent: Vec<Spent> = (2..=4).map(|number| proof(number, 1000)).collect();
    assert_spent(&mut node, &spent, &[]).await;
    (other.head, other.tree) = (node.head.clone(), node.tree.clone());
    assert_spent(&mut other, &spent, &[]).await;
}

pub async fn every_spent_proof_is_read(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    // More than a page, of both kinds.
    let forgotten: Vec<Spent> = (0..2500).map(|number| proof(number, 1000)).collect();
    node.change("{}", Beside { spent: forgotten.clone(), ..Beside::default() }).await;
    let paid: Vec<Spent> = (5000..5003).map(|number| proof(number, 2000)).collect();
    for one in &paid {
        node.write(Way::AtOnce, &TOKEN, &[*one]).await;
    }
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    let (mut read, mut place, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = snapshot.spent(place).await.expect("reads");
        read.extend(page.rows.iter().map(|row| (ProofKey(row.proof), row.until)));
        place = page.next;
        pages += 1;
        if place.is_none() {
            break;
        }
    }
    assert!(pages > 1, "not all at once");
    read.sort_unstable();
    let mut expected: Vec<_> = forgotten.iter().chain(&paid).map(|(key, until)| (*key, until.as_seconds())).collect();
    expected.sort_unstable();
    assert_eq!(read, expected);
}

pub async fn proofs_that_are_asked_for_together_have_each_their_answer(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    // In the table of all proofs.
    node.change("{}", Beside { spent: vec![proof(1, 1000)], ..Beside::default() }).await;
    // Lately: this node has it in memory, another reads the row.
    node.write(Way::AtOnce, &TOKEN, &[proof(2, 1000)]).await;
    let other = Node::on(store, Some(&node)).await;
    for reader in [&node.reader, &other.reader] {
        for [first, second, third] in [[1, 2, 3], [2, 3, 1], [3, 1, 2], [2, 1, 2], [2, 2, 3], [2, 2, 2], [3, 3, 3]] {
            let of = |number: u64| proof(number, 1000).0;
            let keys = [of(first), of(second), of(third)];
            let (a, b, c) = tokio::join!(reader.is_spent(&keys[0]), reader.is_spent(&keys[1]), reader.is_spent(&keys[2]));
            let told = [a, b, c].map(|told| told.expect("reads"));
            assert_eq!(told, [first, second, third].map(|number| number != 3), "{first} {second} {third}");
        }
    }
}
