//! Carrying the write-ahead log home beside the commits, not within one of them.
//!
//! By itself SQLite does it in the commit that makes the log long: eight thousand pages at a time, and for as long as that takes a disk
//! nobody gets a token. So a connection of its own does it, with `wal_checkpoint(PASSIVE)`, which waits for nobody and which nobody
//! waits for; what came in between is little, and a second pass leaves less. The writer then carries the last pages, and with its next
//! commit the log begins anew: it can while all of it is home, and under load it never is unless the writer sees to it.
//!
//! Nothing rests on this. Where it fails or is late, the writer does all of it when its own limit is reached ([`crate::journal::sqlite::schema`]).

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::journal::sequencer::queue::Work;
use crate::journal::sqlite::writer::CARRY;

/// Pages of the log from which on it is carried home: half of what the writer would wait for.
const LONG: u64 = 4096;

/// Passes before the writer's own: each leaves what was logged while it ran.
const PASSES: u32 = 2;

/// Asks for the log to be carried home when it is long.
pub struct Carrier {
    /// What was logged since the last time, in pages, as far as a node can tell that does not ask.
    logged: u64,
    /// Wakes the task.
    wanted: mpsc::Sender<()>,
    task: JoinHandle<()>,
}

impl Carrier {
    /// Begins, with a connection made by `options`; `writer` is told when the rest is its own.
    pub fn start(options: SqliteConnectOptions, writer: mpsc::WeakSender<Work>) -> Self {
        let (wanted, asked) = mpsc::channel(1);
        Self { logged: 0, wanted, task: tokio::spawn(carry(options, asked, writer)) }
    }

    /// A commit of so many entries went into the log.
    pub fn committed(&mut self, entries: u64) {
        // An entry is a third of a page; head, batch line, proofs and the pages over them are written by each commit.
        self.logged += 8 + entries / 2;
        if self.logged >= LONG && self.wanted.try_send(()).is_ok() {
            self.logged = 0;
        }
    }

    /// Ends, and waits until nothing is carried any more.
    pub async fn end(self) {
        drop(self.wanted);
        let _ended = self.task.await;
    }
}

async fn carry(options: SqliteConnectOptions, mut asked: mpsc::Receiver<()>, writer: mpsc::WeakSender<Work>) {
    let mut kept: Option<SqliteConnection> = None;
    while asked.recv().await.is_some() {
        match passes(&options, kept.take()).await {
            Ok(connection) => kept = Some(connection),
            Err(fault) => {
                tracing::warn!(%fault, "the write-ahead log is not carried home beside the commits");
                continue;
            }
        }
        let Some(writer) = writer.upgrade() else { break };
        if writer.send(Work::Carry).await.is_err() {
            break;
        }
    }
    if let Some(connection) = kept {
        let _closed = connection.close().await;
    }
}

async fn passes(options: &SqliteConnectOptions, kept: Option<SqliteConnection>) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = match kept {
        Some(connection) => connection,
        None => options.connect().await?,
    };
    for _ in 0..PASSES {
        sqlx::query(CARRY).execute(&mut connection).await?;
    }
    Ok(connection)
}
