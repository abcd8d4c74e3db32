//! The live index in Redis, with the keys of docs/reference/redis-keys.md.
//!
//! Each environment has one hash tag. A change that must be one step is one script: compare the marker, apply, advance it.
//! Redis loses acknowledged writes at failover and evicts what it likes (ABUSE S12), so nothing here is the only copy, and a
//! missing or old marker reveals the loss.

use std::fmt;
use std::sync::Arc;

use redis::{Cmd, Value};

use super::answer::{Admission, Liveness, Shown};
use super::away::Away;
use super::command::{add, command, score};
use super::keys::{CHECKPOINT, COMPLETE, KEYS, key, news_channel, seen_key};
use super::link::unique;
use super::marker::{Applied, Found, KEPT_AFTER_EXPIRY, Marker, Strange, Update, is_fresh};
use super::node::Node;
use super::place::Place;
use super::reply::{Read, applied, marker, read, shown, value};
use super::route::Route;
use super::scripts::{Lua, PIECE, Scripts};
use crate::domain::credential::revocation_key::RevocationKey;
use crate::domain::value::clock::{Clock, Timestamp};
use crate::domain::value::names::{EnvironmentName, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::quota::{Bucket, Operation};

/// A live index in Redis.
#[derive(Clone)]
pub struct Redis {
    route: Route,
    pub(super) scripts: Arc<Scripts>,
    /// The clock of this machine, by which the age of a marker counts, as it does for any other reader.
    clock: Arc<dyn Clock>,
    /// The name of this process where it rebuilds.
    pub(super) own: String,
    /// Where nodes tell each other of news.
    pub(super) channel: String,
}

/// The most bytes of a checkpoint of ours.
const LONGEST_CHECKPOINT: usize = 16 * 1024;

impl Redis {
    pub(super) fn new(place: Place, clock: Arc<dyn Clock>) -> Self {
        let channel = news_channel(place.database);
        let scripts = Arc::new(Scripts::new(&channel));
        Self { route: Route::new(place, &scripts), scripts, clock, own: unique(), channel }
    }

    /// The server that has the key.
    pub(super) async fn route_to(&self, key: &str) -> Result<Node, Away> {
        self.route.at(key).await
    }

    /// Sends a command to the server that has the key.
    pub(super) async fn one(&self, key: &str, command: Cmd) -> Result<Value, Away> {
        self.route.at(key).await?.link.one(command).await
    }

    /// A call of a script over an environment's three keys.
    fn over(script: &Lua, environment: &EnvironmentName, arguments: usize) -> Cmd {
        script.over(&KEYS.map(|name| key(environment, name)), arguments, 256 + 64 * arguments)
    }

    /// The answer of a script that answers with a list.
    async fn listed(&self, key: &str, call: Cmd) -> Result<Vec<Value>, Away> {
        match self.one(key, call).await? {
            Value::Array(answer) => Ok(answer),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn marker(&self, environment: &EnvironmentName) -> Result<Found<Marker>, Away> {
        let answer = self.listed(&key(environment, COMPLETE), Self::over(&self.scripts.marker, environment, 0)).await?;
        match read(&answer, environment)? {
            Read::Marker(found) => Ok(found),
            Read::Code(_) => Err(Away::Unexpected),
        }
    }

    /// Applies the cuts in pieces, and advances the marker with the last one.
    pub(super) async fn apply(&self, update: &Update) -> Result<Applied, Away> {
        let (prior, next) = (&update.prior, &update.marker);
        let mut pieces = update.cuts.chunks(PIECE).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let is_last = pieces.peek().is_none();
            let mut call = Self::over(&self.scripts.apply, &update.environment, 7 + 3 * piece.len());
            call.arg(prior.epoch).arg(prior.index).arg(prior.root.to_string());
            call.arg(next.epoch).arg(score(next.index)?).arg(next.root.to_string()).arg(u8::from(is_last));
            for cut in piece {
                add(&mut call, cut)?;
            }
            let done = applied(
                &self.listed(&key(&update.environment, COMPLETE), call).await?,
                &update.environment,
                Some(prior),
                next,
            )?;
            if is_last || done != Applied::Done {
                return Ok(done);
            }
        }
    }

    pub(super) async fn renew(&self, environment: &EnvironmentName, marker: &Marker) -> Result<Applied, Away> {
        let mut call = Self::over(&self.scripts.renew, environment, 4);
        call.arg(marker.epoch).arg(score(marker.index)?).arg(marker.root.to_string()).arg(KEPT_AFTER_EXPIRY.0);
        applied(&self.listed(&key(environment, COMPLETE), call).await?, environment, None, marker)
    }

    pub(super) async fn admit(&self, bucket: &Bucket<'_>, proof: Option<Shown>, now: Timestamp) -> Result<Admission, Away> {
        if self.route.is_one() {
            return self.take(bucket, proof, now).await;
        }
        let Some(shown) = proof else { return self.take(bucket, None, now).await };
        // A proof and a bucket are on two nodes of a cluster. The proof goes first: one that was seen takes nothing, and one that is over the
        // quota is given back. Who hears of neither is refused, and the proof stays spent.
        match shown.spent_until {
            Some(until) if !self.spend_read(&shown.key, until).await? => return Ok(Admission::Seen),
            None if self.is_seen(&shown.key).await? => return Ok(Admission::Seen),
            Some(_) | None => {}
        }
        let taken = self.take(bucket, None, now).await?;
        if shown.spent_until.is_some() && matches!(taken, Admission::Exceeded { .. }) {
            self.forget(&shown.key).await?;
        }
        Ok(taken)
    }

    /// Takes one from a bucket, unless the proof was seen, which a single server knows.
    async fn take(&self, bucket: &Bucket<'_>, proof: Option<Shown>, now: Timestamp) -> Result<Admission, Away> {
        let name = match bucket.operation {
            Operation::Exchange => key(bucket.environment, format!("quota:{}", bucket.caller)),
            other => key(bucket.environment, format!("quota:{}:{}", other.name(), bucket.caller)),
        };
        let node = self.route.at(&name).await?;
        let seen = proof.as_ref().map(|shown| seen_key(&shown.key));
        let mut take = command("EVALSHA", 9, 304);
        take.arg(self.scripts.take.hash()).arg(1 + usize::from(seen.is_some())).arg(name).arg(seen);
        let allowance = bucket.allowance;
        take.arg(now.as_seconds() * 1_000_000).arg(allowance.every()).arg(allowance.whole());
        take.arg(proof.and_then(|shown| shown.spent_until).map(Timestamp::as_seconds));
        match node.admissions.ask(take).await? {
            Value::Int(-1) => Ok(Admission::Seen),
            Value::Int(0) => Ok(Admission::Taken),
            Value::Int(over @ 1..) => Ok(Admission::too_early(over)),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) fn spend(&self, proof: &ProofKey, until: Timestamp) {
        let name = seen_key(proof);
        if let Some(node) = self.route.known(&name) {
            node.admissions.tell(mark(&name, until));
        }
    }

    pub(super) fn give_back(&self, proof: &ProofKey) {
        let name = seen_key(proof);
        if let Some(node) = self.route.known(&name) {
            node.admissions.tell(forget(&name));
        }
    }

    async fn forget(&self, proof: &ProofKey) -> Result<(), Away> {
        let name = seen_key(proof);
        self.route.at(&name).await?.admissions.ask(forget(&name)).await.map(drop)
    }

    async fn is_seen(&self, proof: &ProofKey) -> Result<bool, Away> {
        let name = seen_key(proof);
        let mut exists = command("EXISTS", 2, 112);
        exists.arg(&name);
        match self.route.at(&name).await?.admissions.ask(exists).await? {
            Value::Int(seen @ 0..=1) => Ok(seen == 1),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn spend_read(&self, proof: &ProofKey, until: Timestamp) -> Result<bool, Away> {
        let name = seen_key(proof);
        let mut first = mark(&name, until);
        first.arg("NX");
        match self.route.at(&name).await?.admissions.ask(first).await? {
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
    ) -> Result<Liveness, Away> {
        let mut scores = command("EVALSHA", 6 + keys.len(), 768);
        scores.arg(self.scripts.scores.hash()).arg(KEYS.len());
        for name in KEYS {
            scores.arg(key(environment, name));
        }
        scores.arg(token.as_str()).arg(keys.iter().map(RevocationKey::as_str).collect::<Vec<_>>());
        let node = self.route.at(&key(environment, COMPLETE)).await?;
        let Value::Array(answer) = node.looks.ask(scores).await? else { return Ok(Liveness::Unknown) };
        let [code, revoked, lines, fields @ ..] = answer.as_slice() else { return Ok(Liveness::Unknown) };
        if value::<i64>(code) != Some(3) {
            return Ok(Liveness::Unknown);
        }
        type Scores = (Option<Option<f64>>, Option<Vec<Option<f64>>>);
        let (revoked, lines): Scores = (value(revoked), value(lines));
        let (Some(revoked), Some(lines), Found::At(marker)) = (revoked, lines, marker(fields, environment)) else {
            return Ok(Liveness::Unknown);
        };
        if !is_fresh(&marker, self.clock.now()) || lines.len() != keys.len() {
            return Ok(Liveness::Unknown);
        }
        let entry = u32::try_from(entry).map_or(entry as f64, f64::from);
        let cut = revoked.is_some() || lines.into_iter().flatten().any(|line| entry < line);
        Ok(if cut { Liveness::Cut } else { Liveness::Live })
    }

    pub(super) async fn store_checkpoint(&self, note: &str, over: Option<&str>) -> Result<bool, Away> {
        let mut call = self.scripts.store.over(&[CHECKPOINT.to_owned()], 2, 1024);
        call.arg(note).arg(over);
        match self.one(CHECKPOINT, call).await? {
            Value::Int(stored @ 0..=1) => Ok(stored == 1),
            _ => Err(Away::Unexpected),
        }
    }

    pub(super) async fn load_checkpoint(&self) -> Result<Found<String>, Away> {
        let mut call = self.scripts.text.over(&[CHECKPOINT.to_owned()], 1, 128);
        call.arg(LONGEST_CHECKPOINT);
        let answer = self.listed(CHECKPOINT, call).await?;
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
        for node in self.route.all().await? {
            let _pong = node.link.one(redis::cmd("PING")).await?;
        }
        Ok(())
    }

    /// Makes certain that no server evicts anything (ABUSE S12).
    ///
    /// `INFO` asks for no right to read the configuration.
    pub(super) async fn keeps_all(&self) -> Result<(), Away> {
        for node in self.route.all().await? {
            let told: Option<String> = value(&node.link.one(redis::cmd("INFO").arg("memory").clone()).await?);
            let policy = told.as_ref().and_then(|told| told.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")));
            match policy.map(str::trim) {
                Some("noeviction") => {}
                Some(_) => return Err(Away::Evicts),
                None => return Err(Away::Unexpected),
            }
        }
        Ok(())
    }
}

/// The command that marks a proof as seen until this second.
fn mark(name: &str, until: Timestamp) -> Cmd {
    let mut set = command("SET", 6, 112);
    set.arg(name).arg("").arg("EXAT").arg(until.as_seconds());
    set
}

/// The command that forgets a proof.
fn forget(name: &str) -> Cmd {
    let mut forget = command("DEL", 2, 96);
    forget.arg(name);
    forget
}

/// Never prints the place: it has a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}
