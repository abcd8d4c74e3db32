//! Beginning a new epoch: after a restore, or after a clock that ran ahead.

use super::archive::segment::Shelf;
use super::evidence;
use super::fault::{OpenFault, Unavailable};
use super::load;
use super::sequencer::Sequencer;
use super::sequencer::queue::ChangeOutcome;
use super::settings::{LONGEST_ASSERTION, Rest};
use super::store::batch::Beside;
use super::tail::lost::{self, Given, Log, Reapplied};
use crate::domain::log::journal::JournalChange;
use crate::domain::people::actor::Actor;

/// More epochs than any journal has.
///
/// Without it a thief of the checkpoint key could sign the last possible epoch, and no later one could begin.
const MOST_EPOCHS: u64 = 1 << 32;

/// Begins a new epoch. If time goes back, proofs that were forgotten too early are spent again.
///
/// What the log lost is judged by what an operator gave; a correction of time loses nothing, and is given nothing.
pub async fn reopen(sequencer: &mut Sequencer, (rest, given): (Rest, Option<&Given>), shelf: &Shelf) -> Result<(), OpenFault> {
    let Reapplied { changes, forgotten } = match given {
        Some(given) => {
            let signers = sequencer.shared.signers.load_full();
            let (reader, key) = (&sequencer.reader, &sequencer.key);
            let log = Log { reader, key, head: &sequencer.head, tree: &sequencer.tree, signers: &signers };
            lost::judge(&log, sequencer.anchor.as_ref(), given).await?
        }
        None => Reapplied { changes: Vec::new(), forgotten: 0 },
    };
    let wall = sequencer.shared.believed()?;
    let corrects = match sequencer.shared.time_after(sequencer.head.time) {
        Ok(_) if rest.corrects => return Err(OpenFault::ClockAgrees { wall, head: sequencer.head.time }),
        Ok(_) => None,
        Err(_) if rest.corrects => Some(sequencer.head.time),
        Err(fault) => return Err(fault.into()),
    };
    let (from, spent) = match corrects {
        Some(_) => (wall, evidence::spent_since(&sequencer.reader, shelf, &sequencer.key, wall).await?),
        None => (wall.max(sequencer.head.time), Vec::new()),
    };
    // An earlier rest goes on: proofs that the journal does not know are as good as before. If its end was written under a wrong clock
    // too, it is at most as far from now as a rest is long.
    let left = sequencer.state.mints_from;
    let left = if corrects.is_some() { left.min(wall.plus(LONGEST_ASSERTION)) } else { left };
    let mints_from = from.plus(rest.lasts).max(left);
    let (epoch, again) = (next_epoch(sequencer)?, changes.len() as u64);
    let what = JournalChange::Reopened { epoch, mints_from, corrects, again, forgotten };
    let all = std::iter::once(what.by(Actor::Operator)).chain(changes).collect();
    match sequencer.several(all, Beside { spent, ..Beside::default() }).await? {
        ChangeOutcome::Done(_) => Ok(()),
        // Another process writes to this journal right now.
        ChangeOutcome::Stale => Err(Unavailable::BUSY.into()),
    }
}

/// The epoch after that of the log, and after those of the anchor and the note beside it.
///
/// A lost part may be of a later epoch than the copy that was put back; in an epoch of the same number its checkpoints would prove a loss of the new history. A file
/// that cannot be read, or that no key of this log signed, says nothing and does not prevent reopening.
fn next_epoch(sequencer: &Sequencer) -> Result<u64, OpenFault> {
    let signers = sequencer.shared.signers.load();
    let notes = sequencer.anchor.iter().flat_map(|anchor| [anchor.text(), anchor.lost_text()]);
    let kept = notes.filter_map(|note| signers.keys().open(&note.ok()??).ok());
    let ours = kept.filter(|kept| kept.checkpoint.origin == sequencer.origin);
    let known = ours.filter_map(|kept| kept.epoch).filter(|epoch| *epoch < MOST_EPOCHS).max();
    let newest = sequencer.state.epoch.max(known.unwrap_or(0));
    newest.checked_add(1).ok_or_else(|| load::inconsistent(sequencer.head.size, "no epoch is left to begin"))
}
