//! When sealed entries leave the database: once another node has read their file back from the archive.
//!
//! The node that seals reads its own file back, and that proves little: a folder that only this machine sees, or a disk that answers out of
//! its cache, looks the same to it. So where several nodes share a journal, each reads the sealed files whose entries are still in the
//! database ([`Journal::read_back`]) and tells the others in a row of `cursors`, which the nodes of an earlier version have too. Entries leave
//! once one that lives and did not write the file said that it has the digest on record. A word counts for the start of a node that gave it.
//!
//! **A node alone** reads back itself. A node whose lease ended less than a day ago counts as one of several that has read nothing yet: a
//! restart of one node lets nothing go.
//!
//! Deliberately not here: what is sealed ([`super`]), and the form of the files ([`super::segment`]).

use std::sync::PoisonError;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::fault::{ArchiveFault, Awaited, Reading};
use super::segment::blocking;
use crate::domain::log::archive::Segment;
use crate::domain::value::names::NodeId;
use crate::journal::fault::Unavailable;
use crate::journal::handle::Journal;
use crate::journal::sequencer::queue::Work;
use crate::journal::store::nodes::{Cursor, KnownNode};

/// How long a node counts as one of several after its lease ended, in milliseconds: a day.
const COUNTS_FOR: u64 = 86_400_000;

/// Segments that a node tells of at the most. They leave in their order.
const MOST_TOLD: usize = 16;

/// The longest text of a fault that is told to other nodes, in characters.
const LONGEST_FAULT: usize = 300;

/// Entries that leave with one statement, between the commits of others.
const STEP: u64 = 256;

/// How long others have the store to themselves between two of them.
const PAUSE: Duration = Duration::from_millis(5);

/// The word of a node on the sealed files whose entries are in the database.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
struct Word {
    /// The start of the node that gave it.
    instance: String,
    /// What it read and found as it was sealed, in its order.
    read: Vec<Segment>,
    /// Why it could not read the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl Word {
    /// From the row of a node. What is none counts for nothing.
    fn of(cursor: &Cursor, instance: &str) -> Option<Self> {
        serde_json::from_slice(&cursor.body).ok().filter(|word: &Self| word.instance == instance)
    }
}

/// The name of the row with the word of a node.
fn row_of(id: &NodeId) -> String {
    format!("archive/{id}")
}

impl Journal {
    /// Reads sealed files back whose entries are still in the database, and tells the other nodes what it found.
    ///
    /// A journal in a file has no other nodes, and nothing is read.
    ///
    /// # Errors
    /// The first file that cannot be read or is not as it was sealed. The other nodes are told, and its entries stay in the database.
    pub async fn read_back(&self) -> Result<(), ArchiveFault> {
        let Some((id, instance)) = self.own().filter(|_| self.is_shared()) else { return Ok(()) };
        let archive = self.view().state.archive.clone();
        let from = self.reader().first_that_may_leave(archive.until()).await.map_err(Unavailable::from)?;
        let there = self.shared_cursor(&row_of(&id)).await?.flatten();
        let before = there.as_ref().and_then(|there| Word::of(there, &instance));
        let before = before.unwrap_or_else(|| Word { instance: instance.clone(), ..Word::default() });
        let mut word = Word { instance, ..Word::default() };
        let mut found = Ok(());
        let waiting = archive.segments().iter().filter(|segment| from.is_some_and(|from| from < segment.until));
        for segment in waiting.take(MOST_TOLD) {
            if !before.read.contains(segment) {
                let (shelf, checked) = (self.shelf().clone(), segment.clone());
                if let Err(fault) = blocking(move || shelf.check(&checked)).await? {
                    word.fault = Some(fault.to_string().chars().take(LONGEST_FAULT).collect());
                    found = Err(fault.into());
                    break;
                }
            }
            word.read.push(segment.clone());
        }
        if word != before {
            let body = serde_json::to_vec(&word).map_err(|_| Unavailable::STOPPED)?;
            let generation = there.map_or(0, |there| there.generation) + 1;
            // Where another start of this id was first, this one has nothing more to say.
            let _first = self.put_cursor(&row_of(&id), &Cursor { generation, body }).await?;
        }
        found
    }

    /// This node and its start, once it has joined.
    fn own(&self) -> Option<(NodeId, String)> {
        let own = self.members().own.lock().unwrap_or_else(PoisonError::into_inner);
        own.as_ref().map(|own| (own.told.id.clone(), own.told.instance.clone()))
    }

    /// Lets leave what was sealed, is still in the database, and was read back.
    pub(super) async fn leave(&self) -> Result<(), ArchiveFault> {
        let archive = self.view().state.archive.clone();
        let mut from = self.reader().first_that_may_leave(archive.until()).await.map_err(Unavailable::from)?;
        while let Some(segment) = from.and_then(|from| archive.holding(from)).cloned() {
            let (shelf, checked) = (self.shelf().clone(), segment.clone());
            blocking(move || shelf.check(&checked)).await??;
            if let Some(awaited) = self.awaited(&segment).await? {
                return Err(ArchiveFault::Awaited(Box::new(awaited)));
            }
            for step in (segment.first..segment.until).step_by(usize::try_from(STEP).unwrap_or(usize::MAX)) {
                let (answer, left) = oneshot::channel();
                self.queue(Work::Leave { from: step, until: segment.until.min(step + STEP), answer }).await?;
                left.await.map_err(|_| Unavailable::BUSY)??;
                tokio::time::sleep(PAUSE).await;
            }
            from = Some(segment.until);
        }
        Ok(())
    }

    /// Who must read a sealed file back before its entries leave. None once one did, or if this node is alone.
    async fn awaited(&self, segment: &Segment) -> Result<Option<Awaited>, Unavailable> {
        if !self.is_shared() {
            return Ok(None);
        }
        let own = self.own().map(|(id, _)| id);
        let counts = |node: &KnownNode| Some(&node.id) != own.as_ref() && node.gone.is_none_or(|gone| gone < COUNTS_FOR);
        let mut nodes = Vec::new();
        for node in self.nodes().await?.into_iter().filter(counts) {
            if node.gone.is_some() {
                nodes.push((node.id, Reading::Gone));
                continue;
            }
            let there = self.shared_cursor(&row_of(&node.id)).await?.flatten();
            let reading = match there.and_then(|there| Word::of(&there, &node.instance)) {
                Some(word) if word.read.contains(segment) => return Ok(None),
                Some(Word { fault: Some(fault), .. }) => Reading::Failed(fault),
                Some(Word { fault: None, .. }) | None => Reading::Nothing,
            };
            nodes.push((node.id, reading));
        }
        Ok((!nodes.is_empty()).then(|| Awaited { segment: segment.clone(), nodes }))
    }
}
