//! Faults of the driver, as the journal sorts them.

use crate::journal::fault::StoreFault;

/// SQLite's code for a statement that was interrupted (`SQLITE_INTERRUPT`): it ran too long.
const INTERRUPT: &str = "9";

impl From<sqlx::Error> for StoreFault {
    fn from(error: sqlx::Error) -> Self {
        if is_interrupted(&error) { Self::Late(error.into()) } else { Self::Failed(error.into()) }
    }
}

/// Whether SQLite interrupted the statement because it ran too long.
pub fn is_interrupted(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(error) if error.code().as_deref() == Some(INTERRUPT))
}
