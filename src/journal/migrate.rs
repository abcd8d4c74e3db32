//! Moving a journal to another database: all of it, in the same epoch, and never to two places.
//!
//! Enter through [`migrate`]. The order is what makes it safe: the source says on record that it leaves, and opens no more; then everything is
//! copied, and the end of the log last; then all of the copy is proved; and last the copy says on record that it has arrived, and opens.
//! Whatever interrupts that, the same call goes on where it was. Anchor, checkpoint key and the live index know the log, and not its place.
//!
//! Rows go by the traits of the store alone. The tables beside the log that entries do not prove (people, counts of uses, requests) are compared.

use std::sync::Arc;

use super::archive::segment::Shelf;
use super::evidence::{self, Progress, Report, VerifyFault};
use super::fault::{OpenFault, StoreFault};
use super::key::data_key::DataKeys;
use super::key::kek::Kek;
use super::load;
use super::open::{Outside, start};
use super::place;
use super::settings::Settings;
use super::start::Start;
use super::store::batch::MacKey;
use super::store::head::Head;
use super::store::keys::StoreKeys;
use super::store::reader::Reader;
use super::store::restore::{Portion, Restore};
use super::store::row::LastUses;
use super::store::snapshot::{Checked, PAGE, Snapshot};
use super::tree::tiles::WIDTH;
use crate::domain::state::State;

/// A database that a journal leaves or goes to, with its name on record: without user or password.
pub struct Place<'s> {
    /// How to open it.
    pub settings: &'s Settings,
    /// Its name.
    pub name: &'s str,
}

/// The result of a move.
#[derive(Clone, Debug)]
pub struct Moved {
    /// The proof of what came.
    pub report: Report,
    /// The entry that says that it has arrived.
    pub arrived: u64,
}

/// Why a journal was not moved, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum MigrateFault {
    /// There is a journal at the target, or what is left of one, and it is not this one.
    #[error("there is a journal at {0} already")]
    NotEmpty(String),
    /// The journal has left for another database.
    #[error("the journal has left for {0}")]
    Elsewhere(String),
    /// It has arrived there before, and went on.
    #[error("the journal has arrived at {0} already, and goes on there")]
    Arrived(String),
    /// The copy does not have all that the source has.
    #[error("the copy does not have the {0} of the source")]
    Differs(&'static str),
    /// A database, or what it holds.
    #[error(transparent)]
    Open(#[from] OpenFault),
    /// The copy does not hold.
    #[error("the copy does not hold: {0}")]
    Verify(#[from] VerifyFault),
    /// Segments could not be copied.
    #[error("{0}")]
    Segments(std::io::Error),
}

impl From<StoreFault> for MigrateFault {
    fn from(fault: StoreFault) -> Self {
        Self::Open(fault.into())
    }
}

/// Moves the journal from one database to another.
///
/// It goes on where an earlier call with the same places stopped.
///
/// # Errors
/// Nothing was changed, or the source says that it leaves and opens no more: the same call goes on.
pub async fn migrate(
    from: Place<'_>,
    to: Place<'_>,
    kek: &Kek,
    outside: &Outside,
    progress: Progress<'_>,
) -> Result<Moved, MigrateFault> {
    let (key, rows) = (MacKey::of(kek), DataKeys::of(kek));
    let (source, shelf) = place::read(from.settings, &rows).await?;
    let left = load::load(&source, &key, Checked::All).await?.state.moved;
    if let Some(elsewhere) = left.as_ref().filter(|left| *left != to.name) {
        return Err(MigrateFault::Elsewhere(elsewhere.clone()));
    }
    let mut restore = place::restore(to.settings, &StoreKeys::of(kek, Arc::clone(&outside.entropy))).await?;
    let (target, target_shelf) = place::read(to.settings, &rows).await?;
    let there = there(&source, &target).await?;
    if left.is_none() {
        if !matches!(there, There::Nothing) {
            return Err(MigrateFault::NotEmpty(to.name.to_owned()));
        }
        let journal = start(from.settings, kek, outside.clone(), Start::Move(to.name), |writer| writer).await?;
        journal.close().await;
    }
    let loaded = load::load(&source, &key, Checked::All).await?;
    match there {
        There::Nothing | There::Begun => {
            segments(&loaded.state, &shelf, &target_shelf)?;
            let mut snapshot = source.snapshot().await?;
            copy(&mut *snapshot, &source, &mut *restore, &loaded.head, progress).await?;
            snapshot.end_reading().await?;
        }
        There::Ends(head) if head == loaded.head => {}
        There::Ends(head) if head.size > loaded.head.size => return Err(further(&target, &loaded.head, to.name).await?),
        There::Ends(_) | There::Other => return Err(MigrateFault::NotEmpty(to.name.to_owned())),
    }
    let report = evidence::verify_database(to.settings, kek, None, progress).await?;
    if (report.size, report.root) != (loaded.head.size, loaded.head.root) {
        return Err(MigrateFault::Differs("entries"));
    }
    compare(&source, &target).await?;
    let journal = start(to.settings, kek, outside.clone(), Start::Arrive(from.name), |writer| writer).await?;
    let arrived = journal.view().size.saturating_sub(1);
    journal.close().await;
    source.close().await?;
    target.close().await?;
    Ok(Moved { report, arrived })
}

/// What the target holds.
enum There {
    Nothing,
    /// Entries of this log, and no end: an earlier copy was interrupted.
    Begun,
    Ends(Head),
    /// Entries of another log.
    Other,
}

async fn there(source: &Reader, target: &Reader) -> Result<There, MigrateFault> {
    let mut snapshot = target.snapshot().await?;
    let end = snapshot.end().await?;
    snapshot.end_reading().await?;
    let Some(end) = end else { return Ok(There::Other) };
    if end.head.size > 0 {
        return Ok(There::Ends(end.head));
    }
    // Entries without an end. The first one never leaves, and is copied first.
    if target.time_from(0).await?.is_none() {
        return Ok(There::Nothing);
    }
    let (ours, theirs) = (source.body(0).await?, target.body(0).await?);
    Ok(if ours.is_some() && ours == theirs { There::Begun } else { There::Other })
}

/// The target has more entries than left: the journal went on there, or it is another one.
async fn further(target: &Reader, head: &Head, name: &str) -> Result<MigrateFault, MigrateFault> {
    let arrived = target.changes_of_kind("journal.arrived").await?;
    let is_ours = arrived.iter().any(|(index, _)| *index == head.size);
    Ok(if is_ours { MigrateFault::Arrived(name.to_owned()) } else { MigrateFault::NotEmpty(name.to_owned()) })
}

/// The segments that the log names. A file is named by its hash, so one that is there is the same.
fn segments(state: &State, from: &Shelf, to: &Shelf) -> Result<(), MigrateFault> {
    for segment in state.archive.segments() {
        to.copy(segment, from).map_err(|fault| MigrateFault::Segments(fault.cause))?;
    }
    Ok(())
}

/// Everything, and the end of the log last.
async fn copy(
    from: &mut dyn Snapshot,
    reader: &Reader,
    to: &mut dyn Restore,
    head: &Head,
    progress: Progress<'_>,
) -> Result<(), MigrateFault> {
    let mut next = 0;
    loop {
        let rows = from.page(next).await?;
        let Some(last) = rows.last() else { break };
        let first = next;
        next = last.entry.index + 1;
        let leaves: Vec<_> = rows.iter().map(|row| (row.entry.index, row.entry.leaf)).collect();
        to.restore(&Portion::Entries(rows)).await?;
        // Batches go with their first entry; entries of the last may come with the next page.
        let batches = from.batches(first, next).await?.into_iter();
        let mut with_leaves = Vec::new();
        for batch in batches {
            let mut own: Vec<_> = own(&leaves, (batch.first, batch.size_after));
            if batch.size_after > next {
                let rest = from.page(next).await?;
                let rest: Vec<_> = rest.iter().map(|row| (row.entry.index, row.entry.leaf)).collect();
                own.extend(self::own(&rest, (batch.first, batch.size_after)));
            }
            with_leaves.push((batch, own));
        }
        to.restore(&Portion::Batches(with_leaves)).await?;
        progress(next, head.size);
    }
    tiles(from, to, head.size).await?;
    let mut place = None;
    loop {
        let page = from.spent(place).await?;
        to.restore(&Portion::Spent(page.rows)).await?;
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    let mut after = None;
    loop {
        let rows = from.texts(after).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.digest);
        to.restore(&Portion::Texts(rows)).await?;
    }
    // Nothing is written after the entry that says that the log leaves.
    let goes_on = || load::inconsistent(head.size, "the log goes on although it has left");
    to.restore(&Portion::Keyring(from.keyring().await?.ok_or_else(goes_on)?)).await?;
    let LastUses { at_head, since } = from.last_uses().await?;
    if !since.is_empty() {
        return Err(goes_on().into());
    }
    for rows in at_head.chunks(PAGE) {
        to.restore(&Portion::LastUses(rows.to_vec())).await?;
    }
    for rows in from.answers().await?.chunks(PAGE) {
        to.restore(&Portion::Answers(rows.to_vec())).await?;
    }
    to.restore(&Portion::People(reader.people().await?)).await?;
    let mut after = None;
    loop {
        let rows = from.use_texts(after).await?;
        let Some(last) = rows.last() else { break };
        after = Some(last.key);
        to.restore(&Portion::UseTexts(rows)).await?;
    }
    let uses = reader.uses().await?;
    for (day, _) in &uses.days {
        to.restore(&Portion::Uses(reader.uses_of_day(*day).await?)).await?;
    }
    to.restore(&Portion::UsesHead(uses)).await?;
    Ok(to.restore(&Portion::End(head.clone())).await?)
}

type Leaf = (u64, Option<crate::domain::value::digest::Digest>);

/// The leaf hashes of a batch, of those that are there.
fn own(leaves: &[Leaf], (first, until): (u64, u64)) -> Vec<crate::domain::value::digest::Digest> {
    leaves.iter().filter(|(index, _)| (first..until).contains(index)).filter_map(|(_, leaf)| *leaf).collect()
}

/// The full tiles of a log of `size` entries.
async fn tiles(from: &mut dyn Snapshot, to: &mut dyn Restore, size: u64) -> Result<(), MigrateFault> {
    let (mut level, mut below) = (0_u8, size / u64::from(WIDTH));
    while below > 0 {
        let mut rows = Vec::new();
        for index in 0..below {
            let missing = || load::inconsistent(index.saturating_mul(u64::from(WIDTH)), "a tile is missing");
            rows.push((level, index, from.tile(level, index).await?.ok_or_else(missing)?));
            if rows.len() == PAGE || index + 1 == below {
                to.restore(&Portion::Tiles(std::mem::take(&mut rows))).await?;
            }
        }
        level += 1;
        below /= u64::from(WIDTH);
    }
    Ok(())
}

/// Compares the tables that the entries do not prove.
async fn compare(source: &Reader, target: &Reader) -> Result<(), MigrateFault> {
    let (ours, theirs) = (source.people().await?, target.people().await?);
    if (ours.head, ours.rows) != (theirs.head, theirs.rows) {
        return Err(MigrateFault::Differs("people directory"));
    }
    let (ours, theirs) = (source.uses().await?, target.uses().await?);
    if (&ours.head, &ours.days) != (&theirs.head, &theirs.days) {
        return Err(MigrateFault::Differs("counts of uses"));
    }
    for (day, _) in &ours.days {
        let by_use = |rows: &super::store::uses::UseRow| rows.key;
        let (mut ours, mut theirs) = (source.uses_of_day(*day).await?, target.uses_of_day(*day).await?);
        ours.sort_by_key(by_use);
        theirs.sort_by_key(by_use);
        if ours != theirs {
            return Err(MigrateFault::Differs("counts of uses"));
        }
    }
    let (mut ours, mut theirs) = (source.snapshot().await?, target.snapshot().await?);
    let mut after = None;
    loop {
        let rows = ours.use_texts(after).await?;
        if rows != theirs.use_texts(after).await? {
            return Err(MigrateFault::Differs("texts of uses"));
        }
        let Some(last) = rows.last() else { break };
        after = Some(last.key);
    }
    let mut after = None;
    loop {
        let rows = ours.texts(after).await?;
        if rows != theirs.texts(after).await? {
            return Err(MigrateFault::Differs("texts of people"));
        }
        let Some(last) = rows.last() else { break };
        after = Some(last.digest);
    }
    if ours.answers().await? != theirs.answers().await? {
        return Err(MigrateFault::Differs("requests with an idempotency key"));
    }
    ours.end_reading().await?;
    Ok(theirs.end_reading().await?)
}
