//! Changes of the journal itself.

use super::archive::Segment;
use super::format;
use super::kinds::kinds;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::text::Text;
use crate::domain::value::zero::is_zero;

kinds! {
    /// Changes of the journal itself.
    pub enum JournalChange {
        /// The journal begins. This is its first entry.
        #[kind = "journal.opened"]
        Opened {
            /// Name of the log in checkpoints.
            origin: String,
            /// True if `carnet dev` made it; `serve` refuses such a journal.
            dev: bool,
            /// The newest format that its entries have.
            #[serde(default = "format::first", skip_serializing_if = "format::is_first")]
            format: u32,
        },
        /// An operator reopened a restored journal, or one whose time ran ahead.
        ///
        /// Every signing key is tainted, every elevation ends, and nothing is minted until `mints_from`.
        #[kind = "journal.reopened"]
        Reopened {
            /// The epoch, one more than before.
            epoch: u64,
            /// The time until which nothing is minted.
            ///
            /// Until then a proof may have been spent that this journal does not know.
            mints_from: Timestamp,
            /// The time of the entry before this one, if it was written under a wrong clock.
            ///
            /// The time of this entry is earlier.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            corrects: Option<Timestamp>,
            /// How many changes of a lost part are recorded again, as the entries right after this one.
            #[serde(default, skip_serializing_if = "is_zero")]
            again: u64,
            /// How many changes, or entries, of a lost part the operator gave up by their number.
            #[serde(default, skip_serializing_if = "is_zero")]
            forgotten: u64,
        },
        /// Old entries are in a segment, and may leave the database (`[journal] retention`).
        ///
        /// Changes among them stay in the database.
        #[kind = "journal.archived"]
        Archived(Segment),
        /// Entries may have a newer format from now on. Nodes that do not read it start no more.
        #[kind = "journal.format-raised"]
        FormatRaised {
            /// The newest format of entries.
            to: u32,
        },
        /// Another key signs checkpoints from now on.
        #[kind = "checkpoint-key.succeeded"]
        CheckpointKeySucceeded {
            /// A signed note that names both keys, signed by both.
            statement: String,
        },
        /// An operator moves the journal to another database. Nothing is recorded here after it.
        #[kind = "journal.moved"]
        Moved {
            /// The other database, without user or password.
            to: String,
            /// The entries before this one.
            size: u64,
            /// The root over them.
            root: Digest,
        },
        /// The journal was moved here, and goes on in the same epoch.
        #[kind = "journal.arrived"]
        Arrived {
            /// The database that it came from, without user or password.
            from: String,
            /// The entries that came, the last of which says that they move.
            size: u64,
            /// The root over them.
            root: Digest,
        },
    }
}

impl JournalChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Opened { origin, .. } => origin.clone(),
            Self::Reopened { epoch, .. } => format!("epoch {epoch}"),
            Self::Archived(segment) => format!("entries {} to {}", segment.first, segment.until.saturating_sub(1)),
            Self::FormatRaised { to } => format!("format {to}"),
            Self::CheckpointKeySucceeded { .. } => "checkpoint key".to_owned(),
            Self::Moved { to, .. } => to.clone(),
            Self::Arrived { from, .. } => from.clone(),
        }
    }

    /// The reason, which the journal's own changes do not give.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Opened { .. }
            | Self::Reopened { .. }
            | Self::Archived(_)
            | Self::FormatRaised { .. }
            | Self::CheckpointKeySucceeded { .. }
            | Self::Moved { .. }
            | Self::Arrived { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Opened { .. }
            | Self::Reopened { .. }
            | Self::Archived(_)
            | Self::FormatRaised { .. }
            | Self::CheckpointKeySucceeded { .. }
            | Self::Moved { .. }
            | Self::Arrived { .. } => Vec::new(),
        }
    }
}
