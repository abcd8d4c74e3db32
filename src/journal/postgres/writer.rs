//! The writer: one connection, one transaction at a time. `write` makes a `store::write::Write` of it.
//!
//! **At once.** The uncontended batch is one round trip: begin, the lock of the head, the batch on the condition that the head is the one that
//! this node knows, and commit go together. Statements are sent in order and each begins when the one before is done, so the batch sees what
//! was there once the lock was held.
//!
//! **An unknown commit.** From the sending of a commit until its answer `is_open_question` holds. If the connection breaks meanwhile, nobody
//! knows whether the batch is there, or still on its way. Then a new connection takes the lock and raises the turn of the head, which every
//! batch compares: the lost batch is there and counts, or it can't come in any more. Until that has succeeded nothing else is written.
//!
//! **Again.** After 40001 and 40P01 everything was taken back, and the same begins again.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::join;
use tokio::sync::Notify;
use tokio_postgres::Row;

use super::address::PostgresAddress;
use super::connection::{BEGIN, Bound, COMMIT, Connection, ROLLBACK, in_time};
use super::fault::{is_again, is_refused};
use super::side::{Side, used};
use super::statement::{AT_ONCE, Ends, HEAD, LAST, LOCK, NEWS, ROWS, TURN, USED, USED_AT, Values, kept, news, rows};
use super::{apart, beside, spent};
use crate::domain::value::proof_key::ProofKey;
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::{Batch, Spent};
use crate::journal::store::column::sql;
use crate::journal::store::head::{Found, Head};
use crate::journal::store::keys::StoreKeys;
use crate::journal::store::row::Since;
use crate::journal::store::write::{Author, Begun, MOST_NEWS, Tried};
use crate::journal::tree::FullTile;

/// The fault of a batch on another head than `begin` found, or without the lock.
const OTHER_HEAD: &str = "the log does not end where the batch begins, or is not locked";

/// How often the same begins again at most.
pub const AGAIN: u32 = 3;

/// The write side.
pub struct PostgresWriter {
    address: PostgresAddress,
    pub(super) connection: Option<Connection>,
    /// Whether a transaction may be open on the connection.
    pub(super) is_open: bool,
    /// Whether a commit was sent whose outcome nobody told.
    pub(super) is_open_question: bool,
    /// The end of the log as `begin` found it, while the lock is held.
    locked: Option<Found>,
    /// The batch that `commit` writes.
    last: Option<Last>,
    keys: StoreKeys,
    /// The tables beside the entries.
    pub(super) side: Side,
    /// The node that writes. None: an operator does.
    pub(super) author: Option<Author>,
    /// Notified when a generation of spent proofs is to be truncated.
    pub(super) due: Arc<Notify>,
}

/// A batch but for what lies beside it, which is written already.
struct Last {
    rows: Vec<crate::journal::store::batch::Row>,
    tiles: Vec<FullTile>,
    prior: Head,
    after: Head,
    mac: [u8; 32],
}

impl PostgresWriter {
    /// By this connection, and others to the same place after it.
    pub fn by(connection: Connection, address: PostgresAddress, keys: StoreKeys) -> Self {
        Self {
            address,
            connection: Some(connection),
            is_open: false,
            is_open_question: false,
            locked: None,
            last: None,
            side: Side::unknown(keys.sums.clone()),
            keys,
            author: None,
            due: Arc::default(),
        }
    }

    /// The connection, with no transaction open.
    pub(super) async fn idle(&mut self) -> Result<&mut Connection, StoreFault> {
        if self.is_open_question {
            return Err(StoreFault::Failed("a commit of unknown outcome is not settled yet".into()));
        }
        if self.is_open {
            self.roll_back().await;
        }
        self.connected().await
    }

    pub(super) async fn connected(&mut self) -> Result<&mut Connection, StoreFault> {
        if self.connection.as_ref().is_none_or(|connection| connection.client.is_closed()) {
            self.connection = None;
            self.is_open = false;
            self.connection = Some(Connection::confirmed(&self.address).await?);
        }
        // Invariant: set above.
        Ok(self.connection.as_mut().expect("a connection was made"))
    }

    /// The connection whose transaction holds the lock.
    pub(super) fn holding(&mut self) -> Result<(&mut Connection, &mut Side), StoreFault> {
        match (&mut self.connection, &self.locked) {
            (Some(connection), Some(_)) => Ok((connection, &mut self.side)),
            (Some(_) | None, _) => Err(StoreFault::Failed(OTHER_HEAD.into())),
        }
    }

    /// Ends the transaction, nothing written. A connection that cannot is ended itself.
    pub(super) async fn roll_back(&mut self) {
        self.locked = None;
        self.last = None;
        self.side.clear();
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        if let Some(connection) = &self.connection
            && !matches!(in_time(connection.client.batch_execute(ROLLBACK)).await, Ok(Ok(())))
        {
            self.connection = None;
        }
    }

    /// The node that writes, as statements compare it.
    fn as_node(&self) -> (Option<String>, Option<String>) {
        self.author.as_ref().map(|author| (author.id.as_str().to_owned(), author.instance.clone())).unzip()
    }

    /// Whether a batch must be of a time near the database's.
    fn compares_clocks(&self) -> bool {
        self.author.as_ref().is_some_and(|author| author.compares_clocks)
    }

    /// Takes the lock, and looks where the log ends and which of `proofs` are spent: one round trip.
    async fn try_lock(&mut self, known: &Head, proofs: &[Spent]) -> Result<Result<Begun, StoreFault>, tokio_postgres::Error> {
        let connection = match self.idle().await {
            Ok(connection) => connection,
            Err(fault) => return Ok(Err(fault)),
        };
        let (lock, ends) = (connection.prepared(LOCK).await?, connection.prepared(ROWS).await?);
        let (among, keys) = (connection.prepared(spent::AMONG).await?, spent::keys(proofs));
        let among_keys: Bound<'_> = &[&keys];
        let news = connection.prepared(NEWS).await?;
        let (from, most) = (sql(known.size), i64::from(MOST_NEWS));
        let after_known: Bound<'_> = &[&from, &most];
        let (id, instance) = self.as_node();
        let as_node: Bound<'_> = &[&id, &instance];
        self.is_open = true;
        // Invariant: `idle` made it.
        let client = &self.connection.as_ref().expect("a connection").client;
        let all = async {
            let (begun, locked, ends, among, news) = join!(
                biased;
                client.batch_execute(BEGIN),
                client.query_one(&lock, &[]),
                client.query_one(&ends, as_node),
                client.query(&among, among_keys),
                client.query(&news, after_known),
            );
            begun?;
            Ok((locked?, ends?, among?, news?))
        };
        match in_time(all).await {
            Ok(all) => all.map(|(locked, ends, among, news)| self.begun(known, (&locked, &ends, &news), &among, proofs)),
            Err(silent) => {
                self.connection = None;
                self.is_open = false;
                Ok(Err(silent))
            }
        }
    }

    fn begun(
        &mut self,
        known: &Head,
        (locked, ends, after): (&Row, &Row, &[Row]),
        among: &[Row],
        proofs: &[Spent],
    ) -> Result<Begun, StoreFault> {
        if !ends.try_get::<_, bool>(1)? {
            return Err(StoreFault::Superseded);
        }
        let kept = kept(locked)?;
        let found = Found { head: kept.head.clone(), rows: rows(ends, 0)? };
        self.side.know(&kept)?;
        if found.head == *known {
            self.side.spend(spent::all_but(&spent::found(among)?, proofs));
        }
        self.locked = Some(found.clone());
        let news = after.iter().filter_map(|row| news(row, 0).transpose()).collect::<Result<_, _>>()?;
        Ok(Begun { since: Since { found, sums: kept.sums, news }, fresh: self.fresh() })
    }

    pub(super) fn fresh(&self) -> HashSet<ProofKey> {
        self.side.spends().iter().map(|(proof, _)| *proof).collect()
    }

    pub(super) async fn lock(&mut self, known: &Head, proofs: &[Spent]) -> Result<Begun, StoreFault> {
        self.roll_back().await;
        for _ in 1..AGAIN {
            match self.try_lock(known, proofs).await {
                Err(fault) if is_again(&fault) => self.roll_back().await,
                Ok(begun) => return begun,
                Err(fault) => return Err(fault.into()),
            }
        }
        self.try_lock(known, proofs).await?
    }

    /// Reads the last uses of the batch's clients that are not known. False: the head is not the one that is known.
    async fn learn(&mut self) -> Result<bool, StoreFault> {
        let asked = self.side.unread();
        if asked.is_empty() {
            return Ok(true);
        }
        let rows = self.connected().await?.rows(USED_AT, &[&asked]).await?;
        let Some(first) = rows.first() else { return Ok(false) };
        if !self.side.is_at_turn(first.try_get(0)?, first.try_get(1)?, first.try_get(2)?) {
            return Ok(false);
        }
        let mut found = Vec::new();
        for row in &rows {
            if let Some(subject) = row.try_get::<_, Option<String>>(3)? {
                found.push((subject, (row.try_get(4)?, row.try_get(5)?)));
            }
        }
        self.side.read(asked, found);
        Ok(true)
    }

    pub(super) async fn try_at_once(&mut self, batch: Batch, proofs: &[Spent]) -> Result<Tried, StoreFault> {
        self.idle().await?;
        self.side.clear();
        self.side.spend(proofs.to_vec());
        self.side.uses(&batch.rows);
        if !self.learn().await? {
            self.side.clear();
            return Ok(Tried::Not);
        }
        let side = self.side.after(&batch.after)?;
        let connection = self.connected().await?;
        let (lock, write) = (connection.prepared(LOCK).await?, connection.prepared(AT_ONCE).await?);
        let compares_clocks = self.compares_clocks();
        let ends = Ends { prior: &batch.prior, after: &batch.after, mac: &batch.mac, compares_clocks };
        let values = Values::of(&ends, &batch.rows, &batch.tiles, &side);
        let (id, instance) = self.as_node();
        (self.is_open, self.is_open_question) = (true, true);
        // Invariant: `connected` made it.
        let client = &self.connection.as_ref().expect("a connection").client;
        let all = async {
            let bound = [&values.bound()[..], &[&id, &instance]].concat();
            let (begun, locked, written, committed) = join!(
                biased;
                client.batch_execute(BEGIN),
                client.query_one(&lock, &[]),
                client.query_one(&write, &bound),
                client.batch_execute(COMMIT),
            );
            begun?;
            locked?;
            let written = written?;
            committed?;
            written.try_get::<_, i64>(0)
        };
        let outcome = in_time(all).await;
        match self.told(outcome) {
            Ok(0) => {
                self.side.clear();
                Ok(Tried::Not)
            }
            Ok(_) => {
                self.side.take(batch.after, side);
                Ok(Tried::Done)
            }
            Err(Untold::Refused(fault)) => {
                self.roll_back().await;
                if is_again(&fault) { Ok(Tried::Not) } else { Err(fault.into()) }
            }
            Err(Untold::Unknown(fault)) => Err(fault),
        }
    }

    /// What is known after a commit was sent.
    fn told<T>(&mut self, outcome: Result<Result<T, tokio_postgres::Error>, StoreFault>) -> Result<T, Untold> {
        match outcome {
            Ok(Ok(answer)) => {
                (self.is_open, self.is_open_question) = (false, false);
                Ok(answer)
            }
            // The commit was sent behind what was refused, and ended the transaction.
            Ok(Err(fault)) if is_refused(&fault) => {
                (self.is_open, self.is_open_question) = (false, false);
                Err(Untold::Refused(fault))
            }
            Ok(Err(fault)) => Err(self.lost(fault.into())),
            Err(silent) => Err(self.lost(silent)),
        }
    }

    /// The connection is gone, with a commit on its way.
    fn lost(&mut self, fault: StoreFault) -> Untold {
        self.connection = None;
        self.is_open = false;
        self.side.forget();
        Untold::Unknown(fault)
    }

    pub(super) async fn try_append(&mut self, batch: Batch) -> Result<(), StoreFault> {
        self.end_batch().await?;
        let Batch { rows, tiles, prior, after, mac, beside } = batch;
        // On another head this would be a fork.
        if self.locked.as_ref() != Some(&Found { head: prior.clone(), rows: prior.size }) {
            return Err(StoreFault::Failed(OTHER_HEAD.into()));
        }
        let keys = self.keys.clone();
        let (connection, side) = self.holding()?;
        side.uses(&rows);
        let asked = side.unread();
        if !asked.is_empty() {
            let found = connection.rows(USED, &[&asked]).await?;
            side.read(asked, found.iter().map(used).collect::<Result<_, _>>()?);
        }
        beside::write(connection, (side, &keys), beside).await?;
        self.last = Some(Last { rows, tiles, prior, after, mac });
        Ok(())
    }

    /// Writes a batch that another one follows in the same transaction.
    async fn end_batch(&mut self) -> Result<(), StoreFault> {
        let Some(Last { rows, tiles, prior, after, mac }) = self.last.take() else { return Ok(()) };
        let (side, compares_clocks) = (self.side.after(&after)?, self.compares_clocks());
        let (connection, _) = self.holding()?;
        let write = connection.prepared(LAST).await?;
        let ends = Ends { prior: &prior, after: &after, mac: &mac, compares_clocks };
        let values = Values::of(&ends, &rows, &tiles, &side);
        in_time(connection.client.query_one(&write, &values.bound())).await??;
        self.locked = Some(Found { rows: after.size, head: after.clone() });
        self.side.take(after, side);
        Ok(())
    }

    pub(super) async fn try_commit(&mut self) -> Result<(), StoreFault> {
        let Some(Last { rows, tiles, prior, after, mac }) = self.last.take() else {
            self.roll_back().await;
            return Err(StoreFault::Failed("there is nothing to commit".into()));
        };
        let (side, compares_clocks) = (self.side.after(&after)?, self.compares_clocks());
        let write = self.holding()?.0.prepared(LAST).await?;
        let ends = Ends { prior: &prior, after: &after, mac: &mac, compares_clocks };
        let values = Values::of(&ends, &rows, &tiles, &side);
        self.locked = None;
        self.is_open_question = true;
        // Invariant: `holding` found it.
        let client = &self.connection.as_ref().expect("a connection").client;
        let all = async {
            let bound = values.bound();
            let (written, committed) = join!(biased; client.query_one(&write, &bound), client.batch_execute(COMMIT));
            written?;
            committed
        };
        let outcome = in_time(all).await;
        match self.told(outcome) {
            Ok(()) => {
                self.side.take(after, side);
                Ok(())
            }
            Err(Untold::Refused(fault)) => {
                self.roll_back().await;
                Err(fault.into())
            }
            Err(Untold::Unknown(fault)) => Err(fault),
        }
    }

    /// Settles a commit of unknown outcome by a write, on a new connection.
    pub(super) async fn raise_turn(&mut self) -> Result<Found, StoreFault> {
        self.lost(StoreFault::Failed("settling".into()));
        let connection = self.connected().await?;
        let (lock, ends) = (connection.prepared(LOCK).await?, connection.prepared(ROWS).await?);
        let turn = connection.prepared(TURN).await?;
        // It writes no batch, and what a batch of an earlier instance became is asked whoever has its id now.
        let as_operator: Bound<'_> = &[&None::<String>, &None::<String>];
        self.is_open = true;
        // Invariant: `connected` made it.
        let client = &self.connection.as_ref().expect("a connection").client;
        let all = async {
            let (begun, locked, ends, turned, committed) = join!(
                biased;
                client.batch_execute(BEGIN),
                client.query_one(&lock, &[]),
                client.query_one(&ends, as_operator),
                client.execute(&turn, &[]),
                client.batch_execute(COMMIT),
            );
            begun?;
            let (locked, ends) = (locked?, ends?);
            turned?;
            committed?;
            Ok((locked, ends))
        };
        let (locked, ends) = in_time(all).await??;
        let found = Found { head: kept(&locked)?.head, rows: rows(&ends, 0)? };
        (self.is_open, self.is_open_question) = (false, false);
        Ok(found)
    }

    /// Reads the end of the log, without the lock.
    pub(super) async fn head(&mut self) -> Result<Found, StoreFault> {
        let row = self.idle().await?.one(HEAD, &[]).await?;
        Ok(Found { head: kept(&row)?.head, rows: rows(&row, 9)? })
    }

    /// Truncates the old generation of spent proofs, if it has expired.
    pub(super) async fn truncate(&mut self) -> Result<(), StoreFault> {
        self.idle().await?;
        self.is_open = true;
        self.connected().await?;
        // Invariant: `connected` made it.
        let connection = self.connection.as_mut().expect("a connection");
        let truncated = apart::truncate(connection, &mut self.side).await;
        self.is_open = truncated.is_err();
        self.roll_back().await;
        if !matches!(truncated, Ok(false)) {
            self.side.forget();
        }
        truncated.map(drop)
    }
}

/// A commit that did not go well.
enum Untold {
    /// The server says that nothing was written.
    Refused(tokio_postgres::Error),
    /// Nobody knows.
    Unknown(StoreFault),
}
