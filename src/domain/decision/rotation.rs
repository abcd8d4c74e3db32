//! The time at which a key or certificate is due to change by the record's cadence.

use super::admission::Principal;
use super::life::Life;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::integration::Integration;
use crate::domain::state::issuer_keys::IssuerKeys;
use crate::domain::value::clock::Timestamp;

/// When a key that was first used at `since` is due, if the record has a cadence for issuers' keys.
pub fn issuer_key_due(record: &Integration, since: Option<Timestamp>) -> Option<RotationDue> {
    let rotation = record.rotation.as_ref()?;
    Some(RotationDue { at: rotation.issuer_key_due(since?)?, refuses: rotation.refuses() })
}

/// Applies the record's cadence, if it refuses a late key. No token outlives the key's time.
pub(in crate::domain) fn rotated(
    principal: &Principal,
    record: &Integration,
    keys: &IssuerKeys,
    now: Timestamp,
    trace: &mut Trace,
    life: &mut Life,
) -> Result<(), &'static Reason> {
    let proof = principal.proof();
    if principal.is_by_certificate() || record.rotation.is_none() {
        return Ok(());
    }
    let due = issuer_key_due(record, keys.since(&proof.issuer, proof.key)).filter(|due| due.refuses);
    let Some(due) = due else { return Ok(()) };
    life.end("assertion.key-rotation", due.at);
    trace.ensure("assertion.key-rotation", now < due.at, &reason::ASSERTION_KEY_LATE, || due.texts(now))
}

/// The time at which a key is due to change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationDue {
    /// The first second at which it is late.
    pub at: Timestamp,
    /// True if the key is refused from then on (`onLate: refuse`).
    pub refuses: bool,
}

impl RotationDue {
    /// The texts of the check at `now`: the key that is wanted, and the key that was seen.
    pub(in crate::domain) fn texts(&self, now: Timestamp) -> (String, String) {
        (format!("a key that is not due to change before {now}"), format!("a key that is due to change at {}", self.at))
    }
}

/// When the key of certificates since `since` is due, if the record has a cadence for them.
pub fn rotation_due(record: &Integration, since: Option<Timestamp>) -> Option<RotationDue> {
    let rotation = record.rotation.as_ref()?;
    Some(RotationDue { at: rotation.certificate_due(since?)?, refuses: rotation.refuses() })
}
