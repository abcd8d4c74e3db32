//! Faults of the driver, as the journal sorts them.

use crate::journal::fault::StoreFault;

/// SQLite's code for a statement that was ended from outside (`SQLITE_INTERRUPT`): here, because its time was over.
const INTERRUPT: &str = "9";

impl From<sqlx::Error> for StoreFault {
    fn from(error: sqlx::Error) -> Self {
        if is_interrupted(&error) { Self::Late(error.into()) } else { Self::Failed(error.into()) }
    }
}

/// Whether SQLite ended the statement because its time was over.
pub fn is_interrupted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(INTERRUPT))
}
