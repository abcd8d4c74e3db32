//! Whether the tables beside the entries are as a node of ours left them, by the sums that the head keeps, while nodes write.
//!
//! No statement sees all rows, so each table is summed as of one head. Spent proofs are rows that come once: each says at which entry its
//! batch begins, so those that came after a head are told from those before it. They go all together, and that raises the turn of the head: then
//! the sum begins anew. A node of an earlier version does not say where its batch begins; while there are proofs of such a node, all proofs
//! are read in one statement, with the head that they are of. A last use is written over: rows are read by pages, and last, in one statement with the head that they are of, those
//! that changed meanwhile.

use std::collections::HashMap;

use super::column::{next_bytes, next_text};
use super::generations::{TABLES, spent_in, table};
use super::reading::{Reading, read_again};
use super::side::{Kept, LAST_USES, PAGE, SPENT, Use, last_use, used};
use super::statement::kept;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::store::column::sql;
use crate::journal::store::head::Head;
use crate::journal::store::snapshot::Checked;
use crate::journal::store::sums::{SumKey, Sums, Table};

/// How often the sums are made at most. A generation is truncated once in as long as proofs are remembered.
const READS: u32 = 4;

/// The last uses of entries from $1 on, with the head that they are of.
const USED_SINCE: &str = "SELECT h.size, h.root, h.last_change, h.time, h.turn, h.sums, h.young, h.until_0, h.until_1, \
    u.subject, u.idx, u.time FROM head h LEFT JOIN last_use u ON u.idx >= $1 WHERE h.id = 1";

/// All spent proofs, with the head that they are of.
const SPENT_NOW: &str = "SELECT h.size, h.root, h.last_change, h.time, h.turn, h.sums, h.young, h.until_0, h.until_1, \
    s.generation, s.proof, s.gone_after FROM head h LEFT JOIN (SELECT 0::int2 AS generation, proof, gone_after FROM spent_0 \
    UNION ALL SELECT 1::int2, proof, gone_after FROM spent_1) s ON true WHERE h.id = 1";

/// What is said of rows that do not have their sum.
const STRANGE: &str = "its rows are not those that a node of ours left there";

fn fault(table: &'static str, what: &'static str) -> OpenFault {
    OpenFault::Table { table, what }
}

/// Refuses tables that another hand changed, at the head where the reading began and since.
///
/// A node keeps no copy of rows that it decides by, but for the generations: the others are read anew each time, under the lock.
pub async fn check(reading: &Reading, key: &SumKey, head: &Head, tables: Checked) -> Result<(), OpenFault> {
    opened(reading.fixed()?, key, head)?;
    if tables == Checked::InMemory {
        return Ok(());
    }
    for _ in 0..READS {
        if is_checked(reading, key).await? {
            return Ok(());
        }
    }
    Err(read_again().into())
}

/// The sums that the row of a head keeps, if a node of ours wrote them, and the generations in it.
fn opened(kept: &Kept, key: &SumKey, head: &Head) -> Result<Sums, OpenFault> {
    let sums = key.open(&kept.sums, head).ok_or_else(|| fault("head", "its sums were not written by a node of ours"))?;
    let mut read = Sums::default();
    read.add(key, kept.generations.row(&kept.generations.bytes()));
    ensure((Table::Round, "head"), &read, &sums)?;
    Ok(sums)
}

fn ensure((table, name): (Table, &'static str), read: &Sums, sums: &Sums) -> Result<(), OpenFault> {
    if read.of(table).is(sums.of(table)) { Ok(()) } else { Err(fault(name, STRANGE)) }
}

/// Sums all rows. False: a generation was truncated, or a commit was settled, and what was read may be of two moments.
async fn is_checked(reading: &Reading, key: &SumKey) -> Result<bool, OpenFault> {
    let before = reading.now().await?;
    let sums = opened(&before, key, &before.head)?;
    let size = sql(before.head.size);
    let (mut read, mut newest, mut dated) = (Sums::default(), [i64::MIN; TABLES.len()], true);
    for (generation, newest) in newest.iter_mut().enumerate() {
        match add_spent(reading, key, (&mut read, generation), size).await? {
            Some(first) => *newest = first,
            None => dated = false,
        }
    }
    if !dated {
        check_spent_now(reading, key).await?;
    }
    let mut all = last_uses(reading).await?;
    let rows = reading.rows(USED_SINCE, &[&size]).await?;
    let after = kept(rows.first().ok_or_else(|| StoreFault::unreadable("a head that is gone"))?)?;
    for row in &rows {
        if let Some(subject) = row.try_get::<_, Option<String>>(9).map_err(StoreFault::from)? {
            let (index, time) = (row.try_get(10).map_err(StoreFault::from)?, row.try_get(11).map_err(StoreFault::from)?);
            all.insert(subject, (index, time));
        }
    }
    if after.turn != before.turn || after.head.size < before.head.size {
        return Ok(false);
    }
    let later = opened(&after, key, &after.head)?;
    for (generation, name) in TABLES.into_iter().enumerate().filter(|_| dated) {
        ensure((table(generation), name), &read, &sums)?;
        // No batch of ours begins there yet.
        if newest[generation] >= sql(after.head.size) {
            return Err(fault(name, STRANGE));
        }
    }
    let mut read = Sums::default();
    for (subject, last) in &all {
        read.add(key, last_use(subject, last));
    }
    ensure((Table::LastUse, Table::LastUse.name()), &read, &later)?;
    Ok(true)
}

/// Sums all spent proofs as of one moment.
async fn check_spent_now(reading: &Reading, key: &SumKey) -> Result<(), OpenFault> {
    let rows = reading.rows(SPENT_NOW, &[]).await?;
    let now = kept(rows.first().ok_or_else(|| StoreFault::unreadable("a head that is gone"))?)?;
    let (sums, mut read) = (opened(&now, key, &now.head)?, Sums::default());
    for row in &rows {
        if let Some(generation) = row.try_get::<_, Option<i16>>(9).map_err(StoreFault::from)? {
            let (proof, until) = (row.try_get(10).map_err(StoreFault::from)?, row.try_get(11).map_err(StoreFault::from)?);
            read.add(key, spent_in(usize::from(generation != 0), proof, until));
        }
    }
    TABLES.into_iter().enumerate().try_for_each(|(generation, name)| ensure((table(generation), name), &read, &sums))
}

/// Adds the proofs of a generation that were spent before the entry `size`. Returns where the batch begins that spent the newest of all; none
/// if a proof does not say where its batch begins.
async fn add_spent(
    reading: &Reading,
    key: &SumKey,
    (sums, generation): (&mut Sums, usize),
    size: i64,
) -> Result<Option<i64>, StoreFault> {
    let (mut from, mut newest) = (Vec::new(), i64::MIN);
    loop {
        let rows = reading.rows(SPENT[generation], &[&from, &PAGE]).await?;
        for row in &rows {
            let Some(first) = row.try_get(2)? else { return Ok(None) };
            newest = newest.max(first);
            if first < size {
                sums.add(key, spent_in(generation, row.try_get(0)?, row.try_get(1)?));
            }
        }
        let Some(last) = rows.last() else { return Ok(Some(newest)) };
        from = next_bytes(last.try_get(0)?);
    }
}

async fn last_uses(reading: &Reading) -> Result<HashMap<String, Use>, StoreFault> {
    let (mut all, mut from) = (HashMap::new(), String::new());
    loop {
        let rows = reading.rows(LAST_USES, &[&from, &PAGE]).await?;
        for row in &rows {
            all.extend([used(row)?]);
        }
        let Some(last) = rows.last() else { return Ok(all) };
        from = next_text(last.try_get(0)?);
    }
}
