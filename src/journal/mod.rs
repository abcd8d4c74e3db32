//! The journal: one append-only, totally ordered, Merkle-hashed log.
//!
//! It has every change, every issuance, and every refusal of a known caller. It is the truth; `State` is a fold of it (docs/explanation/journal.md).
//!
//! Enter through [`Journal`]: [`Journal::open`], then [`Journal::record`] for grants and [`Journal::change`] for changes.
//!
//! **What a return means.** `Ok` of `record` or `change`: the entry is durable (SQLite WAL, synchronous=FULL: the commit's `fsync`
//! has returned), its proof is spent, and [`Journal::view`] shows it. An error: nothing was written, no proof is spent, and it may
//! be sent again; [`RecordFault::Replayed`] and [`RecordFault::Refused`] are answers, not failures. One error says that nobody knows yet
//! (`store.unconfirmed`): it may be there, and nothing of it is released. `record` never answers `Ok` for a token whose cause was revoked by an entry before it: what has not seen the last change is decided again while the
//! batch holds the head.
//!
//! **A late or lost answer.** A commit that fails is settled by reading the log again, so no caller is told a guess. While it
//! cannot be read either, everything is refused ([`Health::unsettled`]), and it is asked again. Whoever has waited five seconds is answered:
//! work that the sequencer has not begun is taken back, and the rest is `store.unconfirmed`. A caller that went away, or a process
//! that was killed, may leave a recorded token that never left: harmless; the reverse cannot be.
//!
//! **Who retries.** `record`: the partner, after a 503. `change`: the journal itself, whenever another change came first. A full
//! queue refuses at once. A store that failed is probed each second, and takes work again when a commit goes through.
//!
//! **Trust.** Every batch has a MAC under the KEK; a start proves the newest batch and every change, and the head
//! against the anchor ([`Settings::anchor`]). The tables that lie beside the entries (spent proofs, last uses) have keyed sums, which
//! every batch writes with the head and a start checks. A running node that finds the head moved proves it in the same way or stops.
//! [`verify_database`] reads everything; [`verify_export`] and [`bundle::verify`] need only the public key.
//!
//! **What is sealed.** Signing keys and the checkpoint key lie in the `keyring` table under the [`Kek`]; people's names and free
//! text in `texts`, by their digest, until a recorded change erases them. Another checkpoint key takes the place of one by a change that
//! both sign ([`Journal::succeed_checkpoint_key`]).
//!
//! **What is done once.** A change for a request with an idempotency key is written with the key, or not at all; what was answered is kept
//! beside it, sealed, for a day ([`Journal::before`], [`Journal::keep_answer`]).
//!
//! **People.** The directory of people lies beside the entries and is no part of them: it is read whole and proved by a tag under the KEK
//! ([`Journal::people`]), and written by comparing that tag ([`Journal::put_people`]).
//!
//! **Uses.** The counts of what was issued lie beside the entries too, follow them, and can be made from them again ([`Journal::uses`]).
//!
//! **What leaves.** With `[journal] retention`, old issuance and refusal entries leave the database for sealed segments beside it
//! ([`Journal::archive`]). Reads of one entry, of a page, and of all entries for a proof go on in the segments;
//! [`Journal::entries`] reads the database alone.
//!
//! **Where it is kept.** The sequencer, the evidence and the archive know a store by the traits of `store` alone; `sqlite` and `postgres` hold
//! every word of SQL, and are the homes of `sqlx` and `tokio_postgres`. `place` chooses the store by its location.
//!
//! Deliberately not here: decisions (domain), signing of tokens (issuance), Redis (revocation), and the scheduling of exports.

mod again;
mod answers;
mod archive;
mod asking;
mod evidence;
mod fault;
pub(crate) mod file;
mod folds;
mod handle;
mod issued_to;
pub mod key;
mod lease;
mod living;
mod load;
mod members;
mod migrate;
mod nodes;
mod open;
mod past;
mod people;
mod place;
mod postgres;
mod reopen;
mod scratch;
mod seen;
mod sequencer;
mod settings;
mod sqlite;
mod start;
mod store;
mod tail;
#[cfg(test)]
mod tests;
mod tokens;
pub mod tree;
mod uses;

pub use answers::{Before, ForRequest, Idempotency, Reply};
pub use archive::Page;
pub use archive::fault::{ArchiveFault, Awaited, Reading};
pub use archive::segment::{ArchivePlace, Objects};
pub use evidence::{
    Progress, Report, SILENT, Tail, VerifyFault, bundle, changes, export, exported_changes, leads_to_verifier_key,
    prove_offline, verifier_key, verify_database, verify_export,
};
pub use fault::{ClockFault, Health, Leased, Loss, OpenFault, RecordFault, StopReason, StoreFault, Unavailable};
pub use folds::split_of;
pub use handle::{At, Committed, Journal, Proposal, Recorded};
pub use key::kek::{BlobName, Kek, SealedBlob, SealingKey};
pub use key::signers::HANDOVER;
pub use lease::Tenure;
pub use living::Ended;
pub use members::Split;
pub use migrate::{MigrateFault, Moved, Place, migrate};
pub use nodes::{JoinFault, NodeSettings};
pub use open::{Outside, examine};
pub use past::{Compared, Past};
pub use people::PeopleFault;
pub use place::is_brought_up;
pub use postgres::{PostgresAddress, PostgresPlace, look as look_at_postgres};
pub use sequencer::queue::Again;
pub use sequencer::refusals::RefusalNote;
pub use sequencer::view::{Marker, View};
pub use settings::{LONGEST_ASSERTION, Location, Rest, Settings};
pub use store::health::{Defect, Health as PostgresHealth};
pub use store::nodes::{Cursor, KnownNode};
pub use store::people::Known as KnownPeople;
pub use store::query::{Query, StoredEntry};
pub use store::row::IssuedPlace;
pub use store::uses::{KnownDay, KnownUses, Portion, UseRow, UseText};
pub use tail::lost::Given;
pub use uses::UsesFault;
