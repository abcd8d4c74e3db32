//! The copy of the people directory in memory, for `directory`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::{Mutex, MutexGuard};

use crate::domain::people::directory::Directory;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::text::TextDigest;
use crate::journal::KnownPeople;

/// The copy; none until it is asked for, and after a write whose outcome is not known.
#[derive(Default)]
pub struct People {
    copy: Mutex<Option<Copied>>,
    /// The last word of the source on this node, in seconds since 1970; 0 for none.
    word: AtomicI64,
}

/// The directory, and what its next write needs.
pub struct Copied {
    /// Everybody.
    pub directory: Directory,
    /// The rows as they were proved.
    pub known: KnownPeople,
    /// Addresses of owners whom the directory did not know yet, by the texts of their records. None: the text was erased.
    pub addresses: HashMap<TextDigest, Option<String>>,
}

impl People {
    /// Takes the copy for one request.
    pub(super) async fn lock(&self) -> MutexGuard<'_, Option<Copied>> {
        self.copy.lock().await
    }

    /// Knows that the source spoke to this node.
    pub(super) fn heard(&self, now: Timestamp) {
        self.word.fetch_max(now.as_seconds(), Ordering::Relaxed);
    }

    /// The last word of the source to this node since its start.
    pub fn last_word(&self) -> Option<Timestamp> {
        Timestamp::from_seconds(self.word.load(Ordering::Relaxed)).filter(|word| *word != Timestamp::default())
    }
}
