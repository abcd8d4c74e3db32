//! A connection, with the statements that it keeps prepared.

use std::collections::HashMap;

use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Client, Error, NoTls, Row, Socket, Statement};

use super::address::{LONGEST, PostgresAddress};
use super::fault::silent;
use super::tls::VerifyFull;
use crate::journal::fault::StoreFault;

/// What is bound to a statement.
pub type Bound<'a> = &'a [&'a (dyn ToSql + Sync)];

/// Begins a transaction that writes, with its limits.
///
/// They are set here and not for the session, which another may have used before (a session pooler). No transaction of ours waits for long
/// with a lock in its hands.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL synchronous_commit = on; SET LOCAL lock_timeout = '2s'; \
     SET LOCAL idle_in_transaction_session_timeout = '1s'";

/// Changes nothing, and its commit waits for the standbys as every commit does: the server writes a lock of a row into its log. Several
/// connections hold this lock at the same time.
const TOUCH: &str = "SELECT version FROM meta FOR KEY SHARE";

pub const COMMIT: &str = "COMMIT";
pub const ROLLBACK: &str = "ROLLBACK";

/// A connection.
pub struct Connection {
    pub client: Client,
    kept: HashMap<&'static str, Statement>,
}

impl Connection {
    /// Connects to the host that takes writes.
    pub async fn to(address: &PostgresAddress) -> Result<Self, StoreFault> {
        let client = match address.tls() {
            Some(tls) => connected(address, tls.clone()).await?,
            None => connected(address, NoTls).await?,
        };
        Ok(Self { client, kept: HashMap::new() })
    }

    /// Connects to the host that takes writes, once its standbys have all that is read there.
    pub async fn confirmed(address: &PostgresAddress) -> Result<Self, StoreFault> {
        let connection = Self::to(address).await?;
        connection.confirm(address).await?;
        Ok(connection)
    }

    /// Waits until the standbys have all that was committed before this connection was made.
    ///
    /// A server that comes back after a crash shows commits that no standby has confirmed, and a failover takes them away again. A node that
    /// had read one would find that the log does not go on where it was. A commit of our own that is confirmed comes after all of them, and
    /// the server shows nobody a later commit before its standbys have confirmed it.
    pub async fn confirm(&self, address: &PostgresAddress) -> Result<(), StoreFault> {
        let statements = [BEGIN, TOUCH, COMMIT].join("; ");
        let mut unanswered = Unanswered(Some((self.client.cancel_token(), address.tls().cloned())));
        let answer = in_time(self.client.batch_execute(&statements)).await?;
        unanswered.0 = None;
        Ok(answer?)
    }

    /// The statement, prepared once for each connection.
    pub async fn prepared(&mut self, text: &'static str) -> Result<Statement, Error> {
        if let Some(kept) = self.kept.get(text) {
            return Ok(kept.clone());
        }
        let statement = self.client.prepare(text).await?;
        self.kept.insert(text, statement.clone());
        Ok(statement)
    }

    /// The rows of a statement.
    pub async fn rows(&mut self, text: &'static str, bound: Bound<'_>) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(text).await?;
        self.client.query(&statement, bound).await
    }

    /// The row of a statement, if it has one.
    pub async fn row(&mut self, text: &'static str, bound: Bound<'_>) -> Result<Option<Row>, Error> {
        Ok(self.rows(text, bound).await?.into_iter().next())
    }

    /// The row of a statement that always has one.
    pub async fn one(&mut self, text: &'static str, bound: Bound<'_>) -> Result<Row, Error> {
        let statement = self.prepared(text).await?;
        self.client.query_one(&statement, bound).await
    }

    /// Runs a statement.
    pub async fn run(&mut self, text: &'static str, bound: Bound<'_>) -> Result<(), Error> {
        let statement = self.prepared(text).await?;
        self.client.execute(&statement, bound).await?;
        Ok(())
    }

    /// Runs statements without values.
    pub async fn simple(&mut self, text: &'static str) -> Result<(), Error> {
        self.client.batch_execute(text).await
    }
}

/// A wait for standbys that the server ends once nobody waits for its answer: without that it keeps the process of a client that has left until a
/// standby is back, and takes no more clients in the end.
///
/// Only for [`TOUCH`], which changes nothing: a server that is told to end such a wait shows the commit as if it were confirmed.
struct Unanswered(Option<(CancelToken, Option<VerifyFull>)>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        let Some((waiting, tls)) = self.0.take() else { return };
        tokio::spawn(async move {
            let ended = in_time(async {
                match tls {
                    Some(tls) => waiting.cancel_query(tls).await,
                    None => waiting.cancel_query(NoTls).await,
                }
            });
            // A server that is not there keeps nothing.
            let _away = ended.await;
        });
    }
}

/// A client whose connection is driven by a task that ends with it.
async fn connected<T>(address: &PostgresAddress, tls: T) -> Result<Client, StoreFault>
where
    T: MakeTlsConnect<Socket, Stream: Send + 'static>,
{
    let connecting = address.config().connect(tls);
    let (client, connection) = tokio::time::timeout(LONGEST * 2, connecting).await.map_err(|_| silent())??;
    tokio::spawn(async move {
        if let Err(fault) = connection.await {
            tracing::debug!(fault = %StoreFault::from(fault), "a connection of the journal ended");
        }
    });
    Ok(client)
}

/// The answer of the server, or a fault when it takes too long.
pub async fn in_time<T>(answer: impl Future<Output = Result<T, Error>>) -> Result<Result<T, Error>, StoreFault> {
    tokio::time::timeout(LONGEST, answer).await.map_err(|_| silent())
}
