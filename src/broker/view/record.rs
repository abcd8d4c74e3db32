//! Differences and findings of records, as answers show them.

use serde::Serialize;
use utoipa::ToSchema;

use super::gain::Gain;
use crate::domain::record::{Difference, Fault, Weight};
use crate::domain::value::clock::Timestamp;

/// A difference between two versions of a record.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
pub struct DifferenceView {
    /// The field.
    at: String,
    #[schema(required)]
    from: Option<String>,
    #[schema(required)]
    to: Option<String>,
    #[schema(value_type = Weight)]
    weight: &'static str,
    /// Who gains what, if it widens.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Gain)]
    gains: Option<Gain>,
}

impl DifferenceView {
    /// Builds the view of a difference, as it is told at `now`.
    pub fn of(difference: &Difference, gains: Option<Gain>, now: Timestamp) -> Self {
        let (from, to) = (difference.from.clone(), difference.to.clone());
        Self { at: difference.at.clone(), from, to, weight: difference.told(now).word(), gains }
    }
}

/// The place of a finding: `FILE:LINE FIELD`.
pub fn place(fault: &Fault) -> String {
    format!("{}:{} {}", fault.file, fault.line, fault.at)
}
