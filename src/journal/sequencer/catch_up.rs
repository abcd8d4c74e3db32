//! A head that is not where this node left it: another node wrote, or somebody tampered with the store.
//!
//! The log is read anew and proved as a start proves it. Entries of another node are taken in; anything else stops the node for good.

use std::collections::HashSet;
use std::sync::Arc;

use super::Sequencer;
use super::view::View;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::fault::{OpenFault, StopReason, Unavailable};
use crate::journal::key::signers::Signers;
use crate::journal::load::{self, Loaded};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::reader::Reader;
use crate::journal::store::snapshot::Checked;
use crate::journal::tree::merkle::Subtree;

impl Sequencer {
    /// Takes the lock, ensures that the log ends where this node left it, and spends `proofs`.
    ///
    /// Returns the proofs that were not spent before; none if another node had written, and then no proof is spent yet.
    pub async fn begin(&mut self, proofs: &[(ProofKey, Timestamp)]) -> Result<Option<HashSet<ProofKey>>, Unavailable> {
        for spends in [true, false] {
            self.shared.running()?;
            let (found, fresh) = match self.store.begin(if spends { proofs } else { &[] }).await {
                Ok(begun) => begun,
                Err(fault) => return Err(self.failed(fault.into()).await),
            };
            if found == (Found { head: self.head.clone(), rows: self.head.size }) {
                return Ok(spends.then_some(fresh));
            }
            self.abort().await;
            self.catch_up().await?;
        }
        Err(Unavailable::BUSY)
    }

    /// Takes in entries that have our MAC and extend our tree. Anything else stops the node.
    pub async fn catch_up(&mut self) -> Result<(), Unavailable> {
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
            if loaded.state.checkpoint_keys != self.state.checkpoint_keys {
                self.take_over().await?;
            }
            self.head = loaded.head;
            self.tree = loaded.tree;
            // It may have erased something.
            self.erased = self.head.size;
            self.state = Arc::new(loaded.state);
            self.shared.with_issued(|issued| issued.begin_at(self.head.size));
            self.shared.publish(View::of(&self.head, Arc::clone(&self.state)));
            // Nothing is recorded here any more: it goes on elsewhere.
            return match &self.state.moved {
                Some(to) => Err(self.shared.stop(StopReason::Moved { to: to.clone() })),
                None => Ok(()),
            };
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
