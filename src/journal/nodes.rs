//! This node among those that share a journal: its lease, and whether it runs what one node alone may run.
//!
//! Enter through [`Journal::join`], which a server calls once its journal is open; commands of an operator do not join. A journal in a file
//! has no other nodes: its lease never ends, and its node runs everything.
//!
//! **The lease.** It is counted from the sending of the request that was answered, on the monotonic clock. Past [`LEASE`] the node neither
//! mints nor calls a token active, since another instance may have taken its id, or the database another state than it has followed; after
//! two seconds it says that it is not ready. Both end as soon as a renewal is answered.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::fault::{StopReason, StoreFault, Unavailable};
use super::handle::Journal;
use super::members::{Members, Own};
use super::sequencer::queue::Work;
use super::sequencer::view::Shared;
use super::store::nodes::{Cursor, Joined, KnownNode, LEASE, Renewed, Told};
use crate::domain::value::clock::Clock as _;
use crate::domain::value::names::NodeId;

/// How this node takes part.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// `[node] id`.
    pub id: NodeId,
    /// Whether its clock must agree with the database's. Only tests, whose clocks are set, say no.
    pub compares_clocks: bool,
}

/// The journal has another node of this id, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum JoinFault {
    /// A node of this id lives.
    #[error(
        "a node with the id {} lives (version {}): give each node an id of its own ([node] id), or stop that one first",
        .0.id, .0.version
    )]
    Taken(KnownNode),
    /// The database does not answer.
    #[error("the journal's database: {0}")]
    Store(#[from] StoreFault),
    /// The journal ended meanwhile.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

/// How often a lease is renewed, and how soon a renewal is sent again that failed.
const RENEW_EVERY: Duration = Duration::from_secs(1);
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// How long a start waits for the lease of an instance before it, which may have been killed.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(10);

impl Journal {
    /// Registers this node, and keeps its lease until the journal is closed.
    ///
    /// It waits for the lease of an instance with the same id that was killed. In a file there is nothing to join.
    pub async fn join(&self, settings: &NodeSettings) -> Result<(), JoinFault> {
        let (shared, members) = (Arc::clone(self.shared_arc()), Arc::clone(self.members()));
        let instance = self.fresh_id();
        let size = self.view().size;
        let told = Told { id: settings.id.clone(), instance, version: env!("CARGO_PKG_VERSION"), size, ahead: 0 };
        let mut nodes = members.nodes.lock().await;
        let Some(store) = nodes.as_mut() else {
            members.put(Own { told, renewing: None });
            return Ok(());
        };
        let begun = Instant::now();
        let sent = loop {
            let sent = Instant::now();
            match store.join(&told).await? {
                Joined::Done => break sent,
                Joined::Taken(other) if begun.elapsed() > TAKE_OVER_WITHIN => return Err(JoinFault::Taken(other)),
                Joined::Taken(other) => {
                    tracing::info!(id = %other.id, "waiting for the lease of the node that had this id");
                    tokio::time::sleep(RETRY_AFTER).await;
                }
            }
        };
        drop(nodes);
        shared.lease.begin(sent, settings.compares_clocks);
        self.queue(Work::Joined { id: told.id.clone(), instance: told.instance.clone() }).await?;
        let renewing = Some(tokio::spawn(renew(shared, Arc::clone(&members), told.clone())));
        members.put(Own { told, renewing });
        Ok(())
    }

    /// Gives the lease back, so that another instance need not wait for its end.
    pub(super) async fn give_lease_back(&self) {
        let members = self.members();
        let own = members.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Own { told, renewing: Some(renewing) }) = own else { return };
        renewing.abort();
        self.shared().lease.end();
        if let Some(store) = members.nodes.lock().await.as_mut()
            && let Err(fault) = store.leave(&told).await
        {
            tracing::info!(%fault, "the lease of this node was not given back; it ends by itself");
        }
    }

    /// The nodes that share this journal, by id. A journal in a file has this one alone.
    pub async fn nodes(&self) -> Result<Vec<KnownNode>, Unavailable> {
        let own = || self.members().own.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|own| own.told.clone());
        match self.members().nodes.lock().await.as_mut() {
            Some(store) => Ok(store.all().await?),
            None => Ok(own().map(|told| self.alone(told)).into_iter().collect()),
        }
    }

    fn alone(&self, Told { id, instance, version, size: _, ahead }: Told) -> KnownNode {
        let left = Some(u64::from(LEASE.0) * 1000);
        KnownNode { id, instance, version: version.to_owned(), size: self.view().size, ahead, left, runs: true }
    }

    /// A cursor that all nodes see. None for a journal in a file, whose node keeps it alone.
    pub async fn shared_cursor(&self, name: &str) -> Result<Option<Option<Cursor>>, Unavailable> {
        match self.members().nodes.lock().await.as_mut() {
            Some(store) => Ok(Some(store.cursor(name).await?)),
            None => Ok(None),
        }
    }

    /// Puts a cursor in place of the one of the generation before; false if another one is there.
    pub async fn put_cursor(&self, name: &str, cursor: &Cursor) -> Result<bool, Unavailable> {
        match self.members().nodes.lock().await.as_mut() {
            Some(store) => Ok(store.put_cursor(name, cursor).await?),
            None => Ok(false),
        }
    }

    /// Whether every other node that lives has followed the log up to the entry with this index.
    pub async fn is_followed(&self, index: u64) -> Result<bool, Unavailable> {
        let own = self.members().own.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|own| own.told.id.clone());
        let behind = |node: &KnownNode| Some(&node.id) != own.as_ref() && node.left.is_some() && node.size <= index;
        match self.members().nodes.lock().await.as_mut() {
            Some(store) => Ok(!store.all().await?.iter().any(behind)),
            None => Ok(true),
        }
    }

    /// The number of the lease of the tasks of which there may be one, if this node holds it.
    pub fn runs(&self) -> Option<u64> {
        self.shared().lease.runs()
    }

    /// Refuses while the lease of this node has run out.
    pub fn ensure_leased(&self) -> Result<(), Unavailable> {
        if self.shared().lease.holds() { Ok(()) } else { Err(Unavailable::BUSY) }
    }
}

/// Renews the lease until another instance has taken the id.
async fn renew(shared: Arc<Shared>, members: Arc<Members>, mut told: Told) {
    let mut is_well = true;
    loop {
        (told.size, told.ahead) = (shared.view.load().size, shared.lease.ahead());
        let sent = Instant::now();
        let renewed = match members.nodes.lock().await.as_mut() {
            Some(store) => store.renew(&told).await,
            None => return,
        };
        let pause = match renewed {
            Ok(Renewed::Done { now, runs }) => {
                if !std::mem::replace(&mut is_well, true) {
                    tracing::info!("the lease of this node is renewed again");
                }
                shared.lease.renewed(sent, shared.clock.now().as_seconds() - now, runs);
                RENEW_EVERY
            }
            Ok(Renewed::Superseded) => {
                shared.lease.end();
                let _stopped = shared.stop(StopReason::Superseded);
                return;
            }
            Err(fault) => {
                if std::mem::replace(&mut is_well, false) {
                    tracing::error!(%fault, "the lease of this node is not renewed: without it nothing is minted or called active");
                }
                RETRY_AFTER
            }
        };
        // What this node has followed is waited for by whoever revoked.
        let _woken = tokio::time::timeout(pause, shared.lease.news.notified()).await;
    }
}
