//! Location of the journal, and settings of a start.

use std::path::PathBuf;

use super::archive::segment::ArchivePlace;
use super::postgres::PostgresAddress;
use crate::domain::registry::binding::JwtRule;
use crate::domain::value::clock::Seconds;
use crate::domain::value::names::NodeId;

/// The location of the journal.
#[derive(Clone, Debug)]
pub enum Location {
    /// An SQLite database.
    File(PathBuf),
    /// A PostgreSQL database.
    Postgres {
        /// Where it is.
        address: Box<PostgresAddress>,
        /// Where old entries go that leave it.
        segments: ArchivePlace,
    },
    /// A directory of its own that goes with the journal (`carnet dev`). Not durable.
    Temporary,
}

/// How to start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The database.
    pub location: Location,
    /// `[journal] origin`: the name of the log, a URL without scheme.
    pub origin: String,
    /// A journal of `carnet dev`: said in its first entry, and refused by `serve`.
    pub dev: bool,
    /// The anchor file, beside the configuration and not beside the database.
    ///
    /// Without one a restored backup goes unseen.
    pub anchor: Option<PathBuf>,
    /// As which of several nodes; none where the journal has one.
    ///
    /// A node that this journal does not know yet has no anchor, and begins with the log as it is.
    pub node: Option<NodeId>,
    /// Whether to make a database that does not exist.
    pub create: bool,
}

/// The rest after a journal was reopened.
#[derive(Clone, Copy, Debug)]
pub struct Rest {
    /// How long nothing is minted: [`LONGEST_ASSERTION`] unless the operator knows better.
    pub lasts: Seconds,
    /// Begin at the clock's time, before that of the newest entry: the operator trusts the clock.
    pub corrects: bool,
}

/// The default rest after `reopen`: the longest life that an assertion may have.
///
/// After it every proof that was spent in the lost part has expired (docs/reference/records.md, `maxLife`).
pub const LONGEST_ASSERTION: Seconds = JwtRule::LONGEST_LIFE;
