//! The counts of uses in an open journal: read day by day and proved, and written in portions by comparing their head.
//!
//! They follow the log (`broker::uses`), and are made anew from it if somebody else changed them. So nothing is lost with them.

use std::collections::HashMap;

use super::fault::Unavailable;
use super::handle::Journal;
use super::sequencer::queue::Work;
use super::sequencer::reply::ANSWERED_WITHIN;
use super::store::uses::{KnownDay, KnownUses, Portion};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::{Tally, Use};
use crate::domain::log::entry::Issued;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;

/// The counts cannot be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum UsesFault {
    /// The store is away. It may be tried again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// They are not as a node of ours left them. They are made anew.
    #[error("the counts of uses are not as this server left them")]
    Unsound,
}

impl Journal {
    /// Reads head and days, and proves that a node of ours wrote them.
    ///
    /// # Errors
    /// The store is away, or somebody without the KEK changed them.
    pub async fn uses(&self) -> Result<KnownUses, UsesFault> {
        self.running()?;
        let stored = self.reader().uses().await.map_err(Unavailable::from)?;
        KnownUses::proved(self.uses_key(), stored).ok_or(UsesFault::Unsound)
    }

    /// Reads the counts of a day, and proves that a node of ours wrote them.
    ///
    /// # Errors
    /// The store is away, or somebody without the KEK changed them; or they were written since `known` was read.
    pub async fn uses_of(&self, known: &KnownUses, day: Day) -> Result<KnownDay, UsesFault> {
        self.running()?;
        let rows = self.reader().uses_of_day(day).await.map_err(Unavailable::from)?;
        let rows: Vec<_> = rows.into_iter().map(|row| (row.key, row.tally)).collect();
        // An HMAC for each row: not on a thread that serves.
        let (key, known) = (self.uses_key().clone(), known.clone());
        let proved = tokio::task::spawn_blocking(move || known.prove(&key, day, rows)).await;
        proved.map_err(|_| Unavailable::BUSY)?.ok_or(UsesFault::Unsound)
    }

    /// Reads uses by their SHA-256, at most 500.
    ///
    /// # Errors
    /// The store is away, or one of them is not there as it was written.
    pub async fn use_texts(&self, keys: &[Digest]) -> Result<HashMap<Digest, Use>, UsesFault> {
        self.running()?;
        let texts = self.reader().use_texts(keys).await.map_err(Unavailable::from)?;
        let mut uses = HashMap::with_capacity(texts.len());
        for (key, body) in texts {
            let read = serde_json::from_str(&body).ok().filter(|_| Digest::of(body.as_bytes()) == key);
            uses.insert(key, read.ok_or(UsesFault::Unsound)?);
        }
        if uses.len() == keys.len() { Ok(uses) } else { Err(UsesFault::Unsound) }
    }

    /// The counts of a client from a day on, as they are stored: they are shown, and prove nothing.
    ///
    /// # Errors
    /// The store is away.
    pub async fn uses_of_client(&self, client: &str, from: Day) -> Result<Vec<(Day, Tally, Use)>, UsesFault> {
        self.running()?;
        let rows = self.reader().uses_of_client(client, from).await.map_err(Unavailable::from)?;
        let read = |(day, tally, body): (Day, Tally, String)| Some((day, tally, serde_json::from_str(&body).ok()?));
        rows.into_iter().map(read).collect::<Option<_>>().ok_or(UsesFault::Unsound)
    }

    /// When each use of these clients was counted last, by client, as it is stored: it is shown, and proves nothing.
    ///
    /// # Errors
    /// The store is away.
    pub async fn newest_uses(&self, clients: &[String]) -> Result<HashMap<String, Vec<(Timestamp, Use)>>, UsesFault> {
        self.running()?;
        let mut found: HashMap<String, Vec<(Timestamp, Use)>> = HashMap::new();
        for (client, last, body) in self.reader().newest_uses(clients).await.map_err(Unavailable::from)? {
            let counted = serde_json::from_str(&body).map_err(|_| UsesFault::Unsound)?;
            found.entry(client).or_default().push((last, counted));
        }
        Ok(found)
    }

    /// The tokens of these clients from the entry `from` on, at most 1000.
    pub async fn issued_from(&self, from: u64, clients: &Clients) -> Result<Vec<Issued>, Unavailable> {
        self.running()?;
        Ok(self.reader().issued((from, self.view().size), Some(clients)).await?)
    }

    /// The first entry that is not before `time`.
    pub async fn first_from(&self, time: Timestamp) -> Result<u64, Unavailable> {
        self.running()?;
        let Some(before) = time.as_seconds().checked_sub(1).and_then(Timestamp::from_seconds) else { return Ok(0) };
        Ok(self.reader().count_until(before, &self.view()).await?)
    }

    /// The time of the first entry in the database that is not before `index`.
    pub async fn time_of(&self, index: u64) -> Result<Option<Timestamp>, Unavailable> {
        self.running()?;
        Ok(self.reader().time_from(index).await?)
    }

    /// Writes a portion. False: another process was first, and nothing was written.
    ///
    /// After an error it may have been written. After anything but `true`, what is known has to be read again.
    pub async fn put_uses(
        &self,
        known: &mut KnownUses,
        day: (Day, &mut KnownDay),
        portion: Portion,
    ) -> Result<bool, Unavailable> {
        self.running()?;
        let change = known.next(self.uses_key(), day, portion);
        self.asked(ANSWERED_WITHIN, |answer| Work::Uses(Some(Box::new(change)), answer)).await
    }

    /// Takes all counts away, some rows at a time. True once nothing is left.
    pub async fn clear_uses(&self) -> Result<bool, Unavailable> {
        self.running()?;
        self.asked(ANSWERED_WITHIN, |answer| Work::Uses(None, answer)).await
    }
}
