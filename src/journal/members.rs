//! The nodes that share a journal, as a handle of it has them.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use super::store::nodes::{FoldedState, Nodes, Told};
use crate::domain::value::names::NodeId;

/// The nodes of a journal as a handle has them. None where it is in a file.
pub struct Members {
    pub nodes: AsyncMutex<Option<Box<dyn Nodes>>>,
    /// Whether there may be others.
    pub is_shared: bool,
    pub own: Mutex<Option<Own>>,
    /// Why this node is not ready, where that is for a reason of its own.
    unready: Mutex<Option<String>>,
    folds: Mutex<Folds>,
    /// Whether other nodes folded another state: kept apart, since every exchange asks.
    is_split: AtomicBool,
}

/// What this node folded, and how that compares.
#[derive(Default)]
struct Folds {
    /// The newest last.
    folded: Vec<FoldedState>,
    split: Option<Split>,
}

/// A state that other nodes fold otherwise.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Split {
    /// The last change in it.
    pub index: u64,
    /// The nodes that have another one there.
    pub others: Vec<NodeId>,
}

/// For operators.
impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<&str> = self.others.iter().map(NodeId::as_str).collect();
        write!(
            f,
            "after the change {} this node has another state than {}: one of the programs is wrong; stop the one whose version is new, and \
             report it",
            self.index,
            others.join(", ")
        )
    }
}

/// The states that a node tells of.
const MOST_FOLDED: usize = 4;

/// This node, once it has joined.
pub struct Own {
    pub told: Told,
    /// Renews its lease, if it has one.
    pub renewing: Option<JoinHandle<()>>,
    /// Makes the digests of what it folds, if it has fellows.
    pub folding: Option<JoinHandle<()>>,
}

impl Members {
    pub fn of(nodes: Option<Box<dyn Nodes>>) -> Arc<Self> {
        let is_shared = nodes.is_some();
        Arc::new(Self {
            nodes: AsyncMutex::new(nodes),
            is_shared,
            own: Mutex::default(),
            unready: Mutex::default(),
            folds: Mutex::default(),
            is_split: AtomicBool::new(false),
        })
    }

    /// Why this node is not ready.
    pub fn unready(&self) -> Option<String> {
        self.unready.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn put_unready(&self, why: Option<String>) {
        *self.unready.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn with_folds<T>(&self, act: impl FnOnce(&mut Folds) -> T) -> T {
        act(&mut self.folds.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The states that this node folded lately, the newest last.
    pub fn folded(&self) -> Vec<FoldedState> {
        self.with_folds(|folds| folds.folded.clone())
    }

    pub fn put_folded(&self, state: FoldedState) {
        self.with_folds(|folds| {
            folds.folded.retain(|one| one.index != state.index);
            folds.folded.push(state);
            let over = folds.folded.len().saturating_sub(MOST_FOLDED);
            folds.folded.drain(..over);
        });
    }

    /// The state that other nodes fold otherwise, if there is one.
    pub fn split(&self) -> Option<Split> {
        self.with_folds(|folds| folds.split.clone())
    }

    pub fn is_split(&self) -> bool {
        self.is_split.load(Ordering::Relaxed)
    }

    /// Puts what a comparison found. True if that is news.
    pub fn put_split(&self, split: Option<Split>) -> bool {
        self.is_split.store(split.is_some(), Ordering::Relaxed);
        self.with_folds(|folds| std::mem::replace(&mut folds.split, split.clone()) != split)
    }

    pub fn put(&self, own: Own) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
    }
}
