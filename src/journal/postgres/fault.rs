//! Faults of the driver, as the journal sorts them.
//!
//! What the server tells is kept without its details: a detail quotes the row that failed, and rows hold what people wrote.

use tokio_postgres::error::{Severity, SqlState};

use crate::journal::fault::StoreFault;

/// What the server told, for logs.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL: {message} ({code})")]
struct Told {
    code: String,
    message: String,
}

/// Why the driver did not do it, for logs.
#[derive(Debug, thiserror::Error)]
#[error("PostgreSQL: {what}{because}")]
struct Driver {
    what: String,
    because: String,
}

/// Classes of errors after which nobody can say whether a transaction was committed: the connection, the server's end, and its own faults.
const DOUBTFUL: [&str; 4] = ["08", "57", "58", "XX"];

impl From<tokio_postgres::Error> for StoreFault {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(told) = error.as_db_error() else {
            let because = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self::Failed(Driver { what: error.to_string(), because }.into());
        };
        let kept = Told { code: told.code().code().to_owned(), message: told.message().to_owned() };
        if *told.code() == SqlState::QUERY_CANCELED { Self::Late(kept.into()) } else { Self::Failed(kept.into()) }
    }
}

/// The server did not answer in time.
pub fn silent() -> StoreFault {
    StoreFault::Failed("PostgreSQL did not answer in time".into())
}

/// Whether the server says that it took everything back and that the same may go well again: 40001 and 40P01.
pub fn is_again(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED)
}

/// Whether the server itself says that the transaction was not committed.
pub fn is_refused(error: &tokio_postgres::Error) -> bool {
    let Some(told) = error.as_db_error() else { return false };
    let code = told.code().code();
    told.parsed_severity() == Some(Severity::Error)
        && !DOUBTFUL.iter().any(|class| code.starts_with(class))
        && *told.code() != SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN
}
