//! A head that is not where this node left it: another node wrote, or somebody tampered with the store.
//!
//! What another node wrote costs what is new: its batches come with the lock, or each second without it, and are proved and folded
//! (`followed`). Where that does not fit, because this node is far behind or somebody tampered, the log is read anew and proved as a start
//! proves it, which also says at which entry it does not hold. What that does not prove either stops the node for good.

use std::collections::HashSet;
use std::sync::Arc;

use super::Sequencer;
use super::followed::{self, Followed};
use super::view::View;
use crate::domain::log::format;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::fault::{OpenFault, StopReason, StoreFault, Unavailable};
use crate::journal::key::signers::Signers;
use crate::journal::load::{self, Loaded};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::reader::Reader;
use crate::journal::store::snapshot::Checked;
use crate::journal::store::write::{Begun, MOST_NEWS};
use crate::journal::tree::merkle::Subtree;

/// How often the lock is taken again by a node that finds more news than one answer has.
const ROUNDS: u32 = 3;

/// Answers that a node reads one after another before it reads the log anew.
const PAGES: u32 = 64;

impl Sequencer {
    /// Takes the lock, takes in what other nodes wrote, and spends `proofs`.
    ///
    /// Returns the proofs that were not spent before; none if another node had written, and then no proof is spent yet.
    pub async fn begin(&mut self, proofs: &[(ProofKey, Timestamp)]) -> Result<Option<HashSet<ProofKey>>, Unavailable> {
        for _ in 0..ROUNDS {
            self.shared.running()?;
            let Begun { since, fresh } = match self.store.begin(&self.head, proofs).await {
                Ok(begun) => begun,
                Err(StoreFault::Foreign(table)) => {
                    self.abort().await;
                    let what = StoreFault::Foreign(table).to_string();
                    return Err(self.shared.stop(StopReason::Foreign { index: self.head.size, what }));
                }
                Err(fault) => return Err(self.failed(fault).await),
            };
            if self.is_at(&since.found) {
                return Ok(Some(fresh));
            }
            match followed::follow((&self.head, &self.tree, &self.state), &since, &self.key) {
                Some(followed) if followed.is_whole => match self.take_in(followed).await {
                    Ok(()) => return Ok(None),
                    Err(unavailable) => {
                        self.shared.set_writable(false);
                        self.abort().await;
                        return Err(unavailable);
                    }
                },
                Some(_) | None => {
                    self.abort().await;
                    self.follow().await?;
                }
            }
        }
        Err(Unavailable::BUSY)
    }

    /// Takes in what other nodes wrote, without the lock.
    pub async fn follow(&mut self) -> Result<(), Unavailable> {
        for _ in 0..PAGES {
            self.shared.running()?;
            let since = self.reader.since(self.head.size, MOST_NEWS).await?;
            if self.is_at(&since.found) {
                return Ok(());
            }
            let Some(followed) = followed::follow((&self.head, &self.tree, &self.state), &since, &self.key) else { break };
            let is_whole = followed.is_whole;
            self.take_in(followed).await?;
            if is_whole {
                return Ok(());
            }
        }
        self.catch_up().await
    }

    fn is_at(&self, found: &Found) -> bool {
        found.head == self.head && found.rows == self.head.size
    }

    async fn take_in(&mut self, followed: Followed) -> Result<(), Unavailable> {
        let Followed { head, tree, state, erased, told, is_whole: _ } = followed;
        if state.checkpoint_keys != self.state.checkpoint_keys {
            self.take_over().await?;
        }
        if head.last_change != self.head.last_change {
            self.shared.lease.news.notify_one();
        }
        if told.is_empty() && head.last_change != self.head.last_change {
            // The log was read anew, and so is the tail.
            self.tailed = None;
        }
        self.untold.extend(told);
        (self.head, self.tree, self.state) = (head, tree, state);
        self.erased = erased.unwrap_or(self.erased);
        self.shared.with_issued(|issued| issued.begin_at(self.head.size));
        self.shared.publish(View::of(&self.head, Arc::clone(&self.state)));
        if self.state.format > format::NEWEST {
            let what = format!("entries have the format {} from here on, which this version does not read", self.state.format);
            return Err(self.shared.stop(StopReason::Foreign { index: self.head.size, what }));
        }
        // Nothing is recorded here any more: it goes on elsewhere.
        match &self.state.moved {
            Some(to) => Err(self.shared.stop(StopReason::Moved { to: to.clone() })),
            None => Ok(()),
        }
    }

    /// Reads the log anew, and takes in entries that have our MAC and extend our tree. Anything else stops the node.
    async fn catch_up(&mut self) -> Result<(), Unavailable> {
        let loaded = match load::load(&self.reader, &self.key, Checked::InMemory).await {
            Ok(loaded) if loaded.summed => loaded,
            Ok(Loaded { head, .. }) => {
                let what = "the head keeps no sums over the tables beside the entries".to_owned();
                return Err(self.shared.stop(StopReason::Foreign { index: head.size, what }));
            }
            Err(OpenFault::Inconsistent { index, what }) => return Err(self.shared.stop(StopReason::Foreign { index, what })),
            Err(fault @ OpenFault::Table { .. }) => {
                let (index, what) = (self.head.size, fault.to_string());
                return Err(self.shared.stop(StopReason::Foreign { index, what }));
            }
            Err(fault) => {
                tracing::warn!(%fault, "the journal could not be read again");
                return Err(Unavailable::BUSY);
            }
        };
        if extends(&self.reader, &loaded, &self.head).await? {
            let Loaded { head, tree, state, summed: _ } = loaded;
            // It may have erased something.
            let erased = Some(head.size);
            return self
                .take_in(Followed { head, tree, state: Arc::new(state), erased, told: Vec::new(), is_whole: true })
                .await;
        }
        let what = "the log does not extend what this node wrote".to_owned();
        Err(self.shared.stop(StopReason::Foreign { index: loaded.head.size.min(self.head.size), what }))
    }

    /// Takes over another key that signs checkpoints now.
    ///
    /// It is ours if it opens under our KEK and the key that signed until now leads to it by signatures.
    async fn take_over(&mut self) -> Result<(), Unavailable> {
        let own = self.shared.signers.load_full();
        let next = match Signers::stored(&self.reader, &self.kek, &self.origin).await {
            Ok(next) if next.lineage().reaches(own.verifier()) => next,
            Err(OpenFault::Store(fault)) => return Err(fault.into()),
            Ok(_) | Err(_) => return Err(self.shared.stop(StopReason::CheckpointKey)),
        };
        tracing::info!(key = %next.verifier(), before = %own.verifier(), "another key signs checkpoints from now on");
        self.shared.signers.store(Arc::new(next));
        // The anchor is written anew, as the new key signs it.
        self.anchored = 0;
        Ok(())
    }
}

/// Whether what was loaded extends the log that ends at `head`.
async fn extends(reader: &Reader, loaded: &Loaded, head: &Head) -> Result<bool, Unavailable> {
    if loaded.head.size < head.size {
        return Ok(false);
    }
    let roots = reader.roots(&loaded.tree, &[Subtree::whole(head.size)]).await?;
    Ok(roots.is_some_and(|roots| roots == [head.root]))
}
