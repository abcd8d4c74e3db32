//! The tables and their version.
//!
//! Text is compared byte by byte (`COLLATE "C"`), whatever the database's own order is. Times are seconds since 1970.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::connection::{BEGIN, COMMIT, Connection, in_time};
use super::generations::Generations;
use crate::journal::fault::{OpenFault, StoreFault};
use crate::journal::store::column::sql;
use crate::journal::store::head::Head;
use crate::journal::store::health::OLDEST;
use crate::journal::store::sums::{SumKey, Sums};

/// The version of these tables.
///
/// `meta.version` is the version that a program must know to use the tables, and `meta.expanded` the newest whose columns are there: a later one
/// adds columns that a program of an earlier one need not write ([`expand`]). So nodes of both run side by side during an upgrade, and a node may
/// go back. What a program of this version finds is refused if it must know more, or lacks a column.
pub const VERSION: i64 = 2;

/// What is said of tables that lack columns of this version: whoever writes adds them, and whoever reads refuses them.
pub const EARLIER: &str = "1 in PostgreSQL";

/// What is said of tables of before the first release, in which texts have no data keys.
pub const WITHOUT_DATA_KEYS: &str = "1 in PostgreSQL, without data keys";

const TABLES_THERE: &str =
    "SELECT version, (to_jsonb(m) ->> 'expanded')::int8, to_regclass('data_keys') IS NOT NULL FROM meta m";

/// The columns of version 2. A node of version 1 spends proofs without `first`.
const EXPAND: &str = "ALTER TABLE spent_0 ADD COLUMN IF NOT EXISTS first int8; ALTER TABLE spent_1 ADD COLUMN IF NOT EXISTS first int8; \
    ALTER TABLE meta ADD COLUMN IF NOT EXISTS expanded int8; UPDATE meta SET expanded = 2 WHERE expanded IS NULL";

const ABOUT: &str =
    "SELECT current_setting('server_version_num')::int4, current_setting('server_encoding'), to_regclass('meta') IS NOT NULL";

/// The tables of a new database.
///
/// `head` is one row that every batch writes: with room for many versions of it on its page, none of them costs a new place in an index, and
/// it is cleaned early. `turn` is raised by every write of it that is no batch, and each batch compares it (`writer`). Spent proofs lie in two
/// tables by generation (`generations`), each with the entry at which its batch begins, if a node of this version spent it: by that, whoever reads
/// by pages tells proofs that came since (`checked`).
///
/// A batch has the leaf hashes of its entries once more, in one column: a node that follows reads them, and not the entries.
///
/// `directory` and `uses_head` have their row from the beginning, in generation 0, so that the first writers wait for each other as all later do.
const TABLES: &str = r#"
CREATE TABLE meta (version int8 NOT NULL, expanded int8);
CREATE TABLE head (
    id int2 PRIMARY KEY CHECK (id = 1), size int8 NOT NULL, root bytea NOT NULL, last_change int8, time int8 NOT NULL, turn int8 NOT NULL,
    sums bytea NOT NULL, young int2 NOT NULL CHECK (young IN (0, 1)), until_0 int8, until_1 int8
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200, autovacuum_vacuum_cost_delay = 0);
CREATE TABLE entries (
    idx int8 PRIMARY KEY, time int8 NOT NULL, kind text COLLATE "C" NOT NULL, subject text COLLATE "C" NOT NULL,
    request_id text COLLATE "C", jti text COLLATE "C", body text COLLATE "C" NOT NULL, leaf bytea NOT NULL
);
CREATE INDEX entries_changes ON entries (idx) WHERE kind NOT IN ('issued', 'refused', 'refusals');
CREATE INDEX entries_request ON entries (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX entries_kind ON entries (kind, idx) WHERE kind <> 'issued';
CREATE TABLE batches (
    first int8 PRIMARY KEY, size_after int8 NOT NULL, prior_root bytea NOT NULL, root bytea NOT NULL, prior_change int8, mac bytea NOT NULL,
    leaves bytea NOT NULL
);
CREATE TABLE tiles (level int8 NOT NULL, idx int8 NOT NULL, content bytea NOT NULL, PRIMARY KEY (level, idx));
CREATE TABLE spent_0 (proof bytea NOT NULL UNIQUE, gone_after int8 NOT NULL, first int8);
CREATE TABLE spent_1 (proof bytea NOT NULL UNIQUE, gone_after int8 NOT NULL, first int8);
CREATE TABLE last_use (subject text COLLATE "C" PRIMARY KEY, idx int8 NOT NULL, time int8 NOT NULL) WITH (fillfactor = 50);
CREATE TABLE texts (digest bytea PRIMARY KEY, data_key bytea NOT NULL, sealed bytea NOT NULL);
CREATE TABLE keyring (name text COLLATE "C" PRIMARY KEY, data_key bytea NOT NULL, sealed bytea NOT NULL);
CREATE TABLE data_keys (name bytea PRIMARY KEY, sealed bytea NOT NULL);
CREATE TABLE answers (
    person bytea NOT NULL, key bytea NOT NULL, fingerprint bytea NOT NULL, request text COLLATE "C" NOT NULL, since int8 NOT NULL,
    stage text COLLATE "C" NOT NULL CHECK (stage IN ('begun', 'done', 'told')), answer bytea, PRIMARY KEY (person, key)
);
CREATE INDEX answers_since ON answers (since);
CREATE INDEX answers_kept ON answers (person, since) WHERE answer IS NOT NULL;
CREATE TABLE people (id text COLLATE "C" PRIMARY KEY, body text COLLATE "C" NOT NULL);
CREATE TABLE directory (id int2 PRIMARY KEY CHECK (id = 1), generation int8 NOT NULL, tag bytea NOT NULL);
CREATE TABLE uses (
    day int8 NOT NULL, use bytea NOT NULL, count int8 NOT NULL, first int8 NOT NULL, last int8 NOT NULL, until int8 NOT NULL,
    PRIMARY KEY (day, use)
);
CREATE TABLE use_texts (
    use bytea PRIMARY KEY, client text COLLATE "C" NOT NULL, body text COLLATE "C" NOT NULL, newest int8 NOT NULL
);
CREATE INDEX use_texts_client ON use_texts (client) WHERE client <> '';
CREATE TABLE use_days (day int8 PRIMARY KEY, tag bytea NOT NULL);
CREATE TABLE uses_head (id int2 PRIMARY KEY CHECK (id = 1), generation int8 NOT NULL, at int8 NOT NULL, since int8 NOT NULL, tag bytea NOT NULL);
CREATE TABLE nodes (
    id text COLLATE "C" PRIMARY KEY, instance text COLLATE "C" NOT NULL, version text COLLATE "C" NOT NULL, size int8 NOT NULL,
    ahead int8 NOT NULL, unready text COLLATE "C", format int8 NOT NULL DEFAULT 1, folded bytea NOT NULL DEFAULT '',
    lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE runner (
    id int2 PRIMARY KEY CHECK (id = 1), instance text COLLATE "C" NOT NULL, number int8 NOT NULL, lease_until timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE cursors (name text COLLATE "C" PRIMARY KEY, generation int8 NOT NULL, body bytea NOT NULL) WITH (fillfactor = 50);
INSERT INTO directory (id, generation, tag) VALUES (1, 0, '');
INSERT INTO uses_head (id, generation, at, since, tag) VALUES (1, 0, 0, 0, '');
"#;

const PUT_VERSION: &str = "INSERT INTO meta (version, expanded) VALUES ($1, $1)";
const PUT_HEAD: &str = "INSERT INTO head (id, size, root, last_change, time, turn, sums, young, until_0, until_1) \
     VALUES (1, $1, $2, NULL, $3, 0, $4, 0, NULL, NULL)";

/// Whether the database has our tables. A server that is too old, or whose text is not UTF-8, is refused.
pub async fn exists(connection: &mut Connection) -> Result<bool, StoreFault> {
    let row = connection.one(ABOUT, &[]).await?;
    let (version, encoding): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if version < OLDEST {
        return Err(StoreFault::Failed(format!("PostgreSQL {version} is older than 15").into()));
    }
    if encoding != "UTF8" {
        return Err(StoreFault::Failed(format!("the database keeps text as {encoding}, and not as UTF8").into()));
    }
    Ok(row.try_get(2)?)
}

/// Makes the tables of a new database, unless another node does at the same time.
pub async fn create(connection: &mut Connection, key: &SumKey) -> Result<(), StoreFault> {
    let (head, generations) = (Head::empty(), Generations::default());
    let mut sums = Sums::default();
    sums.add(key, generations.row(&generations.bytes()));
    let sums = key.seal(&sums, &head);
    let transaction = connection.client.transaction().await?;
    match transaction.batch_execute(TABLES).await {
        Ok(()) => {}
        // Another was first, and its transaction is committed: else this one had waited for it.
        Err(fault) if fault.code().is_some_and(is_there) => return Ok(transaction.rollback().await?),
        Err(fault) => return Err(fault.into()),
    }
    transaction.execute(PUT_VERSION, &[&VERSION]).await?;
    transaction.execute(PUT_HEAD, &[&sql(head.size), &&head.root.0[..], &head.time.as_seconds(), &sums]).await?;
    Ok(transaction.commit().await?)
}

fn is_there(code: &SqlState) -> bool {
    [SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT, SqlState::UNIQUE_VIOLATION].contains(code)
}

/// What the tables are.
struct Found {
    /// The version that a program must know.
    version: i64,
    /// The newest version whose columns are there.
    expanded: i64,
    has_data_keys: bool,
}

async fn found(connection: &mut Connection) -> Result<Option<Found>, StoreFault> {
    let row = match in_time(connection.row(TABLES_THERE, &[])).await? {
        Err(fault) if fault.code() == Some(&SqlState::UNDEFINED_TABLE) => None,
        row => row?,
    };
    let read = |row: Row| {
        let expanded: Option<i64> = row.try_get(1)?;
        Ok(Found { version: row.try_get(0)?, expanded: expanded.unwrap_or(1), has_data_keys: row.try_get(2)? })
    };
    row.map(read).transpose()
}

/// Adds the columns that tables of an earlier version lack. Nodes of that version go on.
pub async fn expand(connection: &mut Connection) -> Result<(), StoreFault> {
    let lacks = |found: Found| found.has_data_keys && found.version <= VERSION && found.expanded < VERSION;
    if found(connection).await?.is_some_and(lacks) {
        let statements = [BEGIN, EXPAND, COMMIT].join("; ");
        in_time(connection.client.batch_execute(&statements)).await??;
    }
    Ok(())
}

/// Refuses tables that are not ours, are of a later version, or lack columns of this one.
pub async fn ensure_version(connection: &mut Connection) -> Result<(), OpenFault> {
    let said = match found(connection).await? {
        None => "none".to_owned(),
        Some(found) if found.version > VERSION => found.version.to_string(),
        Some(found) if !found.has_data_keys => WITHOUT_DATA_KEYS.to_owned(),
        Some(found) if found.expanded < VERSION => EARLIER.to_owned(),
        Some(_) => return Ok(()),
    };
    Err(OpenFault::Schema(said))
}
