//! This node among those that share a journal: its lease, and whether it runs what one node alone may run.
//!
//! Enter through [`Journal::join`], which a server calls once its journal is open; commands of an operator do not join. A journal in a file
//! has no other nodes: its lease never ends, and its node runs everything.
//!
//! **The lease.** It is counted from the sending of the request that was answered, on the monotonic clock. Past [`LEASE`] the node neither
//! mints nor calls a token active, since another instance may have taken its id, or the database another state than it has followed; after
//! two seconds it says that it is not ready. Both end as soon as a renewal is answered. A server that renews the lease, and does not say how it
//! keeps what it confirms, is unknown after as long as a lease: the node is not ready until it says so again.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::fault::{Leased, StopReason, StoreFault, Unavailable};
use super::folds;
use super::handle::Journal;
use super::lease::{Lease, Tenure};
use super::members::{Members, Own};
use super::sequencer::queue::Work;
use super::sequencer::view::Shared;
use super::store::nodes::{Cursor, Joined, KnownNode, LEASE, Renewed, Told};
use super::store::write::Author;
use crate::domain::log::format::NEWEST;
use crate::domain::value::clock::Clock as _;
use crate::domain::value::names::NodeId;

/// How this node takes part.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// `[node] id`.
    pub id: NodeId,
    /// Whether its clock must agree with the database's. Only tests, whose clocks are set, say no.
    pub compares_clocks: bool,
    /// Whether an operator wrote down that a failover of the database may lose what it confirmed.
    pub may_lose: bool,
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

/// How long the end of a node waits until its lease is given back.
const LEAVES_WITHIN: Duration = Duration::from_secs(1);

/// How long a start waits for the lease of an instance before it, which may have been killed.
const TAKE_OVER_WITHIN: Duration = Duration::from_secs(10);

impl Journal {
    /// Registers this node, and keeps its lease until the journal is closed.
    ///
    /// It waits for a database that is away, and for the lease of an instance with the same id that was killed. In a file there is nothing
    /// to join.
    pub async fn join(&self, settings: &NodeSettings) -> Result<(), JoinFault> {
        let (shared, members) = (Arc::clone(self.shared_arc()), Arc::clone(self.members()));
        let instance = self.fresh_id();
        let size = self.view().size;
        let version = env!("CARGO_PKG_VERSION");
        let told = Told {
            id: settings.id.clone(),
            instance,
            version,
            size,
            ahead: 0,
            unready: members.unready(),
            format: NEWEST,
            folded: Vec::new(),
        };
        let mut nodes = members.nodes.lock().await;
        let Some(store) = nodes.as_mut() else {
            members.put(Own { told, renewing: None, folding: None });
            return Ok(());
        };
        let (mut begun, mut is_told) = (Instant::now(), false);
        let sent = loop {
            let sent = Instant::now();
            match store.join(&told).await {
                Ok(Joined::Done) => break sent,
                Ok(Joined::Taken(other)) if begun.elapsed() > TAKE_OVER_WITHIN => return Err(JoinFault::Taken(other)),
                Ok(Joined::Taken(other)) => {
                    tracing::info!(id = %other.id, "waiting for the lease of the node that had this id");
                }
                Err(fault) if fault.is_away() => {
                    if !std::mem::replace(&mut is_told, true) {
                        tracing::error!(%fault, "this node waits for the database of its journal");
                    }
                    begun = Instant::now();
                }
                Err(fault) => return Err(fault.into()),
            }
            tokio::time::sleep(RETRY_AFTER).await;
        };
        drop(nodes);
        shared.lease.begin(sent, settings.compares_clocks);
        let compares_clocks = settings.compares_clocks;
        self.queue(Work::Joined(Author { id: told.id.clone(), instance: told.instance.clone(), compares_clocks })).await?;
        let folding = Some(tokio::spawn(folds::watch(Arc::clone(&shared), Arc::clone(&members))));
        let renewing = Some(tokio::spawn(renew(shared, Arc::clone(&members), told.clone(), settings.may_lose)));
        members.put(Own { told, renewing, folding });
        Ok(())
    }

    /// Gives the lease back, so that another instance need not wait for its end.
    pub(super) async fn give_lease_back(&self) {
        let members = self.members();
        let own = members.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Own { told, renewing: Some(renewing), folding }) = own else { return };
        folding.into_iter().for_each(|folding| folding.abort());
        renewing.abort();
        self.shared().lease.end();
        leave(members, &told).await;
    }

    /// The nodes that share this journal, by id. A journal in a file has this one alone.
    pub async fn nodes(&self) -> Result<Vec<KnownNode>, Unavailable> {
        let own = || self.members().own.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|own| own.told.clone());
        match self.members().nodes.lock().await.as_mut() {
            Some(store) => Ok(store.all().await?),
            None => Ok(own().map(|told| self.alone(told)).into_iter().collect()),
        }
    }

    fn alone(&self, Told { id, instance, version, size: _, ahead, format, unready: _, folded: _ }: Told) -> KnownNode {
        let (left, unready, folded) = (Some(u64::from(LEASE.0) * 1000), self.members().unready(), self.members().folded());
        let (version, size) = (version.to_owned(), self.view().size);
        KnownNode { id, instance, version, size, ahead, unready, format, folded, left, gone: None, runs: true }
    }

    /// Tells the other nodes why this one is not ready, or that it is.
    pub fn tell_unready(&self, why: Option<String>) {
        self.members().put_unready(why);
        self.shared().lease.news.notify_one();
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

    /// Whether other nodes may write to this journal.
    pub fn is_shared(&self) -> bool {
        self.members().is_shared
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

    /// Whether the journal is one of several nodes, and its database does not answer this one now.
    pub fn is_away(&self) -> bool {
        let health = self.health();
        self.is_shared() && (!health.writable || health.unsettled || health.leased != Leased::Held)
    }

    /// Refuses once the journal has stopped, and while the lease of this node has run out.
    pub fn ensure_leased(&self) -> Result<(), Unavailable> {
        self.tenure().map(drop)
    }

    /// The tenure of now, or the refusal of [`Self::ensure_leased`]. It is noted before a decision, for [`Self::ensure_leased_since`].
    pub fn tenure(&self) -> Result<Tenure, Unavailable> {
        self.running()?;
        self.shared().lease.tenure().ok_or(Unavailable::BUSY)
    }

    /// Refuses as [`Self::ensure_leased`] does, and if the lease had run out since `tenure`, although it is renewed by now.
    pub fn ensure_leased_since(&self, tenure: Tenure) -> Result<(), Unavailable> {
        if self.tenure()? == tenure { Ok(()) } else { Err(Unavailable::BUSY) }
    }
}

/// How far this node's clock is ahead of the database's, which read `now` at some time between the sending of the question and its answer.
///
/// As little as that allows: an answer may be held up for seconds.
fn ahead((before, after): (i64, i64), now: i64) -> i64 {
    (before - now).max((after - now).min(0))
}

/// Gives the lease back. One that is not given back in time ends by itself.
async fn leave(members: &Members, told: &Told) {
    let left = async {
        match members.nodes.lock().await.as_mut() {
            Some(store) => store.leave(told).await,
            None => Ok(()),
        }
    };
    match tokio::time::timeout(LEAVES_WITHIN, left).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::info!(%fault, "the lease of this node was not given back; it ends by itself"),
        Err(_) => tracing::info!("the lease of this node was not given back in time; it ends by itself"),
    }
}

/// Renews the lease until another instance has taken the id, or the journal has stopped.
async fn renew(shared: Arc<Shared>, members: Arc<Members>, mut told: Told, may_lose: bool) {
    let mut is_well = true;
    loop {
        if shared.running().is_err() {
            // A node that stopped follows nothing more, and whoever revokes must not wait for it.
            shared.lease.end();
            leave(&members, &told).await;
            return;
        }
        (told.size, told.ahead, told.unready) = (shared.view.load().size, shared.lease.ahead(), members.unready());
        told.folded = members.folded();
        let (sent, before) = (Instant::now(), shared.clock.now().as_seconds());
        let renewed = match members.nodes.lock().await.as_mut() {
            Some(store) => store.renew(&told).await,
            None => return,
        };
        let pause = match renewed {
            Ok(Renewed::Done { now, runs }) => {
                if !std::mem::replace(&mut is_well, true) {
                    tracing::info!("the lease of this node is renewed again");
                }
                let after = shared.clock.now().as_seconds();
                shared.lease.renewed(sent, ahead((before, after), now), runs);
                look(&shared.lease, &members, may_lose).await;
                folds::compare(&members, &told).await;
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

/// Looks whether the server still keeps what it confirms: its settings, and its standbys, change while it runs.
///
/// A server that does not say so is tried again with the next renewal. Past the length of a lease its last word counts no more.
async fn look(lease: &Lease, members: &Members, may_lose: bool) {
    let sent = Instant::now();
    let found = match members.nodes.lock().await.as_mut() {
        Some(store) => store.health().await,
        None => return,
    };
    match found {
        Ok(health) => {
            let defect = health.defects(may_lose).first().copied();
            let before = lease.database().and_then(|(_, defect)| defect);
            if let Some(defect) = defect.filter(|defect| before != Some(*defect)) {
                tracing::error!(
                    defect = defect.means(),
                    "the journal's database may lose what it confirms: this node is not ready"
                );
            }
            lease.found(sent, health, defect);
        }
        Err(fault) => tracing::warn!(%fault, "the settings of the journal's database cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::domain::value::clock::Seconds;
    use crate::journal::store::Answer;
    use crate::journal::store::health::{Health, OLDEST};
    use crate::journal::store::nodes::Nodes;

    /// L-10: an answer that was held up says nothing of the clocks.
    #[test]
    fn l_10_clocks_are_as_far_apart_as_an_answer_proves() {
        for ((before, after), now, wanted) in [
            ((100, 100), 100, 0),
            ((100, 104), 100, 0),
            ((100, 104), 102, 0),
            ((100, 104), 104, 0),
            ((100, 100), 97, 3),
            ((100, 104), 97, 3),
            ((100, 100), 103, -3),
            ((100, 104), 107, -3),
        ] {
            assert_eq!(ahead((before, after), now), wanted, "{before} to {after}, {now}");
        }
    }

    /// A database that answers renewals, and the question for its health where it is told to.
    struct Silent(Arc<AtomicBool>);

    impl Nodes for Silent {
        fn join<'a>(&'a mut self, _told: &'a Told) -> Answer<'a, Joined> {
            Box::pin(async { Ok(Joined::Done) })
        }

        fn renew<'a>(&'a mut self, _told: &'a Told) -> Answer<'a, Renewed> {
            Box::pin(async { Ok(Renewed::Done { now: 0, runs: None }) })
        }

        fn health(&mut self) -> Answer<'_, Health> {
            let answers = self.0.load(Ordering::Relaxed);
            Box::pin(async move { if answers { Ok(sound()) } else { Err(StoreFault::Failed("no view of that name".into())) } })
        }

        fn leave<'a>(&'a mut self, _told: &'a Told) -> Answer<'a, ()> {
            Box::pin(async { Ok(()) })
        }

        fn all(&mut self) -> Answer<'_, Vec<KnownNode>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn cursor<'a>(&'a mut self, _name: &'a str) -> Answer<'a, Option<Cursor>> {
            Box::pin(async { Ok(None) })
        }

        fn put_cursor<'a>(&'a mut self, _name: &'a str, _cursor: &'a Cursor) -> Answer<'a, bool> {
            Box::pin(async { Ok(false) })
        }
    }

    fn sound() -> Health {
        Health {
            version: OLDEST,
            is_utf8: true,
            fsync: true,
            full_page_writes: true,
            commit_waits: true,
            in_recovery: false,
            standbys: 0,
            is_synchronous: false,
            oldest_snapshot: Seconds(0),
            prepared: 0,
            idle_slots: 0,
            held_back: 0,
            sees_all: true,
        }
    }

    /// A database that renews the lease, and does not say how it keeps what it confirms: its last word counts for as long as a lease.
    #[tokio::test]
    async fn a_finding_that_is_older_than_a_lease_counts_no_more() {
        let answers = Arc::new(AtomicBool::new(true));
        let members = Members::of(Some(Box::new(Silent(Arc::clone(&answers)))));
        let (lease, long) = (Lease::default(), Duration::from_secs(u64::from(LEASE.0)));
        assert!(lease.is_looked_at(), "a file keeps what it confirms by itself");
        let earlier = Instant::now().checked_sub(long).expect("a machine that has run for some seconds");
        lease.begin(earlier, false);
        assert!(!lease.is_looked_at(), "nothing was heard of it since the start");
        look(&lease, &members, false).await;
        assert!(lease.is_looked_at());
        answers.store(false, Ordering::Relaxed);
        look(&lease, &members, false).await;
        assert!(lease.is_looked_at(), "its last word still counts");
        lease.renewed(Instant::now(), 0, None);
        lease.found(earlier, sound(), None);
        look(&lease, &members, false).await;
        assert!(
            lease.holds() && lease.is_fresh() && !lease.is_looked_at(),
            "the lease holds, and nobody knows what the server keeps"
        );
        answers.store(true, Ordering::Relaxed);
        look(&lease, &members, false).await;
        assert!(lease.is_looked_at(), "it said so again");
    }
}
