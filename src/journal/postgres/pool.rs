//! A few connections for reading, each used by one caller at a time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::Row;

use super::address::{LONGEST, PostgresAddress};
use super::connection::{Bound, Connection};
use super::fault::silent;
use crate::journal::fault::StoreFault;

/// A connection that cannot write, and whose statements end before they hold anybody up: no transaction of ours is longer.
const READS: &str =
    "SET default_transaction_read_only = on; SET statement_timeout = '1s'; SET idle_in_transaction_session_timeout = '1s'";

/// How long an answer is waited for: the server ends a statement after one second.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// Whose connections they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reads {
    /// A node's, which goes on by what it reads: nothing that a failover may take away.
    Confirmed,
    /// An operator's, who looks at a server as it is, also where its standbys are gone.
    AsItIs,
}

/// Connections for reading.
pub struct Pool {
    address: PostgresAddress,
    reads: Reads,
    turns: Arc<Semaphore>,
    #[cfg(test)]
    most: u32,
    idle: Mutex<Vec<Connection>>,
}

/// A connection for as long as it is held.
pub struct Held {
    pool: Arc<Pool>,
    /// There until it is dropped.
    connection: Option<Connection>,
    /// Whether a transaction is open, and the connection therefore of no use to others.
    pub is_open: bool,
    _turn: OwnedSemaphorePermit,
}

impl Pool {
    /// At most `most`, made when they are needed.
    pub fn of(address: PostgresAddress, reads: Reads, most: u32) -> Arc<Self> {
        let turns = Arc::new(Semaphore::new(most as usize));
        Arc::new(Self {
            address,
            reads,
            turns,
            #[cfg(test)]
            most,
            idle: Mutex::default(),
        })
    }

    /// A connection, after a wait that is not long.
    pub async fn turn(self: &Arc<Self>) -> Result<Held, StoreFault> {
        tokio::time::timeout(LONGEST, self.own_turn()).await.map_err(|_| silent())?
    }

    /// The rows of a statement. A server that is silent keeps nobody waiting, and its connection is used no more.
    pub async fn rows(self: &Arc<Self>, text: &'static str, bound: Bound<'_>) -> Result<Vec<Row>, StoreFault> {
        let mut held = self.turn().await?;
        let answer = tokio::time::timeout(ANSWERED_WITHIN, held.rows(text, bound)).await;
        held.is_open = answer.is_err();
        Ok(answer.map_err(|_| silent())??)
    }

    async fn own_turn(self: &Arc<Self>) -> Result<Held, StoreFault> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| StoreFault::Failed("the journal is closed".into()))?;
        let connection = match self.take() {
            Some(idle) => idle,
            None => {
                let mut made = match self.reads {
                    Reads::Confirmed => Connection::confirmed(&self.address).await?,
                    Reads::AsItIs => Connection::to(&self.address).await?,
                };
                made.simple(READS).await?;
                made
            }
        };
        Ok(Held { pool: Arc::clone(self), connection: Some(connection), is_open: false, _turn: turn })
    }

    /// One that waits for work and is still connected.
    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|connection| !connection.client.is_closed())
    }

    /// Ends all connections, once nobody holds them.
    pub fn close(&self) {
        self.turns.close();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// How many there are at most.
    #[cfg(test)]
    pub fn most(&self) -> u32 {
        self.most
    }
}

impl Deref for Held {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        // Invariant: there until it is dropped.
        self.connection.as_ref().expect("a connection that is held")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Connection {
        // Invariant: there until it is dropped.
        self.connection.as_mut().expect("a connection that is held")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take()
            && !self.is_open
            && !connection.client.is_closed()
            && !self.pool.turns.is_closed()
        {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
