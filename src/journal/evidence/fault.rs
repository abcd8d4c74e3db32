//! Why evidence proves nothing, with the place where it breaks.

use std::io;
use std::path::{Path, PathBuf};

use super::super::fault::{OpenFault, StoreFault};
use crate::journal::tree::note::NoteFault;

/// Something does not hold.
#[derive(Debug, thiserror::Error)]
pub enum VerifyFault {
    /// The first entry that does not hold.
    #[error("the journal does not hold at entry {index}: {what}")]
    Entry {
        /// Which.
        index: u64,
        /// What does not.
        what: String,
    },
    /// All entries hold, and a table beside them does not agree with them.
    #[error("every entry holds, but the {table} table does not agree with them: {what}")]
    Beside {
        /// Which table.
        table: &'static str,
        /// What does not.
        what: String,
    },
    /// Entries are missing at the end: a checkpoint says that there were more.
    #[error("entries {size} to {last} are missing: the {by} is of {known} entries", last = .known - 1)]
    Cut {
        /// Entries here.
        size: u64,
        /// Entries of the checkpoint.
        known: u64,
        /// Which checkpoint.
        by: &'static str,
    },
    /// Another history: the entries agree with each other, and not with a checkpoint.
    #[error("the first {known} entries are not those that the {by} was made of: the log was written anew, or forked")]
    Forked {
        /// Entries of the checkpoint.
        known: u64,
        /// Which checkpoint.
        by: &'static str,
    },
    /// A checkpoint that the key does not verify.
    #[error("the {which}: {fault}")]
    Note {
        /// Which.
        which: &'static str,
        /// Why.
        fault: NoteFault,
    },
    /// There is no such entry to prove.
    #[error("there is no entry {index} in a log of {size} entries")]
    NoEntry {
        /// Which was asked for.
        index: u64,
        /// Entries.
        size: u64,
    },
    /// A file of an export.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The database cannot be read, or is not the configured journal.
    #[error(transparent)]
    Open(OpenFault),
}

impl VerifyFault {
    /// The first entry that does not hold, or is missing; none where no single entry can be blamed.
    pub fn index(&self) -> Option<u64> {
        match self {
            Self::Entry { index, .. } | Self::Cut { size: index, .. } => Some(*index),
            _ => None,
        }
    }

    /// A fault of one entry.
    pub fn entry(index: u64, what: impl Into<String>) -> Self {
        Self::Entry { index, what: what.into() }
    }

    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self::File { path, cause }
    }
}

impl From<OpenFault> for VerifyFault {
    fn from(fault: OpenFault) -> Self {
        match fault {
            OpenFault::Inconsistent { index, what } => Self::Entry { index, what },
            OpenFault::Table { table, what } => Self::Beside { table, what: what.to_owned() },
            other => Self::Open(other),
        }
    }
}

impl From<VerifyFault> for OpenFault {
    fn from(fault: VerifyFault) -> Self {
        match fault {
            VerifyFault::Open(fault) => fault,
            other => Self::Inconsistent { index: other.index().unwrap_or(0), what: other.to_string() },
        }
    }
}

impl From<StoreFault> for VerifyFault {
    fn from(fault: StoreFault) -> Self {
        Self::Open(fault.into())
    }
}
