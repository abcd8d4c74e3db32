//! Notices of dates, which time alone brings. They are for people, and decide nothing.

use super::kinds::kinds;
use crate::domain::registry::date::Noticed;
use crate::domain::value::text::Text;

kinds! {
    /// Notices of dates.
    pub enum DatesChange {
        /// Dates of records have come, or come in 60, 30 or 7 days. An entry without items is the first: earlier dates are not told.
        #[kind = "dates.noticed"]
        Noticed {
            /// The dates, in the order of their notices. An event is sent for each.
            items: Vec<Noticed>,
            /// More are due, and come with the next entry.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            more: bool,
        },
    }
}

impl DatesChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Noticed { .. } => "dates".to_owned(),
        }
    }

    /// The reason, which time does not give.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Noticed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Noticed { .. } => Vec::new(),
        }
    }
}
