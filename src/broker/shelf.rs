//! Records that all nodes see, sealed: only nodes with our key-encryption key write and read them.
//!
//! Enter through [`Shelf`]. A record is sealed under its whole name, which says what it is of and which one, so one that was moved to another
//! name does not open. One that does not open, or has another form, is none: whoever it is of signs in again. Redis may lose a record, and
//! whoever can write there can put an older one back, so the owner judges a record's age by what it says. While Redis is away there is no
//! answer, and nothing is served from memory instead.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::domain::value::clock::{Clock, Entropy, Seconds};
use crate::journal::{Kek, SealingKey};
use crate::revocation::{Away, Index, Name, Where};

/// The sealed records of the live index.
pub struct Shelf {
    live: Index,
    key: SealingKey,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Shelf {
    /// Those in `live`, under a key derived from `kek`.
    pub fn new(live: Index, kek: &Kek, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { live, key: kek.of_records(), clock, entropy }
    }

    /// Puts a record under a name for a while; false if it may not be put there, as `how` says.
    pub async fn put<T: Serialize>(&self, name: &Name, record: &T, how: (Where, Seconds)) -> Result<bool, Away> {
        let plain = serde_json::to_vec(record).map_err(|_| Away::Unexpected)?;
        let sealed = self.key.seal(&name.to_string(), &plain, &*self.entropy);
        self.live.put(name, &sealed, how, self.clock.now()).await
    }

    /// The record of this name.
    pub async fn find<T: DeserializeOwned>(&self, name: &Name) -> Result<Option<T>, Away> {
        let sealed = self.live.find(name, self.clock.now()).await?;
        Ok(sealed.and_then(|sealed| self.open(name, &sealed)))
    }

    /// Takes a record out: of all who try, at whatever node, one gets it.
    pub async fn take_out<T: DeserializeOwned>(&self, name: &Name) -> Result<Option<T>, Away> {
        let sealed = self.live.take_out(name, self.clock.now()).await?;
        Ok(sealed.and_then(|sealed| self.open(name, &sealed)))
    }

    /// Removes a record, if there is one.
    pub async fn remove(&self, name: &Name) -> Result<(), Away> {
        self.live.remove(name, self.clock.now()).await
    }

    fn open<T: DeserializeOwned>(&self, name: &Name, sealed: &[u8]) -> Option<T> {
        let record = self.key.open(&name.to_string(), sealed).and_then(|plain| serde_json::from_slice(&plain).ok());
        if record.is_none() {
            tracing::warn!(kind = ?name.kind, "a record in Redis does not open with this KEK, or has another form; it counts for nothing");
        }
        record
    }
}
