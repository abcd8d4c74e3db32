//! Beginning anew on a log that an operator has reopened, after this node stopped because it was not the log that the node wrote.
//!
//! A node stops for good when the log was cut, forked, or tampered with: nothing that it holds in memory may be joined with another history.
//! It goes on by a start of its own over the log as that is now ([`Journal::may_begin_anew`] says when), and nothing of the stopped journal is
//! taken over. A start is as strict here as after a restart of the program:
//!
//! - the whole log is proved, and it is of an epoch after the one in which this node stopped, and after that of a proof of a loss. Only an
//!   operator who has the key-encryption key begins an epoch, so whoever puts an older database back makes no node go on;
//! - what this node has seen taken away is in the log, or was recorded again after the new epoch began, or was given up by its number
//!   ([`covers`]): a revocation that the operator did not know of revives nothing.

use super::fault::{OpenFault, StopReason, StoreFault};
use super::handle::Journal;
use super::key::anchor::Anchor;
use super::key::kek::Kek;
use super::open::examine;
use super::seen::{covers, reopenings};
use super::settings::Settings;
use super::store::batch::MacKey;
use super::store::reader::Reader;

impl Journal {
    /// Whether a start with these settings may take the place of this journal, which stopped: an operator has reopened the log since.
    ///
    /// If the log was reopened and a start would refuse it, the health of this journal says why.
    pub async fn may_begin_anew(&self, settings: &Settings, kek: &Kek) -> bool {
        let outcome = self.is_reopened(settings, kek).await;
        let why = outcome.as_ref().err().filter(|fault| !fault.is_away()).map(ToString::to_string);
        self.shared().hold_back(why);
        matches!(outcome, Ok(true))
    }

    async fn is_reopened(&self, settings: &Settings, kek: &Kek) -> Result<bool, OpenFault> {
        let known = match self.health().stopped {
            Some(StopReason::Foreign { .. }) => 0,
            // A proof of a loss is over in a later epoch alone.
            Some(StopReason::Lost { epoch, .. }) => epoch,
            // It is not the log that is wrong, or it goes on elsewhere.
            Some(StopReason::CheckpointKey | StopReason::Moved { .. } | StopReason::Superseded) | None => return Ok(false),
        };
        let known = known.max(self.view().state.epoch);
        // Before all of it is proved, which costs as much as a start.
        if !is_said(self.reader(), known).await? {
            return Ok(false);
        }
        let Some(past) = examine(settings, kek).await? else { return Ok(false) };
        if past.epoch() <= known {
            return Ok(false);
        }
        // At the node where it was reopened the anchor is of the new epoch already, and says nothing of what this one has seen.
        if let Some(anchor) = settings.anchor.clone().map(Anchor::at) {
            covers(&anchor.tail(), &MacKey::of(kek), (&past.reader, &past.tree), self.view().state.epoch).await?;
        }
        Ok(true)
    }
}

/// Whether the database says, unproved, that a later epoch than `known` has begun.
async fn is_said(reader: &Reader, known: u64) -> Result<bool, StoreFault> {
    Ok(reopenings(reader).await?.iter().any(|begun| begun.epoch > known))
}
