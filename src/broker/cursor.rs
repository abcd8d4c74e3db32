//! What has a cursor: receivers of webhooks, and mail.

use std::sync::Arc;

use tokio::sync::Mutex;

/// Something that has a cursor.
pub trait Told: Send + Sync {
    /// Its name among all cursors.
    fn cursor_name(&self) -> String;
    /// The cursor, as it is kept.
    fn cursor(&self) -> Vec<u8>;
    /// Goes on from the cursor of another node. False if it cannot be read.
    fn go_on_from(&self, body: &[u8]) -> bool;
}

/// A cursor as this node knows it.
pub(super) struct Known {
    pub told: Arc<dyn Told>,
    pub generation: i64,
    /// What was in the database then.
    pub body: Vec<u8>,
}

/// The cursors of this node, each from when it was first shared.
#[derive(Default)]
pub struct Cursors(pub(super) Mutex<Vec<Known>>);
