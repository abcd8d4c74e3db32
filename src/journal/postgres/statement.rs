//! The statements of a batch.
//!
//! A batch is one statement, whatever it has in it: rows go as arrays. Which row of the head it stands on is a condition of that statement,
//! and everything else it writes hangs on the row that it updated.
//!
//! Deliberately not here: in which order statements run, and what an answer means (`writer`).

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::column::{batch, digest, index, index_if};
use super::generations::Generations;
use super::side::{After, Kept};
use crate::journal::fault::StoreFault;
use crate::journal::store::batch;
use crate::journal::store::column::{hash, number, sql, time};
use crate::journal::store::head::Head;
use crate::journal::store::row::News;
use crate::journal::tree::FullTile;

/// Takes the lock. Of the row it has what is there once the lock is held; of any other row it would have what was there before.
pub const LOCK: &str =
    "SELECT size, root, last_change, time, turn, sums, young, until_0, until_1 FROM head WHERE id = 1 FOR UPDATE";

/// Where the entries end, and whether this instance has the id of its node; an operator has none. Under the lock, it is a statement of its own.
pub const ROWS: &str = "SELECT (SELECT max(idx) FROM entries), \
     $1::text IS NULL OR EXISTS (SELECT 1 FROM nodes WHERE id = $1::text AND instance = $2::text)";

/// Both at one moment, without the lock.
pub const HEAD: &str = "SELECT size, root, last_change, time, turn, sums, young, until_0, until_1, (SELECT max(idx) FROM entries) \
     FROM head WHERE id = 1";

macro_rules! news {
    ($columns:literal, $from:literal, $ending:literal) => {
        concat!(
            "SELECT ",
            $columns,
            "b.first, b.size_after, b.prior_root, b.root, b.prior_change, b.mac, b.leaves, e.body FROM ",
            $from,
            " LEFT JOIN entries e ON e.idx = b.first AND b.size_after = b.first + 1 ",
            $ending
        )
    };
}

/// The batches from an entry on. Under the lock, it is a statement of its own.
pub const NEWS: &str = news!("", "batches b", "WHERE b.first >= $1 ORDER BY b.first LIMIT $2");

/// The same without the lock, with the head as of the same moment.
pub const SINCE: &str = news!(
    "h.size, h.root, h.last_change, h.time, h.turn, h.sums, h.young, h.until_0, h.until_1, (SELECT max(idx) FROM entries), ",
    "head h LEFT JOIN batches b ON b.first >= $1",
    "WHERE h.id = 1 ORDER BY b.first LIMIT $2"
);

/// Raises the turn: no batch that was sent before can come in any more.
pub const TURN: &str = "UPDATE head SET turn = turn + 1 WHERE id = 1";

/// The last uses of clients, under the lock.
pub const USED: &str = "SELECT subject, idx, time FROM last_use WHERE subject = ANY($1::text[])";

/// The same without the lock, with the head that they are of.
pub const USED_AT: &str = "SELECT h.size, h.root, h.turn, u.subject, u.idx, u.time FROM head h \
     LEFT JOIN last_use u ON u.subject = ANY($1::text[]) WHERE h.id = 1";

macro_rules! batch {
    ($condition:literal, $answer:literal) => {
        concat!(
            "WITH fits AS (UPDATE head SET size = $1::int8, root = $2::bytea, last_change = $3::int8, time = $4::int8, sums = $5::bytea, \
             young = $6::int2, until_0 = $7::int8, until_1 = $8::int8 WHERE id = 1 AND size = $9::int8 AND root = $10::bytea \
             AND last_change IS NOT DISTINCT FROM $11::int8 AND time = $12::int8 AND turn = $13::int8 \
             AND (NOT $32::bool OR abs(floor(extract(epoch FROM clock_timestamp())) - $4::int8) <= 2)",
            $condition,
            " RETURNING id), line AS (INSERT INTO batches (first, size_after, prior_root, root, prior_change, mac, leaves) \
             SELECT $9::int8, $1::int8, $10::bytea, $2::bytea, $11::int8, $14::bytea, $31::bytea FROM fits), \
             rows AS (INSERT INTO entries (idx, time, kind, subject, request_id, jti, body, leaf) SELECT e.* FROM fits, \
             unnest($15::int8[], $16::int8[], $17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::bytea[]) AS e), \
             first AS (INSERT INTO spent_0 (proof, gone_after, first) SELECT p.*, $9::int8 FROM fits, unnest($23::bytea[], $24::int8[]) AS p \
             WHERE $6::int2 = 0), \
             second AS (INSERT INTO spent_1 (proof, gone_after, first) SELECT p.*, $9::int8 FROM fits, unnest($23::bytea[], $24::int8[]) AS p \
             WHERE $6::int2 = 1), \
             used AS (INSERT INTO last_use (subject, idx, time) SELECT u.* FROM fits, \
             unnest($25::text[], $26::int8[], $27::int8[]) AS u ON CONFLICT (subject) DO UPDATE SET idx = excluded.idx, \
             time = excluded.time), \
             full_tiles AS (INSERT INTO tiles (level, idx, content) SELECT t.* FROM fits, \
             unnest($28::int8[], $29::int8[], $30::bytea[]) AS t) ",
            $answer
        )
    };
}

/// Writes a whole batch, if the log ends where it begins, none of its proofs is spent, and this instance has the id of its node. Its answer: how many batches that is.
///
/// Spent proofs are counted, although one would do: of `EXISTS` the planner hopes that a look through the table ends early.
pub const AT_ONCE: &str = batch!(
    " AND coalesce((SELECT max(idx) FROM entries), -1) = $9::int8 - 1 \
     AND (SELECT count(*) FROM spent_0 WHERE proof = ANY($23::bytea[])) = 0 \
     AND (SELECT count(*) FROM spent_1 WHERE proof = ANY($23::bytea[])) = 0 \
     AND ($33::text IS NULL OR EXISTS (SELECT 1 FROM nodes WHERE id = $33::text AND instance = $34::text))",
    "SELECT count(*) FROM fits"
);

/// Writes a batch whose proofs were looked up under the lock. It fails where it does not stand on the head, and nothing is committed.
pub const LAST: &str = batch!("", "SELECT 1 / count(*) FROM fits");

/// The values of a batch, as they are bound.
pub struct Values<'b> {
    after: Numbers<'b>,
    prior: Numbers<'b>,
    turn: i64,
    sums: &'b [u8],
    generations: Generations,
    mac: &'b [u8],
    index: Vec<i64>,
    time: Vec<i64>,
    kind: Vec<&'b str>,
    subject: Vec<&'b str>,
    request: Vec<Option<&'b str>>,
    token: Vec<Option<&'b str>>,
    body: Vec<&'b str>,
    leaf: Vec<&'b [u8]>,
    proof: Vec<&'b [u8]>,
    gone_after: Vec<i64>,
    client: Vec<&'b str>,
    used: Vec<i64>,
    used_at: Vec<i64>,
    level: Vec<i64>,
    place: Vec<i64>,
    content: Vec<&'b [u8]>,
    leaves: Vec<u8>,
    compares_clocks: bool,
}

struct Numbers<'b> {
    size: i64,
    root: &'b [u8],
    last_change: Option<i64>,
    time: i64,
}

impl<'b> Numbers<'b> {
    fn of(head: &'b Head) -> Self {
        let Head { size, root, last_change, time } = head;
        Self { size: sql(*size), root: &root.0, last_change: last_change.map(sql), time: time.as_seconds() }
    }
}

/// The log before and after a batch, and its MAC.
pub struct Ends<'b> {
    pub prior: &'b Head,
    pub after: &'b Head,
    pub mac: &'b [u8],
    /// Whether its time must be within 2 s of the database's clock.
    pub compares_clocks: bool,
}

impl<'b> Values<'b> {
    pub fn of(ends: &Ends<'b>, rows: &'b [batch::Row], tiles: &'b [FullTile], after: &'b After) -> Self {
        Self {
            after: Numbers::of(ends.after),
            prior: Numbers::of(ends.prior),
            turn: after.turn,
            sums: &after.sums,
            generations: after.generations,
            mac: ends.mac,
            index: rows.iter().map(|row| sql(row.index)).collect(),
            time: rows.iter().map(|row| row.time.as_seconds()).collect(),
            kind: rows.iter().map(|row| row.kind).collect(),
            subject: rows.iter().map(|row| &*row.subject).collect(),
            request: rows.iter().map(|row| row.request.as_deref()).collect(),
            token: rows.iter().map(|row| row.token.as_deref()).collect(),
            body: rows.iter().map(|row| &*row.body).collect(),
            leaf: rows.iter().map(|row| &row.leaf.0[..]).collect(),
            proof: super::spent::keys(&after.spends),
            gone_after: after.spends.iter().map(|(_, until)| until.as_seconds()).collect(),
            client: after.used.iter().map(|(subject, _)| &**subject).collect(),
            used: after.used.iter().map(|(_, (index, _))| *index).collect(),
            used_at: after.used.iter().map(|(_, (_, time))| *time).collect(),
            level: tiles.iter().map(|tile| i64::from(tile.level)).collect(),
            place: tiles.iter().map(|tile| sql(tile.index)).collect(),
            content: tiles.iter().map(|tile| &*tile.content).collect(),
            leaves: rows.iter().flat_map(|row| row.leaf.0).collect(),
            compares_clocks: ends.compares_clocks,
        }
    }

    /// In the order of the places.
    pub fn bound(&self) -> [&(dyn ToSql + Sync); 32] {
        let [until_0, until_1] = &self.generations.until;
        [
            &self.after.size,
            &self.after.root,
            &self.after.last_change,
            &self.after.time,
            &self.sums,
            &self.generations.young,
            until_0,
            until_1,
            &self.prior.size,
            &self.prior.root,
            &self.prior.last_change,
            &self.prior.time,
            &self.turn,
            &self.mac,
            &self.index,
            &self.time,
            &self.kind,
            &self.subject,
            &self.request,
            &self.token,
            &self.body,
            &self.leaf,
            &self.proof,
            &self.gone_after,
            &self.client,
            &self.used,
            &self.used_at,
            &self.level,
            &self.place,
            &self.content,
            &self.leaves,
            &self.compares_clocks,
        ]
    }
}

/// The columns of [`LOCK`].
pub fn kept(row: &Row) -> Result<Kept, StoreFault> {
    let head =
        Head { size: index(row, 0)?, root: digest(row, 1)?, last_change: index_if(row, 2)?, time: time(row.try_get(3)?)? };
    let generations = Generations { young: row.try_get(6)?, until: [row.try_get(7)?, row.try_get(8)?] };
    Ok(Kept { head, turn: row.try_get(4)?, sums: row.try_get(5)?, generations })
}

/// The columns of [`NEWS`], from `at` on; none where they are empty.
pub fn news(row: &Row, at: usize) -> Result<Option<News>, StoreFault> {
    if index_if(row, at)?.is_none() {
        return Ok(None);
    }
    let batch = batch(row, at)?;
    let (leaves, alone): (&[u8], Option<String>) = (row.try_get(at + 6)?, row.try_get(at + 7)?);
    let leaves = leaves.chunks(32).map(hash).collect::<Result<_, _>>()?;
    Ok(Some(News { batch, leaves, alone: alone.map(String::into_bytes) }))
}

/// One more than the greatest index, which may be a column of its own.
pub fn rows(row: &Row, column: usize) -> Result<u64, StoreFault> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(number).transpose()?.map_or(0, |newest| newest + 1))
}
