//! The read side of a store: each call sees what is committed when it begins.

use super::Answer;
use super::people::{PeopleHead, StoredPeople};
use super::query::Query;
use super::row::{Issuance, IssuedPlace, KnownRequest, Since};
use super::snapshot::Snapshot;
use super::uses::{StoredUses, UseRow, UsesInDays};
use crate::domain::credential::revocation::Clients;
use crate::domain::decision::uses::Tally;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::day::Day;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::answers::Idempotency;
use crate::journal::fault::OpenFault;
use crate::journal::key::kek::{BlobName, SealedBlob};
use crate::journal::tree::tiles::Tile;

/// Reads, by connections that cannot write.
///
/// Entries come as the exact bytes that were hashed, in the order of their index.
pub trait Read: Send + Sync {
    /// One entry.
    fn body(&self, index: u64) -> Answer<'_, Option<String>>;
    /// The entries from `from` on and before `until`; an entry that is not there is left out.
    fn bodies(&self, from: u64, until: u64) -> Answer<'_, Vec<String>>;
    /// Changes from the entry `from` on, at most `most`.
    fn changes(&self, from: u64, most: u32) -> Answer<'_, Vec<String>>;
    /// Every change of a kind, with its index.
    fn changes_of_kind(&self, kind: &'static str) -> Answer<'_, Vec<(u64, String)>>;
    /// Issuances from the entry `from` on and before `until`, at most `most`; of `clients` alone if given.
    fn issued<'a>(&'a self, from: u64, until: u64, clients: Option<&'a Clients>, most: u32) -> Answer<'a, Vec<String>>;
    /// The places of the issuances from the entry `from` on and before `until`.
    fn issuances(&self, from: u64, until: u64) -> Answer<'_, Vec<Issuance>>;
    /// The entries with these indexes; an entry that is not there is left out.
    fn bodies_at<'a>(&'a self, indexes: &'a [u64]) -> Answer<'a, Vec<String>>;
    /// The number of tokens of `subject` on each day (days since 1970).
    ///
    /// They are counted from the time `since` and from the entry `from` on.
    fn issued_by_day<'a>(&'a self, subject: &'a str, from: u64, since: Timestamp) -> Answer<'a, Vec<(i64, u64)>>;
    /// The entries of a query that an index or a bound makes short.
    fn list<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<String>>;
    /// The entries of a query of people, which may be long.
    ///
    /// It delays no other call, and ends with [`StoreFault::Late`] when it takes too long.
    ///
    /// [`StoreFault::Late`]: crate::journal::fault::StoreFault::Late
    fn look<'a>(&'a self, query: &'a Query) -> Answer<'a, Vec<String>>;
    /// The number of entries of a query without its limit, at most `most`.
    ///
    /// None when counting takes too long.
    fn count<'a>(&'a self, query: &'a Query, most: u32) -> Answer<'a, Option<u64>>;
    /// The numbers of tokens of these clients by place, of the entries from `within.0` on and before `within.1`, and of such times.
    ///
    /// It is for people, as [`Self::look`] is.
    fn issued_by_place<'a>(
        &'a self,
        clients: &'a Clients,
        within: (u64, u64),
        times: (Timestamp, Timestamp),
    ) -> Answer<'a, Vec<IssuedPlace>>;
    /// The first issuance or refusal entry before `until`.
    fn first_that_may_leave(&self, until: u64) -> Answer<'_, Option<u64>>;
    /// The time of the first entry that is not before `index`.
    fn time_from(&self, index: u64) -> Answer<'_, Option<Timestamp>>;
    /// The times at which these clients were last issued a token, in their order; of a partner, the latest.
    fn last_uses<'a>(&'a self, clients: &'a [Clients]) -> Answer<'a, Vec<Option<Timestamp>>>;
    /// The texts of these digests; those that were erased are missing.
    fn texts<'a>(&'a self, digests: &'a [TextDigest]) -> Answer<'a, Vec<TextRow>>;
    /// Whether a proof is among the spent ones.
    fn is_spent<'a>(&'a self, proof: &'a ProofKey) -> Answer<'a, bool>;
    /// One sealed blob of the keyring.
    fn blob<'a>(&'a self, name: &'a BlobName) -> Answer<'a, Option<SealedBlob>>;
    /// All people of the directory, with their head, as of one moment.
    fn people(&self) -> Answer<'_, StoredPeople>;
    /// The head of the directory; none before the first person.
    fn people_head(&self) -> Answer<'_, Option<PeopleHead>>;
    /// Head and days of the counts of uses, as of one moment.
    fn uses(&self) -> Answer<'_, StoredUses>;
    /// The counts of a day.
    fn uses_of_day(&self, day: Day) -> Answer<'_, Vec<UseRow>>;
    /// The texts of uses; those that are not stored are missing.
    fn use_texts<'a>(&'a self, keys: &'a [Digest]) -> Answer<'a, Vec<(Digest, String)>>;
    /// The counts of a client from a day on, with the text of the use.
    fn uses_of_client<'a>(&'a self, client: &'a str, from: Day) -> Answer<'a, Vec<(Day, Tally, String)>>;
    /// The counts of these clients in ranges of days, both ends included: number, last time and text of each use, and the entry before which
    /// everything is counted. None while a count is being written that goes further than that.
    fn uses_between<'a>(&'a self, clients: &'a Clients, days: [(Day, Day); 3]) -> Answer<'a, Option<(u64, [UsesInDays; 3])>>;
    /// The newest token of these clients.
    fn last_issued<'a>(&'a self, clients: &'a Clients) -> Answer<'a, Option<u64>>;
    /// When each use of these clients was counted last, with its client and its text.
    fn newest_uses<'a>(&'a self, clients: &'a [String]) -> Answer<'a, Vec<(String, Timestamp, String)>>;
    /// The content of a full tile of hashes.
    fn tile<'a>(&'a self, tile: &'a Tile) -> Answer<'a, Option<Vec<u8>>>;
    /// The request with this key, if it is known at `now`.
    fn answer<'a>(&'a self, once: &'a Idempotency, now: Timestamp) -> Answer<'a, Option<KnownRequest>>;
    /// The end of the log, and batches from the entry `from` on, at most `most`, as of one moment.
    fn since(&self, from: u64, most: u32) -> Answer<'_, Since>;
    /// Begins to read up to the head as it is now. Tables of another version are refused.
    fn snapshot(&self) -> Answer<'_, Box<dyn Snapshot + '_>, OpenFault>;
    /// Ends all connections.
    fn close(&self) -> Answer<'_, ()>;
    /// Holds every connection, as slow statements do, until what is returned is dropped.
    #[cfg(test)]
    fn hold(&self) -> Answer<'_, Box<dyn std::any::Any + Send>>;
}
