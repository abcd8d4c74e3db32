//! Batches requests to Redis, many in one round trip: those about proofs and callers' buckets, and in a second queue those about tokens.
//!
//! Each exchange asks once before it is decided, and writes once after it is recorded ([`Batcher::tell`]); introspection asks about a
//! bucket, a proof and a token ([`Batcher::ask`]). By itself each request would be a write, a wake-up on either side and a read. One task
//! collects what has come, lets other tasks that are ready run first, and sends one pipeline; meanwhile the next batch gathers. There is
//! no timer: an idle broker sends at once.
//!
//! A pipeline that fails refuses every request in it; an error that answers one request refuses that one, and so does a script that the
//! server neither knows nor takes. A caller waits no longer than
//! [`PATIENCE`] in all, queue included.

use std::time::Duration;

use redis::{Cmd, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::away::{Away, CONNECTION_TIME, RESPONSE_TIME};
use super::link::Link;

/// The longest that a caller waits. After it the store counts as away.
const PATIENCE: Duration = RESPONSE_TIME.saturating_add(CONNECTION_TIME);

/// The most requests that may wait.
///
/// Above it the store does not keep up, and callers are refused at once.
const QUEUE: usize = 1024;

/// The most requests in one pipeline.
///
/// A few hundred commands take well below a millisecond of Redis' time.
const MOST: usize = 64;

/// The turns that a gathering yields to other tasks without getting anything new.
const IDLE_TURNS: u32 = 2;

/// A handle to the task. It is cheap to clone; the task ends with the last handle.
#[derive(Clone)]
pub(super) struct Batcher(mpsc::Sender<Ask>);

/// One request to the task.
struct Ask {
    command: Cmd,
    /// Where the answer goes, if somebody waits for it.
    answer: Option<Answer>,
}

type Answer = oneshot::Sender<Result<Value, Away>>;

struct Task(Link);

impl Batcher {
    /// Starts the task.
    pub fn new(link: Link) -> Self {
        let (batcher, asks) = mpsc::channel(QUEUE);
        tokio::spawn(Task(link).run(asks));
        Self(batcher)
    }

    /// Sends a command, and returns its answer.
    ///
    /// A command that calls a script by its hash is repeated if the server did not know the script, and no other is.
    pub async fn ask(&self, command: Cmd) -> Result<Value, Away> {
        let (answer, outcome) = oneshot::channel();
        self.0.try_send(Ask { command, answer: Some(answer) }).map_err(|_| Away::Silent)?;
        timeout(PATIENCE, outcome).await.map_err(|_| Away::Silent)?.map_err(|_| Away::Silent)?
    }

    /// Sends a command on whose answer nobody depends.
    pub fn tell(&self, command: Cmd) {
        let _full = self.0.try_send(Ask { command, answer: None });
    }
}

impl Task {
    async fn run(self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(first) = asks.recv().await {
            let mut batch = vec![first];
            gather(&mut asks, &mut batch).await;
            // A caller that stopped waiting was refused already, and takes nothing from a bucket.
            batch.retain(|ask| !ask.answer.as_ref().is_some_and(Answer::is_closed));
            let (commands, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(|ask| (ask.command, ask.answer)).unzip();
            let mut answers = self.0.send(commands).await.map(Vec::into_iter);
            for answer in waiting {
                let told = answers.as_mut().map_err(|away| *away);
                let told = told.and_then(|values| values.next().unwrap_or(Err(Away::Unexpected)));
                let _gone = answer.map(|answer| answer.send(told));
            }
        }
    }
}

/// Collects what is there, and lets other tasks that are ready add to it.
async fn gather(asks: &mut mpsc::Receiver<Ask>, batch: &mut Vec<Ask>) {
    let mut idle = 0;
    while idle < IDLE_TURNS && batch.len() < MOST {
        let before = batch.len();
        while batch.len() < MOST
            && let Ok(ask) = asks.try_recv()
        {
            batch.push(ask);
        }
        idle = if batch.len() > before { 0 } else { idle + 1 };
        tokio::task::yield_now().await;
    }
}
