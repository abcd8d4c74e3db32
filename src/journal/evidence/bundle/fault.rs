//! Why a bundle proves nothing, or cannot be made, with the file that it is about.

use super::zip::ZipFault;
use crate::domain::value::text::visible;
use crate::journal::fault::Unavailable;
use crate::journal::tree::note::NoteFault;

/// Something does not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BundleFault {
    /// The archive.
    #[error(transparent)]
    Zip(#[from] ZipFault),
    /// The first file that differs, is missing, or is too much.
    #[error("{name}: {what}")]
    File {
        /// Its name, as it may be shown.
        name: String,
        /// The fault.
        what: String,
    },
    /// The key does not verify the checkpoint of this bundle.
    #[error("journal/checkpoint: {0}")]
    Note(NoteFault),
    /// The log has no such entry, or the entry is not before the closing one.
    #[error("the log has no entry {0} that the bundle could have")]
    NoEntry(u64),
    /// The stored tree does not lead to the head of the log. Nothing is signed.
    #[error("the stored tree of the log does not lead to its head: run carnet journal verify")]
    Tree,
    /// The journal.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl BundleFault {
    pub(super) fn file(name: &str, what: impl Into<String>) -> Self {
        Self::File { name: visible(name, |_| false), what: what.into() }
    }

    /// The file that it is about, if it is about one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::File { name, .. } | Self::Zip(ZipFault::File { name, .. }) => Some(name),
            Self::Note(_) => Some(super::CHECKPOINT),
            Self::Zip(
                ZipFault::TooLong | ZipFault::TooMany | ZipFault::Other | ZipFault::Directory | ZipFault::Trailing(_),
            )
            | Self::NoEntry(_)
            | Self::Tree
            | Self::Unavailable(_) => None,
        }
    }
}
