//! Changes of the journal itself.

use super::archive::Segment;
use super::kinds::kinds;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::Text;

kinds! {
    /// What happens to the journal itself.
    pub enum JournalChange {
        /// The journal begins. This is its first entry.
        #[kind = "journal.opened"]
        Opened {
            /// Name of the log in checkpoints.
            origin: String,
            /// `carnet dev` made it; `serve` refuses such a journal.
            dev: bool,
        },
        /// An operator reopened a restored journal, or one whose time ran ahead.
        ///
        /// Every signing key is tainted, every elevation ends, and nothing is minted until `mints_from`.
        #[kind = "journal.reopened"]
        Reopened {
            /// One more than before.
            epoch: u64,
            /// Until then a proof may have been spent that this journal does not know.
            mints_from: Timestamp,
            /// The time of the entry before this one, where it was written under a wrong clock: this entry is of an earlier time.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            corrects: Option<Timestamp>,
        },
        /// Old entries lie in a segment, and all but the changes among them may leave the database (`[journal] retention`).
        #[kind = "journal.archived"]
        Archived(Segment),
        /// Another key signs checkpoints from now on.
        #[kind = "checkpoint-key.succeeded"]
        CheckpointKeySucceeded {
            /// A signed note of both keys, which names them.
            statement: String,
        },
    }
}

impl JournalChange {
    /// What the change is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Opened { origin, .. } => origin.clone(),
            Self::Reopened { epoch, .. } => format!("epoch {epoch}"),
            Self::Archived(segment) => format!("entries {} to {}", segment.first, segment.until.saturating_sub(1)),
            Self::CheckpointKeySucceeded { .. } => "checkpoint key".to_owned(),
        }
    }

    /// Why. The journal's own changes do not say.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Opened { .. } | Self::Reopened { .. } | Self::Archived(_) | Self::CheckpointKeySucceeded { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Opened { .. } | Self::Reopened { .. } | Self::Archived(_) | Self::CheckpointKeySucceeded { .. } => Vec::new(),
        }
    }
}
