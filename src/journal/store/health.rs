//! How the server of a shared journal keeps what it confirms, and what holds it up: values that a start, `carnet doctor` and a running node
//! judge.

use crate::domain::value::clock::Seconds;

/// PostgreSQL 15 or newer.
pub const OLDEST: i32 = 150_000;

/// How a server is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Health {
    /// The version, as `server_version_num` has it: 150019 is 15.19.
    pub version: i32,
    /// Whether the database keeps text as UTF-8.
    pub is_utf8: bool,
    /// Whether what is written reaches the disk (`fsync`).
    pub fsync: bool,
    /// Whether a page that was half written when the power failed is mended (`full_page_writes`).
    pub full_page_writes: bool,
    /// Whether a commit waits for the disk, and for the synchronous standbys' disks (`synchronous_commit`).
    pub commit_waits: bool,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// Standbys that are connected. A base backup and a logical subscription are none.
    pub standbys: i64,
    /// Whether commits wait for standbys (`synchronous_standby_names`).
    pub is_synchronous: bool,
    /// The age of the oldest transaction that keeps dead rows from being cleaned, as far as our user may see it.
    pub oldest_snapshot: Seconds,
    /// Prepared transactions. None of them is ours.
    pub prepared: i64,
    /// Replication slots that nobody uses.
    pub idle_slots: i64,
    /// The bytes of log that the slots hold back.
    pub held_back: i64,
    /// Whether our user sees the transactions of others (`pg_read_all_stats`).
    pub sees_all: bool,
}

/// Why what the server confirms can be lost, or cannot be kept there at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Defect {
    /// It is older than 15.
    Version,
    /// The database keeps text in another encoding than UTF-8.
    Encoding,
    /// `fsync` is off.
    Fsync,
    /// `full_page_writes` is off.
    FullPageWrites,
    /// `synchronous_commit` lets a commit be confirmed before it is on the disk, or on that of a standby.
    Commit,
    /// It is a standby.
    Recovery,
    /// There are standbys, no commit waits for them, and nobody wrote down that this is meant.
    Replication,
}

impl Defect {
    /// What it means, for operators.
    pub fn means(self) -> &'static str {
        match self {
            Self::Version => "the server is older than PostgreSQL 15",
            Self::Encoding => "the database keeps text in another encoding than UTF-8",
            Self::Fsync => "fsync is off: a commit that was confirmed may be gone after a crash",
            Self::FullPageWrites => "full_page_writes is off: a crash may leave half a page",
            Self::Commit => "synchronous_commit confirms what is not on disk",
            Self::Recovery => "the server is a standby",
            Self::Replication => {
                "a standby is connected, and no commit waits for it: a failover may lose acknowledged revocations"
            }
        }
    }
}

impl Health {
    /// What keeps a journal from living there. `may_lose`: an operator wrote down that replication is asynchronous.
    pub fn defects(&self, may_lose: bool) -> Vec<Defect> {
        let found = [
            (self.version < OLDEST, Defect::Version),
            (!self.is_utf8, Defect::Encoding),
            (!self.fsync, Defect::Fsync),
            (!self.full_page_writes, Defect::FullPageWrites),
            (!self.commit_waits, Defect::Commit),
            (self.in_recovery, Defect::Recovery),
            (self.loses() && !may_lose, Defect::Replication),
        ];
        found.into_iter().filter_map(|(is, defect)| is.then_some(defect)).collect()
    }

    /// Whether a failover to a standby may lose what was confirmed.
    pub fn loses(&self) -> bool {
        self.standbys > 0 && !self.is_synchronous
    }
}
