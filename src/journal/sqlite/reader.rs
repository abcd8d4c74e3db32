//! The read side: entries, texts, sealed blobs and tiles, by a small pool of connections that cannot write.

use std::collections::{BTreeMap, HashMap};

use sqlx::sqlite::{SqliteArguments, SqlitePoolOptions, SqliteRow};
use sqlx::{Row as _, Sqlite, SqliteConnection, SqlitePool};

use super::column::sql;
use super::column::{index, number, strange, time};
use super::long_reads::{self, Lane};
use super::schema;
use super::spent::{self, Memory};
use super::statement::LATELY;
use crate::domain::credential::revocation::Clients;
use crate::domain::log::entry::{ChangeEntry, Entry, Issued};
use crate::domain::state::about::{About, actor};
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::digest::Digest;
use crate::domain::value::hex;
use crate::domain::value::names::{RequestId, TokenId};
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::fault::StoreFault;
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::sequencer::view::View;
use crate::journal::tree::merkle::{NodeAt, Subtree};
use crate::journal::tree::tiles::{Kind, Tile};
use crate::journal::tree::{Contents, Tree};

/// Which entries.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// From this index on.
    pub from: u64,
    /// Before this index; to the end where nothing is said.
    pub to: Option<u64>,
    /// Of exactly this kind.
    pub kind: Option<String>,
    /// About exactly this subject.
    pub subject: Option<String>,
    /// Of this request; found by an index.
    pub request_id: Option<RequestId>,
    /// The issuance of this token. Found by looking through `from..to`: bound it by the longest life of a token.
    pub token: Option<TokenId>,
    /// Not before this second.
    pub since: Option<Timestamp>,
    /// Before this second.
    pub until: Option<Timestamp>,
    /// By this person, integration, `operator` or `broker`; of tokens and refusals, by this client.
    pub actor: Option<String>,
    /// About this partner and everything of it.
    pub about: Option<About>,
    /// Newest first.
    pub newest_first: bool,
    /// At most so many; 100 where nothing is said, never more than 1000.
    pub limit: Option<u32>,
}

/// An entry as it is stored, and as it reads.
#[derive(Clone, Debug)]
pub struct StoredEntry {
    /// The exact bytes that were hashed.
    pub json: String,
    /// What they say.
    pub entry: Entry,
}

/// The pool.
#[derive(Clone)]
pub struct Reader {
    pool: SqlitePool,
    /// For queries of people, which look through many entries.
    lane: Lane,
    /// What was spent lately, where somebody writes in this process.
    lately: Memory,
}

const LONGEST_LIST: u32 = 1000;

impl Query {
    /// The most entries of its answer.
    pub fn limit(&self) -> usize {
        self.limit.unwrap_or(100).min(LONGEST_LIST) as usize
    }

    /// Whether it asks for entries of a kind that leave the database. Changes are all in it.
    pub fn may_have_left(&self) -> bool {
        self.kind.as_deref().is_none_or(|kind| matches!(kind, "issued" | "refused" | "refusals"))
    }

    /// Whether it asks for this entry, wherever that stands.
    pub fn wants(&self, entry: &Entry) -> bool {
        let (request, token) = match entry {
            Entry::Issued(entry) => (Some(&entry.request_id), Some(&entry.jti)),
            Entry::Refused(entry) => (Some(&entry.request_id), None),
            Entry::Counted(_) => (None, None),
            Entry::Change(entry) => (entry.request_id.as_ref(), None),
        };
        self.kind.as_deref().is_none_or(|kind| kind == entry.kind())
            && self.subject.as_ref().is_none_or(|wanted| *wanted == entry.subject())
            && self.since.is_none_or(|since| entry.time() >= since)
            && self.until.is_none_or(|until| entry.time() < until)
            && self.actor.as_ref().is_none_or(|wanted| *wanted == actor(entry))
            && self.about.as_ref().is_none_or(|about| about.holds(entry))
            && self.request_id.as_ref().is_none_or(|wanted| Some(wanted) == request)
            && self.token.as_ref().is_none_or(|wanted| Some(wanted) == token)
    }
}

/// What a query asks for. What is not asked for is NULL. Each row answers for itself: a row that had to be looked for among the others,
/// for each row that is looked at, would make a query as long as somebody likes. The revocation of a single token names its client.
macro_rules! conditions {
    ($first:literal) => {
        concat!(
            $first,
            " AND idx >= ?2 AND idx < ?3 AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR subject = ?5)",
            " AND (?6 IS NULL OR jti = ?6) AND (?8 IS NULL OR time >= ?8) AND (?9 IS NULL OR time < ?9)",
            " AND (?10 IS NULL OR CASE WHEN kind IN ('issued', 'refused', 'refusals') THEN subject = ?10 ELSE",
            " coalesce(json_extract(body, '$.by.staff.id'), json_extract(body, '$.by.machine.id'),",
            " json_extract(body, '$.by.workload'), json_extract(body, '$.by')) = ?10 END)",
            " AND (?11 IS NULL OR (subject >= ?12 AND subject < ?13)",
            " OR (kind NOT IN ('issued', 'refused', 'refusals') AND subject IN (SELECT value FROM json_each(?11)))",
            " OR (kind = 'revocation.added' AND subject LIKE 'token:%'",
            " AND json_extract(body, '$.client') >= ?12 AND json_extract(body, '$.client') < ?13))"
        )
    };
}

/// The same statement forwards and backwards.
macro_rules! listing {
    ($first:literal, $order:literal) => {
        concat!("SELECT body FROM entries WHERE ", conditions!($first), " ORDER BY idx ", $order, " LIMIT ?7")
    };
}

/// How many entries a count looks for: who asks wants to know whether it is a page more or a thousand.
pub const COUNTED: u32 = 100_000;

macro_rules! counting {
    ($first:literal) => {
        concat!("SELECT count(*) FROM (SELECT 1 FROM entries WHERE ", conditions!($first), " LIMIT ?7)")
    };
}

impl Reader {
    /// Connects to the database at `path`.
    pub async fn connect(path: &std::path::Path) -> Result<Self, StoreFault> {
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(schema::reader(path)).await?;
        Ok(Self { pool, lane: Lane::to(path), lately: Memory::default() })
    }

    /// The same beside a writer of this process.
    pub fn beside(self, lately: Memory) -> Self {
        Self { lately, ..self }
    }

    /// The pool, for what reads in one transaction.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// The exact bytes of one entry.
    pub async fn body(&self, index: u64) -> Result<Option<String>, StoreFault> {
        let query = sqlx::query("SELECT body FROM entries WHERE idx = ?").bind(sql(index));
        let row = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Entries in order of their index. For queries that an index or a bound makes short.
    pub async fn list(&self, query: &Query) -> Result<Vec<StoredEntry>, StoreFault> {
        listed(query, &mut *self.pool.acquire().await?).await
    }

    /// The same for queries of people: by connections of their own and for a limited time. Where it is over, that is the fault.
    pub async fn look(&self, query: &Query, view: &View) -> Result<Vec<StoredEntry>, StoreFault> {
        let query = self.within_times(query, view).await?;
        listed(&query, &mut *self.lane.turn().await?).await
    }

    /// How many entries a query of people asks for, whatever its limit says; at most [`COUNTED`]. Nothing where counting takes too long.
    pub async fn count(&self, query: &Query, view: &View) -> Result<Option<u64>, StoreFault> {
        let query = self.within_times(query, view).await?;
        let text = if query.request_id.is_some() { counting!("request_id = ?1") } else { counting!("?1 IS NULL") };
        match bind(text, &query, i64::from(COUNTED)).fetch_one(&mut *self.lane.turn().await?).await.map_err(StoreFault) {
            Ok(row) => Ok(Some(number(row.try_get(0)?)?)),
            Err(fault) if long_reads::is_over(&fault) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The same query among those entries alone that its times allow: where a time begins is found by halving.
    async fn within_times(&self, query: &Query, view: &View) -> Result<Query, StoreFault> {
        let mut within = query.clone();
        let before = |time: Timestamp| self.count_until(time.minus(Seconds(1)), view);
        if let Some(until) = query.until {
            let to = before(until).await?;
            within.to = Some(query.to.map_or(to, |wanted| wanted.min(to)));
        }
        // Where a time was corrected, entries that ran ahead of it stand before the place where it begins.
        if let Some(since) = query.since.filter(|since| *since > Timestamp::default() && view.state.corrections.is_empty()) {
            within.from = query.from.max(before(since).await?);
        }
        Ok(within)
    }

    /// When each client was last issued a token.
    pub async fn last_uses(&self) -> Result<BTreeMap<String, Timestamp>, StoreFault> {
        let rows = sqlx::query("SELECT subject, time FROM last_use").fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, time(row.try_get(1)?)?))).collect()
    }

    /// How many tokens `subject` was issued on each day (days since 1970) from `since` on, of the entries from `from` on.
    pub async fn issued_by_day(&self, subject: &str, from: u64, since: Timestamp) -> Result<Vec<(i64, u64)>, StoreFault> {
        let text = "SELECT time / 86400, count(*) FROM entries WHERE idx >= ? AND kind = 'issued' AND subject = ? AND time >= ? \
            GROUP BY 1 ORDER BY 1";
        let query = sqlx::query(text).bind(sql(from)).bind(subject.to_owned()).bind(since.as_seconds());
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))).collect()
    }

    /// Issuances from the entry `from` on and before `until`, in order, at most 1000; of `clients` alone where that is said.
    pub async fn issued(&self, (from, until): (u64, u64), clients: Option<&Clients>) -> Result<Vec<Issued>, StoreFault> {
        let (least, beyond) = match clients {
            None => (None, None),
            Some(Clients::One(client)) => (Some(client.to_string()), Some(format!("{client}\0"))),
            // Of one partner: `/` comes right before `0`.
            Some(Clients::Of(partner)) => (Some(format!("{partner}/")), Some(format!("{partner}0"))),
        };
        let text = "SELECT body FROM entries WHERE idx >= ?1 AND idx < ?2 AND kind = 'issued' \
            AND (?3 IS NULL OR (subject >= ?3 AND subject < ?4)) ORDER BY idx LIMIT 1000";
        let query = sqlx::query(text).bind(sql(from)).bind(sql(until)).bind(least).bind(beyond);
        let rows = query.fetch_all(&self.pool).await?;
        let entries = rows.iter().map(|row| match stored(row)?.entry {
            Entry::Issued(entry) => Ok(*entry),
            Entry::Refused(_) | Entry::Counted(_) | Entry::Change(_) => {
                Err(strange("an entry whose kind is not that of its row"))
            }
        });
        entries.collect()
    }

    /// Change entries from `from` on, in order, at most 1000.
    pub async fn changes(&self, from: u64) -> Result<Vec<ChangeEntry>, StoreFault> {
        let query = sqlx::query(
            "SELECT body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND idx >= ? ORDER BY idx LIMIT 1000",
        );
        let rows = query.bind(sql(from)).fetch_all(&self.pool).await?;
        let entries = rows.iter().map(|row| match stored(row)?.entry {
            Entry::Change(entry) => Ok(*entry),
            _ => Err(strange("an entry whose kind is not that of its row")),
        });
        entries.collect()
    }

    /// The exact bytes of the entries from `from` on and before `until`, in order; an entry that is not there is left out.
    pub async fn bodies(&self, from: u64, until: u64) -> Result<Vec<String>, StoreFault> {
        let query = sqlx::query("SELECT body FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx").bind(sql(from));
        let rows = query.bind(sql(until)).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// The first entry before `until` that is no change.
    pub async fn first_that_may_leave(&self, until: u64) -> Result<Option<u64>, StoreFault> {
        let text = "SELECT idx FROM entries WHERE idx < ? AND kind IN ('issued', 'refused', 'refusals') ORDER BY idx LIMIT 1";
        let row = sqlx::query(text).bind(sql(until)).fetch_optional(&self.pool).await?;
        row.map(|row| index(&row, 0)).transpose()
    }

    /// The time of the first entry of the database that is not before `index`. Times never fall, so an entry that has left was no later.
    pub async fn time_from(&self, index: u64) -> Result<Option<Timestamp>, StoreFault> {
        let query = sqlx::query("SELECT time FROM entries WHERE idx >= ? ORDER BY idx LIMIT 1").bind(sql(index));
        query.fetch_optional(&self.pool).await?.map(|row| time(row.try_get(0)?)).transpose()
    }

    /// The texts that these digests stand for; those that were forgotten are missing.
    pub async fn texts(&self, digests: &[TextDigest]) -> Result<HashMap<TextDigest, TextRow>, StoreFault> {
        if digests.is_empty() {
            return Ok(HashMap::new());
        }
        // One statement, and one text of it however many are wanted.
        let wanted: Vec<String> = digests.iter().map(|digest| hex::encode(&digest.0)).collect();
        let wanted = serde_json::to_string(&wanted).map_err(|_| strange("digests that are no JSON"))?;
        let query = sqlx::query("SELECT digest, salt, text FROM texts WHERE digest IN (SELECT unhex(value) FROM json_each(?))");
        let mut texts = HashMap::with_capacity(digests.len());
        for row in query.bind(wanted).fetch_all(&self.pool).await? {
            let (digest, salt): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
            let digest = TextDigest(digest.try_into().map_err(|_| strange("a digest that is not of 32 bytes"))?);
            let salt = salt.try_into().map_err(|_| strange("a salt that is not of 16 bytes"))?;
            let text: String = row.try_get(2)?;
            // A text that somebody wrote over is not what was said.
            if TextDigest::of(&salt, &text) == digest {
                texts.insert(digest, TextRow { digest, salt, text });
            }
        }
        Ok(texts)
    }

    /// Whether a proof is among those that were spent. Memory comes first, for proofs move from there to the table; where it is not
    /// what the log says, the log is asked.
    pub async fn is_spent(&self, proof: &ProofKey) -> Result<bool, StoreFault> {
        let known = self.lately.look(|head, lately| (head.size, lately.holds(proof)));
        if let Some((_, true)) = known {
            return Ok(true);
        }
        let text = "SELECT (SELECT size FROM head WHERE id = 1), EXISTS (SELECT 1 FROM consumed WHERE proof = ?)";
        let row = sqlx::query(text).bind(&proof.0.0[..]).fetch_one(&self.pool).await?;
        let (size, is_there) = (number(row.try_get(0)?)?, row.try_get(1)?);
        if is_there || known.is_some_and(|(known, _)| known == size) {
            return Ok(is_there);
        }
        // In one snapshot: what moves from one table to the other in between would be in neither.
        let mut snapshot = self.pool.begin().await?;
        for row in sqlx::query(LATELY).fetch_all(&mut *snapshot).await? {
            let spent = spent::read(row.try_get(0)?).ok_or_else(|| strange("a row that is no list of proofs"))?;
            if spent.iter().any(|(key, _)| key == proof) {
                return Ok(true);
            }
        }
        Ok(sqlx::query(text).bind(&proof.0.0[..]).fetch_one(&mut *snapshot).await?.try_get(1)?)
    }

    /// One sealed blob.
    pub async fn blob(&self, name: &BlobName) -> Result<Option<SealedBlob>, StoreFault> {
        let query = sqlx::query("SELECT sealed FROM keyring WHERE name = ?").bind(name.as_str().to_owned());
        let row = query.fetch_optional(&self.pool).await?;
        row.map(|row| Ok(SealedBlob { name: name.clone(), sealed: row.try_get(0)? })).transpose()
    }

    /// The contents of full tiles; those that are not stored are missing.
    pub async fn tiles(&self, wanted: &[Tile]) -> Result<Contents, StoreFault> {
        let mut contents = Contents::with_capacity(wanted.len());
        for tile in wanted {
            let Kind::Hashes(level) = tile.kind() else { continue };
            let query = sqlx::query("SELECT content FROM tiles WHERE level = ? AND idx = ?");
            let row = query.bind(i64::from(level)).bind(sql(tile.index())).fetch_optional(&self.pool).await?;
            if let Some(row) = row {
                contents.insert(*tile, row.try_get(0)?);
            }
        }
        Ok(contents)
    }

    /// The roots of `subtrees` of `tree`, by way of the stored tiles; nothing when one is missing.
    pub async fn roots(&self, tree: &Tree, subtrees: &[Subtree]) -> Result<Option<Vec<Digest>>, StoreFault> {
        let nodes: Vec<NodeAt> = subtrees.iter().flat_map(Subtree::nodes).collect();
        let contents = self.tiles(&Tree::wanted(&nodes, tree.size())).await?;
        Ok(crate::journal::tree::merkle::prove(subtrees, |node| tree.node(node, &contents)))
    }

    /// How many entries there are up to `at`, by halving: times never fall. Among entries that have left it is exact for changes alone,
    /// and for what comes after the last that left.
    pub async fn count_until(&self, at: Timestamp, view: &View) -> Result<u64, StoreFault> {
        // Times fall only where one was corrected: between corrections they are in order.
        let corrections = &view.state.corrections;
        let behind = corrections.iter().rposition(|(_, time)| *time <= at).map_or(0, |last| last + 1);
        let mut low = behind.checked_sub(1).map_or(0, |last| corrections[last].0);
        let mut high = corrections.get(behind).map_or(view.size, |(index, _)| *index);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.time_from(middle).await? {
                Some(time) if time <= at => low = middle + 1,
                Some(_) => high = middle,
                None => return Err(strange("an entry that is missing")),
            }
        }
        Ok(low)
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.lane.close().await;
        self.pool.close().await;
    }
}

async fn listed(query: &Query, connection: &mut SqliteConnection) -> Result<Vec<StoredEntry>, StoreFault> {
    let text = match (&query.request_id, query.newest_first) {
        (Some(_), false) => listing!("request_id = ?1", "ASC"),
        (Some(_), true) => listing!("request_id = ?1", "DESC"),
        (None, false) => listing!("?1 IS NULL", "ASC"),
        (None, true) => listing!("?1 IS NULL", "DESC"),
    };
    let bound = bind(text, query, i64::try_from(query.limit()).unwrap_or(i64::MAX));
    bound.fetch_all(connection).await?.iter().map(stored).collect()
}

fn bind<'q>(text: &'static str, query: &Query, limit: i64) -> sqlx::query::Query<'q, Sqlite, SqliteArguments> {
    let about = query.about.as_ref();
    sqlx::query(text)
        .bind(query.request_id.as_ref().map(|id| id.as_str().to_owned()))
        .bind(sql(query.from))
        .bind(query.to.map_or(i64::MAX, sql))
        .bind(query.kind.clone())
        .bind(query.subject.clone())
        .bind(query.token.as_ref().map(|id| id.as_str().to_owned()))
        .bind(limit)
        .bind(query.since.map(Timestamp::as_seconds))
        .bind(query.until.map(Timestamp::as_seconds))
        .bind(query.actor.clone())
        .bind(about.and_then(|about| serde_json::to_string(about.subjects()).ok()))
        // Of one partner: `/` comes right before `0`.
        .bind(about.map(|about| format!("{}/", about.partner())))
        .bind(about.map(|about| format!("{}0", about.partner())))
}

fn stored(row: &SqliteRow) -> Result<StoredEntry, StoreFault> {
    let json: String = row.try_get(0)?;
    let entry = Entry::parse(json.as_bytes()).map_err(|error| StoreFault(sqlx::Error::Decode(error.into())))?;
    Ok(StoredEntry { json, entry })
}

/// The changes of a kind as rows have them, with their index: nothing is proved by it.
pub async fn of_kind(connection: &mut SqliteConnection, kind: &'static str) -> Result<Vec<(u64, String)>, StoreFault> {
    // The first condition is that of the index.
    let text = "SELECT idx, body FROM entries WHERE kind NOT IN ('issued', 'refused', 'refusals') AND kind = ? ORDER BY idx";
    let rows = sqlx::query(text).bind(kind).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((index(row, 0)?, row.try_get(1)?))).collect()
}
