//! Spent proofs: where they are looked up, and which last uses a batch has to know.

use std::collections::HashSet;

use super::column::digest;
use super::connection::Connection;
use crate::domain::value::proof_key::ProofKey;
use crate::journal::fault::StoreFault;
use crate::journal::store::batch::Spent;

/// Those of some proofs that are in either generation. Asked under the lock of the head, it is a statement of its own.
pub const AMONG: &str = "SELECT proof FROM spent_0 WHERE proof = ANY($1::bytea[]) UNION ALL SELECT proof FROM spent_1 WHERE proof = ANY($1::bytea[])";

/// The keys, as they are bound.
pub fn keys(proofs: &[Spent]) -> Vec<&[u8]> {
    proofs.iter().map(|(proof, _)| &proof.0.0[..]).collect()
}

/// The proofs of rows.
pub fn found(rows: &[tokio_postgres::Row]) -> Result<HashSet<ProofKey>, StoreFault> {
    rows.iter().map(|row| Ok(ProofKey(digest(row, 0)?))).collect()
}

/// Those of `proofs` that are spent.
pub async fn among(connection: &mut Connection, proofs: &[Spent]) -> Result<HashSet<ProofKey>, StoreFault> {
    if proofs.is_empty() {
        return Ok(HashSet::new());
    }
    found(&connection.rows(AMONG, &[&keys(proofs)]).await?)
}

/// Each of `proofs` that is not `among` the spent ones, once.
pub fn all_but(among: &HashSet<ProofKey>, proofs: &[Spent]) -> Vec<Spent> {
    let mut seen = HashSet::new();
    proofs.iter().filter(|(proof, _)| !among.contains(proof) && seen.insert(*proof)).copied().collect()
}
