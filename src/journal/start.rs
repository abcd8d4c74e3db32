//! The kinds of a start, and what each may do with a journal that has left for another database.

use super::fault::OpenFault;
use super::load;
use super::settings::Rest;
use super::store::head::Head;
use super::tail::lost::Given;
use crate::domain::log::change::Change;
use crate::domain::log::journal::JournalChange;

/// The kind of a start.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Open,
    /// Accept the head as it is and begin a new epoch, in which nothing is minted for so long; what is given says what the log lost.
    Reopen(Rest, &'a Given),
    /// Open, and begin a new epoch at the clock's time, before that of the newest entry.
    CorrectClock,
    /// Open, and put another key in the place of the one that signs checkpoints.
    Succeed,
    /// Open, and leave for the database of this name, unless it has left for it.
    Move(&'a str),
    /// Open a journal that has left the database of this name, and go on here.
    Arrive(&'a str),
}

impl Start<'_> {
    /// Whether a journal may be opened that has left for another database, or one that has not.
    ///
    /// Attack: a journal that went on in two places would spend every proof twice. The way back is a new epoch, as after a restore.
    pub fn may_open(self, moved: Option<&str>) -> Result<(), OpenFault> {
        match (moved, self) {
            (None, Self::Arrive(_)) => Err(load::inconsistent(0, "no entry says that the journal moves")),
            (None, _) | (Some(_), Self::Reopen(..) | Self::Arrive(_)) => Ok(()),
            (Some(to), Self::Move(wanted)) if to == wanted => Ok(()),
            (Some(to), Self::Open | Self::CorrectClock | Self::Succeed | Self::Move(_)) => {
                Err(OpenFault::Moved { to: to.to_owned() })
            }
        }
    }
}

/// The change by which a journal that ends at `head` leaves for another database.
pub fn leaving(to: &str, head: &Head) -> Change {
    JournalChange::Moved { to: to.to_owned(), size: head.size, root: head.root }.into()
}

/// The change by which a journal that ends at `head` has come from another database.
pub fn arriving(from: &str, head: &Head) -> Change {
    JournalChange::Arrived { from: from.to_owned(), size: head.size, root: head.root }.into()
}
