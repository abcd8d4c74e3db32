//! The scripts that Redis runs, each as one step. They answer even if others wrote to our keys.

use redis::Script;

/// The scripts of the index.
pub(super) struct Scripts {
    pub marker: Script,
    pub apply: Script,
    pub renew: Script,
    pub replace: Script,
    pub scores: Script,
    pub text: Script,
    pub take: Script,
}

impl Scripts {
    pub fn new() -> Self {
        let over = |script: &str| Script::new(&format!("{LOOK}{script}"));
        Self {
            marker: over(MARKER),
            apply: over(APPLY),
            renew: over(RENEW),
            replace: Script::new(REPLACE),
            scores: over(SCORES),
            text: Script::new(TEXT),
            take: Script::new(TAKE),
        }
    }

    /// Those that are called by their hash, many in one round trip.
    pub fn batched(&self) -> [&Script; 2] {
        [&self.take, &self.scores]
    }
}

/// The beginning of every script over an environment's keys (marker, tokens, lines).
///
/// A value that others put there is an answer, never an error. `-2`: a key of another type; `-3`: a field that is too long;
/// each with its place. No value is converted to a number here: markers are compared as the texts that a node of ours writes.
const LOOK: &str = r"
local wanted = {'hash', 'zset', 'zset'}
for at = 1, #KEYS do
  local kind = redis.call('TYPE', KEYS[at]).ok
  if kind ~= 'none' and kind ~= wanted[at] then return {-2, at, kind} end
end
local names = {'epoch', 'index', 'root', 'time'}
for _, name in ipairs(names) do
  local length = redis.call('HSTRLEN', KEYS[1], name)
  if length > 128 then return {-3, name, tostring(length)} end
end
local found = redis.call('HMGET', KEYS[1], unpack(names))
local function is(from)
  return found[1] == ARGV[from] and found[2] == ARGV[from + 1] and found[3] == ARGV[from + 2]
end
local function other() return {-1, found[1], found[2], found[3], found[4]} end
";

/// Returns the marker. `-4`: there is a line beyond the marker's own index.
const MARKER: &str = r"
if found[2] and string.match(found[2], '^%d+$') and redis.call('ZCOUNT', KEYS[3], '(' .. found[2], '+inf') > 0 then
  return {-4, found[2]}
end
return other()
";

/// Applies the cuts and advances the marker, if it is the prior one.
///
/// Returns 1 for done, 2 for already there, or -1 and the marker that is there.
const APPLY: &str = r"
if is(4) then return {2} end
if not is(1) then return other() end
for at = 8, #ARGV, 3 do
  if ARGV[at] == 't' then redis.call('ZADD', KEYS[2], ARGV[at + 2], ARGV[at + 1])
  else redis.call('ZADD', KEYS[3], 'GT', ARGV[at + 2], ARGV[at + 1]) end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'index', ARGV[5], 'root', ARGV[6], 'time', ARGV[7])
return {1}
";

/// Renews the time of exactly this marker, and drops tokens that expired long ago.
const RENEW: &str = r"
if not is(1) then return other() end
if redis.call('ZCOUNT', KEYS[3], '(' .. ARGV[2], '+inf') > 0 then return {-4, ARGV[2]} end
redis.call('HSET', KEYS[1], 'time', ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[5])
return {2}
";

/// Puts a rebuilt set of tokens and one of lines in place of whatever is there, with their marker; 0 if one of them is not whole.
///
/// What is there may be of any type, and huge: `UNLINK` frees it in the background. An index that went further since stays (2): another node
/// rebuilt it faster, and a revocation that it has may be acknowledged.
const REPLACE: &str = r"
for at = 4, 5 do
  if redis.call('ZCARD', KEYS[at]) ~= tonumber(ARGV[at - 3]) then return 0 end
end
local there = redis.pcall('HMGET', KEYS[1], 'epoch', 'index')
local index = there[1] == ARGV[3] and there[2] and string.match(there[2], '^%d+$') and tonumber(there[2])
if index and index > tonumber(ARGV[4]) then
  redis.call('UNLINK', KEYS[4], KEYS[5])
  return 2
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
for at = 4, 5 do
  if redis.call('EXISTS', KEYS[at]) == 1 then
    redis.call('RENAME', KEYS[at], KEYS[at - 2])
    redis.call('PERSIST', KEYS[at - 2])
  end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'index', ARGV[4], 'root', ARGV[5], 'time', ARGV[6])
return 1
";

/// Returns the scores of a token and of members, and the marker.
const SCORES: &str = r"
return {3, redis.call('ZSCORE', KEYS[2], ARGV[1]), redis.call('ZMSCORE', KEYS[3], unpack(ARGV, 2)), unpack(found, 1, 4)}
";

/// Returns a text, if it is short enough to be one of ours.
const TEXT: &str = r"
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return {0} end
if kind ~= 'string' then return {-2, 1, kind} end
local length = redis.call('STRLEN', KEYS[1])
if length > tonumber(ARGV[1]) then return {-3, 'text', tostring(length)} end
return {1, redis.call('GET', KEYS[1])}
";

/// Takes one from a bucket, unless the proof was seen. With a fourth argument it marks the proof as seen until that second.
///
/// The bucket is the microsecond at which it is full again. Returns the microseconds that the caller is too early, 0 for
/// admitted. A value that is not such a number counts as a bucket that is empty now: it fills by itself, and nobody gains by
/// writing one. `-1`: the proof of the second key was seen, and nothing is taken. Otherwise somebody with a copy of a spent
/// proof could empty its owner's bucket.
const TAKE: &str = r"
if KEYS[2] and redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
local now, every, whole = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local kept_for = string.format('%d', whole / 500)
local kept = redis.pcall('GETRANGE', KEYS[1], 0, 31)
local until_full = now
if kept ~= '' then
  until_full = type(kept) == 'string' and tonumber(kept) or nil
  if not until_full or not (until_full <= now + whole) then
    until_full = now + whole
    redis.call('SET', KEYS[1], string.format('%d', until_full), 'PX', kept_for)
  end
end
local full = math.max(until_full, now) + every
local over = full - now - whole
if over > 0 then return math.floor(over) end
redis.call('SET', KEYS[1], string.format('%d', full), 'PX', kept_for)
if KEYS[2] and ARGV[4] then redis.call('SET', KEYS[2], '', 'EXAT', ARGV[4]) end
return 0
";
