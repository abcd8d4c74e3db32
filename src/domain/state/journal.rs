//! Folds changes of the journal itself.

use super::State;
use super::effects::{Effects, Entered};
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::log::journal::JournalChange;

impl State {
    pub(super) fn apply_journal(&mut self, entry: Entered<'_>, change: &JournalChange) -> Effects {
        match change {
            JournalChange::Opened { origin, dev, format } => {
                self.format = *format;
                (self.epoch, self.epoch_began) = (1, entry.index);
                self.origin.clone_from(origin);
                self.dev = *dev;
                Effects::judged()
            }
            JournalChange::Reopened { epoch, mints_from, corrects, again: _, forgotten: _ } => {
                self.corrections.extend(corrects.map(|_| (entry.index, entry.at)));
                if corrects.is_some() {
                    self.dates.correct(entry.at);
                }
                (self.epoch, self.epoch_began) = (*epoch, entry.index);
                // The way back of an operator who gives up a move.
                self.moved = None;
                self.mints_from = *mints_from;
                let keys = self.keys.taint_all().into_iter();
                let keys = keys.map(|(environment, kid)| RevocationTarget::Key { environment, kid });
                let authorities = self.certificates.taint_all().into_iter();
                let authorities = authorities.map(|(environment, kid)| RevocationTarget::Authority { environment, kid });
                let elevations = self.elevations.end_all(entry.at).into_iter();
                let elevations =
                    elevations.map(|(environment, elevation)| RevocationTarget::Elevation { environment, elevation });
                Effects::judged().revoking(keys.chain(authorities).chain(elevations))
            }
            JournalChange::FormatRaised { to } => {
                self.format = self.format.max(*to);
                Effects::unjudged()
            }
            JournalChange::CheckpointKeySucceeded { .. } => {
                self.checkpoint_keys += 1;
                Effects::unjudged()
            }
            JournalChange::Archived(segment) => {
                self.archive.take(segment);
                Effects::unjudged()
            }
            JournalChange::Moved { to, .. } => {
                self.moved = Some(to.clone());
                Effects::unjudged()
            }
            JournalChange::Arrived { .. } => {
                self.moved = None;
                Effects::unjudged()
            }
        }
    }
}
