//! Checkpoints of the write-ahead log beside the commits, not within one of them.
//!
//! By itself SQLite checkpoints in the commit that makes the log long: eight thousand pages at a time, and no token is issued for as long
//! as that takes a disk. So a connection of its own does it, with `wal_checkpoint(PASSIVE)`, which blocks neither readers nor the writer. A
//! second pass copies what came in during the first. The writer then checkpoints the last pages between two batches, and its next commit
//! begins the log anew: SQLite does that only while all of the log is in the database, and under load it never is unless the writer sees
//! to it.
//!
//! This only saves time. If it fails or is late, the writer does all of it when its own limit is reached ([`super::schema`]).

use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

/// Checkpoints the write-ahead log as far as possible without blocking readers or the writer.
pub const CHECKPOINT: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Pages of the log from which on it is checkpointed: half of the writer's own limit.
const LONG: u64 = 4096;

/// Passes before the writer's own: each leaves what was logged while it ran.
const PASSES: u32 = 2;

/// Asks for a checkpoint when the log is long.
pub struct Checkpoints {
    options: SqliteConnectOptions,
    /// Pages that were logged since the last time: an estimate, which costs no question.
    logged: u64,
    task: Option<Task>,
    /// Notified when the last pages are the writer's to checkpoint.
    due: Arc<Notify>,
}

/// The task that checkpoints.
struct Task {
    wanted: mpsc::Sender<()>,
    handle: JoinHandle<()>,
}

impl Checkpoints {
    /// By a connection that `options` make, once there is something to do.
    pub fn with(options: SqliteConnectOptions) -> Self {
        Self { options, logged: 0, task: None, due: Arc::default() }
    }

    /// Notified when the last pages are the writer's to checkpoint.
    pub fn due(&self) -> Arc<Notify> {
        Arc::clone(&self.due)
    }

    /// Counts a commit of so many entries.
    pub fn committed(&mut self, entries: u64) {
        // An entry is a third of a page; head, batch line, proofs and the pages over them are written by each commit.
        self.logged += 8 + entries / 2;
        if self.logged < LONG {
            return;
        }
        let task = self.task.get_or_insert_with(|| {
            let (wanted, asked) = mpsc::channel(1);
            Task { wanted, handle: tokio::spawn(checkpoint(self.options.clone(), asked, Arc::clone(&self.due))) }
        });
        if task.wanted.try_send(()).is_ok() {
            self.logged = 0;
        }
    }

    /// Ends, and waits until no checkpoint runs any more.
    pub async fn end(&mut self) {
        if let Some(Task { wanted, handle }) = self.task.take() {
            drop(wanted);
            let _ended = handle.await;
        }
    }
}

async fn checkpoint(options: SqliteConnectOptions, mut asked: mpsc::Receiver<()>, due: Arc<Notify>) {
    let mut kept: Option<SqliteConnection> = None;
    while asked.recv().await.is_some() {
        match passes(&options, kept.take()).await {
            Ok(connection) => kept = Some(connection),
            Err(fault) => {
                tracing::warn!(%fault, "the write-ahead log is not checkpointed beside the commits");
                continue;
            }
        }
        due.notify_one();
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
        sqlx::query(CHECKPOINT).execute(&mut connection).await?;
    }
    Ok(connection)
}
