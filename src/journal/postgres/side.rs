//! The tables beside the entries as the writer knows them: their sums, the generations of spent proofs, and last uses.
//!
//! What is known is right at one head and one turn, and every batch compares both. After another node wrote, the sums are read with the lock,
//! from the head; last uses are read again as clients come. Sums are never made of rows that are read here, so a row that somebody changed
//! keeps them from fitting for ever, and the next check (`checked`) tells.

use std::collections::HashMap;

use super::column::{next_bytes, next_text};
use super::connection::Connection;
use super::generations::{Generations, TABLES, spent_in, table};
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::{Row, Spent};
use crate::journal::store::column::sql;
use crate::journal::store::head::Head;
use crate::journal::store::sums::{SideRow, Sum, SumKey, Sums, Table};

/// Rows of a page of spent proofs, or of last uses.
pub const PAGE: i64 = 4096;

/// A client's last token: its entry and its time.
pub type Use = (i64, i64);

/// The row of the head: the end of the log, and what it says of the tables beside the entries.
pub struct Kept {
    pub head: Head,
    pub turn: i64,
    pub sums: Vec<u8>,
    pub generations: Generations,
}

/// What is known at a head.
struct Known {
    head: Head,
    turn: i64,
    sums: Sums,
    generations: Generations,
    /// The last use of each client that was asked for; none if it has no token yet.
    used: HashMap<String, Option<Use>>,
}

/// The side tables as the writer knows them, and the changes of the batch that is being written.
pub struct Side {
    key: SumKey,
    known: Option<Known>,
    batch: Pending,
}

/// The changes of a batch.
#[derive(Default)]
struct Pending {
    spends: Vec<Spent>,
    used: HashMap<String, Use>,
    /// Whether the generations may change places.
    turns: bool,
}

/// The tables after a batch, as its statement writes them.
pub struct After {
    pub turn: i64,
    pub sums: Vec<u8>,
    pub generations: Generations,
    pub spends: Vec<Spent>,
    pub used: Vec<(String, Use)>,
    open: Sums,
}

impl Side {
    /// Nothing is known yet.
    pub fn unknown(key: SumKey) -> Self {
        Self { key, known: None, batch: Pending::default() }
    }

    /// A batch begins, or is given up.
    pub fn clear(&mut self) {
        self.batch = Pending::default();
    }

    /// What is known is right no more.
    pub fn forget(&mut self) {
        self.known = None;
        self.clear();
    }

    /// Takes in the row of the head, under its lock.
    pub fn know(&mut self, kept: &Kept) -> Result<(), StoreFault> {
        if self.known.as_ref().is_some_and(|known| known.head == kept.head && known.turn == kept.turn) {
            return Ok(());
        }
        // No head of ours: nothing is spent and nothing written at it, and the sequencer finds out what it is.
        self.known = None;
        let Some(sums) = self.key.open(&kept.sums, &kept.head) else { return Ok(()) };
        let Kept { head, turn, generations, .. } = kept;
        let mut read = Sums::default();
        read.add(&self.key, generations.row(&generations.bytes()));
        if !read.of(Table::Round).is(sums.of(Table::Round)) {
            return Err(StoreFault::Foreign("head"));
        }
        self.known = Some(Known { head: head.clone(), turn: *turn, sums, generations: *generations, used: HashMap::new() });
        Ok(())
    }

    /// Whether this is known at `head`, and so a batch after it may be written at once.
    pub fn is_at(&self, head: &Head) -> bool {
        self.known.as_ref().is_some_and(|known| known.head == *head)
    }

    /// Whether this is known at this turn of the head as well.
    pub fn is_at_turn(&self, size: i64, root: &[u8], turn: i64) -> bool {
        self.known
            .as_ref()
            .is_some_and(|known| sql(known.head.size) == size && known.head.root.0[..] == *root && known.turn == turn)
    }

    /// The generations, with the batch.
    pub fn generations(&self) -> Generations {
        let known = self.known.as_ref().map_or_else(Generations::default, |known| known.generations);
        if self.batch.turns { known.turned() } else { known }
    }

    /// The generations may change places with this batch.
    pub fn turn(&mut self) {
        self.batch.turns = true;
    }

    /// The batch spends these proofs, none of which is spent. Nothing is, where nothing is known.
    pub fn spend(&mut self, fresh: Vec<Spent>) {
        self.batch.spends = if self.known.is_some() { fresh } else { Vec::new() };
    }

    /// The proofs that the batch spends.
    pub fn spends(&self) -> &[Spent] {
        &self.batch.spends
    }

    /// The batch spends these as well.
    pub fn spend_too(&mut self, fresh: Vec<Spent>) {
        self.batch.spends.extend(fresh);
    }

    /// The tokens of these rows are the last uses of their clients.
    pub fn uses(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|row| row.kind == Row::ISSUED) {
            self.batch.used.insert(row.subject.clone(), (sql(row.index), row.time.as_seconds()));
        }
    }

    /// The clients of the batch whose last use is not known.
    pub fn unread(&self) -> Vec<String> {
        let Some(known) = &self.known else { return Vec::new() };
        self.batch.used.keys().filter(|subject| !known.used.contains_key(*subject)).cloned().collect()
    }

    /// Takes in last uses that were read. Of `asked`, the others have none.
    pub fn read(&mut self, asked: Vec<String>, rows: Vec<(String, Use)>) {
        if let Some(known) = &mut self.known {
            known.used.extend(asked.into_iter().map(|subject| (subject, None)));
            known.used.extend(rows.into_iter().map(|(subject, last)| (subject, Some(last))));
        }
    }

    /// What the batch writes, if it ends at `after`.
    pub fn after(&self, after: &Head) -> Result<After, StoreFault> {
        let known = self.known.as_ref().ok_or_else(|| StoreFault::unreadable("a head without sums of ours"))?;
        let (mut open, spends) = (known.sums, self.batch.spends.clone());
        let generations = self.generations().spending(&spends);
        for (proof, until) in &spends {
            open.add(&self.key, generations.spent(&proof.0.0, until.as_seconds()));
        }
        open.subtract(&self.key, known.generations.row(&known.generations.bytes()));
        open.add(&self.key, generations.row(&generations.bytes()));
        let used: Vec<(String, Use)> = self.batch.used.iter().map(|(subject, last)| (subject.clone(), *last)).collect();
        for (subject, last) in &used {
            match known.used.get(subject) {
                Some(Some(before)) => open.subtract(&self.key, last_use(subject, before)),
                Some(None) => {}
                None => return Err(StoreFault::Failed("a last use was not read".into())),
            }
            open.add(&self.key, last_use(subject, last));
        }
        Ok(After { turn: known.turn, sums: self.key.seal(&open, after), generations, spends, used, open })
    }

    /// The batch is durable, and the log ends at `head`.
    pub fn take(&mut self, head: Head, after: After) {
        if let Some(known) = &mut self.known {
            known.head = head;
            known.sums = after.open;
            known.generations = after.generations;
            known.used.extend(after.used.into_iter().map(|(subject, last)| (subject, Some(last))));
        }
        self.clear();
    }

    /// The old generation, if its time is over, and the sums without it. It is truncated while the lock is held.
    pub fn emptied(&self) -> Option<(usize, Vec<u8>)> {
        let known = self.known.as_ref()?;
        let (mut sums, after) = (known.sums, known.generations.emptied());
        let old = known.generations.expired(known.head.time)?;
        *sums.at(table(old)) = Sum::default();
        sums.subtract(&self.key, known.generations.row(&known.generations.bytes()));
        sums.add(&self.key, after.row(&after.bytes()));
        Some((old, self.key.seal(&sums, &known.head)))
    }
}

/// A last use as a row of its table.
pub fn last_use<'r>(subject: &'r str, (index, time): &Use) -> SideRow<'r> {
    SideRow::LastUse { subject, index: *index, time: *time }
}

/// The sums of the rows that the tables hold, for who alone writes to them.
pub async fn sums(connection: &mut Connection, key: &SumKey, generations: Generations) -> Result<Sums, StoreFault> {
    let mut read = Sums::default();
    read.add(key, generations.row(&generations.bytes()));
    for generation in 0..TABLES.len() {
        add_spent(connection, key, &mut read, generation).await?;
    }
    let mut from = String::new();
    loop {
        let rows = connection.rows(LAST_USES, &[&from, &PAGE]).await?;
        for row in &rows {
            let (subject, last) = used(row)?;
            read.add(key, last_use(&subject, &last));
        }
        let Some(last) = rows.last() else { return Ok(read) };
        from = next_text(last.try_get(0)?);
    }
}

/// The last uses of clients, from one on.
pub const LAST_USES: &str = "SELECT subject, idx, time FROM last_use WHERE subject >= $1 ORDER BY subject LIMIT $2";

/// The spent proofs of each generation, from one on, each with the entry at which its batch begins.
pub const SPENT: [&str; 2] = [
    "SELECT proof, gone_after, first FROM spent_0 WHERE proof >= $1 ORDER BY proof LIMIT $2",
    "SELECT proof, gone_after, first FROM spent_1 WHERE proof >= $1 ORDER BY proof LIMIT $2",
];

async fn add_spent(connection: &mut Connection, key: &SumKey, sums: &mut Sums, generation: usize) -> Result<(), StoreFault> {
    let mut from: Vec<u8> = Vec::new();
    loop {
        let rows = connection.rows(SPENT[generation], &[&from, &PAGE]).await?;
        let Some(last) = rows.last() else { return Ok(()) };
        from = next_bytes(last.try_get(0)?);
        for row in &rows {
            sums.add(key, spent_in(generation, row.try_get(0)?, row.try_get(1)?));
        }
    }
}

/// Columns subject, index, time.
pub fn used(row: &tokio_postgres::Row) -> Result<(String, Use), StoreFault> {
    Ok((row.try_get(0)?, (row.try_get(1)?, row.try_get(2)?)))
}
