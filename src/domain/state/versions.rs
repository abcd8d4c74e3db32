//! Versions of a record: the one that is held, and the one in force.

use std::sync::Arc;

use serde::Serialize;

use super::effects::Entered;
use super::{Held, Versioned};
use crate::domain::registry::approval::Approval;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;
use crate::domain::value::text::Text;

/// A version that somebody applied with `entry`.
pub(super) fn version<T: Serialize>(record: T, entry: Entered<'_>, reason: Option<&Text>) -> Versioned<T> {
    let (by, reason) = (entry.by.clone(), reason.cloned());
    Versioned { version: Digest::of_json(&record), record: Arc::new(record), by, at: entry.at, reason }
}

/// A version that waits for `approval`.
pub(super) fn hold<T: Serialize>(record: T, entry: Entered<'_>, approval: &Approval) -> Box<Held<T>> {
    Box::new(Held { version: version(record, entry, approval.reason.as_ref()), approval: Some(approval.id.clone()) })
}

/// Puts the held version in force, if it is the one that was approved. Returns the approval that it waited for, then.
pub(super) fn promote<T>(
    held: &mut Option<Box<Held<T>>>,
    current: &mut Option<Versioned<T>>,
    approved: &Digest,
) -> Option<Option<ApprovalId>> {
    let Held { version, approval } = *held.take_if(|held| held.version.version == *approved)?;
    *current = Some(version);
    Some(approval)
}
