//! Differences and findings of records, as answers show them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::record::{Difference, Fault, Weight};

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
}

impl DifferenceView {
    /// Builds the view of a difference.
    pub fn of(difference: &Difference) -> Self {
        let (from, to) = (difference.from.clone(), difference.to.clone());
        Self { at: difference.at.clone(), from, to, weight: difference.weight.word() }
    }
}

/// The place of a finding: `FILE:LINE FIELD`.
pub fn place(fault: &Fault) -> String {
    format!("{}:{} {}", fault.file, fault.line, fault.at)
}
