//! Faults of the driver, as the journal sorts them.
//!
//! What the server tells is kept without its details: a detail quotes the row that failed, and rows hold what people wrote.

use std::io::ErrorKind;

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
            let kept = Driver { what: error.to_string(), because }.into();
            return if is_unreached(&error) { Self::Away(kept) } else { Self::Failed(kept) };
        };
        let kept = Told { code: told.code().code().to_owned(), message: told.message().to_owned() };
        if is_again(&error) && is_refused(&error) {
            return Self::Again(kept.into());
        }
        if AWAY.contains(told.code()) {
            return Self::Away(kept.into());
        }
        if *told.code() == SqlState::QUERY_CANCELED { Self::Late(kept.into()) } else { Self::Failed(kept.into()) }
    }
}

/// What a server says that starts, ends, or has no connection left.
const AWAY: [SqlState; 4] =
    [SqlState::CANNOT_CONNECT_NOW, SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::TOO_MANY_CONNECTIONS];

/// Whether no server was reached, or none that takes writes, as the driver says it with an error of its own.
fn is_unreached(error: &tokio_postgres::Error) -> bool {
    let io = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>());
    let is_unreached = |io: &std::io::Error| match io.kind() {
        ErrorKind::ConnectionRefused
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::TimedOut
        | ErrorKind::UnexpectedEof
        | ErrorKind::HostUnreachable => true,
        // "database does not allow writes": the system's own refusal has its number.
        kind => kind == ErrorKind::PermissionDenied && io.raw_os_error().is_none(),
    };
    error.is_closed() || io.is_some_and(is_unreached)
}

/// The server did not answer in time.
pub fn silent() -> StoreFault {
    StoreFault::Away("PostgreSQL did not answer in time".into())
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
