//! The live index in Redis. Keys as CONTRACT.md section 4 has them, one hash tag per environment.
//!
//! What must be one step is one script: compare the marker, apply, move it. Redis loses acknowledged writes at failover and evicts what
//! it likes (ABUSE S12), so nothing here is the only copy, and a marker that is missing or old says so.

use std::fmt;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands as _, Client, IntoConnectionInfo as _, Pipeline, RedisResult, Script};

use super::lane::{Admit, Lane};
use super::{
    Admission, Applied, Away, CONNECTION_TIME, KEPT_AFTER_EXPIRY, Liveness, Marker, Quota, RESPONSE_TIME, STALE_AFTER,
    Snapshot, Unusable, Update,
};
use crate::domain::clock::{Seconds, Timestamp};
use crate::domain::cut::CutWhat;
use crate::domain::digest::Digest;
use crate::domain::names::{ClientId, EnvironmentName, TokenId};
use crate::domain::proof_key::ProofKey;

/// An index in Redis.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    apply: Script,
    renew: Script,
    lane: Lane,
}

/// Microseconds in which a bucket fills: milliseconds would hold nobody to more than 60 000 a minute, whatever their record says.
const MINUTE: i64 = 60_000_000;

const CHECKPOINT: &str = "carnet:checkpoint";

/// Compares the marker with (prior, wanted); applies the cuts and moves it where it is the prior one. Returns 1 done, 2 already
/// there, 0 behind, or the foreign marker.
const APPLY: &str = r"
local found = redis.call('HMGET', KEYS[1], 'epoch', 'index', 'root', 'time')
if not found[1] or not found[2] then return {0} end
local fe, fi, we, wi = tonumber(found[1]), tonumber(found[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
if fe == we and fi == wi then
  if found[3] == ARGV[5] then return {2} end
  return {-1, found[1], found[2], found[3], found[4]}
end
if fe > we or (fe == we and fi > wi) then return {-1, found[1], found[2], found[3], found[4]} end
if fe ~= tonumber(ARGV[1]) or fi ~= tonumber(ARGV[2]) then return {0} end
for at = 7, #ARGV, 3 do
  if ARGV[at] == 't' then redis.call('ZADD', KEYS[2], ARGV[at + 2], ARGV[at + 1])
  else redis.call('ZADD', KEYS[3], 'GT', ARGV[at + 2], ARGV[at + 1]) end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'index', ARGV[4], 'root', ARGV[5], 'time', ARGV[6])
return {1}
";

/// Moves the time of exactly this marker and drops tokens long expired.
const RENEW: &str = r"
local found = redis.call('HMGET', KEYS[1], 'epoch', 'index', 'root', 'time')
if not found[1] or not found[2] then return {0} end
local fe, fi, we, wi = tonumber(found[1]), tonumber(found[2]), tonumber(ARGV[1]), tonumber(ARGV[2])
if fe == we and fi == wi then
  if found[3] ~= ARGV[3] then return {-1, found[1], found[2], found[3], found[4]} end
  redis.call('HSET', KEYS[1], 'time', ARGV[4])
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[5])
  return {2}
end
if fe > we or (fe == we and fi > wi) then return {-1, found[1], found[2], found[3], found[4]} end
return {0}
";

/// The bucket: the microsecond at which it is full again. Returns how many microseconds too early the caller is, 0 for allowed.
const TAKE: &str = r"
local now, every = tonumber(ARGV[1]), tonumber(ARGV[2])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + every
local over = full - now - 60000000
if over > 0 then return over end
redis.call('SET', KEYS[1], string.format('%d', full), 'PX', 120000)
return 0
";

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
        let lane = Lane::new(connection.clone(), Script::new(TAKE));
        Ok(Self { connection, apply: Script::new(APPLY), renew: Script::new(RENEW), lane })
    }

    /// Any answer of Redis, within the house's patience: its own limits end at the connection, which may come back in between.
    async fn ask<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, Away> {
        let patience = RESPONSE_TIME + CONNECTION_TIME / 4;
        match tokio::time::timeout(patience, call).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Away),
        }
    }

    pub(super) async fn marker(&self, environment: &EnvironmentName) -> Result<Option<Marker>, Away> {
        let mut connection = self.connection.clone();
        let fields: Vec<Option<String>> =
            self.ask(connection.hmget(key(environment, "complete"), &["epoch", "index", "root", "time"])).await?;
        Ok(marker(&fields))
    }

    pub(super) async fn rebuild(&self, snapshot: &Snapshot) -> Result<(), Away> {
        for environment in &snapshot.environments {
            let mut pipe = redis::pipe();
            pipe.atomic();
            pipe.del(key(environment, "revoked")).ignore();
            pipe.del(key(environment, "before")).ignore();
            for cut in snapshot.cuts.iter().filter(|cut| cut.environment == *environment) {
                match &cut.what {
                    CutWhat::Token { id, expires } => {
                        pipe.zadd(key(environment, "revoked"), id.as_str(), expires.as_seconds()).ignore();
                    }
                    CutWhat::Before { member, index } => {
                        pipe.zadd(key(environment, "before"), member, score(*index)?).ignore();
                    }
                }
            }
            let at = &snapshot.marker;
            let fields = [
                ("epoch", at.epoch.to_string()),
                ("index", at.index.to_string()),
                ("root", at.root.to_string()),
                ("time", at.time.as_seconds().to_string()),
            ];
            pipe.hset_multiple(key(environment, "complete"), &fields).ignore();
            let mut connection = self.connection.clone();
            let () = self.ask(pipe.query_async(&mut connection)).await?;
        }
        Ok(())
    }

    pub(super) async fn apply(&self, update: &Update) -> Result<Applied, Away> {
        let environment = &update.environment;
        let mut call = self.apply.prepare_invoke();
        call.key(key(environment, "complete")).key(key(environment, "revoked")).key(key(environment, "before"));
        let (prior, next) = (&update.prior, &update.marker);
        call.arg(prior.epoch).arg(prior.index).arg(next.epoch).arg(score(next.index)?);
        call.arg(next.root.to_string()).arg(next.time.as_seconds());
        for cut in &update.cuts {
            match &cut.what {
                CutWhat::Token { id, expires } => call.arg("t").arg(id.as_str()).arg(expires.as_seconds()),
                CutWhat::Before { member, index } => call.arg("b").arg(member).arg(score(*index)?),
            };
        }
        let mut connection = self.connection.clone();
        let answer: Vec<redis::Value> = self.ask(call.invoke_async(&mut connection)).await?;
        applied(&answer)
    }

    pub(super) async fn renew(&self, environment: &EnvironmentName, marker: &Marker) -> Result<Applied, Away> {
        let mut call = self.renew.prepare_invoke();
        call.key(key(environment, "complete")).key(key(environment, "revoked"));
        call.arg(marker.epoch).arg(marker.index).arg(marker.root.to_string()).arg(marker.time.as_seconds());
        call.arg(marker.time.minus(KEPT_AFTER_EXPIRY).as_seconds());
        let mut connection = self.connection.clone();
        let answer: Vec<redis::Value> = self.ask(call.invoke_async(&mut connection)).await?;
        applied(&answer)
    }

    pub(super) async fn admit(
        &self,
        environment: &EnvironmentName,
        caller: &ClientId,
        per_minute: u32,
        proof: Option<ProofKey>,
        now: Timestamp,
    ) -> Result<Admission, Away> {
        let bucket = key(environment, format_args!("quota:{caller}"));
        let (over, seen) = self
            .lane
            .admit(Admit {
                bucket,
                now: now.as_seconds() * 1_000_000,
                every: MINUTE / i64::from(per_minute.max(1)),
                seen: proof.as_ref().map(seen_key),
            })
            .await?;
        let quota = if over == 0 {
            Quota::Allowed
        } else {
            Quota::Exceeded { retry_after: Seconds(u32::try_from((over + 999_999) / 1_000_000).unwrap_or(60)) }
        };
        Ok(Admission { seen, quota })
    }

    pub(super) fn spend(&self, proof: &ProofKey, until: Timestamp) {
        self.lane.spend(seen_key(proof), until.as_seconds());
    }

    pub(super) async fn spend_read(&self, proof: &ProofKey, until: Timestamp) -> Result<bool, Away> {
        let mut command = redis::cmd("SET");
        command.arg(seen_key(proof)).arg("").arg("NX").arg("EXAT").arg(until.as_seconds());
        let mut connection = self.connection.clone();
        let answer: Option<String> = self.ask(command.query_async(&mut connection)).await?;
        Ok(answer.is_some())
    }

    pub(super) async fn is_cut(
        &self,
        environment: &EnvironmentName,
        token: &TokenId,
        members: &[String],
        entry: u64,
        now: Timestamp,
    ) -> Result<Liveness, Away> {
        let mut pipe = Pipeline::with_capacity(3);
        pipe.cmd("HMGET").arg(key(environment, "complete")).arg(&["epoch", "index", "root", "time"]);
        pipe.cmd("ZSCORE").arg(key(environment, "revoked")).arg(token.as_str());
        pipe.cmd("ZMSCORE").arg(key(environment, "before")).arg(members);
        let mut connection = self.connection.clone();
        type Answer = (Vec<Option<String>>, Option<f64>, Vec<Option<f64>>);
        let (fields, revoked, lines): Answer = self.ask(pipe.query_async(&mut connection)).await?;
        let fresh = marker(&fields).is_some_and(|marker| now.since(marker.time) <= STALE_AFTER);
        if !fresh || lines.len() != members.len() {
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

    pub(super) async fn load_checkpoint(&self) -> Result<Option<String>, Away> {
        let mut connection = self.connection.clone();
        self.ask(connection.get(CHECKPOINT)).await
    }

    pub(super) async fn ping(&self) -> Result<(), Away> {
        let mut connection = self.connection.clone();
        let _: String = self.ask(redis::cmd("PING").query_async(&mut connection)).await?;
        Ok(())
    }

    /// ABUSE S12: an eviction policy other than `noeviction` drops revocations without a word.
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

/// One namespace over all environments, under a tag of its own.
fn seen_key(proof: &ProofKey) -> String {
    format!("carnet:{{seen}}:{}", proof.0)
}

/// Scores are doubles: an index beyond 2^53 would be rounded, and a rounded line cuts too little.
fn score(index: u64) -> Result<u64, Away> {
    if index < 1 << 53 { Ok(index) } else { Err(Away) }
}

fn marker(fields: &[Option<String>]) -> Option<Marker> {
    let [Some(epoch), Some(index), Some(root), Some(time)] = fields else { return None };
    Some(Marker {
        epoch: epoch.parse().ok()?,
        index: index.parse().ok()?,
        root: Digest::try_from(root.clone()).ok()?,
        time: Timestamp::from_seconds(time.parse().ok()?)?,
    })
}

fn applied(answer: &[redis::Value]) -> Result<Applied, Away> {
    let code: i64 = answer.first().ok_or(Away).and_then(|code| redis::from_redis_value(code.clone()).map_err(|_| Away))?;
    match code {
        0 => Ok(Applied::Behind),
        1 => Ok(Applied::Done),
        2 => Ok(Applied::AlreadyThere),
        _ => {
            let fields = answer.get(1..).unwrap_or_default().iter().cloned();
            let fields: Vec<Option<String>> = fields.map(|field| redis::from_redis_value(field).ok()).collect();
            // A foreign marker that cannot be read is foreign all the same.
            let unreadable = || Marker { epoch: u64::MAX, index: u64::MAX, root: Digest([0; 32]), time: Timestamp::default() };
            Ok(Applied::Ahead(marker(&fields).unwrap_or_else(unreadable)))
        }
    }
}

/// Never the URL: it may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}
