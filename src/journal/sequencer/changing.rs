//! A change on its way into the log: decided on the newest state, and alone in its batch.

use std::sync::Arc;

use super::queue::{ChangeOutcome, ChangeRequest};
use super::{AGAIN, Sequencer};
use crate::domain::log::change::{Attributed, Change};
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::log::journal::JournalChange;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::journal::answers::ForRequest;
use crate::journal::fault::Unavailable;
use crate::journal::store::batch::{LONGEST, Row};

impl Sequencer {
    /// One commit: a change alone. What the store takes back begins again.
    ///
    /// Once the lock is there nothing is written for somebody who `is_gone`: they were told that it is not confirmed, and will ask again.
    pub async fn change(
        &mut self,
        asked: ChangeRequest,
        is_gone: impl Fn() -> bool + Send + Sync,
    ) -> Result<ChangeOutcome, Unavailable> {
        for _ in 1..AGAIN {
            match self.try_change(asked.clone(), &is_gone).await {
                Err(_) if std::mem::take(&mut self.is_taken_back) => {}
                outcome => return outcome,
            }
        }
        self.try_change(asked, &is_gone).await
    }

    async fn try_change(
        &mut self,
        asked: ChangeRequest,
        is_gone: &(impl Fn() -> bool + Send + Sync),
    ) -> Result<ChangeOutcome, Unavailable> {
        self.begin(&[]).await?;
        if is_gone() {
            self.abort().await;
            return Err(Unavailable::BUSY);
        }
        if asked.seen != self.head.last_change {
            self.abort().await;
            return Ok(ChangeOutcome::Stale);
        }
        let index = self.head.size;
        let time = self.time(Some(&asked.change.what)).await?;
        if let Some(ForRequest { id, once: Some(once) }) = &asked.request {
            match self.store.claim(once, id, time).await {
                Ok(true) => {}
                Ok(false) => {
                    // Another node did it since somebody looked here.
                    self.abort().await;
                    return Err(Unavailable::BEGUN);
                }
                Err(fault) => return Err(self.failed(fault).await),
            }
        }
        let request = asked.request.map(|request| request.id);
        let (entry, row) = self.entry((index, time, self.head.last_change), request, asked.change).await?;
        let mut state = State::clone(&self.state);
        state.apply(index, time, &entry.change);
        state.forget_expired(time);
        let erases = !asked.beside.erased.is_empty();
        let deletes = erases || !asked.beside.destroyed.is_empty();
        self.write(vec![row], Some((asked.beside, Arc::new(state))), time).await?;
        if erases {
            self.erased = index + 1;
        }
        if deletes && let Err(fault) = self.store.scrub().await {
            tracing::warn!(%fault, "what was deleted stays in the write-ahead log until it is written over");
        }
        self.write_anchor().await;
        Ok(ChangeOutcome::Done(index))
    }

    /// The entry of a change, which must not be longer than an entry may be, and must be readable. Else the batch is given up.
    pub async fn entry(
        &mut self,
        (index, time, prior): (u64, Timestamp, Option<u64>),
        request_id: Option<RequestId>,
        change: Attributed,
    ) -> Result<(ChangeEntry, Row), Unavailable> {
        let entry = ChangeEntry { index, time, subject: change.what.subject(), request_id, prior, change };
        let row = Row::change(&entry);
        if row.body.len() > LONGEST {
            self.abort().await;
            return Err(Unavailable::TOO_LONG);
        }
        // A change that cannot be read again would keep every later start from the journal.
        if let Err(error) = Entry::parse(row.body.as_bytes()) {
            tracing::error!(%error, kind = row.kind, "a change that cannot be read again is not written");
            self.abort().await;
            return Err(Unavailable::BUSY);
        }
        Ok((entry, row))
    }

    /// The time of an entry that is written now, after [`Self::begin`].
    ///
    /// Only the change that corrects the time of the log may go back behind the head.
    pub async fn time(&mut self, what: Option<&Change>) -> Result<Timestamp, Unavailable> {
        let time = match what {
            Some(Change::Journal(JournalChange::Reopened { corrects: Some(_), .. })) => self.shared.believed(),
            _ => self.shared.time_after(self.head.time),
        };
        if time.is_err() {
            self.abort().await;
        }
        Ok(time?)
    }
}
