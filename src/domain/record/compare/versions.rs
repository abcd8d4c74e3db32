//! The comparison of two versions of a record.

use super::difference::Difference;
use super::found::Found;
use super::{api, guardrail, integration, partner};
use crate::domain::record::kind::Record;
use crate::domain::value::effort::{Effort, Exhausted};

/// The differences of `new` from `old`, ordered by risk. The order of a list is no difference.
///
/// Without `old`, or where it is a record of another kind or name, everything is new.
///
/// # Errors
/// It takes more than `effort` has left: nothing is known then, and the new version counts as one that widens.
pub fn compare(old: Option<&Record>, new: &Record, effort: &mut Effort) -> Result<Vec<Difference>, Exhausted> {
    let mut found = Found::with(*effort);
    match (old, new) {
        (Some(Record::Api(old)), Record::Api(new)) if old.name == new.name => api::compare(old, new, &mut found),
        (Some(Record::Partner(old)), Record::Partner(new)) if old.name == new.name => partner::compare(old, new, &mut found),
        (Some(Record::Guardrail(old)), Record::Guardrail(new)) if old.name == new.name => {
            guardrail::compare(old, new, &mut found);
        }
        (Some(Record::Integration(old)), Record::Integration(new)) if old.id == new.id => {
            found.spend(old.exceptions.len().saturating_mul(new.exceptions.len()));
            integration::compare(old, new, &mut found);
        }
        (_, Record::Api(new)) => api::introduce(new, &mut found),
        (_, Record::Partner(new)) => partner::introduce(new, &mut found),
        (_, Record::Guardrail(new)) => guardrail::introduce(new, &mut found),
        (_, Record::Integration(new)) => integration::introduce(new, &mut found),
    }
    *effort = found.effort;
    found.exhausted.map_or(Ok(()), Err)?;
    found.list.sort_by_key(|difference| difference.weight);
    Ok(found.list)
}
