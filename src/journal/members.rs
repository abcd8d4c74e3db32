//! The nodes that share a journal, as a handle of it has them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Mutex as AsyncMutex;
use tokio::task::JoinHandle;

use super::store::nodes::{Nodes, Told};

/// The nodes of a journal as a handle has them. None where it is in a file.
pub struct Members {
    pub nodes: AsyncMutex<Option<Box<dyn Nodes>>>,
    pub own: Mutex<Option<Own>>,
}

/// This node, once it has joined.
pub struct Own {
    pub told: Told,
    /// Renews its lease, if it has one.
    pub renewing: Option<JoinHandle<()>>,
}

impl Members {
    pub fn of(nodes: Option<Box<dyn Nodes>>) -> Arc<Self> {
        Arc::new(Self { nodes: AsyncMutex::new(nodes), own: Mutex::default() })
    }

    pub fn put(&self, own: Own) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
    }
}
