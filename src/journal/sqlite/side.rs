//! The side tables as the writer keeps them: spent proofs, last uses, the round, and their sums.
//!
//! Each statement that changes one of these tables is run from here, and changes the sum with it; the commit of the batch writes the
//! sums with the head. The rows that SQL returns as written or deleted are counted (`RETURNING`), so a row that somebody changed by hand
//! keeps its sum from fitting for ever. [`check`] is what a start does: it reads each table once, a second for some hundred thousand proofs, and they are
//! those whose time is not over, not all that ever were.
//!
//! Deliberately not here: when a batch begins and ends (`writer`), and what the entries say of these tables (`evidence`).

use std::collections::{HashMap, HashSet};

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};

use super::column::{digest, number, sql};
use super::spent::{self, Lately, Memory, Step};
use super::statement::{self, LATELY, MOST, ROUND};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::store::batch::{Row, Spent};
use crate::journal::store::head::{Found, Head};
use crate::journal::store::sums::{SideRow, Sum, SumKey, Sums, Table};

/// Rows of a page of `consumed`.
const PAGE: i64 = 4096;

const SUMS: &str = "SELECT sums FROM head WHERE id = 1";
const LAST_USES: &str = "SELECT subject, idx, time FROM last_use";
const LATELY_ROWS: &str = "SELECT first, proofs FROM consumed_lately";
const CONSUMED: &str = "SELECT proof, gone_after FROM consumed WHERE proof > ? ORDER BY proof LIMIT ?";

/// A client's last token: its entry and its time, as SQL has them.
type Use = (i64, i64);

/// The side tables as the writer knows them, and the changes of the batch that is being written.
pub struct Side {
    key: SumKey,
    /// The proofs that were spent lately, before this batch.
    lately: Memory,
    sums: Sums,
    used: HashMap<String, Use>,
    /// Whether all of it is right at the head that was found last.
    knows: bool,
    batch: Pending,
}

/// The changes of a batch.
#[derive(Default)]
struct Pending {
    /// The proofs that it spends.
    spends: Vec<Spent>,
    /// The proofs that move with it.
    step: Step,
    /// The last use of each client that it issues a token to.
    used: HashMap<String, Use>,
    /// The sums after it, as far as it is written.
    sums: Sums,
}

impl Side {
    /// Nothing is known yet.
    pub fn unknown(key: SumKey) -> Self {
        let (lately, used) = (Memory::default(), HashMap::new());
        Self { key, lately, sums: Sums::default(), used, knows: false, batch: Pending::default() }
    }

    /// The proofs that were spent lately, for the read side.
    pub fn lately(&self) -> Memory {
        self.lately.clone()
    }

    /// The proofs that the batch spends.
    pub fn spends(&self) -> &[Spent] {
        &self.batch.spends
    }

    /// A batch begins, or is given up.
    pub fn clear(&mut self) {
        self.batch = Pending { sums: self.sums, ..Pending::default() };
    }

    /// Whether a batch after `prior` that spends `proofs` only adds to these tables.
    ///
    /// That is so if none of them was spent lately, and no proof moves.
    pub fn only_adds(&self, prior: &Head, proofs: &[Spent]) -> bool {
        let adds = |head: &Head, lately: &Lately| {
            *head == *prior && lately.moving(proofs.len()) == 0 && !proofs.iter().any(|(proof, _)| lately.holds(proof))
        };
        self.lately.look(adds) == Some(true)
    }

    /// Reads these tables again after another node wrote, while the lock is held.
    ///
    /// The sums are those that the head keeps, and never made of the rows that are read: so the next [`check`] misses a row that is gone.
    pub async fn know(&mut self, connection: &mut SqliteConnection, found: &Found) -> Result<(), StoreFault> {
        self.knows = found.rows == found.head.size && self.lately.look(|head, _| *head == found.head) == Some(true);
        if self.knows {
            return Ok(());
        }
        let kept = sqlx::query(SUMS).fetch_one(&mut *connection).await?;
        // No head of ours: nothing is spent and nothing written at it, and the sequencer finds out what it is.
        let Some(sums) = self.key.open(kept.try_get(0)?, &found.head) else { return Ok(()) };
        match check(connection, &self.key, &found.head, &Table::READ_AGAIN).await {
            Ok(_) => {}
            Err(OpenFault::Table { table, .. }) => return Err(StoreFault::Foreign(table)),
            Err(OpenFault::Store(fault)) => return Err(fault),
            Err(other) => return Err(StoreFault::unreadable(other)),
        }
        let rows = sqlx::query(LATELY).fetch_all(&mut *connection).await?;
        let rows: Vec<&[u8]> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let round = sqlx::query(ROUND).fetch_one(&mut *connection).await?;
        let moved = round.try_get::<Option<&[u8]>, _>(0)?.map(|_| digest(&round, 0)).transpose()?.map(ProofKey);
        let lately = Lately::read(rows, (moved, number(round.try_get(1)?)?));
        let lately = lately.ok_or_else(|| StoreFault::unreadable("a row that is no list of proofs"))?;
        let rows = sqlx::query(LAST_USES).fetch_all(connection).await?;
        let used = |row: &SqliteRow| Ok::<_, StoreFault>((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)));
        self.used = rows.iter().map(used).collect::<Result<_, _>>()?;
        self.sums = sums;
        self.lately.put(found.head.clone(), lately);
        self.knows = true;
        self.clear();
        Ok(())
    }

    /// Spends the proofs that are neither among `consumed` nor spent lately, and returns them.
    pub fn spend_all_but(&mut self, among: &HashSet<ProofKey>, proofs: &[Spent]) -> HashSet<ProofKey> {
        let fresh = |lately: &Lately| {
            let fresh = proofs.iter().filter(|(proof, _)| !among.contains(proof) && !lately.holds(proof));
            fresh.copied().collect()
        };
        // `know` came before. Were it not so, nothing would be fresh.
        self.batch.spends = self.lately.look(|_, lately| fresh(lately)).filter(|_| self.knows).unwrap_or_default();
        self.batch.spends.iter().map(|(proof, _)| *proof).collect()
    }

    /// The batch goes at once: it spends `proofs`, and moves nothing.
    pub fn spend_at_once(&mut self, proofs: &[Spent]) {
        self.clear();
        self.batch.spends = proofs.to_vec();
    }

    /// Forgets spent proofs of one slice of the key space whose time is over.
    pub async fn purge(&mut self, connection: &mut SqliteConnection, slice: u8, now: Timestamp) -> Result<(), StoreFault> {
        let from = vec![slice];
        // Blobs compare byte by byte: all that begin with `slice`, and all that follow the last slice.
        let to = slice.checked_add(1).map_or_else(|| vec![0xff; 33], |next| vec![next]);
        let delete = "DELETE FROM consumed WHERE proof >= ? AND proof < ? AND gone_after < ? RETURNING proof, gone_after";
        let gone = sqlx::query(delete).bind(from).bind(to).bind(now.as_seconds()).fetch_all(connection).await?;
        for row in &gone {
            self.batch.sums.subtract(&self.key, consumed(row)?);
        }
        Ok(())
    }

    /// Puts proofs into `consumed`, as far as they are not there.
    pub async fn put(&mut self, connection: &mut SqliteConnection, proofs: &[Spent]) -> Result<(), StoreFault> {
        for proofs in proofs.chunks(MOST) {
            for row in &statement::consumed(proofs).fetch_all(&mut *connection).await? {
                self.batch.sums.add(&self.key, consumed(row)?);
            }
        }
        Ok(())
    }

    /// Moves proofs to `consumed` with a batch, and deletes rows whose proofs have moved.
    ///
    /// The batch begins at `first`.
    pub async fn move_proofs(
        &mut self,
        connection: &mut SqliteConnection,
        first: u64,
        now: Timestamp,
    ) -> Result<(), StoreFault> {
        let Some((step, before)) = self.lately.look(|_, lately| (lately.step(self.batch.spends.len(), now), lately.round()))
        else {
            return Ok(());
        };
        self.put(&mut *connection, &step.home).await?;
        if let Some(forgets) = step.forgets {
            let delete = sqlx::query("DELETE FROM consumed_lately WHERE first < ? RETURNING first, proofs").bind(sql(forgets));
            for row in &delete.fetch_all(&mut *connection).await? {
                self.batch.sums.subtract(&self.key, lately(row)?);
            }
        }
        if step.forgets.is_some() || step.moved.is_some() {
            let after = (step.moved.or(before.0), step.forgets.map_or(before.1, |_| first));
            let update = sqlx::query("UPDATE round SET moved = ?, first = ?");
            let update = update.bind(after.0.map(|moved| moved.0.0.to_vec())).bind(sql(after.1));
            update.execute(connection).await?;
            self.batch.sums.subtract(&self.key, round(&before));
            self.batch.sums.add(&self.key, round(&after));
        }
        self.batch.step = step;
        Ok(())
    }

    /// The tokens of these rows are the last uses of their clients.
    pub fn uses(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|row| row.kind == Row::ISSUED) {
            self.batch.used.insert(row.subject.clone(), (sql(row.index), row.time.as_seconds()));
        }
    }

    /// The sums as the head `after` the batch keeps them. The batch begins at `first`.
    pub fn sums_after(&mut self, first: u64, after: &Head) -> Result<Vec<u8>, StoreFault> {
        if !self.knows {
            return Err(StoreFault::unreadable("a head without sums of ours"));
        }
        let mut sums = self.batch.sums;
        if let Some(proofs) = spent::row(&self.batch.spends) {
            sums.add(&self.key, SideRow::Lately { first: sql(first), proofs: &proofs });
        }
        let row = |subject, (index, time): &Use| SideRow::LastUse { subject, index: *index, time: *time };
        for (subject, last) in &self.batch.used {
            if let Some(before) = self.used.get(subject) {
                sums.subtract(&self.key, row(subject, before));
            }
            sums.add(&self.key, row(subject, last));
        }
        self.batch.sums = sums;
        Ok(self.key.seal(&sums, after))
    }

    /// The batch is durable, and the log ends at `after`.
    pub fn take(&mut self, after: Head) {
        let Pending { spends, step, used, sums } = std::mem::take(&mut self.batch);
        self.lately.take(&step, &spends, after);
        self.used.extend(used);
        self.sums = sums;
        self.clear();
    }
}

fn consumed(row: &SqliteRow) -> Result<SideRow<'_>, StoreFault> {
    Ok(SideRow::Consumed { proof: row.try_get(0)?, gone_after: row.try_get(1)? })
}

fn lately(row: &SqliteRow) -> Result<SideRow<'_>, StoreFault> {
    Ok(SideRow::Lately { first: row.try_get(0)?, proofs: row.try_get(1)? })
}

fn round((moved, first): &(Option<ProofKey>, u64)) -> SideRow<'_> {
    SideRow::Round { moved: moved.as_ref().map(|moved| &moved.0.0[..]), first: sql(*first) }
}

/// Whether `tables` hold the rows that a node of ours left in them, by the sums of the head.
///
/// `Ok(false)`: the head keeps no sums yet, and nothing was checked.
pub async fn check(connection: &mut SqliteConnection, key: &SumKey, head: &Head, tables: &[Table]) -> Result<bool, OpenFault> {
    let row = sqlx::query(SUMS).fetch_one(&mut *connection).await.map_err(StoreFault::from)?;
    let kept: &[u8] = row.try_get(0).map_err(StoreFault::from)?;
    if kept.is_empty() {
        return Ok(false);
    }
    let fault = |table, what| OpenFault::Table { table, what };
    let sums = key.open(kept, head).ok_or_else(|| fault("head", "its sums were not written by a node of ours"))?;
    for table in tables {
        if !read(connection, key, *table).await?.is(sums.of(*table)) {
            return Err(fault(table.name(), "its rows are not those that a node of ours left there"));
        }
    }
    Ok(true)
}

/// Writes the sums of the rows that the tables hold, in the caller's transaction.
///
/// The entries have proved the rows at this head.
pub async fn write_sums(connection: &mut SqliteConnection, key: &SumKey, head: &Head) -> Result<(), StoreFault> {
    let mut sums = Sums::default();
    for table in Table::ALL {
        *sums.at(table) = read(connection, key, table).await?;
    }
    let update = sqlx::query("UPDATE head SET sums = ? WHERE id = 1").bind(key.seal(&sums, head));
    update.execute(connection).await?;
    Ok(())
}

/// Begins the round anew: every row of before moves once more, and none goes before it has.
pub async fn begin_round(connection: &mut SqliteConnection, head: &Head) -> Result<(), StoreFault> {
    let update = sqlx::query("REPLACE INTO round (id, moved, first) VALUES (1, NULL, ?)").bind(sql(head.size));
    update.execute(connection).await?;
    Ok(())
}

/// The sum of the rows that a table holds.
async fn read(connection: &mut SqliteConnection, key: &SumKey, table: Table) -> Result<Sum, StoreFault> {
    let mut sums = Sums::default();
    match table {
        Table::Consumed => {
            let mut from: Vec<u8> = Vec::new();
            loop {
                let rows = sqlx::query(CONSUMED).bind(from).bind(PAGE).fetch_all(&mut *connection).await?;
                let Some(last) = rows.last() else { break };
                from = last.try_get(0)?;
                for row in &rows {
                    sums.add(key, consumed(row)?);
                }
            }
        }
        Table::Lately => {
            for row in &sqlx::query(LATELY_ROWS).fetch_all(connection).await? {
                sums.add(key, lately(row)?);
            }
        }
        Table::LastUse => {
            for row in &sqlx::query(LAST_USES).fetch_all(connection).await? {
                let (subject, index, time) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
                sums.add(key, SideRow::LastUse { subject, index, time });
            }
        }
        Table::Round => {
            for row in &sqlx::query(ROUND).fetch_all(connection).await? {
                sums.add(key, SideRow::Round { moved: row.try_get(0)?, first: row.try_get(1)? });
            }
        }
    }
    Ok(sums.of(table))
}
