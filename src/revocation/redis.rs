//! The live index in Redis, with the keys of docs/reference/redis-keys.md.
//!
//! Each environment has one hash tag. A change that must be one step is one script: compare the marker, apply, advance it.
//! Redis loses acknowledged writes at failover and evicts what it likes (ABUSE S12), so nothing here is the only copy, and a
//! missing or old marker reveals the loss.

use redis::IntoConnectionInfo as _;
use std::fmt;
use std::sync::Arc;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, Cmd, FromRedisValue, RedisResult, Script, ScriptInvocation, Value};

use super::answer::{Admission, Liveness, Shown};
use super::away::away;
use super::away::{Away, CONNECTION_TIME, RESPONSE_TIME, Unusable};
use super::batcher::{Batcher, command};
use super::marker::{Applied, Found, KEPT_AFTER_EXPIRY, Marker, Snapshot, Strange, Update, compare, is_fresh};
use super::scripts::Scripts;
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::state::recent_cuts::{Cut, CutWhat};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::{Bucket, Operation};

/// A live index in Redis.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    scripts: Arc<Scripts>,
    /// For admissions and proofs, of which each caller has a quota.
    batcher: Batcher,
    /// For look-ups of tokens, which nobody meters: a flood of them takes no place in the queue that minting needs (ABUSE I-18).
    looks: Batcher,
}

/// The keys of an environment, in the order of the scripts.
const KEYS: [&str; 3] = [COMPLETE, REVOKED, BEFORE];
const COMPLETE: &str = "complete";
const REVOKED: &str = "revoked";
const BEFORE: &str = "before";

const CHECKPOINT: &str = "carnet:checkpoint";

/// Cuts that a rebuild sends at a time.
const PORTION: usize = 10_000;

/// Seconds after which the sets of a rebuild that never ended are gone.
const UNFINISHED: i64 = 60;

/// The most bytes of a checkpoint of ours.
const LONGEST_CHECKPOINT: usize = 16 * 1024;

impl Redis {
    pub(super) fn new(url: &str) -> Result<Self, Unusable> {
        let bad = |_| Unusable("the Redis URL cannot be used");
        let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
        let info = url.into_connection_info().map_err(bad)?.set_tcp_settings(tcp);
        let client = Client::open(info).map_err(bad)?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIME))
            .set_connection_timeout(Some(CONNECTION_TIME))
            .set_number_of_retries(1)
            .set_pipeline_buffer_size(1024);
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(bad)?;
        let scripts = Arc::new(Scripts::new());
        let batcher = Batcher::new(connection.clone(), Arc::clone(&scripts));
        let looks = Batcher::new(connection.clone(), Arc::clone(&scripts));
        Ok(Self { connection, scripts, batcher, looks })
    }

    /// Waits for an answer of Redis for at most 750 ms.
    ///
    /// The client's own limits end at the connection, which may come back in between.
    async fn ask<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        let patience = RESPONSE_TIME + CONNECTION_TIME / 4;
        match tokio::time::timeout(patience, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(fault)) => Err(away(&fault)),
            Err(_) => Err(Away::Silent),
        }
    }

    /// An invocation of a script over an environment's three keys.
    fn over<'s>(script: &'s Script, environment: &EnvironmentName) -> ScriptInvocation<'s> {
        let mut call = script.prepare_invoke();
        for name in KEYS {
            call.key(key(environment, name));
        }
        call
    }

    async fn answer(&self, call: &ScriptInvocation<'_>) -> Result<Vec<Value>, Away> {
        let mut connection = self.connection.clone();
        self.ask(call.invoke_async(&mut connection)).await
    }

    pub(super) async fn marker(&self, environment: &EnvironmentName) -> Result<Found<Marker>, Away> {
        let answer = self.answer(&Self::over(&self.scripts.marker, environment)).await?;
        match read(&answer, environment)? {
            Read::Marker(found) => Ok(found),
            Read::Code(_) => Err(Away::Unexpected),
        }
    }

    pub(super) async fn rebuild(&self, snapshot: &Snapshot) -> Result<(), Away> {
        for environment in &snapshot.environments {
            self.rebuild_one(environment, snapshot).await?;
        }
        Ok(())
    }

    /// Fills sets of its own, a portion at a time, and puts them in place of the others in one step.
    ///
    /// All at once, a million tokens keep Redis longer than any answer may take. Nobody reads the sets before they are whole. They are
    /// named after the connection, so two nodes that rebuild at the same time do not meet.
    async fn rebuild_one(&self, environment: &EnvironmentName, snapshot: &Snapshot) -> Result<(), Away> {
        let mut connection = self.connection.clone();
        let number: u64 = self.ask(redis::cmd("CLIENT").arg("ID").query_async(&mut connection)).await?;
        let own = |name| format!("{}:{number}", key(environment, name));
        let (revoked, before) = (own(REVOKED), own(BEFORE));
        // What an earlier try over this connection left is no part of this one.
        let () = self.ask(connection.unlink(&[&revoked, &before])).await?;
        let mut numbers = [0_usize; 2];
        let here: Vec<&Cut> = snapshot.cuts.iter().filter(|cut| cut.environment == *environment).collect();
        for portion in here.chunks(PORTION) {
            let mut pipe = redis::pipe();
            for cut in portion {
                match &cut.what {
                    CutWhat::Token { id, expires } => {
                        numbers[0] += 1;
                        pipe.zadd(&revoked, id.as_str(), expires.as_seconds()).ignore();
                    }
                    CutWhat::Before { key: line, index } => {
                        numbers[1] += 1;
                        pipe.zadd(&before, line.as_str(), score(*index)?).ignore();
                    }
                }
            }
            // They are gone by themselves where this ends halfway.
            pipe.expire(&revoked, UNFINISHED).ignore().expire(&before, UNFINISHED).ignore();
            let () = self.ask(pipe.query_async(&mut connection)).await?;
        }
        let mut call = Self::over(&self.scripts.replace, environment);
        call.key(&revoked).key(&before).arg(numbers[0]).arg(numbers[1]);
        let at = &snapshot.marker;
        call.arg(at.epoch).arg(at.index).arg(at.root.to_string()).arg(at.time.as_seconds());
        let replaced: i64 = self.ask(call.invoke_async(&mut connection)).await?;
        match replaced {
            // 2: another node went further meanwhile, and the next step finds its marker.
            1 | 2 => Ok(()),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn apply(&self, update: &Update) -> Result<Applied, Away> {
        let environment = &update.environment;
        let mut call = Self::over(&self.scripts.apply, environment);
        let (prior, next) = (&update.prior, &update.marker);
        call.arg(prior.epoch).arg(prior.index).arg(prior.root.to_string());
        call.arg(next.epoch).arg(score(next.index)?).arg(next.root.to_string()).arg(next.time.as_seconds());
        for cut in &update.cuts {
            match &cut.what {
                CutWhat::Token { id, expires } => call.arg("t").arg(id.as_str()).arg(expires.as_seconds()),
                CutWhat::Before { key, index } => call.arg("b").arg(key.as_str()).arg(score(*index)?),
            };
        }
        applied(&self.answer(&call).await?, environment, Some(prior), next)
    }

    pub(super) async fn renew(&self, environment: &EnvironmentName, marker: &Marker) -> Result<Applied, Away> {
        let mut call = Self::over(&self.scripts.renew, environment);
        call.arg(marker.epoch).arg(score(marker.index)?).arg(marker.root.to_string()).arg(marker.time.as_seconds());
        call.arg(marker.time.minus(KEPT_AFTER_EXPIRY).as_seconds());
        applied(&self.answer(&call).await?, environment, None, marker)
    }

    pub(super) async fn admit(&self, bucket: &Bucket<'_>, proof: Option<Shown>, now: Timestamp) -> Result<Admission, Away> {
        let name = match bucket.operation {
            Operation::Exchange => key(bucket.environment, format!("quota:{}", bucket.caller)),
            other => key(bucket.environment, format!("quota:{}:{}", other.name(), bucket.caller)),
        };
        let seen = proof.as_ref().map(|shown| seen_key(&shown.key));
        let mut take = command("EVALSHA", 9, 304);
        take.arg(self.scripts.take.get_hash()).arg(1 + usize::from(seen.is_some())).arg(name).arg(seen);
        let allowance = bucket.allowance;
        take.arg(now.as_seconds() * 1_000_000).arg(allowance.every()).arg(allowance.whole());
        take.arg(proof.and_then(|shown| shown.spent_until).map(Timestamp::as_seconds));
        match self.batcher.ask(take).await? {
            Value::Int(-1) => Ok(Admission::Seen),
            Value::Int(0) => Ok(Admission::Taken),
            Value::Int(over @ 1..) => Ok(Admission::too_early(over)),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) fn spend(&self, proof: &ProofKey, until: Timestamp) {
        self.batcher.tell(mark(proof, until));
    }

    pub(super) fn give_back(&self, proof: &ProofKey) {
        let mut forget = command("DEL", 2, 96);
        forget.arg(seen_key(proof));
        self.batcher.tell(forget);
    }

    pub(super) async fn spend_read(&self, proof: &ProofKey, until: Timestamp) -> Result<bool, Away> {
        let mut first = mark(proof, until);
        first.arg("NX");
        match self.batcher.ask(first).await? {
            Value::Okay => Ok(true),
            Value::Nil => Ok(false),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn is_cut(
        &self,
        environment: &EnvironmentName,
        token: &TokenId,
        keys: &[RevocationKey],
        entry: u64,
        now: Timestamp,
    ) -> Result<Liveness, Away> {
        let mut scores = command("EVALSHA", 6 + keys.len(), 768);
        scores.arg(self.scripts.scores.get_hash()).arg(KEYS.len());
        for name in KEYS {
            scores.arg(key(environment, name));
        }
        scores.arg(token.as_str()).arg(keys.iter().map(RevocationKey::as_str).collect::<Vec<_>>());
        let Value::Array(answer) = self.looks.ask(scores).await? else { return Ok(Liveness::Unknown) };
        let [code, revoked, lines, fields @ ..] = answer.as_slice() else { return Ok(Liveness::Unknown) };
        if value::<i64>(code) != Some(3) {
            return Ok(Liveness::Unknown);
        }
        type Scores = (Option<Option<f64>>, Option<Vec<Option<f64>>>);
        let (revoked, lines): Scores = (value(revoked), value(lines));
        let (Some(revoked), Some(lines), Found::At(marker)) = (revoked, lines, marker(fields, environment)) else {
            return Ok(Liveness::Unknown);
        };
        if !is_fresh(&marker, now) || lines.len() != keys.len() {
            return Ok(Liveness::Unknown);
        }
        let entry = u32::try_from(entry).map_or(entry as f64, f64::from);
        let cut = revoked.is_some() || lines.into_iter().flatten().any(|line| entry < line);
        Ok(if cut { Liveness::Cut } else { Liveness::Live })
    }

    pub(super) async fn store_checkpoint(&self, note: &str) -> Result<(), Away> {
        let mut connection = self.connection.clone();
        self.ask(connection.set(CHECKPOINT, note)).await
    }

    pub(super) async fn load_checkpoint(&self) -> Result<Found<String>, Away> {
        let mut call = self.scripts.text.prepare_invoke();
        call.key(CHECKPOINT).arg(LONGEST_CHECKPOINT);
        let answer = self.answer(&call).await?;
        let strange = |seen: String| Found::Strange(Strange { key: CHECKPOINT.to_owned(), seen, wanted: "a checkpoint" });
        match (answer.first().and_then(value::<i64>), answer.get(1)) {
            (Some(0), _) => Ok(Found::Missing),
            (Some(1), Some(text)) => Ok(value(text).map_or_else(|| strange("bytes that are no text".to_owned()), Found::At)),
            (Some(-2), _) => Ok(strange(format!("a {}", shown(answer.get(2))))),
            (Some(-3), _) => Ok(strange(format!("a text of {} bytes", shown(answer.get(2))))),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), Away> {
        let mut connection = self.connection.clone();
        let _: String = self.ask(redis::cmd("PING").query_async(&mut connection)).await?;
        Ok(())
    }

    /// Warns of an eviction policy other than `noeviction` (ABUSE S12).
    ///
    /// Such a policy silently drops revocations.
    pub(super) async fn advice(&self) -> Result<Option<&'static str>, Away> {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg("maxmemory-policy");
        let answer: Vec<String> = self.ask(command.query_async(&mut connection)).await?;
        let safe = answer.get(1).is_some_and(|policy| policy == "noeviction");
        Ok((!safe).then_some(
            "maxmemory-policy is not noeviction: Redis may drop revocations; they are found missing and rebuilt late",
        ))
    }
}

fn key(environment: &EnvironmentName, what: impl fmt::Display) -> String {
    format!("carnet:{{{environment}}}:{what}")
}

/// The command that marks a proof as seen until this second.
fn mark(proof: &ProofKey, until: Timestamp) -> Cmd {
    let mut set = command("SET", 6, 112);
    set.arg(seen_key(proof)).arg("").arg("EXAT").arg(until.as_seconds());
    set
}

/// Seen proofs have one namespace over all environments, under their own tag.
fn seen_key(proof: &ProofKey) -> String {
    format!("carnet:{{seen}}:{}", proof.0)
}

/// An index as a score.
///
/// Scores are doubles: beyond 2^53 a line would be rounded, and cut too little.
fn score(index: u64) -> Result<u64, Away> {
    if index < 1 << 53 { Ok(index) } else { Err(Away::Unexpected) }
}

/// A script's answer.
enum Read {
    /// A code.
    Code(i64),
    /// The marker that is there instead of the expected one.
    Marker(Found<Marker>),
}

fn read(answer: &[Value], environment: &EnvironmentName) -> Result<Read, Away> {
    let strange = |name: &str, seen: String, wanted| {
        Ok(Read::Marker(Found::Strange(Strange { key: key(environment, name), seen, wanted })))
    };
    match answer.first().and_then(value::<i64>) {
        Some(code @ 1..=2) => Ok(Read::Code(code)),
        Some(-1) => Ok(Read::Marker(marker(answer.get(1..).unwrap_or_default(), environment))),
        Some(-2) => {
            let at = answer.get(1).and_then(value::<usize>).and_then(|at| at.checked_sub(1)).unwrap_or_default();
            let name = KEYS.get(at).copied().unwrap_or(COMPLETE);
            let wanted = if name == COMPLETE { A_MARKER } else { "a sorted set" };
            strange(name, format!("a {}", shown(answer.get(2))), wanted)
        }
        Some(-3) => {
            strange(COMPLETE, format!("its {} is a text of {} bytes", shown(answer.get(1)), shown(answer.get(2))), A_MARKER)
        }
        Some(-4) => {
            let end = shown(answer.get(1));
            strange(BEFORE, format!("a line beyond index {end}, where the marker stands"), "no line beyond the marker")
        }
        _ => Err(Away::Unexpected),
    }
}

const A_MARKER: &str = "a hash of epoch, index, root and time";

/// Parses the marker, if its fields have the form that a node of ours writes.
///
/// The time is not compared: every live node renews it.
fn marker(fields: &[Value], environment: &EnvironmentName) -> Found<Marker> {
    let field = |at: usize| fields.get(at).filter(|value| !matches!(value, Value::Nil | Value::Boolean(false)));
    if (0..3).all(|at| field(at).is_none()) {
        return Found::Missing;
    }
    let text = |at: usize| field(at).and_then(value::<String>);
    // Exactly as written: "007" and "+7" are numbers to some readers and not to others.
    let number = |at: usize| text(at).and_then(|text| text.parse::<u64>().ok().filter(|number| number.to_string() == text));
    let root = text(2).and_then(|root| Digest::try_from(root).ok());
    let time = text(3).and_then(|time| Timestamp::from_seconds(time.parse().ok()?));
    if let (Some(epoch), Some(index), Some(root)) = (number(0), number(1), root) {
        return Found::At(Marker { epoch, index, root, time: time.unwrap_or_default() });
    }
    let sound = [number(0).is_some(), number(1).is_some(), root.is_some()];
    let broken = ["epoch", "index", "root"].iter().zip(sound).enumerate().filter(|(_, (_, sound))| !sound);
    let broken = broken.map(|(at, (name, _))| match (field(at).is_some(), *name) {
        (false, name) => format!("its {name} is missing"),
        (true, "root") => "its root is no SHA-256".to_owned(),
        (true, name) => format!("its {name} is no number"),
    });
    let seen = broken.collect::<Vec<_>>().join(", ");
    Found::Strange(Strange { key: key(environment, COMPLETE), seen, wanted: A_MARKER })
}

fn applied(answer: &[Value], environment: &EnvironmentName, prior: Option<&Marker>, wanted: &Marker) -> Result<Applied, Away> {
    match read(answer, environment)? {
        Read::Code(1) => Ok(Applied::Done),
        Read::Code(_) => Ok(Applied::AlreadyThere),
        Read::Marker(Found::Strange(strange)) => Ok(Applied::Strange(strange)),
        Read::Marker(Found::Missing) => Ok(Applied::Behind),
        Read::Marker(Found::At(found)) => match compare(Some(&found), prior, wanted) {
            // The script found it to be neither, so the compared marker cannot be the one that it saw.
            Applied::Done | Applied::AlreadyThere => Err(Away::Unexpected),
            other => Ok(other),
        },
    }
}

fn value<T: FromRedisValue>(value: &Value) -> Option<T> {
    redis::from_redis_value(value.clone()).ok()
}

/// A word or number that a script made, never a value that somebody else wrote.
fn shown(value: Option<&Value>) -> String {
    value.and_then(self::value::<String>).unwrap_or_else(|| "value".to_owned())
}

/// Never prints the URL: it may have a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}
