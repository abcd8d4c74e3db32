//! The writer as the journal sees it, and what it does in transactions of their own.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::Notify;

use super::address::LONGEST;
use super::fault::silent;
use super::writer::{AGAIN, PostgresWriter};
use super::{answers, apart, people, spent, uses};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::RequestId;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::answers::{Idempotency, Sealed};
use crate::journal::fault::StoreFault;
use crate::journal::store::Answer;
use crate::journal::store::batch::{Batch, Spent};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::people::PeopleChange;
use crate::journal::store::snapshot::Exclusive;
use crate::journal::store::uses::UsesChange;
use crate::journal::store::write::{Author, Begun, Probe, Tried, Write};

/// Does something in a transaction of its own, and again after 40001 and 40P01.
macro_rules! apart {
    ($writer:ident, |$connection:ident| $done:expr) => {
        Box::pin(async move {
            let mut left = AGAIN;
            loop {
                left -= 1;
                $writer.idle().await?;
                $writer.is_open = true;
                let $connection = $writer.connected().await?;
                let done: Result<_, apart::Fault> = match tokio::time::timeout(LONGEST, $done).await {
                    Ok(done) => done,
                    Err(_) => {
                        $writer.connection = None;
                        Err(silent().into())
                    }
                };
                // One that was done has ended its transaction.
                $writer.is_open = done.is_err();
                $writer.roll_back().await;
                match done {
                    Err(apart::Fault::Again(_)) if left > 0 => {}
                    Ok(done) => return Ok(done),
                    Err(apart::Fault::Again(fault) | apart::Fault::Other(fault)) => return Err(fault),
                }
            }
        })
    };
}

impl Write for PostgresWriter {
    fn write_as(&mut self, author: Author) {
        self.author = Some(author);
    }

    fn goes_at_once(&self, prior: &Head, rows: usize, _proofs: &[Spent]) -> bool {
        rows > 0 && !self.is_open_question && self.side.is_at(prior)
    }

    fn record<'a>(&'a mut self, batch: Batch, proofs: &'a [Spent]) -> Answer<'a, Tried> {
        Box::pin(async move {
            if !batch.beside.is_empty() || !self.goes_at_once(&batch.prior, batch.rows.len(), proofs) {
                return Ok(Tried::Not);
            }
            self.try_at_once(batch, proofs).await
        })
    }

    fn begin<'a>(&'a mut self, known: &'a Head, proofs: &'a [Spent]) -> Answer<'a, Begun> {
        Box::pin(self.lock(known, proofs))
    }

    fn spend<'a>(&'a mut self, proofs: &'a [Spent]) -> Answer<'a, HashSet<ProofKey>> {
        Box::pin(async move {
            let (connection, side) = self.holding()?;
            let among = spent::among(connection, proofs).await?;
            side.spend(spent::all_but(&among, proofs));
            Ok(self.fresh())
        })
    }

    /// No row goes with a batch: generations change places, and one whose time is over is truncated after it.
    fn purge(&mut self, _slice: u8, now: Timestamp) -> Answer<'_, ()> {
        self.side.turn();
        if self.side.generations().expired(now).is_some() {
            self.due.notify_one();
        }
        Box::pin(async { Ok(()) })
    }

    fn claim<'a>(&'a mut self, once: &'a Idempotency, request: &'a RequestId, now: Timestamp) -> Answer<'a, bool> {
        Box::pin(async move { Ok(answers::claim(self.holding()?.0, (once, request), now).await?) })
    }

    fn append(&mut self, batch: Batch) -> Answer<'_, ()> {
        Box::pin(self.try_append(batch))
    }

    fn commit(&mut self) -> Answer<'_, ()> {
        Box::pin(self.try_commit())
    }

    fn abort(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.roll_back().await;
            Ok(())
        })
    }

    fn settle(&mut self) -> Answer<'_, Found> {
        Box::pin(async move {
            self.roll_back().await;
            if self.is_open_question { self.raise_turn().await } else { self.head().await }
        })
    }

    fn leave(&mut self, from: u64, until: u64) -> Answer<'_, ()> {
        apart!(self, |connection| apart::leave(connection, from, until))
    }

    fn keep(&mut self, all: Vec<Sealed>, now: Timestamp) -> Answer<'_, ()> {
        apart!(self, |connection| answers::keep(connection, &all, now))
    }

    fn put_people<'a>(&'a mut self, change: &'a PeopleChange) -> Answer<'a, bool> {
        apart!(self, |connection| people::put(connection, change))
    }

    fn put_uses<'a>(&'a mut self, change: Option<&'a UsesChange>) -> Answer<'a, bool> {
        apart!(self, |connection| uses::put_or_clear(connection, change))
    }

    fn probe(&mut self, probe: Probe) -> Answer<'_, ()> {
        apart!(self, |connection| apart::probe(connection, probe))
    }

    /// Takes deleted rows out of the tables. WAL, its archives, standbys and backups keep them until their own retention ends.
    fn scrub(&mut self) -> Answer<'_, ()> {
        apart!(self, |connection| apart::scrub(connection))
    }

    fn maintenance(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    fn maintain(&mut self) -> Answer<'_, ()> {
        Box::pin(self.truncate())
    }

    /// No start needs it: the head of these tables has sums from the beginning, and one without them is refused.
    fn exclusive(&mut self) -> Answer<'_, Box<dyn Exclusive + '_>> {
        Box::pin(async { Err(StoreFault::unreadable("a head without sums of ours")) })
    }

    fn close(&mut self) -> Answer<'_, ()> {
        Box::pin(async move {
            self.roll_back().await;
            self.connection = None;
            Ok(())
        })
    }

    #[cfg(test)]
    fn limit_room(&mut self, is_full: bool) -> Answer<'_, ()> {
        apart!(self, |connection| apart::limit_room(connection, is_full))
    }
}
