//! When a key or certificate is due to change by the record's cadence.

use super::admission::Principal;
use super::life::Life;
use crate::domain::reason::decision::Trace;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::integration::{Integration, OnLate};
use crate::domain::state::issuer_keys::IssuerKeys;
use crate::domain::value::clock::Timestamp;

/// When a key that was first used at `since` is due to change by the record's cadence, if the record has one.
pub fn issuer_key_due(record: &Integration, since: Option<Timestamp>) -> Option<RotationDue> {
    let rotation = record.rotation.as_ref()?;
    Some(RotationDue { at: since?.plus(rotation.issuer_keys?), refuses: rotation.on_late == OnLate::Refuse })
}

/// The cadence of the record, where a late key is refused; then no token outlives it either.
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

/// When a key is due to change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RotationDue {
    /// The first second at which it is late.
    pub at: Timestamp,
    /// Whether it then admits no more (`onLate: refuse`).
    pub refuses: bool,
}

impl RotationDue {
    /// What the cadence wants at `now`, and what was seen.
    pub(in crate::domain) fn texts(&self, now: Timestamp) -> (String, String) {
        (format!("a key that is not due to change before {now}"), format!("a key that is due to change at {}", self.at))
    }
}

/// When a key that certificates are made for since `since` is due to change by the record's cadence, if the record has one.
pub fn rotation_due(record: &Integration, since: Option<Timestamp>) -> Option<RotationDue> {
    let rotation = record.rotation.as_ref()?;
    Some(RotationDue { at: since?.plus(rotation.certificate?), refuses: rotation.on_late == OnLate::Refuse })
}
