//! Whether the nodes that share a journal fold one state of it.
//!
//! The log proves that all have the same entries, and not that their programs, which may be of two versions, make the same of them. So each
//! node tells with its lease the digests of the last states that it folded, each by the last change in it, and compares them with those of
//! the others that live. Nodes have a common index whenever no change came for a second or two, which is nearly always.
//!
//! A node that folds a state otherwise than at least as many others fold it as agree with it (it agrees with itself) mints nothing and is not
//! ready. So one node of three that differs is put aside, and where one of two does, neither mints: nobody can tell which is right.
//!
//! The digest is made beside the exchanges, at most once for a change, and so seldom that it takes a hundredth of one processor at most.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handle::Journal;
use super::members::{Members, Split};
use super::sequencer::view::Shared;
use super::store::nodes::{FoldedState, KnownNode, Told};
use crate::domain::state::facts::shared_digest;
use crate::domain::value::names::NodeId;

/// How often a node looks whether a change came.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A state that changes all the time is looked at so seldom.
const AT_LEAST_EVERY: Duration = Duration::from_secs(10);

/// The time that a digest took, times this, passes before the next one.
const SELDOM: u32 = 100;

/// The state of one of the nodes that live which others fold otherwise, if that node mints nothing because of it.
pub fn split_of(node: &KnownNode, known: &[KnownNode]) -> Option<Split> {
    node.left?;
    judge(&node.id, &node.folded, known)
}

impl Journal {
    /// The state that other nodes fold otherwise, if this node mints nothing because of it.
    pub fn split(&self) -> Option<Split> {
        self.members().split()
    }

    /// Whether other nodes fold another state.
    pub fn is_split(&self) -> bool {
        self.members().is_split()
    }
}

/// Makes the digests of the states that this node folds, for as long as it has its lease.
pub async fn watch(shared: Arc<Shared>, members: Arc<Members>) {
    let (mut done, mut seen, mut since) = (None, None, Instant::now());
    let mut pause = LOOK_EVERY;
    loop {
        tokio::time::sleep(pause).await;
        pause = LOOK_EVERY;
        let view = shared.view.load_full();
        let is_still = std::mem::replace(&mut seen, view.seen) == view.seen;
        let Some(index) = view.seen.filter(|_| view.seen != done && (is_still || since.elapsed() >= AT_LEAST_EVERY)) else {
            continue;
        };
        let begun = Instant::now();
        let state = Arc::clone(&view.state);
        let Ok(digest) = tokio::task::spawn_blocking(move || shared_digest(&state)).await else { continue };
        members.put_folded(FoldedState { index, digest });
        shared.lease.news.notify_one();
        (done, since) = (view.seen, Instant::now());
        pause = (begun.elapsed() * SELDOM).max(LOOK_EVERY);
    }
}

/// Compares what this node told with what the others that live tell.
pub async fn compare(members: &Members, told: &Told) {
    if told.folded.is_empty() {
        return;
    }
    let known = match members.nodes.lock().await.as_mut() {
        Some(store) => store.all().await,
        None => return,
    };
    // What was found before holds until they can be compared again.
    let Ok(known) = known else { return };
    let split = judge(&told.id, &told.folded, &known);
    if !members.put_split(split.clone()) {
        return;
    }
    match split {
        None => tracing::info!("the nodes that live fold the same state again"),
        Some(Split { index, others }) => {
            let others = others.iter().map(NodeId::as_str).collect::<Vec<_>>().join(", ");
            tracing::error!(index, %others, "other nodes fold another state of the journal: nothing is minted");
        }
    }
}

/// The newest state of this node that others tell of too, if not most of them fold the same.
fn judge(own: &NodeId, folded: &[FoldedState], known: &[KnownNode]) -> Option<Split> {
    let others: Vec<&KnownNode> = known.iter().filter(|node| node.id != *own && node.left.is_some()).collect();
    let (mine, there) = folded.iter().rev().find_map(|mine| {
        let at = |node: &&KnownNode| {
            let theirs = node.folded.iter().find(|theirs| theirs.index == mine.index)?;
            Some((node.id.clone(), theirs.digest == mine.digest))
        };
        let there: Vec<_> = others.iter().filter_map(at).collect();
        (!there.is_empty()).then_some((mine, there))
    })?;
    let (same, differ): (Vec<_>, Vec<_>) = there.into_iter().partition(|(_, same)| *same);
    let differ: Vec<NodeId> = differ.into_iter().map(|(id, _)| id).collect();
    (differ.len() > same.len()).then_some(Split { index: mine.index, others: differ })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::value::digest::Digest;

    fn state(index: u64, text: &str) -> FoldedState {
        FoldedState { index, digest: Digest::of(text.as_bytes()) }
    }

    fn node(id: &str, folded: &[FoldedState], lives: bool) -> KnownNode {
        KnownNode {
            id: id.parse().expect("an id"),
            instance: id.to_owned(),
            version: "1".to_owned(),
            size: 9,
            ahead: 0,
            unready: None,
            format: 1,
            folded: folded.to_vec(),
            left: lives.then_some(5000),
            gone: (!lives).then_some(1000),
            runs: false,
        }
    }

    #[test]
    fn a_node_is_split_off_where_no_more_agree_with_it_than_differ() {
        let own = "sts-1".parse().expect("an id");
        let mine = [state(3, "a"), state(5, "b")];
        let judged = |others: &[KnownNode]| judge(&own, &mine, others);
        let (same, other) = (|id: &str| node(id, &mine, true), |id: &str| node(id, &[state(5, "x")], true));
        assert_eq!(judged(&[]), None);
        assert_eq!(judged(&[same("sts-2")]), None);
        let others = vec!["sts-2".parse().expect("an id")];
        assert_eq!(judged(&[other("sts-2")]), Some(Split { index: 5, others }), "one of two");
        assert_eq!(judged(&[same("sts-2"), other("sts-3")]), None, "two of three");
        assert!(judged(&[other("sts-2"), other("sts-3")]).is_some(), "one of three");
        assert!(judged(&[same("sts-2"), other("sts-3"), other("sts-4")]).is_some(), "two of four");
        // Its own row and that of a node that is gone say nothing, and neither does another index.
        assert_eq!(
            judged(&[other("sts-1"), node("sts-2", &[state(5, "x")], false), node("sts-3", &[state(4, "x")], true)]),
            None
        );
        // The newest that is common counts.
        assert!(judged(&[node("sts-2", &[state(3, "x")], true)]).is_some());
        assert_eq!(judged(&[node("sts-2", &[state(3, "x"), state(5, "b")], true)]), None);
    }

    /// What a node finds of itself, everybody finds of it by what it told.
    #[test]
    fn a_split_is_told_of_the_node_that_lives_and_differs() {
        let mine = [state(5, "b")];
        let nodes = [
            node("sts-1", &mine, true),
            node("sts-2", &mine, true),
            node("sts-3", &[state(5, "x")], true),
            node("sts-4", &[state(5, "y")], false),
        ];
        let words = |node: &KnownNode| split_of(node, &nodes).map(|split| split.to_string());
        assert_eq!(nodes[..2].iter().chain(&nodes[3..]).filter_map(words).collect::<Vec<_>>(), [""; 0]);
        let told = words(&nodes[2]).expect("it differs from two");
        assert!(told.starts_with("after the change 5 this node has another state than sts-1, sts-2: "), "{told}");
    }

    #[test]
    fn what_a_column_holds_is_read_back() {
        let all = [state(3, "a"), state(u64::MAX, "b")];
        assert_eq!(FoldedState::read(&FoldedState::write(&all)), all);
        assert_eq!(FoldedState::read(&FoldedState::write(&all)[..50]), all[..1]);
        assert_eq!(FoldedState::read(b"short"), []);
    }
}
