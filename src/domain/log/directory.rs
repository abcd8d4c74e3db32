//! Changes of people in the directory, as far as they are owners of records.
//!
//! An entry names people by our own ids and says nothing else of them. Names and addresses stay in the directory.

use std::collections::BTreeMap;

use super::kinds::kinds;
use crate::domain::people::owners::OwnerIds;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{HoldId, IntegrationId, PersonId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of people in the directory, as far as they are owners.
    pub enum DirectoryChange {
        /// An owner left.
        #[kind = "owner.left"]
        Left {
            /// The person.
            person: PersonId,
        },
        /// An owner who had left is back.
        #[kind = "owner.returned"]
        Returned {
            /// The person.
            person: PersonId,
        },
        /// The directory knows owners of versions that were recorded without their ids.
        #[kind = "owner.resolved"]
        Resolved {
            /// The owners of versions in force.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            in_force: BTreeMap<IntegrationId, OwnerIds>,
            /// The owners of versions that wait.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            waiting: BTreeMap<IntegrationId, OwnerIds>,
        },
        /// More owners left within an hour than the brake lets through. These do not count as gone until somebody confirms it.
        #[kind = "directory.held"]
        Held {
            /// The name of the hold.
            id: HoldId,
            /// The people.
            people: Vec<PersonId>,
        },
        /// Somebody of security confirmed that the people of a hold left.
        #[kind = "directory.confirmed"]
        Confirmed {
            /// The hold.
            id: HoldId,
            /// The people who count as gone from now on.
            people: Vec<PersonId>,
            /// The reason.
            reason: Text,
        },
        /// An administrator sent the whole list of people.
        #[kind = "directory.imported"]
        Imported {
            /// The number of people in the list.
            people: u64,
            /// The number of people whom the list lacks and who are not active any more for that.
            left: u64,
        },
        /// The source of the directory asked or said something. Recorded at most about once a day.
        #[kind = "directory.heard"]
        Heard {},
        /// The source of the directory has said nothing for longer than it may.
        #[kind = "directory.silent"]
        Silent {
            /// Since when.
            since: Timestamp,
        },
    }
}

impl DirectoryChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Left { person } | Self::Returned { person } => person.to_string(),
            Self::Held { id, .. } | Self::Confirmed { id, .. } => id.to_string(),
            Self::Resolved { .. } | Self::Imported { .. } | Self::Heard {} | Self::Silent { .. } => "directory".to_owned(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Confirmed { reason, .. } => Some(reason),
            Self::Left { .. }
            | Self::Returned { .. }
            | Self::Resolved { .. }
            | Self::Held { .. }
            | Self::Imported { .. }
            | Self::Heard {}
            | Self::Silent { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Confirmed { reason, .. } => vec![reason],
            Self::Left { .. }
            | Self::Returned { .. }
            | Self::Resolved { .. }
            | Self::Held { .. }
            | Self::Imported { .. }
            | Self::Heard {}
            | Self::Silent { .. } => Vec::new(),
        }
    }
}
