//! The changes that a log lost, by the tails of its nodes, and what an operator says of them.
//!
//! `carnet journal reopen` accepts the log as it is. What took something away in the lost part is recorded again after the new epoch, in the
//! same transaction: a revocation that once held never ends because a database was put back. Without the tails an operator has to say by
//! number how much is forgotten.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Kept;
use crate::domain::log::change::Attributed;
use crate::domain::value::digest::Digest;
use crate::journal::fault::{Forgotten, OpenFault};
use crate::journal::key::anchor::Anchor;
use crate::journal::key::signers::Signers;
use crate::journal::store::batch::MacKey;
use crate::journal::store::head::Head;
use crate::journal::store::reader::Reader;
use crate::journal::tree::Tree;
use crate::journal::tree::merkle::Subtree;
use crate::journal::tree::note::Checkpoint;

/// What an operator says of the changes that the log lost.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The tails of nodes (`--tail`).
    pub tails: Vec<PathBuf>,
    /// How many are forgotten (`--forget`).
    pub forget: Option<u64>,
}

/// What is recorded again.
#[derive(Debug)]
pub struct Reapplied {
    /// The changes, in their old order.
    pub changes: Vec<Attributed>,
    /// How many are not, as the operator said.
    pub forgotten: u64,
}

/// The log that is reopened.
pub struct Log<'l> {
    /// Its entries.
    pub reader: &'l Reader,
    /// The key of its batches.
    pub key: &'l MacKey,
    /// Its end.
    pub head: &'l Head,
    /// Its tree.
    pub tree: &'l Tree,
    /// The keys that signed its checkpoints.
    pub signers: &'l Signers,
}

/// Judges what the log lost, by the tails that are `given` and by what stands beside its anchor.
///
/// # Errors
/// A given file is no tail of this journal, or changes would be forgotten that the operator did not name by their number.
pub async fn judge(log: &Log<'_>, anchor: Option<&Anchor>, given: &Given) -> Result<Reapplied, OpenFault> {
    let mut named = BTreeMap::new();
    for path in &given.tails {
        for kept in super::read(path, log.key)? {
            named.insert((kept.entry.index, Digest::of(kept.body.as_bytes())), kept);
        }
    }
    let mut all = named.keys().copied().collect::<std::collections::BTreeSet<_>>();
    let mut own = BTreeMap::new();
    // A file of ours that is damaged says nothing. A tail keeps the newest change in any case, so an empty one is damaged too.
    let file = anchor.map(Anchor::tail).filter(|tail| tail.path().try_exists().unwrap_or(true));
    let read = |tail: &super::TailFile| super::read(tail.path(), log.key).ok().filter(|kept| !kept.is_empty());
    let beside = file.as_ref().and_then(read);
    let is_damaged = file.is_some() && beside.is_none();
    let has_tail = beside.is_some() || !given.tails.is_empty();
    for kept in beside.into_iter().flatten() {
        let key = (kept.entry.index, Digest::of(kept.body.as_bytes()));
        if all.insert(key) {
            own.insert(key, kept);
        }
    }
    let (named, own) = (lost(log, named).await?, lost(log, own).await?);
    let unnamed = own.iter().filter(|kept| kept.entry.change.what.is_withdrawal()).count() as u64;
    let (forgotten, what) = match missing(log, anchor, (has_tail, is_damaged), named.iter().chain(&own)).await? {
        Missing::Nothing => (unnamed, Forgotten::Withdrawals),
        Missing::Entries(number) => (number, Forgotten::Entries),
        Missing::Unknown => (1, Forgotten::Unknown),
    };
    if given.forget.unwrap_or(0) != forgotten {
        let tail = anchor.filter(|_| unnamed > 0).map(|anchor| anchor.tail().path().to_owned());
        return Err(OpenFault::Forgets { number: forgotten, what, tail });
    }
    let again = named.into_iter().map(|kept| kept.entry.change).filter(|change| change.what.is_withdrawal());
    Ok(Reapplied { changes: again.collect(), forgotten })
}

/// Those that the log does not have, in order.
async fn lost(log: &Log<'_>, kept: BTreeMap<(u64, Digest), Kept>) -> Result<Vec<Kept>, OpenFault> {
    let mut lost = Vec::new();
    for (_, kept) in kept {
        let is_here =
            kept.entry.index < log.head.size && log.reader.body(kept.entry.index).await?.is_some_and(|body| body == kept.body);
        if !is_here {
            lost.push(kept);
        }
    }
    Ok(lost)
}

/// What was lost that no tail tells of.
enum Missing {
    /// The tails have every change that was.
    Nothing,
    /// So many entries, and nobody can say which changes were among them.
    Entries(u64),
    /// Nobody can say how many: there are files of a past here, and neither tail nor anchor can be read.
    Unknown,
}

/// What the anchor knows of the log.
enum Anchored {
    /// There is no anchor.
    Nothing,
    /// It cannot be read, or no key of this log signed it.
    Unreadable,
    /// Its checkpoint.
    At(Checkpoint),
}

impl Anchored {
    fn of(anchor: Option<&Anchor>, signers: &Signers) -> Self {
        match anchor.map(Anchor::text) {
            None | Some(Ok(None)) => Self::Nothing,
            Some(Ok(Some(note))) => signers.keys().open(&note).map_or(Self::Unreadable, |kept| Self::At(kept.checkpoint)),
            Some(Err(_)) => Self::Unreadable,
        }
    }
}

/// What was lost that no tail tells of.
///
/// Changes name the one before them: so a tail that begins after the end of the log, or lacks one in between, shows it.
async fn missing<'k>(
    log: &Log<'_>,
    anchor: Option<&Anchor>,
    (has_tail, is_damaged): (bool, bool),
    lost: impl Iterator<Item = &'k Kept>,
) -> Result<Missing, OpenFault> {
    let lost: BTreeMap<u64, Option<u64>> = lost.map(|kept| (kept.entry.index, kept.entry.prior)).collect();
    let follows = |prior: &u64| *prior < log.head.size || lost.contains_key(prior);
    let is_whole = has_tail && lost.values().flatten().all(follows);
    if is_whole {
        return Ok(Missing::Nothing);
    }
    let (known, extends) = match Anchored::of(anchor, log.signers) {
        Anchored::At(known) if known.size > log.head.size => (known.size, false),
        Anchored::At(known) => {
            let roots = log.reader.roots(log.tree, &[Subtree::whole(known.size)]).await?;
            (known.size, roots.is_some_and(|roots| roots == [known.root]))
        }
        Anchored::Nothing if !is_damaged => (0, true),
        // There was a past here, and what it was nobody can say.
        Anchored::Nothing | Anchored::Unreadable if lost.is_empty() => return Ok(Missing::Unknown),
        Anchored::Nothing | Anchored::Unreadable => (0, false),
    };
    if extends && lost.is_empty() {
        return Ok(Missing::Nothing);
    }
    let known = known.max(lost.keys().last().map_or(0, |last| last + 1));
    Ok(Missing::Entries(known.saturating_sub(log.head.size).max(1)))
}
