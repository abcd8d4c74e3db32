//! The copy of the people directory in memory, for `directory`.

use tokio::sync::{Mutex, MutexGuard};

use crate::domain::people::directory::Directory;
use crate::journal::KnownPeople;

/// The copy; none until it is asked for, and after a write whose outcome is not known.
#[derive(Default)]
pub struct People(Mutex<Option<Copied>>);

/// The directory, and what its next write needs.
pub struct Copied {
    /// Everybody.
    pub directory: Directory,
    /// The rows as they were proved.
    pub known: KnownPeople,
}

impl People {
    /// Takes the copy for one request.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Option<Copied>> {
        self.0.lock().await
    }
}
