//! Changes of just-in-time elevations.

use super::kinds::kinds;
use crate::domain::elevation::{Elevation, Narrowing, Notice};
use crate::domain::people::actor::Role;
use crate::domain::people::passkey::Signature;
use crate::domain::registry::approval::Verdict;
use crate::domain::value::names::ElevationId;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of elevations.
    pub enum ElevationChange {
        /// Somebody asked for an elevation.
        #[kind = "elevation.asked"]
        Asked {
            /// The elevation that was requested.
            elevation: Box<Elevation>,
        },
        /// Somebody reviewed an elevation.
        #[kind = "elevation.reviewed"]
        Reviewed {
            /// The id of the elevation.
            elevation: ElevationId,
            /// The verdict.
            verdict: Verdict,
            /// The reason.
            reason: Text,
            /// The reviewer's roles at that moment.
            roles: Vec<Role>,
            /// The terms that the reviewer took away.
            narrowing: Narrowing,
            /// The approver's signature, if the API requires one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            signature: Option<Box<Signature>>,
        },
        /// An elevation was ended before its time, or its request was withdrawn.
        #[kind = "elevation.ended"]
        Ended {
            /// The id of the elevation.
            elevation: ElevationId,
            /// The reason.
            reason: Text,
        },
        /// The time came to tell people about an elevation.
        #[kind = "elevation.noticed"]
        Noticed {
            /// The id of the elevation.
            elevation: ElevationId,
            /// The kind of notice.
            notice: Notice,
        },
    }
}

impl ElevationChange {
    /// The elevation that the change is about.
    pub fn elevation(&self) -> &ElevationId {
        match self {
            Self::Asked { elevation } => &elevation.id,
            Self::Reviewed { elevation, .. } | Self::Ended { elevation, .. } | Self::Noticed { elevation, .. } => elevation,
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        self.elevation().to_string()
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Asked { elevation } => Some(&elevation.reason),
            Self::Reviewed { reason, .. } | Self::Ended { reason, .. } => Some(reason),
            Self::Noticed { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Asked { elevation } => {
                let barred = elevation.rule.barred.iter_mut().filter_map(|person| person.name.as_mut());
                elevation.requested_by.name_mut().into_iter().chain([&mut elevation.reason]).chain(barred).collect()
            }
            Self::Reviewed { reason, .. } | Self::Ended { reason, .. } => vec![reason],
            Self::Noticed { .. } => Vec::new(),
        }
    }
}
