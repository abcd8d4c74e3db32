//! Changes of people's access.

use super::kinds::kinds;
use crate::domain::people::actor::Person;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of people's access.
    pub enum StaffChange {
        /// One person's access ended, whatever their token says.
        #[kind = "staff.cut"]
        Cut {
            /// The person.
            person: Person,
            /// The reason.
            reason: Text,
        },
    }
}

impl StaffChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Cut { person, .. } => person.id.to_string(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Cut { reason, .. } => Some(reason),
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Cut { reason, person } => person.name.iter_mut().chain([reason]).collect(),
        }
    }
}
