//! The batcher of requests to Redis: what callers take from their buckets, many in one round trip.
//!
//! Each exchange asks once before it is decided ([`Batcher::admit`]) and tells once after it is recorded ([`Batcher::spend`]). By itself
//! each would be a write, a wake-up on either side and a read. One task takes what has come, lets whoever is ready run first, and
//! sends it as one pipeline; while that is on its way, the next gathers. There is no timer: an idle broker sends at once.
//!
//! A pipeline that fails refuses everybody in it. An asker waits no longer than [`PATIENCE`] in all, queue included.

use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{Cmd, Pipeline, RedisResult, Script, Value};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::away::away;
use super::away::{Away, CONNECTION_TIME, RESPONSE_TIME};

/// What an asker waits at the most; beyond it the store counts as away.
const PATIENCE: Duration = RESPONSE_TIME.saturating_add(CONNECTION_TIME.checked_div(4).expect("four is not zero"));

/// Askers that may wait; beyond it the store does not keep up, and says so at once.
const QUEUE: usize = 1024;

/// The most in one pipeline: a few hundred commands, well below a millisecond of Redis' time.
const MOST: usize = 64;

/// Turns that a gathering gives the rest of the process without anything new coming of it.
const IDLE_TURNS: u32 = 2;

/// The door to the task. Cheap to clone; the task ends with the last one.
#[derive(Clone)]
pub(super) struct Batcher(mpsc::Sender<Ask>);

/// One question or one note.
enum Ask {
    Admit(Admit, oneshot::Sender<Result<Taken, Away>>),
    Spend { key: String, until: i64 },
}

/// What came of it.
pub(super) enum Taken {
    /// The proof was seen, and nothing is taken.
    Seen,
    /// So many microseconds too early, 0 for allowed.
    Early(i64),
}

/// A caller's bucket, and a proof that may have been seen.
pub(super) struct Admit {
    /// The bucket's key.
    pub bucket: String,
    /// The present microsecond.
    pub now: i64,
    /// Microseconds in which one comes back.
    pub every: i64,
    /// Microseconds in which an empty bucket is full again.
    pub whole: i64,
    /// The proof's key.
    pub seen: Option<String>,
}

struct Task {
    connection: ConnectionManager,
    take: Script,
}

impl Batcher {
    /// Starts the task. `take` looks a proof up and takes one from a bucket ([`super::scripts::TAKE`]).
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

    /// Notes a proof as seen until its second. Nobody depends on it: the journal has spent the proof.
    pub fn spend(&self, key: String, until: i64) {
        let _full = self.0.try_send(Ask::Spend { key, until });
    }
}

impl Task {
    async fn run(mut self, mut asks: mpsc::Receiver<Ask>) {
        while let Some(first) = asks.recv().await {
            let mut batch = vec![first];
            gather(&mut asks, &mut batch).await;
            // Who has stopped waiting was refused already, and takes nothing from a bucket.
            batch.retain(|ask| !matches!(ask, Ask::Admit(_, answer) if answer.is_closed()));
            let mut answers = self.send(&batch).await.map(Vec::into_iter);
            for ask in batch {
                let Ask::Admit(_, answer) = ask else { continue };
                let told = answers.as_mut().map_err(|away| *away).and_then(|values| read(values.next()));
                let _gone = answer.send(told);
            }
        }
    }

    /// One round trip; two where the server does not know the script yet: it then has taken nothing from any bucket, and the rest
    /// may be said twice.
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

/// A command of so many words of so many bytes: it grows by each word otherwise.
fn command(name: &str, words: usize, bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(words, bytes);
    command.arg(name);
    command
}

/// Takes what is there, and lets whoever is ready run first.
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

/// The answer to one question. Anything else than a sound number is no answer.
fn read(answer: Option<Value>) -> Result<Taken, Away> {
    match answer {
        Some(Value::Int(-1)) => Ok(Taken::Seen),
        Some(Value::Int(over @ 0..)) => Ok(Taken::Early(over)),
        _ => Err(Away::Unexpected),
    }
}
