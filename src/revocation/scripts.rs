//! The scripts that Redis runs, each as one step. They answer even if others wrote to our keys.
//!
//! Each keeps Redis busy for less than five milliseconds: whatever can be large goes in pieces.

use redis::{Cmd, Script};

use super::command::command;

/// The most cuts that one call puts in, and the most expired tokens that one call drops.
pub(super) const PIECE: usize = 250;

/// A script with its hash.
pub(super) struct Lua {
    code: String,
    hash: String,
}

impl Lua {
    fn new(code: String) -> Self {
        let hash = Script::new(&code).get_hash().to_owned();
        Self { code, hash }
    }

    /// A call over these keys, with room for this many arguments and bytes.
    pub fn over(&self, keys: &[String], arguments: usize, bytes: usize) -> Cmd {
        let mut call = command("EVALSHA", 3 + keys.len() + arguments, bytes);
        call.arg(&self.hash).arg(keys.len());
        for key in keys {
            call.arg(key);
        }
        call
    }

    /// The name of the script.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The scripts of the index.
pub(super) struct Scripts {
    pub marker: Lua,
    pub apply: Lua,
    pub renew: Lua,
    pub hold: Lua,
    pub fill: Lua,
    pub replace: Lua,
    pub scores: Lua,
    pub text: Lua,
    pub store: Lua,
    pub take: Lua,
    pub own: Lua,
}

impl Scripts {
    /// Those that tell of news on this channel.
    pub fn new(channel: &str) -> Self {
        let over = |script: &str| Lua::new(format!("{LOOK}{script}"));
        let timed = |script: &str| Lua::new(format!("{TIME}{script}"));
        Self {
            marker: over(MARKER),
            apply: Lua::new(format!("{TIME}{LOOK}{PUT}{APPLY}").replace("CHANNEL", channel)),
            renew: Lua::new(format!("{TIME}{LOOK}{RENEW}").replace("PIECE", &PIECE.to_string())),
            hold: Lua::new(HOLD.to_owned()),
            fill: Lua::new(format!("{PUT}{FILL}")),
            replace: timed(REPLACE),
            scores: over(SCORES),
            text: Lua::new(TEXT.to_owned()),
            store: Lua::new(STORE.to_owned()),
            take: Lua::new(TAKE.to_owned()),
            own: Lua::new(OWN.to_owned()),
        }
    }

    /// The commands that make a server know all of them.
    pub fn loads(&self) -> Vec<Cmd> {
        let Self { marker, apply, renew, hold, fill, replace, scores, text, store, take, own } = self;
        let load = |script: &Lua| redis::cmd("SCRIPT").arg("LOAD").arg(&script.code).clone();
        [marker, apply, renew, hold, fill, replace, scores, text, store, take, own].map(load).into()
    }
}

/// The time of a marker: that of Redis, and never before the one that is there.
///
/// A time further in the future than any reader takes for fresh counts for nothing: the clock of that Redis was wrong.
const TIME: &str = r"
local clock = tonumber(redis.call('TIME')[1])
local function time_after(before)
  if type(before) == 'string' and #before < 16 and string.match(before, '^%d+$') then
    local at = tonumber(before)
    if at > clock and at <= clock + 5 then return before end
  end
  return string.format('%d', clock)
end
";

/// The beginning of every script over an environment's keys (marker, tokens, lines).
///
/// A value that others put there is an answer, never an error. `-2`: a key of another type; `-3`: a field that is too long;
/// each with its place. No value is converted to a number to be compared: markers are compared as the texts that a node of ours writes.
///
/// While a change is put in by pieces, lines may be beyond the marker, up to its field `ahead`.
const LOOK: &str = r"
local wanted = {'hash', 'zset', 'zset'}
for at = 1, #KEYS do
  local kind = redis.call('TYPE', KEYS[at]).ok
  if kind ~= 'none' and kind ~= wanted[at] then return {-2, at, kind} end
end
local names = {'epoch', 'index', 'root', 'time', 'ahead'}
for _, name in ipairs(names) do
  local length = redis.call('HSTRLEN', KEYS[1], name)
  if length > 128 then return {-3, name, tostring(length)} end
end
local found = redis.call('HMGET', KEYS[1], unpack(names))
local function is(from)
  return found[1] == ARGV[from] and found[2] == ARGV[from + 1] and found[3] == ARGV[from + 2]
end
local function other() return {-1, found[1], found[2], found[3], found[4]} end
local function strays()
  if not found[2] or not string.match(found[2], '^%d+$') then return false end
  local most = found[2]
  if found[5] and #found[5] < 17 and string.match(found[5], '^%d+$') and tonumber(found[5]) > tonumber(most) then most = found[5] end
  return redis.call('ZCOUNT', KEYS[3], '(' .. most, '+inf') > 0
end
";

/// Puts cuts into the sets of tokens and of lines. A line never moves back.
const PUT: &str = r"
local function put(from)
  local tokens, lines = {}, {}
  for at = from, #ARGV, 3 do
    local set = ARGV[at] == 't' and tokens or lines
    set[#set + 1] = ARGV[at + 2]
    set[#set + 1] = ARGV[at + 1]
  end
  if #tokens > 0 then redis.call('ZADD', KEYS[2], unpack(tokens)) end
  if #lines > 0 then redis.call('ZADD', KEYS[3], 'GT', unpack(lines)) end
end
";

/// Returns the marker. `-4`: there is a line beyond the marker's own index.
const MARKER: &str = r"
if strays() then return {-4, found[2]} end
return other()
";

/// Applies cuts if the marker is the prior one, and advances it with the last piece of them.
///
/// Returns 1 for done, 2 for already there, or -1 and the marker that is there. Others are told of it, if this user may tell them.
const APPLY: &str = r"
if is(4) then return {2} end
if not is(1) then return other() end
local last = ARGV[7] == '1'
if not last then redis.call('HSET', KEYS[1], 'ahead', ARGV[5]) end
put(8)
if last then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'index', ARGV[5], 'root', ARGV[6], 'time', time_after(found[4]))
  redis.call('HDEL', KEYS[1], 'ahead')
  redis.pcall('PUBLISH', 'CHANNEL', ARGV[5])
end
return {1}
";

/// Renews the time of exactly this marker, and drops some tokens that expired long ago.
const RENEW: &str = r"
if not is(1) then return other() end
if strays() then return {-4, ARGV[2]} end
redis.call('HSET', KEYS[1], 'time', time_after(found[4]))
local gone = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%d', clock - tonumber(ARGV[4])), 'LIMIT', 0, PIECE)
if #gone > 0 then redis.call('ZREM', KEYS[2], unpack(gone)) end
return {2}
";

/// Takes the right to rebuild an environment, and empties the sets of the next generation; 0 if another process has it.
///
/// A key without an end, or with one further away than ours, is no process of ours.
const HOLD: &str = r"
local holder, left = redis.pcall('GET', KEYS[1]), redis.call('PTTL', KEYS[1])
local lives = type(holder) == 'string' and left >= 0 and left <= tonumber(ARGV[3])
if lives and string.sub(holder, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'PX', ARGV[3])
redis.call('UNLINK', KEYS[2], KEYS[3])
return 1
";

/// Puts a piece into the next generation; 0 if another process has the right to it.
const FILL: &str = r"
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
put(3)
return 1
";

/// Puts the next generation in place of whatever is there, with its marker; 0 if one of its sets is not whole, -1 if another process has the
/// right to it.
///
/// What is there may be of any type, and huge: `UNLINK` frees it in the background. An index that went further since, or forked, stays (2):
/// another node knows more, and a revocation that it has may be acknowledged.
const REPLACE: &str = r"
if redis.pcall('GET', KEYS[4]) ~= ARGV[1] then return -1 end
for at = 5, 6 do
  if redis.call('ZCARD', KEYS[at]) ~= tonumber(ARGV[at - 3]) then return 0 end
end
local there = redis.pcall('HMGET', KEYS[1], 'epoch', 'index', 'root', 'time')
local function number(text)
  return type(text) == 'string' and #text < 17 and string.match(text, '^%d+$') and tonumber(text)
end
local epoch, index = number(there[1]), number(there[2])
if epoch and index then
  local own_epoch, own_index = tonumber(ARGV[4]), tonumber(ARGV[5])
  local further = epoch > own_epoch or (epoch == own_epoch and index > own_index)
  if further or (epoch == own_epoch and index == own_index and there[3] ~= ARGV[6]) then
    redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[6])
    return 2
  end
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
for at = 5, 6 do
  if redis.call('EXISTS', KEYS[at]) == 1 then redis.call('RENAME', KEYS[at], KEYS[at - 3]) end
end
redis.call('HSET', KEYS[1], 'epoch', ARGV[4], 'index', ARGV[5], 'root', ARGV[6], 'time', time_after(there[4]))
redis.call('UNLINK', KEYS[4])
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

/// Stores a text in place of exactly the one that was seen; 0 if another is there. Nothing was seen if there is no second argument.
const STORE: &str = r"
if redis.pcall('GET', KEYS[1]) ~= (ARGV[2] or false) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
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

/// Lets a text live for so many milliseconds from now on, or deletes it, if it is exactly this one; 0 if it is not.
const OWN: &str = r"
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) else redis.call('DEL', KEYS[1]) end
return 1
";
