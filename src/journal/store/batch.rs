//! A batch: entries that stand or fall together, with the MAC by which a node proves that it wrote them.

use aws_lc_rs::hmac;
use serde::Serialize;

use super::head::Head;
use super::sums::SumKey;
use crate::domain::log::entry::{ChangeEntry, Counted, Issued, RefusedEntry};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::proof_key::ProofKey;
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::key::kek::{BlobName, Kek, SealedBlob};
use crate::journal::tree::merkle;
use crate::journal::tree::{FullTile, Tree};

/// The longest entry: a bundle of C2SP tlog-tiles gives an entry two bytes of length.
pub const LONGEST: usize = 65_535;

/// An entry as a row.
pub struct Row {
    pub index: u64,
    pub time: Timestamp,
    pub kind: &'static str,
    pub subject: String,
    pub request: Option<String>,
    pub token: Option<String>,
    pub body: String,
    pub leaf: Digest,
}

/// A proof, and until when it is remembered.
pub type Spent = (ProofKey, Timestamp);

/// Rows of other tables that stand or fall with a change.
#[derive(Clone, Default)]
pub struct Beside {
    pub texts: Vec<TextRow>,
    pub erased: Vec<TextDigest>,
    pub sealed: Vec<SealedBlob>,
    pub destroyed: Vec<BlobName>,
    /// Proofs that are spent again, because they were forgotten too early.
    pub spent: Vec<Spent>,
}

/// All that one commit writes but the spent proofs.
pub struct Batch {
    pub rows: Vec<Row>,
    pub tiles: Vec<FullTile>,
    pub prior: Head,
    pub after: Head,
    pub mac: [u8; 32],
    pub beside: Beside,
}

/// The keys of the batch MACs and of the sums over the side tables, derived from the KEK.
pub struct MacKey {
    batches: hmac::Key,
    pub sums: SumKey,
}

impl Head {
    /// The head of a log without entries.
    pub fn empty() -> Self {
        Self { size: 0, root: merkle::empty_root(), last_change: None, time: Timestamp::default() }
    }
}

impl Beside {
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
            && self.erased.is_empty()
            && self.sealed.is_empty()
            && self.destroyed.is_empty()
            && self.spent.is_empty()
    }
}

impl Row {
    /// The kind of a token's row.
    pub const ISSUED: &str = "issued";

    pub fn issued(entry: &Issued) -> Self {
        let mut row = Self::new(entry.index, entry.time, Self::ISSUED, entry.subject.to_string(), entry);
        row.request = Some(entry.request_id.to_string());
        row.token = Some(entry.jti.to_string());
        row
    }

    pub fn refused(entry: &RefusedEntry) -> Self {
        let mut row = Self::new(entry.index, entry.time, "refused", entry.subject.to_string(), entry);
        row.request = Some(entry.request_id.to_string());
        row
    }

    pub fn counted(entry: &Counted) -> Self {
        Self::new(entry.index, entry.time, "refusals", entry.subject.clone(), entry)
    }

    pub fn change(entry: &ChangeEntry) -> Self {
        let mut row = Self::new(entry.index, entry.time, entry.change.what.kind(), entry.subject.clone(), entry);
        row.request = entry.request_id.as_ref().map(ToString::to_string);
        row
    }

    fn new(index: u64, time: Timestamp, kind: &'static str, subject: String, entry: &impl Serialize) -> Self {
        // Invariant: entries serialise to JSON, like every record of the domain (`Digest::of_json`).
        let mut body = Vec::with_capacity(1024);
        serde_json::to_writer(&mut body, entry).expect("an entry is JSON");
        let leaf = merkle::leaf_hash(&body);
        let body = String::from_utf8(body).expect("JSON is text");
        Self { index, time, kind, subject, request: None, token: None, body, leaf }
    }
}

impl Batch {
    /// Puts at least one row after `prior` on `tree`. `change`: the row is a change.
    pub fn of(rows: Vec<Row>, change: bool, prior: &Head, tree: &mut Tree, key: &MacKey) -> Self {
        let leaves: Vec<Digest> = rows.iter().map(|row| row.leaf).collect();
        let tiles = leaves.iter().flat_map(|leaf| tree.append(*leaf)).collect();
        let mac = key.mac(prior.root, prior.size, prior.last_change, &leaves);
        let after = Head {
            size: tree.size(),
            root: tree.root(),
            last_change: if change { Some(prior.size) } else { prior.last_change },
            time: rows.last().map_or(prior.time, |row| row.time),
        };
        Self { rows, tiles, prior: prior.clone(), after, mac, beside: Beside::default() }
    }
}

impl MacKey {
    /// The keys under this KEK.
    pub fn of(kek: &Kek) -> Self {
        Self { batches: hmac::Key::new(hmac::HMAC_SHA256, &*kek.derive("journal batch")), sums: SumKey::of(kek) }
    }

    /// The MAC of a batch: it can be neither made nor moved without the KEK.
    ///
    /// HMAC-SHA256 over the previous root, the first index, the change before, the count and the leaf hashes.
    pub fn mac(&self, prior_root: Digest, first: u64, prior_change: Option<u64>, leaves: &[Digest]) -> [u8; 32] {
        let tag = hmac::sign(&self.batches, &message(prior_root, first, prior_change, leaves));
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        mac
    }

    /// Whether `mac` is that of this batch, in constant time.
    pub fn verifies(&self, mac: &[u8], prior_root: Digest, first: u64, prior_change: Option<u64>, leaves: &[Digest]) -> bool {
        hmac::verify(&self.batches, &message(prior_root, first, prior_change, leaves), mac).is_ok()
    }
}

fn message(prior_root: Digest, first: u64, prior_change: Option<u64>, leaves: &[Digest]) -> Vec<u8> {
    let mut message = Vec::with_capacity(56 + 32 * leaves.len());
    message.extend_from_slice(&prior_root.0);
    message.extend_from_slice(&first.to_be_bytes());
    // No index reaches 2^64 - 1: SQL has 63 bits.
    message.extend_from_slice(&prior_change.unwrap_or(u64::MAX).to_be_bytes());
    message.extend_from_slice(&(leaves.len() as u64).to_be_bytes());
    leaves.iter().for_each(|leaf| message.extend_from_slice(&leaf.0));
    message
}
