//! The connection to one Redis that is a master, made when it is needed and left when it may answer wrongly.
//!
//! Enter through [`Link::send`]. Each pipeline begins with `ECHO` and a text that was never sent before. If the first answer is another one, the
//! answers belong to other questions, and the connection ends at once: no caller is told what another asked. A connection also ends after
//! silence and after an error that says that the server is no master now or takes no writes (`away`); the next call looks for the
//! server anew. All callers share one connection, and a caller that stops waiting does not end it.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::away::{Away, CONNECTION_TIME, RESPONSE_TIME, away, leaves};
use super::dial::{Dial, Up};
use super::scripts::Scripts;

/// The time after a connection that could not be made in which callers are refused at once.
const PAUSE: Duration = Duration::from_millis(50);

/// A handle to the connection. It is cheap to clone.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    dial: Dial,
    scripts: Arc<Scripts>,
    state: watch::Sender<State>,
    /// What no other process echoes.
    own: String,
    /// The number of the next pipeline.
    next: AtomicU64,
    /// Set when the server has to be looked for anew.
    doubt: Option<Arc<AtomicBool>>,
}

impl Inner {
    fn doubt(&self) {
        if let Some(doubt) = &self.doubt {
            doubt.store(true, Ordering::Release);
        }
    }
}

enum State {
    Idle,
    Connecting,
    Up(Arc<Up>),
    /// The last try failed.
    Failed(Away, Instant),
}

/// A text that no other process makes.
pub(super) fn unique() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

impl Link {
    /// A connection that is not there yet. Whenever it cannot be made or ends, `doubt` is set.
    pub fn new(dial: Dial, scripts: Arc<Scripts>, doubt: Option<Arc<AtomicBool>>) -> Self {
        let state = watch::Sender::new(State::Idle);
        Self(Arc::new(Inner { dial, scripts, state, own: unique(), next: AtomicU64::new(0), doubt }))
    }

    /// Sends commands in one round trip, or in two if the server does not know a script yet, and returns the answer to each.
    ///
    /// A script that is not known has done nothing, so its command is sent once more; the other commands were answered, and keep their
    /// answers if that fails.
    ///
    /// # Errors
    /// There is no connection, or it gave no answers that are certain to be those to these commands.
    pub async fn send(&self, commands: Vec<Cmd>) -> Result<Vec<Result<Value, Away>>, Away> {
        let (sent, answers) = self.query(commands).await?;
        let is_unknown = |answer: &RedisResult<Value>| answer.as_ref().is_err_and(|fault| fault.code() == Some("NOSCRIPT"));
        let again = sent.cmd_iter().skip(1).zip(&answers).filter(|(_, answer)| is_unknown(answer));
        let again: Vec<Cmd> = again.map(|(command, _)| command.clone()).collect();
        let mut repeated = if again.is_empty() { Ok(Vec::new().into_iter()) } else { self.send_again(again).await };
        let told = answers.into_iter().map(|answer| {
            let answer = if is_unknown(&answer) {
                repeated.as_mut().map_err(|away| *away)?.next().ok_or(Away::Unexpected)?
            } else {
                answer
            };
            answer.map_err(|fault| away(&fault))
        });
        Ok(told.collect())
    }

    /// Sends one command.
    pub async fn one(&self, command: Cmd) -> Result<Value, Away> {
        self.send(vec![command]).await?.pop().unwrap_or(Err(Away::Unexpected))
    }

    /// A connection beside this one, on which `hears` gets what others publish.
    pub async fn subscribed(&self, hears: impl AsyncPushSender) -> Result<(Up, MultiplexedConnection), Away> {
        timeout(CONNECTION_TIME, self.0.dial.subscribed(hears)).await.unwrap_or(Err(Away::Silent))
    }

    /// Loads the scripts, and sends commands that the server did not know.
    async fn send_again(&self, again: Vec<Cmd>) -> Result<std::vec::IntoIter<RedisResult<Value>>, Away> {
        let mut commands = self.0.scripts.loads();
        let loads = commands.len();
        commands.extend(again);
        let mut answers = self.query(commands).await?.1.into_iter();
        for loaded in answers.by_ref().take(loads) {
            loaded.map_err(|fault| away(&fault))?;
        }
        Ok(answers)
    }

    /// The answer to each command, and the pipeline in which they were sent.
    async fn query(&self, commands: Vec<Cmd>) -> Result<(Pipeline, Vec<RedisResult<Value>>), Away> {
        let up = self.connection().await?;
        let text = format!("{}{:x}", self.0.own, self.0.next.fetch_add(1, Ordering::Relaxed));
        let number = commands.len();
        let mut pipeline = Pipeline::with_capacity(number + 1);
        pipeline.cmd("ECHO").arg(&text);
        for command in commands {
            pipeline.add_command(command);
        }
        pipeline.ignore_errors();
        let mut connection = up.connection.clone();
        let mut answers = match timeout(RESPONSE_TIME, pipeline.query_async::<Vec<Value>>(&mut connection)).await {
            Ok(Ok(answers)) => answers.into_iter().map(Value::extract_error),
            Ok(Err(fault)) => return Err(self.leave(&up, away(&fault))),
            Err(_) => return Err(self.leave(&up, Away::Silent)),
        };
        match answers.next() {
            Some(Ok(Value::BulkString(told))) if told == text.as_bytes() && answers.len() == number => {}
            // It refuses even that, such as a server that loads its data.
            Some(Err(fault)) => return Err(self.leave(&up, away(&fault))),
            // Whoever else waits on it is refused too.
            _ => {
                up.driver.abort();
                return Err(self.leave(&up, Away::Unexpected));
            }
        }
        let answers: Vec<RedisResult<Value>> = answers.collect();
        if let Some(fault) = answers.iter().filter_map(|answer| answer.as_ref().err()).find(|fault| leaves(fault)) {
            self.leave(&up, away(fault));
        }
        Ok((pipeline, answers))
    }

    /// Leaves a connection, unless a newer one took its place. Whoever waits on it still gets its answers.
    fn leave(&self, up: &Arc<Up>, why: Away) -> Away {
        self.0.doubt();
        self.0.state.send_if_modified(|state| match state {
            State::Up(there) if Arc::ptr_eq(there, up) => {
                *state = State::Idle;
                true
            }
            State::Up(_) | State::Idle | State::Connecting | State::Failed(..) => false,
        });
        why
    }

    async fn connection(&self) -> Result<Arc<Up>, Away> {
        if let State::Up(up) = &*self.0.state.borrow() {
            return Ok(Arc::clone(up));
        }
        let mut states = self.0.state.subscribe();
        let begins = self.0.state.send_if_modified(|state| match state {
            State::Failed(_, at) if at.elapsed() < PAUSE => false,
            State::Idle | State::Failed(..) => {
                *state = State::Connecting;
                true
            }
            State::Up(_) | State::Connecting => false,
        });
        if begins {
            // A task of its own: the caller that began it may stop waiting.
            let inner = Arc::clone(&self.0);
            tokio::spawn(async move {
                let state = match timeout(CONNECTION_TIME, inner.dial.connect()).await.unwrap_or(Err(Away::Silent)) {
                    Ok(up) => State::Up(Arc::new(up)),
                    Err(why) => {
                        inner.doubt();
                        State::Failed(why, Instant::now())
                    }
                };
                inner.state.send_replace(state);
            });
        }
        let state = states.wait_for(|state| !matches!(state, State::Connecting)).await.map_err(|_| Away::Silent)?;
        match &*state {
            State::Up(up) => Ok(Arc::clone(up)),
            State::Failed(why, _) => Err(*why),
            // It was left before this caller saw it.
            State::Idle | State::Connecting => Err(Away::Silent),
        }
    }
}
