//! Asking a server how it keeps what it confirms, and whether a pooler of transactions stands before it.

use super::address::PostgresAddress;
use super::connection::{Connection, in_time};
use crate::domain::value::clock::Seconds;
use crate::journal::fault::StoreFault;
use crate::journal::store::health::Health;

/// One statement, so that a lease may ask with it. It sees settings as a session of ours has them.
const HEALTH: &str = "SELECT current_setting('server_version_num')::int4, current_setting('server_encoding') = 'UTF8', \
     current_setting('fsync') = 'on', current_setting('full_page_writes') = 'on', current_setting('synchronous_commit') IN ('on', 'remote_apply'), \
     pg_is_in_recovery(), \
     (SELECT count(*) FROM pg_stat_replication r WHERE coalesce(application_name, '') <> 'pg_basebackup' AND NOT EXISTS \
         (SELECT FROM pg_replication_slots s WHERE s.active_pid = r.pid AND s.slot_type = 'logical')), \
     current_setting('synchronous_standby_names') <> '', \
     (SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0)::int8 FROM pg_stat_activity WHERE backend_xmin IS NOT NULL), \
     (SELECT count(*) FROM pg_prepared_xacts), \
     (SELECT count(*) FROM pg_replication_slots WHERE NOT active), \
     CASE WHEN pg_is_in_recovery() THEN 0 ELSE \
         (SELECT coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0)::int8 FROM pg_replication_slots) END, \
     pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')";

/// How the server is at the other end of a connection.
pub async fn health(connection: &mut Connection) -> Result<Health, StoreFault> {
    let row = in_time(connection.one(HEALTH, &[])).await??;
    let seconds: i64 = row.try_get(8)?;
    Ok(Health {
        version: row.try_get(0)?,
        is_utf8: row.try_get(1)?,
        fsync: row.try_get(2)?,
        full_page_writes: row.try_get(3)?,
        commit_waits: row.try_get(4)?,
        in_recovery: row.try_get(5)?,
        standbys: row.try_get(6)?,
        is_synchronous: row.try_get(7)?,
        oldest_snapshot: Seconds(u32::try_from(seconds.max(0)).unwrap_or(u32::MAX)),
        prepared: row.try_get(9)?,
        idle_slots: row.try_get(10)?,
        held_back: row.try_get(11)?,
        sees_all: row.try_get(12)?,
    })
}

/// Whether another client may be given our session between two transactions, as poolers of transactions do.
///
/// A session of ours keeps statements and settings. It is given to somebody else on purpose: while this connection has no transaction open,
/// others begin theirs and keep them, and a pooler has to take another session for what comes next, or to wait.
async fn is_shared(address: &PostgresAddress) -> Result<bool, StoreFault> {
    let mut ours = Connection::to(address).await?;
    let before = who(&mut ours, SET).await?;
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        // A pooler that has no session left lets even a new client wait, since the driver asks which host takes writes.
        let Ok(other) = tokio::time::timeout(PATIENCE, Connection::to(address)).await else { return Ok(true) };
        let mut other = other?;
        let begun = tokio::time::timeout(PATIENCE, other.simple("BEGIN; SELECT pg_backend_pid()")).await;
        let Ok(begun) = begun else { return Ok(true) };
        begun?;
        others.push(other);
    }
    // A pooler without another session lets us wait for those.
    let Ok(after) = tokio::time::timeout(PATIENCE, who(&mut ours, LOOK)).await else { return Ok(true) };
    let after = after?;
    for mut other in others {
        in_time(other.simple("ROLLBACK")).await??;
    }
    Ok(before != after)
}

/// Connections that take sessions away from a pooler that gives them to whoever comes.
const OTHERS: usize = 3;

/// How long another connection, or our own next transaction, may wait for its session.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// The process of our session, and what we set there.
type Who = (String, Option<String>);

const SET: &str = "SELECT pg_backend_pid()::text, set_config('carnet.session', pg_backend_pid()::text, false)";
const LOOK: &str = "SELECT pg_backend_pid()::text, current_setting('carnet.session', true)";

async fn who(connection: &mut Connection, question: &str) -> Result<Who, StoreFault> {
    // No statement is prepared: a pooler may have none to give to another session.
    let rows = in_time(connection.client.simple_query(question)).await??;
    let row = rows.into_iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.ok_or_else(|| StoreFault::unreadable("no row"))?;
    let text = |at: usize| row.try_get(at).map(|text| text.map(str::to_owned));
    Ok((text(0)?.unwrap_or_default(), text(1)?))
}

/// How the server of an address is; none where a pooler of transactions stands between. It writes nothing.
pub async fn look(address: &PostgresAddress) -> Result<Option<Health>, StoreFault> {
    if is_shared(address).await? {
        // A statement that is prepared there may be gone before it is asked.
        return Ok(None);
    }
    Ok(Some(health(&mut Connection::to(address).await?).await?))
}
