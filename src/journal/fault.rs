//! Faults of the journal, sorted by the way that a caller handles them.

use std::path::{Path, PathBuf};

use super::key::kek::KekFault;
use super::store::health::{self, Defect};
use crate::domain::reason::decision::Refused;
use crate::domain::reason::{self, Reason};
use crate::domain::value::clock::CLOCK_AHEAD;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::steady::Reading;

/// An error of the store, as its driver tells it. For logs, never for the wire.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The store did not do it, is away, or holds what nothing of ours writes.
    #[error(transparent)]
    Failed(Cause),
    /// The store does not answer now: it is not started yet, is being replaced, or takes no writes.
    #[error(transparent)]
    Away(Cause),
    /// The store took everything back, and the same may go well at once.
    #[error(transparent)]
    Again(Cause),
    /// The store ended a statement because its time was over.
    #[error(transparent)]
    Late(Cause),
    /// A table beside the entries, which is read again after another node wrote, is not as a node of ours left it.
    #[error("the {0} table was changed by another hand")]
    Foreign(&'static str),
    /// Another instance has taken the id of this node, and nothing that this one writes counts.
    #[error("another instance has the id of this node")]
    Superseded,
}

/// The error of a driver.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The journal does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// There is no database, and none was to be made (ABUSE F-14).
    ///
    /// An empty one would silently forget every revocation.
    #[error("there is no journal at {0}")]
    Missing(PathBuf),
    /// Written by another version of the program.
    #[error("the journal has schema {0}, which this version does not know")]
    Schema(String),
    /// A journal that `carnet dev` made in `serve`, or the other way round.
    #[error("the journal's first entry says dev = {0}; it serves only where it was made for")]
    Dev(bool),
    /// It was moved to another database, and goes on there.
    #[error("the journal has moved to {to}")]
    Moved {
        /// The other database.
        to: String,
    },
    /// Another log than the configuration names.
    #[error("the journal is the log {found}, and the configuration names {configured}")]
    Origin {
        /// In the first entry.
        found: String,
        /// `[journal] origin`.
        configured: String,
    },
    /// An entry was changed, added or taken away by tampering.
    #[error("the journal does not hold at entry {index}: {what}")]
    Inconsistent {
        /// The first entry that does not hold.
        index: u64,
        /// What does not.
        what: String,
    },
    /// A side table is not as a node of ours left it: a spent proof could count once more.
    #[error("the journal's {table} table was changed by another hand: {what}")]
    Table {
        /// Which.
        table: &'static str,
        /// What does not hold.
        what: &'static str,
    },
    /// The head does not extend what was anchored: a backup was put back, or the journal forked.
    #[error(
        "the journal ({head} entries) does not extend its anchored checkpoint ({anchored} entries): restored, cut or forked; \
         see `carnet journal reopen`"
    )]
    Rollback {
        /// Entries of the anchored checkpoint.
        anchored: u64,
        /// Entries of the journal.
        head: u64,
    },
    /// The anchor cannot be believed, or is not there although the journal has a past.
    #[error("the journal's anchor {path}: {what}; see `carnet journal reopen`")]
    Anchor {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A line of a tail was written by no node of this journal.
    #[error("line {line} of {path} was not written by a node of this journal: name another tail, or do without it")]
    Tail {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// Reopening would forget changes that the operator did not name by their number.
    #[error("{}", forgets(*.number, *.what, .tail.as_deref()))]
    Forgets {
        /// How many.
        number: u64,
        /// What the number counts.
        what: Forgotten,
        /// The tail of this node, if it has some of them.
        tail: Option<PathBuf>,
    },
    /// The log was reopened elsewhere without changes that this node has seen, and nobody gave them up.
    #[error(
        "the reopened journal lacks {number} revocations, suspensions, taints, ends or denials that this node has seen: run \
         `carnet journal reopen` once more, with `--tail {tail}`"
    )]
    Uncovered {
        /// How many.
        number: u64,
        /// The tail of this node, which has them.
        tail: PathBuf,
    },
    /// The time of what was to be recorded cannot be believed.
    #[error("{0}")]
    Clock(#[from] ClockFault),
    /// There is no time to correct.
    #[error("the clock reads {wall}, and the journal's newest entry is of {head}: they agree, and nothing was changed")]
    ClockAgrees {
        /// The wall clock's.
        wall: Timestamp,
        /// The newest entry's.
        head: Timestamp,
    },
    /// The KEK does not open the journal's own key.
    #[error(transparent)]
    Kek(#[from] KekFault),
    /// Anything of the file system.
    #[error("{path}: {cause}")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The database.
    #[error("the journal's database: {0}")]
    Store(#[from] StoreFault),
    /// An operation of the journal while it was being opened.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

/// What a reopening would forget.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forgotten {
    /// Changes that took something away, by the tail of this node.
    Withdrawals,
    /// Entries, since no tail says which changes were among them.
    Entries,
    /// Nobody can say how much, since neither the tail nor the anchor can be read. It counts as one.
    Unknown,
}

/// The journal cannot do it now, and wrote nothing. The reason says whether to try again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub(super) &'static Reason);

impl Unavailable {
    /// The store failed, is full or is late: try again.
    pub(super) const BUSY: Self = Self(&reason::STORE_UNAVAILABLE);
    /// The store did not confirm in time, and it is not known what became of it.
    pub(super) const UNCONFIRMED: Self = Self(&reason::STORE_UNCONFIRMED);
    /// Another request with the same idempotency key is in the log, or this one is being done elsewhere: ask again.
    pub(super) const BEGUN: Self = Self(&reason::IDEMPOTENCY_BEGUN);
    /// A query takes too long.
    const LATE: Self = Self(&reason::JOURNAL_QUERY_LATE);
    /// The journal stopped itself; an operator has to look.
    pub(super) const STOPPED: Self = Self(&reason::JOURNAL_STOPPED);
    /// The time cannot be believed: try again when somebody has put it right.
    pub(super) const CLOCK: Self = Self(&reason::CLOCK_UNSTEADY);
    /// The entry would be longer than the 65535 bytes that a bundle of C2SP tlog-tiles holds.
    pub(super) const TOO_LONG: Self = Self(&reason::REQUEST_TOO_LARGE);

    /// The reason, one of ours.
    pub fn reason(self) -> &'static Reason {
        self.0
    }
}

impl From<ClockFault> for Unavailable {
    /// Told by the task that watches the clock.
    fn from(_: ClockFault) -> Self {
        Self::CLOCK
    }
}

/// What an operator is told whose words do not cover what the log lost.
fn forgets(number: u64, what: Forgotten, tail: Option<&Path>) -> String {
    let file =
        tail.map_or_else(|| "the .tail file beside the anchor of each node".to_owned(), |tail| tail.display().to_string());
    match (number, what) {
        (0, _) => "nothing would be forgotten: leave --forget away".to_owned(),
        (_, Forgotten::Withdrawals) => format!(
            "the log lost {number} revocations, suspensions, taints, ends and denials: record them again with `--tail {file}`, or \
             give them up with `--forget {number}`"
        ),
        (_, Forgotten::Entries) => format!(
            "the log lost {number} entries, and no tail says which changes were among them: name {file} with `--tail`; what no \
             tail holds is given up with `--forget {number}`"
        ),
        (_, Forgotten::Unknown) => format!(
            "neither the anchor of this node nor the tail beside it can be read, so nobody can say what the log lost: name {file} \
             with `--tail`; what no tail holds is given up with `--forget {number}`, which stands for a number that nobody knows"
        ),
    }
}

impl OpenFault {
    /// Whether the same start may succeed later, without anybody changing anything.
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Store(fault) if fault.is_away())
    }

    /// Whether rows are not what a node of ours wrote, as far as they were read.
    pub(super) fn is_of_rows(&self) -> bool {
        matches!(self, Self::Inconsistent { .. } | Self::Table { .. })
    }
}

impl StoreFault {
    /// Whether the same may go well later, without anybody changing anything.
    pub(super) fn is_away(&self) -> bool {
        matches!(self, Self::Away(_) | Self::Late(_) | Self::Again(_))
    }

    /// The same for one more caller who waited for it: of the same kind, with the text of its cause.
    pub(super) fn shared(&self) -> Self {
        let cause = || self.to_string().into();
        match self {
            Self::Failed(_) => Self::Failed(cause()),
            Self::Away(_) => Self::Away(cause()),
            Self::Again(_) => Self::Again(cause()),
            Self::Late(_) => Self::Late(cause()),
            Self::Foreign(table) => Self::Foreign(table),
            Self::Superseded => Self::Superseded,
        }
    }

    /// The store holds a value that nothing of ours writes.
    pub(super) fn unreadable(what: impl Into<Cause>) -> Self {
        Self::Failed(what.into())
    }
}

impl From<StoreFault> for Unavailable {
    fn from(fault: StoreFault) -> Self {
        match fault {
            StoreFault::Late(_) => Self::LATE,
            // The sequencer stops at the one; the renewal of the lease finds the other, and stops the node.
            StoreFault::Foreign(_) | StoreFault::Superseded => Self::BUSY,
            StoreFault::Failed(cause) | StoreFault::Away(cause) | StoreFault::Again(cause) => {
                tracing::warn!(fault = %cause, "the journal's database failed");
                Self::BUSY
            }
        }
    }
}

/// A grant was not recorded; no token may leave.
#[derive(Debug, thiserror::Error)]
pub enum RecordFault {
    /// Its proof is spent.
    #[error("the proof is spent")]
    Replayed,
    /// Something changed since it was decided, and decided again it is refused.
    #[error("refused on the newer state: {}", .0.reason)]
    Refused(Box<Refused>),
    /// The journal cannot record.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// A reason to doubt the time.
///
/// It ends when the clocks agree again; nothing is recorded, minted or called active until then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClockFault {
    /// The wall clock was set while the node ran.
    #[error(
        "the wall clock reads {wall}, {apart} {way} the {steady} of the monotonic clock: it was set, or the machine slept; \
         set the clock right, or, where {wall} is right, start this node again",
        wall = .0.wall, steady = .0.steady, apart = .0.apart(), way = if .0.wall > .0.steady { "ahead of" } else { "behind" }
    )]
    Jumped(Reading),
    /// The newest entry is of a later time than the wall clock's, by more than clocks may differ.
    #[error(
        "the wall clock reads {wall}, {apart} behind the journal's newest entry, which is of {head}: set the clock right, or, where \
         {wall} is right and the entry was written under a wrong clock, see `carnet journal correct-clock --help`",
        apart = .head.since(*.wall)
    )]
    Behind {
        /// The wall clock's.
        wall: Timestamp,
        /// The newest entry's.
        head: Timestamp,
    },
    /// The clock of this node and that of the database of the journal differ, by more than nodes may.
    #[error(
        "the wall clock is {} s {} that of the journal's database: set the clocks of node and database right",
        .ahead.abs(), if *.ahead > 0 { "ahead of" } else { "behind" }
    )]
    Apart {
        /// How far this node's is ahead, in seconds.
        ahead: i64,
    },
}

impl ClockFault {
    /// Whether the newest entry is of a later time than `wall`, by more than clocks may differ.
    pub fn behind(wall: Timestamp, head: Timestamp) -> Option<Self> {
        (head.since(wall) > CLOCK_AHEAD).then_some(Self::Behind { wall, head })
    }
}

/// Why the journal stopped itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum StopReason {
    /// At this entry the database holds what no batch of ours wrote.
    Foreign {
        /// The entry.
        index: u64,
        /// What does not hold.
        what: String,
    },
    /// Another key signs checkpoints now, without a succession from the key of this node.
    ///
    /// Or this node cannot open that key.
    CheckpointKey,
    /// An operator moves the journal to another database.
    Moved {
        /// The other database.
        to: String,
    },
    /// A checkpoint that this log signed is of entries that it does not have.
    ///
    /// The log was put back from an older copy, or forked.
    Lost {
        /// The epoch of the checkpoint.
        epoch: u64,
        /// Its entries.
        size: u64,
        /// Entries of the journal.
        head: u64,
    },
    /// Another instance has taken the id of this node.
    Superseded,
}

/// The lease of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leased {
    /// It holds, or none is needed.
    Held,
    /// It holds, and the last renewal was not answered for two seconds.
    Late,
    /// It has run out.
    Lost,
}

/// How the journal is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// The last commit, or the last probe after a failed one, went through.
    pub writable: bool,
    /// The sequencer does not answer: it waits for its disk, or is dead.
    pub held_up: bool,
    /// The anchor file holds all that it should, and so does the one beside it that proves a loss.
    pub anchored: bool,
    /// Batches that became durable since the start.
    pub commits: u64,
    /// The time that they took, all together.
    pub commit_time: std::time::Duration,
    /// A commit was neither confirmed nor denied yet. Everything is refused until it is settled.
    pub unsettled: bool,
    /// The lease of this node on its database, where it shares the journal with others.
    pub leased: Leased,
    /// How the server of its database is, where nodes share it, and what lets it lose what it confirms.
    pub database: Option<(health::Health, Option<Defect>)>,
    /// Whether that server said within as long as a lease how it is, or there is none.
    pub is_database_known: bool,
    /// Why the node's clock cannot be believed, while it cannot (ABUSE L-10).
    pub clock: Option<ClockFault>,
    /// Set once, for good: the node may begin anew on the log, with a handle of its own.
    pub stopped: Option<StopReason>,
    /// Why a journal that stopped does not begin anew, although the log was reopened.
    pub held_back: Option<String>,
}

impl Health {
    /// What lets the server of its database lose what it confirms, while it does.
    pub fn defect(&self) -> Option<Defect> {
        self.database.as_ref().and_then(|(_, defect)| *defect)
    }
}

/// Proof that a log lost entries: a checkpoint of its own key that it does not extend.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Loss {
    /// The signed note.
    pub note: String,
    /// Its epoch.
    pub epoch: u64,
    /// The entries that it is of.
    pub size: u64,
}
