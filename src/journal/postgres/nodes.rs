//! The nodes that share the journal, by a connection of its own.

use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::address::PostgresAddress;
use super::column::index;
use super::connection::{Connection, in_time};
use super::fault::silent;
use super::health;
use crate::domain::value::names::NodeId;
use crate::journal::fault::StoreFault;
use crate::journal::store::Answer;
use crate::journal::store::column::{number, sql};
use crate::journal::store::health::Health;
use crate::journal::store::nodes::{Cursor, FoldedState, Joined, KnownNode, Nodes, Renewed, Told};

/// The head comes first, so that no batch of the instance before is written after its id was taken.
const LOCK: &str = "SELECT 1 FROM head WHERE id = 1 FOR UPDATE";
const JOIN: &str = "INSERT INTO nodes (id, instance, version, size, ahead, unready, format, folded, lease_until) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + interval '5 s') ON CONFLICT (id) DO UPDATE SET \
     instance = excluded.instance, version = excluded.version, size = excluded.size, ahead = excluded.ahead, \
     unready = excluded.unready, format = excluded.format, folded = excluded.folded, lease_until = excluded.lease_until \
     WHERE nodes.lease_until < clock_timestamp() OR nodes.instance = excluded.instance RETURNING 1";
const RENEW: &str = "UPDATE nodes SET version = $3, size = $4, ahead = $5, unready = $6, format = $7, folded = $8, \
     lease_until = clock_timestamp() + interval '5 s' \
     WHERE id = $1 AND instance = $2 RETURNING floor(extract(epoch FROM clock_timestamp()))::int8";
const RUN: &str = "INSERT INTO runner AS r (id, instance, number, lease_until) \
     SELECT 1, n.instance, 1, clock_timestamp() + interval '5 s' FROM nodes n WHERE n.id = $1 AND n.instance = $2 \
     ON CONFLICT (id) DO UPDATE SET instance = excluded.instance, lease_until = excluded.lease_until, \
     number = r.number + (CASE WHEN r.instance = excluded.instance THEN 0 ELSE 1 END) \
     WHERE r.lease_until < clock_timestamp() OR r.instance = excluded.instance RETURNING number";
const LEAVE: &str = "UPDATE nodes SET lease_until = clock_timestamp() - interval '1 s' WHERE id = $1 AND instance = $2";
const STOP_RUNNING: &str = "UPDATE runner SET lease_until = clock_timestamp() - interval '1 s' WHERE instance = $1";
const ALL: &str = "SELECT n.id, n.instance, n.version, n.size, n.ahead, \
     floor(extract(epoch FROM n.lease_until - clock_timestamp()) * 1000)::int8, \
     coalesce(r.instance = n.instance AND r.lease_until > clock_timestamp(), false), n.unready, n.format, n.folded \
     FROM nodes n LEFT JOIN runner r ON r.id = 1 ORDER BY n.id";

const CURSOR: &str = "SELECT generation, body FROM cursors WHERE name = $1";
const PUT_CURSOR: &str = "INSERT INTO cursors AS c (name, generation, body) SELECT $1::text, $2::int8, $3::bytea WHERE $2::int8 = 1 \
     OR EXISTS (SELECT 1 FROM cursors WHERE name = $1::text) ON CONFLICT (name) DO UPDATE SET generation = excluded.generation, \
     body = excluded.body WHERE c.generation = excluded.generation - 1 RETURNING 1";

/// How long an answer may take. A node that waits longer is not ready, and asks again by another connection.
const SOON: Duration = Duration::from_secs(2);

async fn soon<T>(answer: impl Future<Output = Result<T, StoreFault>>) -> Result<T, StoreFault> {
    tokio::time::timeout(SOON, answer).await.map_err(|_| silent())?
}

/// The nodes, as the database has them.
pub struct PostgresNodes {
    address: PostgresAddress,
    connection: Option<Connection>,
}

impl PostgresNodes {
    /// At this address. It connects at the first call.
    pub fn at(address: PostgresAddress) -> Self {
        Self { address, connection: None }
    }

    async fn connected(&mut self) -> Result<&mut Connection, StoreFault> {
        if self.connection.as_ref().is_none_or(|connection| connection.client.is_closed()) {
            self.connection = None;
            let mut made = Connection::to(&self.address).await?;
            made.simple("SET statement_timeout = '2s'; SET synchronous_commit = on").await?;
            self.connection = Some(made);
        }
        // Invariant: set above.
        Ok(self.connection.as_mut().expect("a connection was made"))
    }

    /// A connection on which something failed or was late is not used again: its transaction may be open.
    fn kept<T>(&mut self, outcome: Result<T, StoreFault>) -> Result<T, StoreFault> {
        if outcome.is_err() {
            self.connection = None;
        }
        outcome
    }

    async fn try_join(&mut self, told: &Told) -> Result<Joined, StoreFault> {
        let connection = self.connected().await?;
        connection.simple("BEGIN").await?;
        connection.rows(LOCK, &[]).await?;
        let Told { id, instance, version, size, ahead, unready, format, folded } = told;
        let (id, size, format, folded) = (id.as_str(), sql(*size), i64::from(*format), FoldedState::write(folded));
        let values: [&(dyn ToSql + Sync); 8] = [&id, instance, version, &size, ahead, unready, &format, &folded];
        let joined = connection.row(JOIN, &values).await?;
        connection.simple("COMMIT").await?;
        if joined.is_some() {
            return Ok(Joined::Done);
        }
        let other = connection.rows(ALL, &[]).await?.iter().map(node).collect::<Result<Vec<_>, _>>()?;
        // It may have left in between, and the caller tries again.
        let other = other.into_iter().find(|node| node.id == told.id);
        other.map(Joined::Taken).ok_or_else(|| StoreFault::Away("the node that has this id left just now".into()))
    }

    async fn try_renew(&mut self, told: &Told) -> Result<Renewed, StoreFault> {
        let connection = self.connected().await?;
        let (renew, run) = (connection.prepared(RENEW).await?, connection.prepared(RUN).await?);
        let Told { id, instance, version, size, ahead, unready, format, folded } = told;
        let (id, size, format, folded) = (id.as_str(), sql(*size), i64::from(*format), FoldedState::write(folded));
        let values: [&(dyn ToSql + Sync); 8] = [&id, instance, version, &size, ahead, unready, &format, &folded];
        let runs: [&(dyn ToSql + Sync); 2] = [&id, instance];
        let client = &connection.client;
        let both = async {
            let (renewed, runs) = tokio::join!(biased; client.query_opt(&renew, &values), client.query_opt(&run, &runs));
            Ok((renewed?, runs?))
        };
        let (renewed, runs) = in_time(both).await??;
        let Some(renewed) = renewed else { return Ok(Renewed::Superseded) };
        let runs = runs.map(|row| number(row.try_get(0)?)).transpose()?;
        Ok(Renewed::Done { now: renewed.try_get(0)?, runs })
    }

    async fn try_leave(&mut self, told: &Told) -> Result<(), StoreFault> {
        let connection = self.connected().await?;
        connection.run(STOP_RUNNING, &[&told.instance]).await?;
        connection.run(LEAVE, &[&told.id.as_str(), &told.instance]).await?;
        Ok(())
    }

    async fn try_health(&mut self) -> Result<Health, StoreFault> {
        health::health(self.connected().await?).await
    }

    async fn try_cursor(&mut self, name: &str) -> Result<Option<Cursor>, StoreFault> {
        let row = self.connected().await?.row(CURSOR, &[&name]).await?;
        let cursor = |row: Row| Ok(Cursor { generation: row.try_get(0)?, body: row.try_get(1)? });
        row.map(cursor).transpose()
    }

    async fn try_put_cursor(&mut self, name: &str, Cursor { generation, body }: &Cursor) -> Result<bool, StoreFault> {
        Ok(self.connected().await?.row(PUT_CURSOR, &[&name, generation, body]).await?.is_some())
    }

    async fn try_all(&mut self) -> Result<Vec<KnownNode>, StoreFault> {
        self.connected().await?.rows(ALL, &[]).await?.iter().map(node).collect()
    }
}

impl Nodes for PostgresNodes {
    fn join<'a>(&'a mut self, told: &'a Told) -> Answer<'a, Joined> {
        Box::pin(async move {
            let joined = soon(self.try_join(told)).await;
            self.kept(joined)
        })
    }

    fn renew<'a>(&'a mut self, told: &'a Told) -> Answer<'a, Renewed> {
        Box::pin(async move {
            let renewed = soon(self.try_renew(told)).await;
            self.kept(renewed)
        })
    }

    fn health(&mut self) -> Answer<'_, Health> {
        Box::pin(async move {
            let health = soon(self.try_health()).await;
            self.kept(health)
        })
    }

    fn leave<'a>(&'a mut self, told: &'a Told) -> Answer<'a, ()> {
        Box::pin(async move {
            let left = soon(self.try_leave(told)).await;
            self.kept(left)
        })
    }

    fn cursor<'a>(&'a mut self, name: &'a str) -> Answer<'a, Option<Cursor>> {
        Box::pin(async move {
            let cursor = soon(self.try_cursor(name)).await;
            self.kept(cursor)
        })
    }

    fn put_cursor<'a>(&'a mut self, name: &'a str, cursor: &'a Cursor) -> Answer<'a, bool> {
        Box::pin(async move {
            let put = soon(self.try_put_cursor(name, cursor)).await;
            self.kept(put)
        })
    }

    fn all(&mut self) -> Answer<'_, Vec<KnownNode>> {
        Box::pin(async move {
            let all = soon(self.try_all()).await;
            self.kept(all)
        })
    }
}

/// The columns of [`ALL`].
fn node(row: &Row) -> Result<KnownNode, StoreFault> {
    let (id, left): (&str, i64) = (row.try_get(0)?, row.try_get(5)?);
    Ok(KnownNode {
        id: id.parse::<NodeId>().map_err(|_| StoreFault::unreadable("the id of a node"))?,
        instance: row.try_get(1)?,
        version: row.try_get(2)?,
        size: index(row, 3)?,
        ahead: row.try_get(4)?,
        left: u64::try_from(left).ok().filter(|left| *left > 0),
        gone: u64::try_from(-left).ok(),
        runs: row.try_get(6)?,
        unready: row.try_get(7)?,
        format: u32::try_from(index(row, 8)?).map_err(|_| StoreFault::unreadable("the format of a node"))?,
        folded: FoldedState::read(row.try_get(9)?),
    })
}
