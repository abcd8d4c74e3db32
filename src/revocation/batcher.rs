//! Batches requests to Redis about proofs and callers' buckets, many in one round trip.
//!
//! Each exchange asks once before it is decided ([`Batcher::admit`]) and writes once after it is recorded
//! ([`Batcher::spend`]). By itself each request would be a write, a wake-up on either side and a read. One task collects what
//! has come, lets other tasks that are ready run first, and sends one pipeline; meanwhile the next batch gathers. There is no
//! timer: an idle broker sends at once.
//!
//! A pipeline that fails refuses every request in it. A caller waits no longer than [`PATIENCE`] in all, queue included.

use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{Cmd, Pipeline, RedisResult, Script, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::away::away;
use super::away::{Away, CONNECTION_TIME, RESPONSE_TIME};

/// The longest that a caller waits. After it the store counts as away.
const PATIENCE: Duration = RESPONSE_TIME.saturating_add(CONNECTION_TIME.checked_div(4).expect("four is not zero"));

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
enum Ask {
    Admit(Admit, oneshot::Sender<Result<Taken, Away>>),
    Spend { key: String, until: i64 },
}

/// The outcome of a request.
pub(super) enum Taken {
    /// The proof was seen before; nothing was taken.
    Seen,
    /// The microseconds that the caller is too early; 0 if it was admitted.
    Early(i64),
}

/// A caller's bucket, and a proof that may have been seen.
pub(super) struct Admit {
    /// The bucket's key.
    pub bucket: String,
    /// The present time, in microseconds since 1970.
    pub now: i64,
    /// The microseconds in which one comes back.
    pub every: i64,
    /// The microseconds in which an empty bucket is full again.
    pub whole: i64,
    /// The proof's key.
    pub seen: Option<String>,
}

struct Task {
    connection: ConnectionManager,
    take: Script,
}

impl Batcher {
    /// Starts the task. `take` is the script [`super::scripts::TAKE`].
    pub fn new(connection: ConnectionManager, take: Script) -> Self {
        let (batcher, asks) = mpsc::channel(QUEUE);
        tokio::spawn(Task { connection, take }.run(asks));
        Self(batcher)
    }

    /// Takes one from the bucket, if the proof was not seen.
    pub async fn admit(&self, admit: Admit) -> Result<Taken, Away> {
        let (answer, outcome) = oneshot::channel();
        self.0.try_send(Ask::Admit(admit, answer)).map_err(|_| Away::Silent)?;
        timeout(PATIENCE, outcome).await.map_err(|_| Away::Silent)?.map_err(|_| Away::Silent)?
    }

    /// Marks a proof as seen until this second.
    ///
    /// Nobody depends on it: the journal has spent the proof.
    pub fn spend(&self, key: String, until: i64) {
        let _full = self.0.try_send(Ask::Spend { key, until });
    }
}

impl Task {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(first) = asks.recv().await {
            let mut batch = vec![first];
            gather(&mut asks, &mut batch).await;
            // A caller that stopped waiting was refused already, and takes nothing from a bucket.
            batch.retain(|ask| !matches!(ask, Ask::Admit(_, answer) if answer.is_closed()));
            let mut answers = self.send(&batch).await.map(Vec::into_iter);
            for ask in batch {
                let Ask::Admit(_, answer) = ask else { continue };
                let told = answers.as_mut().map_err(|away| *away).and_then(|values| read(values.next()));
                let _gone = answer.send(told);
            }
        }
    }

    /// One round trip, or two if the server does not know the script yet.
    ///
    /// In that case the first round trip took nothing from any bucket, and the other commands may be repeated.
    async fn send(&mut self, batch: &[Ask]) -> Result<Vec<Value>, Away> {
        let pipeline = self.pipeline(batch);
        let fault = match self.query(&pipeline).await? {
            Ok(values) => return Ok(values),
            Err(fault) => fault,
        };
        if fault.code() != Some("NOSCRIPT") {
            return Err(away(&fault));
        }
        let load = self.take.prepare_invoke();
        let loaded: RedisResult<String> =
            timeout(RESPONSE_TIME, load.load_async(&mut self.connection)).await.map_err(|_| Away::Silent)?;
        loaded.map_err(|fault| away(&fault))?;
        self.query(&pipeline).await?.map_err(|fault| away(&fault))
    }

    async fn query(&mut self, pipeline: &Pipeline) -> Result<RedisResult<Vec<Value>>, Away> {
        timeout(RESPONSE_TIME, pipeline.query_async(&mut self.connection)).await.map_err(|_| Away::Silent)
    }

    fn pipeline(&self, batch: &[Ask]) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for ask in batch {
            match ask {
                Ask::Admit(Admit { bucket, now, every, whole, seen }, _) => {
                    let mut take = command("EVALSHA", 8, 288);
                    take.arg(self.take.get_hash()).arg(1 + usize::from(seen.is_some())).arg(bucket).arg(seen);
                    take.arg(*now).arg(*every).arg(*whole);
                    pipeline.add_command(take);
                }
                Ask::Spend { key, until } => {
                    let mut set = command("SET", 5, 112);
                    set.arg(key).arg("").arg("EXAT").arg(*until);
                    pipeline.add_command(set).ignore();
                }
            }
        }
        pipeline
    }
}

/// A command with room for this many words and bytes; otherwise it grows with each word.
fn command(name: &str, words: usize, bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(words, bytes);
    command.arg(name);
    command
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

/// Parses the answer to one request. Anything but a valid number is [`Away::Unexpected`].
fn read(answer: Option<Value>) -> Result<Taken, Away> {
    match answer {
        Some(Value::Int(-1)) => Ok(Taken::Seen),
        Some(Value::Int(over @ 0..)) => Ok(Taken::Early(over)),
        _ => Err(Away::Unexpected),
    }
}
